"""The join of files: the same pairs in any order, and every event counted once as what it was when it came."""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.calibration.sketch import Row
from monitor.events.messages import Interval, Label, LabelKind, Prediction, label_order
from monitor.rolling.arrivals import MAX_SOURCES
from monitor.rolling.bound import SeriesBound
from monitor.rolling.rendezvous import Joined, Rendezvous, series_sketches
from monitor.rolling.segments import OTHER, SegmentScheme
from tests.rolling.events import consistent, worlds

HOUR = 3_600_000_000


def join(events: Sequence[Prediction | Label], pieces: int = 1) -> Joined:
    rendezvous = Rendezvous(SegmentScheme(), SeriesBound(), lambda source: source != "complaint")
    for first in range(pieces):
        piece = events[first * len(events) // pieces : (first + 1) * len(events) // pieces]
        rendezvous.add_predictions([each for each in piece if isinstance(each, Prediction)])
        rendezvous.add_labels([each for each in piece if isinstance(each, Label)])
    return rendezvous.join()


@given(worlds(), st.data(), st.integers(1, 4))
def test_any_order_and_repetition_gives_the_same_sketches(
    world: tuple[list[Prediction], list[Label]], data: st.DataObject, pieces: int
) -> None:
    events: list[Prediction | Label] = [*world[0], *consistent(world[1])]
    again = data.draw(st.lists(st.sampled_from(events), max_size=5)) if events else []
    shuffled = data.draw(st.permutations([*events, *again]))
    assert series_sketches(join(shuffled, pieces), "confidence") == series_sketches(join(events), "confidence")


def counted(events: Sequence[Prediction | Label]) -> Counter[str]:
    """What each event was when it came, one after the other."""
    counts: Counter[str] = Counter()
    predictions: dict[str, Prediction] = {}
    labels: dict[str, Label] = {}
    for each in events:
        if isinstance(each, Prediction):
            counts["predictions"] += 1
            known = predictions.setdefault(each.prediction_id, each)
            if known is not each:
                counts["duplicate_prediction" if known == each else "prediction_conflict"] += 1
            continue
        counts["labels"] += 1
        stored = labels.get(each.prediction_id)
        if stored is not None and label_order(each) <= label_order(stored):
            counts["duplicate_label" if label_order(each) == label_order(stored) else "stale_label"] += 1
            continue
        labels[each.prediction_id] = each
        counts["correction"] += stored is not None
        counts["retraction"] += each.kind is LabelKind.RETRACTION
    counts["orphan_label"] = len(labels.keys() - predictions.keys())
    counts["pairs"] = sum(labels[name].kind is not LabelKind.RETRACTION for name in labels.keys() & predictions.keys())
    return counts


@st.composite
def arrivals(draw: st.DrawFn) -> list[Prediction | Label]:
    """Events with repetitions: some equal, some with another confidence under the same id."""
    predictions, labels = draw(worlds())
    copies = [Prediction(*(getattr(each, name) for name in each.__struct_fields__)) for each in predictions]
    others = [Prediction(each.prediction_id, each.model, each.predicted_at, 0.123) for each in predictions]
    return list(draw(st.permutations([*predictions, *copies, *others, *consistent(labels), *labels[:2]])))


@given(arrivals(), st.integers(1, 3))
def test_every_event_is_counted_as_what_it_was_when_it_came(events: list[Prediction | Label], pieces: int) -> None:
    found = Counter(join(events, pieces).counts)
    del found["label_incomparable"]
    assert +found == +counted(events)


def test_the_first_prediction_of_an_id_wins() -> None:
    first, second = Prediction("a", "m", HOUR, 0.9), Prediction("a", "n", HOUR, 0.1)
    (name, sketch), *others = series_sketches(join([first, second]), "confidence").items()
    assert (name.model, others) == ("m", [])
    assert sketch.total(Row.N_PRED) == 1


@pytest.mark.parametrize(
    "other",
    [
        Prediction("a", "n", HOUR, 0.9, signals={"x": 0.5}),
        Prediction("a", "m", HOUR + 1, 0.9, signals={"x": 0.5}),
        Prediction("a", "m", HOUR, 0.8, signals={"x": 0.5}),
        Prediction("a", "m", HOUR, 0.9, signals={"x": 0.6}),
        Prediction("a", "m", HOUR, 0.9, signals={"x": 0.5}, predicted="cat"),
        Prediction("a", "m", HOUR, 0.9, signals={"x": 0.5}, probabilities={"cat": 1.0}),
        Prediction("a", "m", HOUR, 0.9, signals={"x": 0.5}, interval=Interval(0.0, 1.0, 0.9)),
    ],
)
def test_a_prediction_that_differs_in_anything_is_a_conflict(other: Prediction) -> None:
    first = Prediction("a", "m", HOUR, 0.9, signals={"x": 0.5})
    assert join([first, other]).counts["prediction_conflict"] == 1
    assert join([first, first]).counts["duplicate_prediction"] == 1


def test_a_prediction_that_comes_again_is_a_duplicate_though_more_classes_came_between() -> None:
    rendezvous = Rendezvous(SegmentScheme(classes=True), SeriesBound(max_classes=9), lambda _: True)
    first, other = (Prediction(name, "m", HOUR, 0.9, probabilities={name: 1.0}) for name in ("a", "b"))
    changed = Prediction("b", "m", HOUR, 0.9, probabilities={"a": 1.0})
    rendezvous.add_predictions([first, other, first, changed])
    counts = rendezvous.join().counts
    assert (counts["duplicate_prediction"], counts["prediction_conflict"]) == (1, 1)


def test_ids_scoped_by_model_keep_models_apart() -> None:
    events = [Prediction("a", "m", 0, 0.9), Prediction("a", "n", 0, 0.1)]
    rendezvous = Rendezvous(SegmentScheme(), SeriesBound(), lambda _: True, id_scope="model")
    rendezvous.add_predictions(events)
    rendezvous.add_labels([Label("a", 1, LabelKind.CORRECT, 1.0, model="n")])
    found = {name.model: sketch for name, sketch in series_sketches(rendezvous.join(), "confidence").items()}
    assert {model: (sketch.total(Row.N_PRED), sketch.total(Row.N)) for model, sketch in found.items()} == {
        "m": (1, 0), "n": (1, 1),
    }  # fmt: skip


def test_complaints_have_series_of_their_own() -> None:
    events: list[Prediction | Label] = [
        Prediction("a", "m", 0, 0.9),
        Prediction("b", "m", 0, 0.9),
        Label("a", 1, LabelKind.CORRECT, 0.0, source="complaint"),
        Label("b", 1, LabelKind.CORRECT, 1.0, source="human"),
    ]
    found = series_sketches(join(events), "confidence")
    totals = {name.source_group: (s.total(Row.N_PRED), s.total(Row.N), s.total(Row.Y)) for name, s in found.items()}
    assert totals == {"": (2, 1, 10**9), "complaint": (0, 1, 0)}


def test_sources_past_the_bound_share_one_series() -> None:
    n = MAX_SOURCES + 50
    rendezvous = Rendezvous(SegmentScheme(), SeriesBound(), lambda source: source is None)
    rendezvous.add_predictions([Prediction(str(number), "m", 0, 0.5) for number in range(n)])
    rendezvous.add_labels(
        [Label(str(number), 1, LabelKind.CORRECT, 1.0, source=f"source {number}") for number in range(n)]
    )
    found = series_sketches(rendezvous.join(), "confidence")
    labels = {name.source_group: sketch.total(Row.N) for name, sketch in found.items()}
    assert len(labels) == MAX_SOURCES + 2
    assert labels[OTHER] == 50


def test_nothing_joins_to_nothing() -> None:
    result = join([])
    assert series_sketches(result, "confidence") == {}
    assert (result.span_us, sum(result.counts.values())) == (None, 0)


def test_the_span_is_that_of_the_predictions_that_count() -> None:
    result = join([Prediction("a", "m", 5, 0.5), Prediction("b", "m", 9, 0.5), Prediction("a", "m", 99, 0.5)])
    assert result.span_us == (5, 9)

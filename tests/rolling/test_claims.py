"""Claims: each confidence is compared with its own event, for first labels and corrections, in any order of arrival."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.calibration.sketch import empty
from monitor.events.messages import Interval, Label, LabelKind, Prediction
from monitor.rolling.bound import SeriesBound
from monitor.rolling.claims import DerivedBySet, derived_signals
from monitor.rolling.deltas import EVERY_SIGNAL, Delta, decode, delta_of, encode, merge
from monitor.rolling.fanout import by_series, route_names, routes
from monitor.rolling.rendezvous import Rendezvous, series_sketches
from monitor.rolling.segments import SegmentKey, SegmentScheme, SeriesName, key_text, parse_key
from monitor.rolling.stacks import sketches
from tests.rolling.events import GROUPS, SOURCES, Pairs, claims, consistent, worlds
from tests.rolling.test_fanout import expected

HOUR_US = 3_600_000_000
SCHEMES = (SegmentScheme(), SegmentScheme(classes=True))
GROUP_NAMES = {0: "", **{number: str(SOURCES[number]) for number in (3, 4)}}


@given(worlds(), st.sampled_from(SCHEMES), st.data())
def test_any_order_and_batching_gives_each_series_its_own_events(
    world: tuple[list[Prediction], list[Label]], scheme: SegmentScheme, data: st.DataObject
) -> None:
    predictions, labels = world[0], consistent(world[1])
    keys = list({scheme.segment_key(each): None for each in predictions})
    sets = {each.prediction_id: keys.index(scheme.segment_key(each)) for each in predictions}
    order = data.draw(st.permutations([*predictions, *labels, *labels[:2]]))
    edges = [0, *sorted(data.draw(st.lists(st.integers(0, len(order)), max_size=4))), len(order)]
    derived, pairs, deltas = derived_signals(enumerate(keys)), Pairs(sets), list[Delta]()
    for low, high in pairwise(edges):
        for rows in (
            pairs.take_predictions([each for each in order[low:high] if isinstance(each, Prediction)]),
            pairs.take_labels([each for each in order[low:high] if isinstance(each, Label)]),
        ):
            deltas += [] if rows is None else [decode(encode(delta_of(rows, GROUPS, derived)))]
    total = merge(*deltas)
    names = list({name: None for route in routes(total) for each in named(keys, *route) for name in each})
    stack = by_series(
        total,
        {route: [[names.index(name) for name in each] for each in named(keys, *route)] for route in routes(total)},
    )
    found = {(names[key >> 32], key & 0xFFFFFFFF): sketch for key, sketch in sketches(stack)}
    wanted = expected(predictions, labels, True, scheme)
    assert {key: sketch for key, sketch in found.items() if sketch != empty()} == {
        key: sketch for key, sketch in wanted.items() if sketch != empty()
    }
    silent = {each.prediction_id for each in predictions} - {name for name, _ in spoken(predictions, labels, scheme)}
    assert total.counts.get("label_incomparable", 0) == len(silent & speaking(labels))


def named(keys: list[SegmentKey], segment_set: int, group: int) -> list[list[SeriesName]]:
    return route_names(keys[segment_set], "confidence", GROUP_NAMES[group])


def winner(prediction: Prediction, labels: list[Label]) -> Label | None:
    mine = [label for label in labels if label.prediction_id == prediction.prediction_id]
    return max(mine, key=lambda one: (one.version, one.labelled_at, one.kind, one.number, one.text), default=None)


def spoken(predictions: list[Prediction], labels: list[Label], scheme: SegmentScheme) -> list[tuple[str, str]]:
    """The predictions whose label gives an outcome to some signal, with the name of it."""
    return [
        (each.prediction_id, name)
        for each in predictions
        for name, _, y in claims(each, winner(each, labels), classes=scheme.classes)
        if y is not None
    ]


def speaking(labels: list[Label]) -> set[str]:
    """Ids whose winning label is no retraction."""
    names = {each.prediction_id for each in labels}
    best = {name: winner(Prediction(name, "m", 0, 0.5), labels) for name in names}
    return {name for name, label in best.items() if label is not None and label.kind is not LabelKind.RETRACTION}


def fed(prediction: Prediction, label: Label, scheme: SegmentScheme = SCHEMES[1]) -> dict[str, list[float]]:
    """Labels and sum of outcomes of every series of a prediction, by its signal."""
    rendezvous = Rendezvous(scheme, SeriesBound(max_classes=9), lambda _: True)
    rendezvous.add_predictions([prediction])
    rendezvous.add_labels([label])
    found = series_sketches(rendezvous.join(), "confidence")
    return {name.signal: [sketch.sums[1].sum(), sketch.sums[4].sum() / 1e9] for name, sketch in found.items()}


INTERVAL = Interval(1.0, 2.0, 0.9)
TABLE = {"cat": 0.5, "dog": 0.5}
NONE, RIGHT, WRONG = [0, 0], [1, 1], [1, 0]


@pytest.mark.parametrize(
    ("prediction", "label", "outcomes"),
    [
        # A confidence of its own speaks of the answer, not of the interval.
        (
            Prediction("a", "m", 0, 0.4, interval=INTERVAL),
            (LabelKind.VALUE, 2.0),
            {"confidence": NONE, "interval": RIGHT},
        ),
        (
            Prediction("a", "m", 0, 0.4, interval=INTERVAL),
            (LabelKind.VALUE, 2.1),
            {"confidence": NONE, "interval": WRONG},
        ),
        (
            Prediction("a", "m", 0, 0.4, interval=INTERVAL),
            (LabelKind.CORRECT, 1.0),
            {"confidence": RIGHT, "interval": NONE},
        ),
        # Without one the level is what is claimed.
        (
            Prediction("a", "m", 0, 0.9, interval=INTERVAL, level_is_confidence=True),
            (LabelKind.VALUE, 3.0),
            {"confidence": WRONG, "interval": WRONG},
        ),
        (
            Prediction("a", "m", 0, 0.9, interval=INTERVAL, level_is_confidence=True),
            (LabelKind.CORRECT, 1.0),
            {"confidence": RIGHT, "interval": RIGHT},
        ),
        # What else is stated speaks of the answer, and so does a judgement where there is one beside the interval.
        (
            Prediction("a", "m", 0, 0.9, signals={"x": 0.3}, interval=INTERVAL, level_is_confidence=True),
            (LabelKind.VALUE, 1.5),
            {"confidence": RIGHT, "x": NONE, "interval": RIGHT},
        ),
        (
            Prediction("a", "m", 0, 0.9, None, {"x": 0.3}, "cat", interval=INTERVAL, level_is_confidence=True),
            (LabelKind.CORRECT, 1.0),
            {"confidence": NONE, "x": RIGHT, "interval": NONE},
        ),
        (
            Prediction("a", "m", 0, 0.9, None, {"x": 0.3}, "cat", interval=INTERVAL, level_is_confidence=True),
            (LabelKind.LABEL, "cat"),
            {"confidence": NONE, "x": RIGHT, "interval": NONE},
        ),
        # The most probable class is `cat`, the first of two by code point; the answer may be another.
        (
            Prediction("a", "m", 0, 0.4, predicted="dog", probabilities=TABLE),
            (LabelKind.LABEL, "cat"),
            {"confidence": WRONG, "top_label": RIGHT, "class:cat": RIGHT, "class:dog": WRONG},
        ),
        (
            Prediction("a", "m", 0, 0.4, predicted="dog", probabilities=TABLE),
            (LabelKind.CORRECT, 1.0),
            {"confidence": RIGHT, "top_label": NONE, "class:cat": NONE, "class:dog": NONE},
        ),
        (
            Prediction("a", "m", 0, 0.4, probabilities=TABLE),
            (LabelKind.CORRECT, 1.0),
            {"confidence": RIGHT, "top_label": RIGHT, "class:cat": NONE, "class:dog": NONE},
        ),
        (
            Prediction("a", "m", 0, 0.4, probabilities=TABLE),
            (LabelKind.VALUE, 1.0),
            {"confidence": NONE, "top_label": NONE, "class:cat": NONE, "class:dog": NONE},
        ),
        # No class at all is no distribution; and a signal that is stated is not derived.
        (Prediction("a", "m", 0, 0.4, probabilities={}), (LabelKind.LABEL, "cat"), {"confidence": NONE}),
        (
            Prediction("a", "m", 0, 0.4, signals={"interval": 0.3}, interval=INTERVAL),
            (LabelKind.CORRECT, 1.0),
            {"confidence": RIGHT, "interval": RIGHT},
        ),
        (
            Prediction("a", "m", 0, 0.4, signals={"top_label": 0.3}, probabilities=TABLE),
            (LabelKind.LABEL, "cat"),
            {"confidence": RIGHT, "top_label": RIGHT, "class:cat": RIGHT, "class:dog": WRONG},
        ),
    ],
)
def test_a_label_speaks_of_its_own_event(
    prediction: Prediction, label: tuple[LabelKind, float | str], outcomes: dict[str, list[float]]
) -> None:
    kind, says = label
    given_label = Label("a", 1, kind, text=says) if isinstance(says, str) else Label("a", 1, kind, says)
    assert fed(prediction, given_label) == outcomes


def test_classes_make_no_series_unless_they_are_asked_for() -> None:
    prediction = Prediction("a", "m", 0, 0.4, probabilities=TABLE)
    assert fed(prediction, Label("a", 1, LabelKind.LABEL, text="cat"), SCHEMES[0]).keys() == {"confidence", "top_label"}


def test_a_key_from_before_there_were_derived_signals_keeps_its_text_and_its_meaning() -> None:
    text = '["m","v1",[["lang","de"]],["x"],[]]'
    old = parse_key(text)
    assert old == SegmentKey("m", "v1", (("lang", "de"),), ("x",))
    assert key_text(old) == text
    prediction = Prediction("a", "m", 0, 0.4, "v1", {"x": 0.2}, interval=INTERVAL, segments={"lang": "de"})
    value = Label("a", 1, LabelKind.VALUE, 1.5)
    correction = Label("a", 2, LabelKind.VALUE, 5.0)
    totals = {}
    for key in (old, SegmentScheme().segment_key(prediction)):
        derived: DerivedBySet = derived_signals([(7, key)])
        pairs = Pairs({"a": 7})
        rows = [pairs.take_predictions([prediction]), pairs.take_labels([value]), pairs.take_labels([correction])]
        total = merge(*(delta_of(each, GROUPS, derived) for each in rows if each is not None))
        totals[key] = {
            int(signal): total.sums[1:5:3, total.signal == signal].sum(axis=1).tolist() for signal in range(3)
        }
    before, now = totals.values()
    assert before == {0: [1, 0], 1: [1, 0], 2: [0, 0]}
    assert now == {0: [0, 0], 1: [0, 0], 2: [1, 0]}


def test_old_and_new_predictions_of_one_batch_each_keep_their_own_rule() -> None:
    scheme = SegmentScheme()
    both = [Prediction(name, "m", 0, 0.4, interval=INTERVAL) for name in ("a", "b")]
    pairs = Pairs({"a": 7, "b": 8})
    derived = derived_signals([(7, SegmentKey("m", None, (), ())), (8, scheme.segment_key(both[1]))])
    rows = [
        pairs.take_predictions(both),
        pairs.take_labels([Label(name, 1, LabelKind.VALUE, 1.5) for name in ("a", "b")]),
    ]
    total = merge(*(delta_of(each, GROUPS, derived) for each in rows if each is not None))
    fed = zip(total.segment_set.tolist(), total.signal.tolist(), total.sums[1].tolist(), strict=True)
    assert sorted(fed) == [(7, 0, 1), (8, 0, 0), (8, 1, 1)]
    delays = zip(total.delay_segment_set.tolist(), total.delay_signal.tolist(), strict=True)
    assert sorted(delays) == [(7, EVERY_SIGNAL), (8, 1)]


@given(worlds(), st.sampled_from(SCHEMES))
def test_a_key_is_its_text_parsed(world: tuple[list[Prediction], list[Label]], scheme: SegmentScheme) -> None:
    keys = [scheme.segment_key(each) for each in world[0]]
    assert [parse_key(key_text(key)) for key in keys] == keys
    by_raw: dict[object, SegmentKey] = {}
    for each, key in zip(world[0], keys, strict=True):
        assert by_raw.setdefault(scheme.raw_key(each), key) == key


def test_a_confidence_that_was_stated_and_one_that_the_level_stands_in_for_are_told_apart() -> None:
    stated = Prediction("a", "m", 0, 0.9, interval=INTERVAL)
    stands_in = Prediction("b", "m", 0, 0.9, interval=INTERVAL, level_is_confidence=True)
    for scheme in SCHEMES:
        assert scheme.raw_key(stated) != scheme.raw_key(stands_in)
        assert scheme.segment_key(stated) != scheme.segment_key(stands_in)


def test_delays_of_derived_signals_are_those_of_their_own_labels() -> None:
    prediction = Prediction("a", "m", 0, 0.4, interval=INTERVAL)
    pairs = Pairs({"a": 0})
    derived = derived_signals([(0, SegmentScheme().segment_key(prediction))])
    rows = [pairs.take_predictions([prediction]), pairs.take_labels([Label("a", 1, LabelKind.VALUE, 1.5)])]
    total = merge(*(delta_of(each, GROUPS, derived) for each in rows if each is not None))
    assert (total.delay_signal.tolist(), total.delay_sums.T.tolist()) == ([1], [[1, 10**9, 0]])
    assert np.array_equal(total.delay_pane_hour, [0])

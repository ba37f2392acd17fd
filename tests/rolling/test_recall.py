"""Recall: whatever classes a prediction names, each counts as it would if its set were made for it alone."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from monitor.events.messages import Prediction
from monitor.rolling.bound import SeriesBound
from monitor.rolling.recall import Recall
from monitor.rolling.rendezvous import Rendezvous, series_sketches
from monitor.rolling.segments import SegmentScheme, SeriesName, segment_text

SCHEME = SegmentScheme(classes=True)

tables = st.dictionaries(st.sampled_from(["a", "b", "c", "d", "e", "f"]), st.sampled_from([0.1, 0.5]))
predictions = st.builds(
    lambda model, lang, table: Prediction(
        "", model, 0, 0.5, probabilities=table, segments={} if lang is None else {"lang": lang}
    ),
    st.sampled_from(["m", "n"]),
    st.sampled_from([None, "de", "en"]),
    st.none() | tables,
)


def counted(arriving: list[Prediction], max_classes: int) -> Counter[SeriesName]:
    """Predictions by series, those of classes alone: the first classes of a model have their own, all others share."""
    own: dict[str, set[str]] = {}
    found: Counter[SeriesName] = Counter()
    for each in arriving:
        known = own.setdefault(each.model, set())
        for name in sorted(each.probabilities or ()):
            if len(known) < max_classes:
                known.add(name)
            signal = f"class:{name}" if name in known else "class:__other__"
            segments = [{}, dict(each.segments)] if each.segments else [{}]
            found.update(SeriesName(each.model, signal, segment_text(segment)) for segment in segments)  # type: ignore[arg-type]
    return found


@given(st.lists(predictions, max_size=30), st.integers(1, 4), st.data())
def test_every_class_counts_under_its_own_name_or_with_all_others(
    arriving: list[Prediction], max_classes: int, data: st.DataObject
) -> None:
    rendezvous = Rendezvous(SCHEME, SeriesBound(max_classes=max_classes), lambda _: True)
    place = 0
    while place < len(arriving):
        size = data.draw(st.integers(1, 10))
        some = [named(each, place + n) for n, each in enumerate(arriving[place : place + size])]
        rendezvous.add_predictions(some)
        place += size
    joined = rendezvous.join()
    sketches = series_sketches(joined, "confidence")
    found = {name: int(each.sums[0].sum()) for name, each in sketches.items() if name.signal.startswith("class:")}
    assert found == dict(counted(arriving, max_classes))
    kinds = {(each.model, *each.segments.items()) for each in arriving if each.probabilities}
    plain = {(each.model, *each.segments.items()) for each in arriving if not each.probabilities}
    assert len(joined.keys) <= len(kinds) * (max_classes + 1) + len(plain)


def named(prediction: Prediction, number: int) -> Prediction:
    return Prediction(
        str(number), prediction.model, 0, 0.5, probabilities=prediction.probabilities, segments=prediction.segments
    )


@given(st.lists(predictions, max_size=30), st.integers(0, 5))
def test_a_set_is_asked_for_until_all_classes_are_known_and_then_never_again(
    arriving: list[Prediction], most: int
) -> None:
    raw = [SCHEME.raw_key(each) for each in arriving]
    recall = Recall(SCHEME, most)
    asked = recall.unknown(raw, arriving)
    assert asked.keys() == set(raw)
    for key, each in asked.items():
        assert set(each.probabilities or ()) == {
            name for one, other in zip(raw, arriving, strict=True) if one == key for name in other.probabilities or ()
        }
    numbers = {key: number for number, key in enumerate(asked)}
    recall.learn([(key, each, numbers[key]) for key, each in asked.items()])
    assert recall.numbers(raw, arriving) == [numbers[key] for key in raw]
    assert not recall.unknown(raw, arriving)


def test_a_class_that_is_new_to_a_set_is_asked_for_alone() -> None:
    recall = Recall(SCHEME, 100)
    first = Prediction("1", "m", 0, 0.5, probabilities={"a": 0.5, "b": 0.5})
    more = Prediction("2", "m", 0, 0.5, probabilities={"b": 0.5, "c": 0.5})
    raw = SCHEME.raw_key(first)
    recall.learn([(raw, first, 7)])
    assert recall.numbers([raw, raw], [first, more]) == [7, None]
    assert recall.unknown([raw, raw], [first, more]) == {raw: Prediction("2", "m", 0, 0.5, probabilities={"c": 0.0})}
    assert recall.fitting([7, 8, None], [first, first, first]) == [7, None, None]


def test_without_series_of_classes_any_class_will_do() -> None:
    scheme = SegmentScheme()
    recall = Recall(scheme, 100)
    first = Prediction("1", "m", 0, 0.5, probabilities={"a": 0.5})
    recall.learn([(scheme.raw_key(first), first, 7)])
    other = Prediction("2", "m", 0, 0.5, probabilities={"z": 0.5})
    assert recall.numbers([scheme.raw_key(other)], [other]) == [7]


def test_what_is_remembered_starts_again_past_its_limit() -> None:
    recall = Recall(SCHEME, 2)
    each = [Prediction(str(n), f"m{n}", 0, 0.5, probabilities={"a": 0.5, "b": 0.5}) for n in range(4)]
    raw = [SCHEME.raw_key(one) for one in each]
    for place in range(3):
        recall.learn([(raw[place], each[place], place)])
    assert recall.numbers(raw, each) == [None, None, 2, None]

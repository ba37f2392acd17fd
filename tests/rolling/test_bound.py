"""The bound on series: never more than allowed, nothing that is known is folded, and every folding is counted."""

from hypothesis import given
from hypothesis import strategies as st

from monitor.rolling.bound import SeriesBound
from monitor.rolling.fanout import route_names
from monitor.rolling.segments import (
    CLASS,
    INTERVAL,
    OTHER,
    TOP_LABEL,
    SegmentKey,
    SeriesName,
    classes_of,
    segments_of,
    signal_names,
    without_classes,
)

values = st.sampled_from(["a", "b", "c", "d"])


def some_key(
    model: str, dims: dict[str, str], signals: set[str], derived: set[str] | None, *, crossed: bool
) -> SegmentKey:
    pairs = tuple(sorted(dims.items()))
    crosses = (pairs,) if crossed and len(pairs) > 1 else ()
    names = None if derived is None else tuple(sorted(derived))
    return SegmentKey(model, None, pairs, tuple(sorted(signals)), crosses, names, bool(derived and INTERVAL in derived))


keys = st.builds(
    some_key,
    st.sampled_from(["m", "n", "o"]),
    st.dictionaries(st.sampled_from(["lang", "tier", "zone"]), values),
    st.sets(st.sampled_from(["x", "y"])),
    st.none() | st.sets(st.sampled_from([INTERVAL, TOP_LABEL, "class:a", "class:b", "class:c"])),
    crossed=st.booleans(),
)


def names_of(key: SegmentKey) -> set[SeriesName]:
    return {name for names in route_names(key) for name in names}


def is_other(name: SeriesName) -> bool:
    return name.model == OTHER or name.signal.endswith(OTHER) or OTHER in name.segment


@given(st.lists(keys), st.integers(1, 40))
def test_there_are_never_more_series_than_the_bound(arriving: list[SegmentKey], most: int) -> None:
    bound = SeriesBound(most)
    stored = [bound.admit(key)[0] for key in arriving]
    every = {name for key in stored for name in names_of(key)}
    assert len({name for name in every if not is_other(name)}) == len(bound) <= most


@given(st.lists(keys), st.integers(1, 40))
def test_what_is_stored_already_is_never_folded(arriving: list[SegmentKey], most: int) -> None:
    bound = SeriesBound(most)
    for key in arriving:
        stored, _ = bound.admit(key)
        assert bound.admit(stored) == (stored, 0)
    again = SeriesBound(most)
    for key in arriving:
        again.learn(key)
        known, folded = again.admit(key)
        assert (without_classes(known), folded) == (without_classes(key), 0)
        assert classes_of(known) >= classes_of(key)


@given(st.lists(keys), st.integers(1, 40), st.integers(0, 3))
def test_every_folding_is_counted_and_a_prediction_stays_in_as_many_signals(
    arriving: list[SegmentKey], most: int, max_classes: int
) -> None:
    bound = SeriesBound(most, max_classes=max_classes)
    seen: set[str] = set()
    for key in arriving:
        stored, folded = bound.admit(key)
        kept = without_classes(stored) == without_classes(key) and classes_of(stored) >= classes_of(key)
        assert (folded == 0) == kept
        seen.update(key.derived or ())
        assert len(stored.signals) == len(key.signals)
        assert (stored.derived is None) == (key.derived is None)
        assert stored.level_is_confidence == key.level_is_confidence
        assert {*(stored.derived or ())} <= {*seen, CLASS + OTHER}
        assert {} in segments_of(stored)
        assert len({tuple(sorted(segment.items())) for segment in segments_of(stored)}) == len(segments_of(stored))


@given(st.lists(keys), st.integers(1, 40))
def test_a_restart_decides_as_before(arriving: list[SegmentKey], most: int) -> None:
    steady, restarted = SeriesBound(most, max_classes=2), SeriesBound(most, max_classes=2)
    stored: list[SegmentKey] = []
    for key in arriving:
        restarted = SeriesBound(most, max_classes=2)
        for old in stored:
            restarted.learn(old)
        admitted = steady.admit(key)
        assert restarted.admit(key) == admitted
        stored.append(admitted[0])


@given(st.lists(keys), st.integers(0, 3))
def test_a_model_never_has_more_classes_than_its_bound_and_none_is_lost(arriving: list[SegmentKey], most: int) -> None:
    bound = SeriesBound(max_classes=most)
    own: dict[str, set[str]] = {}
    for key in arriving:
        stored, folded = bound.admit(key)
        asked = {name for name in key.derived or () if name.startswith(CLASS)}
        kept = {name for name in stored.derived or () if name.startswith(CLASS)} - {CLASS + OTHER}
        own.setdefault(key.model, set()).update(kept)
        assert folded == len(asked - kept)
        assert CLASS + OTHER in (stored.derived or ()) or not folded
        assert {*(stored.derived or ())} - kept - {CLASS + OTHER} == {*(key.derived or ())} - asked
        assert len(own[key.model]) == most or not folded
    assert all(len(names) <= most for names in own.values())


@given(st.lists(keys), st.integers(1, 40), st.integers(0, 3))
def test_keys_that_differ_in_classes_are_no_more_than_classes_and_bring_no_series_that_was_not_asked_for(
    arriving: list[SegmentKey], most: int, max_classes: int
) -> None:
    bound = SeriesBound(most, max_classes=max_classes)
    alike: dict[SegmentKey, list[SegmentKey]] = {}
    series: set[SeriesName] = set()
    for key in arriving:
        stored, _ = bound.admit(key)
        new = names_of(stored) - series
        asked = {*signal_names(key), OTHER, CLASS + OTHER}
        assert {name.signal for name in new} <= asked
        series |= new
        if classes_of(stored):
            before = alike.setdefault(without_classes(stored), [])
            assert all(classes_of(each) <= classes_of(stored) for each in before)
            before += [stored] if stored not in before else []
    assert all(len(each) <= max_classes + 1 for each in alike.values())


def test_past_the_bound_on_series_a_class_counts_with_all_others_where_there_are_some() -> None:
    bound = SeriesBound(3, max_classes=1)
    assert bound.admit(SegmentKey("m", None, (), (), (), ("class:a", "class:b", TOP_LABEL)))[1] == 1
    new = SegmentKey("n", None, (), (), (), ("class:a",))
    assert bound.admit(new) == (SegmentKey(OTHER, None, (), (), (), ()), 2)
    more = SeriesBound(3, max_classes=9)
    more.learn(SegmentKey("m", None, (), (), (), ("class:a", CLASS + OTHER, TOP_LABEL)))
    key = SegmentKey("m", None, (), (), (), ("class:b", TOP_LABEL))
    assert more.admit(key) == (key._replace(derived=("class:__other__", "class:a", TOP_LABEL)), 1)


def test_derived_signals_past_the_bound_are_left_out_and_counted() -> None:
    bound = SeriesBound(2)
    assert bound.admit(SegmentKey("m", None, (), (), (), (INTERVAL,)))[1] == 0
    key = SegmentKey("m", None, (), (), (), (INTERVAL, TOP_LABEL), level_is_confidence=True)
    assert bound.admit(key) == (key._replace(derived=(INTERVAL,)), 1)
    other = SegmentKey("n", None, (), (), (), (TOP_LABEL,))
    assert bound.admit(other) == (SegmentKey(OTHER, None, (), (), (), ()), 2)


def test_past_the_bound_new_values_share_one_series_of_their_dimension() -> None:
    bound = SeriesBound(3)
    for lang in ("de", "fr"):
        key = SegmentKey("m", "v1", (("lang", lang),), ())
        assert bound.admit(key) == (key, 0)
    assert bound.admit(SegmentKey("m", "v1", (("lang", "it"),), ())) == (
        SegmentKey("m", "v1", (("lang", OTHER),), ()), 1,
    )  # fmt: skip
    assert bound.admit(SegmentKey("m", "v1", (("zone", "eu"),), ())) == (
        SegmentKey("m", "v1", ((OTHER, OTHER),), ()), 1,
    )  # fmt: skip
    assert bound.admit(SegmentKey("new", "v1", (("lang", "de"),), ("x",))) == (
        SegmentKey(OTHER, None, ((OTHER, OTHER),), (OTHER,)), 3,
    )  # fmt: skip
    assert len(bound) == 3


def test_a_cross_past_the_bound_is_folded_and_its_dimensions_stay() -> None:
    bound = SeriesBound(3)
    bound.learn(SegmentKey("m", None, (("lang", "de"), ("tier", "gold")), ()))
    dims = (("lang", "de"), ("tier", "gold"))
    stored, folded = bound.admit(SegmentKey("m", None, dims, (), (dims,)))
    assert stored == SegmentKey("m", None, dims, (), ((("lang", OTHER), ("tier", OTHER)),))
    assert folded == 1

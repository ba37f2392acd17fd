"""The bound on series: never more than allowed, nothing that is known is folded, and every folding is counted."""

from hypothesis import given
from hypothesis import strategies as st

from monitor.rolling.bound import SeriesBound
from monitor.rolling.segments import OTHER, SegmentKey, SeriesName, segments_of, series_names

values = st.sampled_from(["a", "b", "c", "d"])


def some_key(model: str, dims: dict[str, str], signals: set[str], *, crossed: bool) -> SegmentKey:
    pairs = tuple(sorted(dims.items()))
    return SegmentKey(model, None, pairs, tuple(sorted(signals)), (pairs,) if crossed and len(pairs) > 1 else ())


keys = st.builds(
    some_key,
    st.sampled_from(["m", "n", "o"]),
    st.dictionaries(st.sampled_from(["lang", "tier", "zone"]), values),
    st.sets(st.sampled_from(["x", "y"])),
    crossed=st.booleans(),
)


def names_of(key: SegmentKey) -> set[SeriesName]:
    return {name for signal in range(len(key.signals) + 1) for name in series_names(key, signal)}


def is_other(name: SeriesName) -> bool:
    return OTHER in (name.model, name.signal) or OTHER in name.segment


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
        assert again.admit(key) == (key, 0)


@given(st.lists(keys), st.integers(1, 40))
def test_every_folding_is_counted_and_a_prediction_stays_in_as_many_signals(
    arriving: list[SegmentKey], most: int
) -> None:
    bound = SeriesBound(most)
    for key in arriving:
        stored, folded = bound.admit(key)
        assert (folded == 0) == (stored == key)
        assert len(stored.signals) == len(key.signals)
        assert {} in segments_of(stored)
        assert len({tuple(sorted(segment.items())) for segment in segments_of(stored)}) == len(segments_of(stored))


@given(st.lists(keys), st.integers(1, 40))
def test_a_restart_decides_as_before(arriving: list[SegmentKey], most: int) -> None:
    steady, restarted = SeriesBound(most), SeriesBound(most)
    stored: list[SegmentKey] = []
    for key in arriving:
        restarted = SeriesBound(most)
        for old in stored:
            restarted.learn(old)
        admitted = steady.admit(key)
        assert restarted.admit(key) == admitted
        stored.append(admitted[0])


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

"""The laws of the sketch: sums are exact, so no order, grouping or detour can change a digit."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.calibration.cells import CELLS, UNIT, cell_index, delay_bucket
from monitor.calibration.sketch import (
    MAX_WEIGHT,
    ROWS,
    SUMS,
    DelayRow,
    Row,
    Sketch,
    checked,
    contributions,
    digest,
    empty,
    gather,
    merge,
    sketch_of,
    subtract,
)
from monitor.errors import Refused
from tests.calibration.streams import Pair, columns, confidences, outcomes, pair_lists, sketched, some_pairs

propensities = st.one_of(st.none(), st.floats(1e-6, 1))
delays = st.integers(-(10**9), 10**14)
events = st.lists(
    st.tuples(confidences, st.one_of(st.none(), outcomes), st.booleans(), propensities, delays), max_size=30
)
Event = tuple[float, float | None, bool, float | None, int]


def full_sketch(given_events: list[Event]) -> Sketch:
    if not given_events:
        return empty()
    c, y, predicted, p, delay = zip(*given_events, strict=True)
    return sketch_of(
        c,
        [np.nan if value is None else value for value in y],
        predicted=predicted,
        propensity=[np.nan if value is None else value for value in p],
        delay_us=delay,
    )


@given(events, events)
def test_merging_two_sketches_equals_sketching_everything_at_once(early: list[Event], late: list[Event]) -> None:
    assert merge(full_sketch(early), full_sketch(late)) == full_sketch(early + late)


@given(events, events)
def test_subtracting_undoes_adding(kept: list[Event], gone: list[Event]) -> None:
    assert subtract(merge(full_sketch(kept), full_sketch(gone)), full_sketch(gone)) == full_sketch(kept)


@given(events, st.randoms(use_true_random=False))
def test_order_changes_nothing(given_events: list[Event], chance: Random) -> None:
    shuffled = chance.sample(given_events, len(given_events))
    assert full_sketch(shuffled) == full_sketch(given_events)


@given(events, events, events)
def test_merging_is_associative_and_commutative(a: list[Event], b: list[Event], c: list[Event]) -> None:
    x, y, z = full_sketch(a), full_sketch(b), full_sketch(c)
    assert merge(merge(x, y), z) == merge(x, merge(y, z)) == merge(z, y, x) == merge(x, y, z)


@given(events)
def test_the_empty_sketch_changes_nothing(given_events: list[Event]) -> None:
    sketch = full_sketch(given_events)
    assert merge(sketch, empty()) == sketch == subtract(sketch, empty())
    assert subtract(sketch, sketch) == empty() == merge()


@given(some_pairs, outcomes)
def test_a_correction_subtracts_the_old_outcome_and_adds_the_new(pairs: list[Pair], new: float) -> None:
    confidence, _ = pairs[0]
    corrected = merge(subtract(sketched(pairs), sketched(pairs[:1])), sketched([(confidence, new)]))
    assert corrected == sketched([(confidence, new), *pairs[1:]])


@given(events)
def test_cells_are_ascending_and_none_is_all_zero(given_events: list[Event]) -> None:
    sketch = full_sketch(given_events)
    assert (np.diff(sketch.cells) > 0).all()
    assert (np.diff(sketch.delay_buckets) > 0).all()
    assert sketch.sums.any(axis=0).all()
    assert sketch.delay_sums.any(axis=0).all()
    assert sketch.sums.shape == (ROWS, len(sketch.cells))
    assert len(SUMS) == ROWS == len(Row)


@given(events)
def test_sums_equal_those_of_integers_one_by_one(given_events: list[Event]) -> None:
    expected: dict[int, list[int]] = {}
    for c, y, predicted, p, _ in given_events:
        sums = expected.setdefault(int(cell_index([c])[0]), [0] * ROWS)
        sums[0] += predicted
        if y is not None:
            w = 1.0 if p is None else min(1 / p, MAX_WEIGHT)
            plain = [1, _fixed(c, 1e9), _fixed(c * c, 1e9), _fixed(y, 1e9), _fixed(c * y, 1e9)]
            excess = [_fixed((w - 1) * value, 1e6) for value in (1.0, y, c)]
            squares = [_fixed((w * w - 1) * value, 1e3) for value in (1.0, y, c)]
            for row, value in enumerate([*plain, *excess, *squares], start=1):
                sums[row] += value
    sketch = full_sketch(given_events)
    assert dict(zip(sketch.cells.tolist(), sketch.sums.T.tolist(), strict=True)) == {
        cell: sums for cell, sums in expected.items() if any(sums)
    }


def _fixed(value: float, unit: float) -> int:
    return int(np.floor(value * unit + 0.5))


@given(events)
def test_delays_of_labels_are_counted_by_bucket(given_events: list[Event]) -> None:
    labelled = [delay for _, y, _, _, delay in given_events if y is not None]
    sketch = full_sketch(given_events)
    assert int(sketch.delays.sum()) == len(labelled) == sketch.total(Row.N)
    assert set(sketch.delay_buckets.tolist()) == set(delay_bucket(labelled).tolist())


@given(events)
def test_right_answers_are_summed_by_the_delay_of_their_labels(given_events: list[Event]) -> None:
    expected: dict[int, int] = {}
    for _, y, _, _, delay in given_events:
        if y is not None:
            bucket = int(delay_bucket([delay])[0])
            expected[bucket] = expected.get(bucket, 0) + _fixed(y, 1e9)
    sketch = full_sketch(given_events)
    assert dict(zip(sketch.delay_buckets.tolist(), sketch.delay_sums[DelayRow.Y].tolist(), strict=True)) == expected
    assert not sketch.delay_sums[DelayRow.UNSPLIT].any()


def test_labels_without_a_propensity_leave_the_excess_at_zero() -> None:
    assert not sketch_of([0.3, 0.9], [1, 0], propensity=[np.nan, 1.0]).sums[Row.EXCESS_W :].any()


def test_weights_are_capped() -> None:
    sketch = sketch_of([0.5], [1.0], propensity=[1e-9])
    assert sketch.total(Row.EXCESS_W) == 9_999_000_000
    assert sketch.total(Row.EXCESS_W2) == (10**8 - 1) * 1000


@pytest.mark.parametrize(
    ("outcome", "propensity", "message"),
    [([1.5], None, "outcome outside"), ([-0.1], None, "outcome outside"), ([1], [0.0], "propensity outside"),
     ([1], [1.5], "propensity outside")],
)  # fmt: skip
def test_what_events_should_have_refused_is_refused_here(
    outcome: list[float], propensity: list[float] | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        contributions([0.5], outcome, propensity=propensity)


@given(pair_lists)
def test_equal_sketches_have_equal_digests_and_others_do_not(pairs: list[Pair]) -> None:
    sketch, more = sketched(pairs), sketched([*pairs, (0.25, 1.0)])
    assert digest(sketch) == digest(merge(sketch, empty()))
    assert hash(sketch) == hash(merge(empty(), sketch))
    assert digest(sketch) != digest(more)
    assert sketch != more
    assert sketch != "no sketch"


@given(pair_lists)
def test_the_state_of_real_events_passes_the_check(pairs: list[Pair]) -> None:
    sketch = sketched(pairs)
    assert checked(sketch) is sketch


def delayed(sketch: Sketch, delays: list[int]) -> Sketch:
    """The sketch with one bucket of delays."""
    return replace(sketch, delay_buckets=np.array([3], np.int16), delay_sums=np.array([delays], np.int64).T)


def test_a_negative_count_is_named_as_a_defect() -> None:
    one = sketch_of([0.5], [1.0])
    with pytest.raises(Refused, match="defect: n_pred of cell 600 is below zero: -1"):
        checked(subtract(empty(), one))
    with pytest.raises(Refused, match="sum_y of cell 600 is more than its labels allow"):
        checked(
            Sketch(
                one.cells, one.sums * np.where(np.arange(ROWS) == Row.Y, 2, 1)[:, None], one.cells[:0], one.delay_sums
            )
        )
    with pytest.raises(Refused, match="label delays of bucket 3"):
        checked(delayed(one, [-1, 0, 0]))
    for right in (-1, UNIT + 1):
        with pytest.raises(Refused, match="label delays of bucket 3 hold more or fewer right answers"):
            checked(delayed(one, [1, right, 0]))
        assert checked(delayed(one, [1, right, 1])).delays.tolist() == [1]
    with pytest.raises(Refused, match="label delays of bucket 3 were split below zero"):
        checked(delayed(one, [1, 0, -1]))
    with pytest.raises(Refused, match="a cell outside"):
        checked(Sketch(np.array([CELLS], np.int16), one.sums, one.cells[:0], one.delay_sums))


@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(-(10**6), 10**6)), max_size=40))
def test_gathering_adds_up_equal_keys_far_apart(entries: list[tuple[int, int]]) -> None:
    expected: dict[int, int] = {}
    for key, value in entries:
        expected[key] = expected.get(key, 0) + value
    keys, sums = gather(np.array([k for k, _ in entries], np.int64), np.array([[v for _, v in entries]], np.int64))
    assert dict(zip(keys.tolist(), sums[0].tolist(), strict=True)) == {k: v for k, v in expected.items() if v}
    assert (np.diff(keys) > 0).all()


def test_sums_that_would_leave_64_bits_are_refused_and_large_ones_are_not() -> None:
    keys = np.zeros(4, np.int64)
    with pytest.raises(Refused, match="leave 64 bits"):
        gather(keys, np.full((1, 4), 2**61, np.int64))
    _, sums = gather(np.arange(4), np.full((1, 4), 2**61, np.int64))
    assert sums.tolist() == [[2**61] * 4]


def test_a_hundred_million_labels_of_one_cell_stay_exact() -> None:
    part = sketch_of([0.9], [1.0])
    million = replace(part, sums=part.sums * 10**6)
    whole = merge(*[million] * 100)
    assert whole.total(Row.C) == 10**8 * 9 * UNIT // 10
    assert whole.total(Row.N) == 10**8


def test_columns_and_pairs_agree() -> None:
    confidence, outcome = columns([(0.5, 1.0), (0.25, 0.0)])
    assert sketch_of(confidence, outcome) == sketched([(0.25, 0.0), (0.5, 1.0)])

"""Many sketches at once are what the same sketches are one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.calibration.sketch import Sketch, empty, merge, subtract
from monitor.rolling.stacks import (
    code,
    defective,
    negative,
    no_sketches,
    numbers_of,
    part,
    pieces,
    plus,
    regrouped,
    series_of,
    sketches,
    stacked,
)
from tests.rolling.traffic import added_up, some_sketch, some_stack

seeds = st.integers(0, 2**32 - 1)


def full(each: dict[int, Sketch]) -> dict[int, Sketch]:
    return {key: sketch for key, sketch in each.items() if sketch != empty()}


@given(seeds)
def test_a_stack_gives_back_the_sketches_it_was_made_of(seed: int) -> None:
    rng = np.random.default_rng(seed)
    each = {int(key): some_sketch(rng, int(rng.integers(0, 5))) for key in rng.choice(1000, 7, replace=False)}
    assert dict(sketches(stacked(each))) == {key: each[key] for key in sorted(each)}


@given(seeds)
def test_adding_stacks_adds_their_sketches_key_by_key(seed: int) -> None:
    rng = np.random.default_rng(seed)
    stacks = [some_stack(rng, range(3), range(4), 5) for _ in range(4)]
    total = plus(*stacks)
    assert full(dict(sketches(total))) == added_up(*stacks)
    assert set(total.keys.tolist()) == {key for stack in stacks for key in stack.keys.tolist()}
    back = plus(total, *(negative(stack) for stack in stacks))
    assert full(dict(sketches(back))) == {}
    assert len(back.cells) == len(back.delay_buckets) == 0


@given(seeds, st.integers(1, 6))
def test_pieces_of_a_stack_make_it_up(seed: int, size: int) -> None:
    stack = some_stack(np.random.default_rng(seed), range(3), range(4))
    parts = list(pieces(stack, size))
    assert all(len(each) <= size for each in parts)
    assert [pair for each in parts for pair in sketches(each)] == list(sketches(stack))


@given(seeds)
def test_regrouping_adds_up_what_gets_one_key(seed: int) -> None:
    stack = some_stack(np.random.default_rng(seed), range(3), range(10))
    taken = numbers_of(stack.keys) < 7
    by_series = dict(sketches(regrouped(stack, taken, series_of(stack.keys))))
    for series in range(3):
        mine = [sketch for key, sketch in sketches(stack) if key >> 32 == series and key & 0xFFFFFFFF < 7]
        assert by_series.get(series, empty()) == merge(*mine)


@given(st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1))
def test_a_key_holds_series_and_number(series: int, number: int) -> None:
    key = code(series, number)
    assert (int(series_of(key)), int(numbers_of(key))) == (series, number)


def test_counts_below_zero_are_found_and_no_others() -> None:
    rng = np.random.default_rng(5)
    good, other = some_sketch(rng), some_sketch(rng, 9)
    stack = stacked({1: good, 2: subtract(good, other), 3: empty(), 4: other})
    assert defective(stack).tolist() == [2]
    assert defective(part(stack, stack.keys != 2)).tolist() == []


@pytest.mark.parametrize("stacks", [[], [no_sketches()], [no_sketches(), no_sketches()]])
def test_nothing_and_nothing_is_nothing(stacks: list[object]) -> None:
    assert len(plus(*[no_sketches() for _ in stacks])) == 0

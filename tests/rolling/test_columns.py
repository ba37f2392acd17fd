"""Columns of integers: any column is its bytes read back, and equal keys are added up in any order."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.rolling.columns import added_up, from_bytes, to_bytes

wide = st.integers(-(2**63), 2**63 - 1)
numbers = (
    st.lists(wide)
    | st.lists(st.integers(0, 255))
    | st.lists(st.integers(-5, 5).map(lambda n: n * 10**9))
    | st.lists(st.just(2**63 - 1))
    | st.lists(st.sampled_from([-(2**63), 2**63 - 1]))
)


@given(numbers, st.binary(max_size=3))
def test_a_column_is_its_bytes_read_back(values: list[int], before: bytes) -> None:
    column = np.array(values, np.int64)
    body = to_bytes(column)
    again, end = from_bytes(before + body + b"rest", len(before), len(column))
    assert again.tolist() == values
    assert end == len(before) + len(body)


@pytest.mark.parametrize("bits", [8, 16, 32])
@pytest.mark.parametrize("low", [0, -7, 10**12])
def test_numbers_at_the_edge_of_a_width_are_read_back(bits: int, low: int) -> None:
    for spread in (2**bits - 1, 2**bits, 2**bits + 1):
        column = np.array([low, low + spread, low + 1], np.int64)
        assert from_bytes(to_bytes(column), 0, 3)[0].tolist() == column.tolist()


def test_small_numbers_and_whole_billions_take_a_byte_each() -> None:
    assert len(to_bytes(np.arange(200))) < 220
    assert len(to_bytes(np.arange(200) * 10**9)) < 220
    assert len(to_bytes(np.full(200, 12345))) < 20


rows = st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 2), st.integers(-2, 2), st.integers(-2, 2)))


@given(st.lists(rows, max_size=3))
def test_equal_keys_are_added_up_and_those_with_only_zeros_left_out(
    parts: list[list[tuple[int, int, int, int]]],
) -> None:
    columns = [np.array(part, np.int64).reshape(-1, 4).T for part in parts]
    keys, sums = added_up([((one[0], one[1]), dict(enumerate(one[2:]))) for one in columns], 2, 2)
    first: Counter[tuple[int, int]] = Counter()
    second: Counter[tuple[int, int]] = Counter()
    for a, b, x, y in (row for part in parts for row in part):
        first[a, b] += x
        second[a, b] += y
    expected = [(*key, first[key], second[key]) for key in sorted(first) if first[key] or second[key]]
    assert list(zip(*(column.tolist() for column in [*keys, *sums]), strict=True)) == expected

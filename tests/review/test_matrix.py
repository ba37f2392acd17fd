"""The confidence-accuracy matrix: every label in one place, intervals as everywhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.calibration.uncertainty import z_of
from monitor.review.matrix import BANDS, MOST, OTHERS, Count, matrix

counts = st.lists(
    st.builds(
        Count,
        value=st.integers(0, 60).map(lambda n: f"v{n}"),
        band=st.integers(0, len(BANDS) - 1),
        n=st.just(8),
        right=st.integers(0, 8).map(float),
        confidence=st.just(6.0),
    ),
    max_size=120,
)


@given(counts)
def test_no_label_is_lost_and_none_counts_twice(found: list[Count]) -> None:
    rows = matrix(found, 0.95)
    assert sum(row.total.n for row in rows) == sum(each.n for each in found)
    assert all(sum(cell.n for cell in row.cells) == row.total.n for row in rows)
    assert len(rows) == min(len({each.value for each in found}), MOST + 1)
    assert [row.value for row in rows].count(OTHERS) == (len({each.value for each in found}) > MOST)


@pytest.mark.parametrize("values", [MOST - 1, MOST, MOST + 1, 3 * MOST])
def test_past_the_bound_the_rest_is_one_row(values: int) -> None:
    rows = matrix([Count(f"v{k}", 0, 10 + k, 1.0, 2.0) for k in range(values)], 0.95)
    assert len(rows) == min(values, MOST + 1)
    assert [row.value for row in rows[:MOST]] == [f"v{k}" for k in reversed(range(values))][:MOST]


def test_a_cell_holds_accuracy_gap_and_wilsons_interval() -> None:
    (row,) = matrix([Count("de", 4, 50, 40.0, 47.0)], 0.95)
    cell, z = row.cells[4], z_of(0.95)
    assert (cell.n, cell.accuracy) == (50, 0.8)
    assert cell.gap == pytest.approx(0.94 - 0.8)
    for bound in (cell.low, cell.high):  # Wilson: the chances that lie just z standard errors from what was seen
        assert bound is not None
        assert abs(0.8 - bound) == pytest.approx(z * (bound * (1 - bound) / 50) ** 0.5)
    assert row.cells[0].accuracy is None
    assert row.total == cell

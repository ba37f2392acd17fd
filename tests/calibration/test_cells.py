"""The cell format: every index, order and bin by integers, equal to its description in every case."""

from fractions import Fraction
from hashlib import blake2b

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.calibration.bounds import DELAY_BOUNDS_US, DISTANCE_BOUNDS
from monitor.calibration.cells import (
    BIN_COUNTS,
    BY_CONFIDENCE,
    CELLS,
    EDGES,
    GRID_FLOOR,
    HIGH,
    IS_ATOM,
    LOW,
    LOWER_END,
    RANK,
    SNAP,
    UPPER_END,
    Edges,
    at_or_above,
    bin_edges,
    bin_of_cells,
    cell_index,
    delay_bounds,
    delay_bucket,
    fixed,
    position,
)
from monitor.calibration.sketch import Row, sketch_of
from tests.calibration.streams import confidences
from tests.oracles import cells as described


def test_the_published_bounds_are_the_nearest_floats_to_their_formula() -> None:
    assert list(DISTANCE_BOUNDS) == described.published_bounds()
    assert list(DELAY_BOUNDS_US) == described.published_delays()


def test_the_published_bounds_never_change() -> None:
    table = np.array(DISTANCE_BOUNDS).astype("<f8").tobytes() + np.array(DELAY_BOUNDS_US).astype("<i8").tobytes()
    assert blake2b(table, digest_size=16).hexdigest() == "4ff0af10efbb73ce70c144ca76873169"


@given(st.lists(confidences, min_size=1, max_size=50))
def test_every_confidence_lies_in_the_cell_that_the_description_says(values: list[float]) -> None:
    assert cell_index(values).tolist() == [described.cell(value) for value in values]


@given(st.lists(confidences, min_size=1, max_size=50))
def test_every_confidence_lies_between_the_ends_of_its_cell(values: list[float]) -> None:
    cells, rounding = cell_index(values), 2e-16
    assert (LOWER_END[cells] - rounding <= values).all()
    assert (UPPER_END[cells] + rounding >= values).all()


def test_where_a_cell_ends_the_next_begins() -> None:
    used = BY_CONFIDENCE[(BY_CONFIDENCE != 1) & (BY_CONFIDENCE != 1199)]
    assert UPPER_END[used[:-1]] == pytest.approx(LOWER_END[used[1:]], abs=SNAP * 1.001)


@pytest.mark.parametrize(
    ("confidence", "cell"),
    [
        (0.0, 0), (1.0, 1200), (0.3, 360), (0.30000000000000004, 360), (1 / 600, 2), (0.5, 600), (0.9, 1080),
        (1 - 1e-9, HIGH + 199), (1e-9, LOW + 199), (0.3001, 361), (0.999, HIGH + 7), (0.001, LOW + 7), (1 - 1e-6, 1304),
        (1 - 2e-9, HIGH + 189), (0.9985, HIGH + 1),
        (0.3000000009, 360), (0.3000000011, 361), (0.2999999991, 360), (0.2999999989, 359),
    ],
)  # fmt: skip
def test_known_confidences_keep_their_cells_for_ever(confidence: float, cell: int) -> None:
    assert cell_index([confidence]).tolist() == [cell]


def test_a_bound_itself_belongs_to_the_cell_that_begins_there() -> None:
    bounds = np.array(DISTANCE_BOUNDS)
    bounds = bounds[bounds > 2e-9]
    assert (cell_index(bounds) - LOW).tolist() == list(range(1, len(bounds) + 1))
    assert (cell_index(np.nextafter(bounds, 1)) - LOW).tolist() == list(range(len(bounds)))


@pytest.mark.parametrize("wrong", [-1e-9, 1.0000001, float("nan"), float("inf")])
def test_what_is_no_confidence_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match=r"outside 0\.\.1"):
        cell_index([0.5, wrong])


@given(st.lists(confidences, min_size=2, max_size=50))
def test_cells_in_order_are_confidences_in_order(values: list[float]) -> None:
    ranks = RANK[cell_index(sorted(values))]
    assert (np.diff(ranks) >= 0).all()


def test_the_order_holds_every_cell_once() -> None:
    assert sorted(BY_CONFIDENCE.tolist()) == list(range(CELLS))
    assert (RANK[BY_CONFIDENCE] == np.arange(CELLS)).all()


@given(confidences, st.sampled_from(BIN_COUNTS), st.sampled_from(EDGES))
def test_the_bin_of_a_cell_is_the_bin_of_its_confidences(confidence: float, count: int, edges: Edges) -> None:
    value = described.snapped(confidence)
    assert bin_of_cells(count, edges)[cell_index([confidence])[0]] == described.bin_of_value(value, count, edges)


@pytest.mark.parametrize("count", BIN_COUNTS)
def test_edges_belong_to_the_bin_below_or_above_by_convention(count: int) -> None:
    at_edge = cell_index(np.arange(count + 1) / count)
    assert bin_of_cells(count, "right_closed")[at_edge].tolist() == [0, *range(count)]
    assert bin_of_cells(count, "left_closed")[at_edge].tolist() == [*range(count), count - 1]
    assert bin_edges(count)[0] == 0
    assert bin_edges(count)[-1] == 1


def test_only_offered_bin_counts_and_edges_are_taken() -> None:
    with pytest.raises(ValueError, match="must be one of 2, 3"):
        bin_of_cells(7, "right_closed")
    with pytest.raises(ValueError, match="edges must be right_closed or left_closed"):
        bin_of_cells(10, "open")


@given(confidences, st.integers(0, 20))
def test_a_threshold_takes_what_is_not_below_it(confidence: float, twentieth: int) -> None:
    taken = at_or_above(twentieth / 20)[cell_index([confidence])[0]]
    assert taken == (described.snapped(confidence) >= Fraction(twentieth, 20))


@pytest.mark.parametrize("threshold", [0.9001, -0.1, 1.1])
def test_a_threshold_off_the_grid_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="multiple of 1/600"):
        at_or_above(threshold)


@given(st.lists(confidences, min_size=1, max_size=30))
def test_positions_are_atoms_exactly_and_means_elsewhere(values: list[float]) -> None:
    sketch = sketch_of(values, np.zeros(len(values)))
    places = position(sketch.cells, sketch.row(Row.N), sketch.row(Row.C))
    cells = cell_index(values)
    for cell, place in zip(sketch.cells.tolist(), places.tolist(), strict=True):
        inside = [value for value, at in zip(values, cells.tolist(), strict=True) if at == cell]
        expected = GRID_FLOOR[cell] / 600 if IS_ATOM[cell] else sum(inside) / len(inside)
        assert place == pytest.approx(expected, abs=0 if IS_ATOM[cell] else 1e-9)


def test_a_cell_without_labels_has_a_position_too() -> None:
    cells = cell_index([0.3, 0.3005])
    nothing = np.zeros(2, dtype=np.int64)
    assert position(cells, nothing, nothing).tolist() == [0.3, pytest.approx(180.5 / 600)]


def test_fixed_point_rounds_half_up_in_every_language() -> None:
    assert fixed([0.0, 1.0, 0.5e-9, 1.5e-9, 0.1234567895]).tolist() == [0, 1_000_000_000, 1, 2, 123456790]


@given(st.integers(-(10**15), 10**16))
def test_a_delay_lies_within_its_bucket(delay_us: int) -> None:
    bucket = int(delay_bucket([delay_us])[0])
    low, high = delay_bounds(bucket)
    assert 0 <= bucket <= 63
    assert bucket == 0 or low <= delay_us / 1e6
    assert bucket == 63 or delay_us / 1e6 < high


def test_two_delay_buckets_make_an_octave() -> None:
    seconds = [0.0, 0.999999, 1.0, 1.414213, 1.414214, 2.0, 3600.0, 86400.0]
    assert delay_bucket([round(s * 1e6) for s in seconds]).tolist() == [0, 0, 1, 1, 2, 3, 24, 33]

"""Which cell of the calibration sketch a confidence falls into, and where that cell lies: the sketch format, version 1.

The cells are 601 atoms at j/600, since stated confidences crowd exactly there, and the open intervals between them; the
first and the last interval are split on a log10 scale of the distance to 0 or 1, where token probabilities crowd.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from monitor.calibration.bounds import DELAY_BOUNDS_US, DISTANCE_BOUNDS

Int16Array = NDArray[np.int16]
Int64Array = NDArray[np.int64]
FloatArray = NDArray[np.float64]
Number = TypeVar("Number", np.int64, np.float64, np.bool_)
Edges = Literal["right_closed", "left_closed"]

VERSION: Final = 1
CELLS: Final = 1649
GRID: Final = 600  # atoms lie at j / GRID
SUBCELLS: Final = 224  # of the first and of the last interval
HIGH: Final = 1201  # index of the first sub-cell of the last interval; those of the first interval follow it
LOW: Final = HIGH + SUBCELLS
DELAY_BUCKETS: Final = 64
UNIT: Final = 1_000_000_000  # fixed point: one confidence or outcome is 10**9
BIN_COUNTS: Final = (2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 24, 25, 30, 40, 50, 60, 75, 100)  # each divides GRID
EDGES: Final[tuple[Edges, ...]] = get_args(Edges)

SNAP: Final = 1e-9  # a confidence so near to j / GRID is that atom
_SNAP = 6e-7  # the same in units of the grid
_ASCENDING = np.array(DISTANCE_BOUNDS[::-1])
_DELAYS = np.array(DELAY_BOUNDS_US, dtype=np.int64)


def cell_index(confidence: ArrayLike) -> Int16Array:
    """The cell of each confidence, shape (k,), values 0..1648. A confidence within 1e-9 of j/600 is that atom.

    Raises ValueError when one is not a number in 0..1: events are checked before they come here.
    """
    c = np.asarray(confidence, dtype=np.float64)
    if not bool(np.all((c >= 0.0) & (c <= 1.0))):
        raise ValueError("a confidence outside 0..1 reached the sketch")
    x = c * float(GRID)
    nearest = np.floor(x + 0.5)
    index = 2.0 * np.floor(x) + 1.0
    high, low = x > GRID - 1, x < 1
    if high.any():
        index[high] = HIGH + _subcell(1.0 - c[high])
    if low.any():
        index[low] = LOW + _subcell(c[low])
    return np.where(np.abs(x - nearest) <= _SNAP, 2.0 * nearest, index).astype(np.int16)


def _subcell(distance: FloatArray) -> FloatArray:
    """0..223: how many of the published bounds are not below the distance."""
    return (len(_ASCENDING) - np.searchsorted(_ASCENDING, distance, side="left")).astype(np.float64)


def fixed(value: ArrayLike) -> Int64Array:
    """Fixed point with unit 1e-9: floor(value * 1e9 + 0.5), not rint, so that every language rounds alike."""
    return np.floor(np.asarray(value, dtype=np.float64) * UNIT + 0.5).astype(np.int64)


def delay_bucket(delay_us: ArrayLike) -> Int16Array:
    """The bucket of each label delay in microseconds: 0 below a second (or the label came first), then 2 an octave."""
    return np.searchsorted(_DELAYS, np.asarray(delay_us, dtype=np.int64), side="right").astype(np.int16)


def delay_bounds(bucket: int) -> tuple[float, float]:
    """From and to which delay in seconds a bucket reaches; the first begins at 0, the last ends at 2**31.5 s."""
    low = 0 if bucket == 0 else DELAY_BOUNDS_US[bucket - 1]
    high = DELAY_BOUNDS_US[bucket] if bucket < len(DELAY_BOUNDS_US) else round(2**31.5 * 1e6)
    return low / 1e6, high / 1e6


def _frozen(array: NDArray[Number]) -> NDArray[Number]:
    array.setflags(write=False)
    return array


def _grid_floor() -> Int64Array:
    index = np.arange(CELLS, dtype=np.int64)
    floor = index // 2
    floor[HIGH:LOW] = GRID - 1
    floor[LOW:] = 0
    return floor


def _order() -> Int64Array:
    low, high = np.arange(CELLS - 1, LOW - 1, -1), np.arange(HIGH, LOW)
    middle = np.arange(2, 2 * GRID - 1)
    return np.concatenate([[0, 1], low, middle, [2 * GRID - 1], high, [2 * GRID]]).astype(np.int64)


# floor(600 c) of every cell; an atom lies on it, the other cells above it.
GRID_FLOOR: Final = _frozen(_grid_floor())
IS_ATOM: Final = _frozen((np.arange(CELLS) % 2 == 0) & (np.arange(CELLS) < HIGH))
# Where an atom lies, and the middle of the grid interval of any other cell.
_PLACE: Final = (GRID_FLOOR + np.where(IS_ATOM, 0.0, 0.5)) / GRID
# All cells in order of confidence, and the place of each cell in that order. (1 and 1199 are never used.)
BY_CONFIDENCE: Final = _frozen(_order())
RANK: Final = _frozen(np.argsort(BY_CONFIDENCE).astype(np.int64))


def _lower_ends() -> FloatArray:
    lower = GRID_FLOOR / GRID + np.where(IS_ATOM, -SNAP, SNAP)
    lower[HIGH:LOW] = 1 - np.append(1 / GRID, DISTANCE_BOUNDS)
    lower[LOW:] = np.append(DISTANCE_BOUNDS, 0.0)
    return lower


def _upper_ends() -> FloatArray:
    upper = (GRID_FLOOR + np.where(IS_ATOM, 0.0, 1.0)) / GRID + np.where(IS_ATOM, SNAP, -SNAP)
    upper[HIGH:LOW] = 1 - np.append(DISTANCE_BOUNDS, 0.0)
    upper[LOW:] = np.append(1 / GRID, DISTANCE_BOUNDS)
    return upper


# Between which confidences each cell lies, (1649,); those of the first and the last atom reach beyond 0 and 1.
LOWER_END: Final = _frozen(_lower_ends())
UPPER_END: Final = _frozen(_upper_ends())


def of_cells(table: NDArray[Number], cells: Int16Array | Int64Array) -> NDArray[Number]:
    """What a table of (1649,) says of each cell; a third of the time of indexing."""
    return table.take(cells, mode="clip")


def position(cells: Int16Array | Int64Array, n: Int64Array, sum_c: Int64Array) -> FloatArray:
    """Where the labelled confidences of each cell lie, in 0..1: an atom at its rational j/600, else at their mean.

    All arrays have shape (k,); `sum_c` is in fixed point. A cell without labels that is no atom is placed at the
    middle of its grid interval. Never sum/n for an atom: 0.7999999 instead of 0.8 would move it over an edge.
    """
    place = of_cells(_PLACE, cells)
    is_between = ~of_cells(IS_ATOM, cells) & (n > 0)
    if is_between.any():
        place *= ~is_between
        place += is_between * (sum_c / (np.maximum(n, 1) * float(UNIT)))
    return place


@lru_cache(maxsize=64)
def bin_of_cells(count: int, edges: Edges) -> Int64Array:
    """The equal-width bin, 0..count-1, of every cell, shape (1649,), read-only; exact, by integers alone.

    right_closed: ((m-1)/count, m/count], and 0 is kept in the first bin (Guo et al. 2017, arXiv:1706.04599);
    left_closed: [(m-1)/count, m/count), and 1 is kept in the last. Raises ValueError for a count that is not offered.
    """
    if count not in BIN_COUNTS:
        raise ValueError(f"the number of bins must be one of {', '.join(map(str, BIN_COUNTS))}, got {count}")
    if edges not in EDGES:
        raise ValueError(f"edges must be right_closed or left_closed, got {edges}")
    width = GRID // count
    bins = GRID_FLOOR // width
    if edges == "right_closed":
        on_edge = IS_ATOM & (GRID_FLOOR % width == 0) & (GRID_FLOOR > 0)
        bins = bins - on_edge
    return _frozen(np.minimum(bins, count - 1))


@lru_cache(maxsize=64)
def at_or_above(threshold: float) -> NDArray[np.bool_]:
    """Which cells hold confidences >= threshold, shape (1649,), read-only.

    Raises ValueError unless the threshold is a multiple of 1/600 in 0..1: only there do cells and thresholds agree.
    """
    step = round(threshold * GRID)
    if abs(threshold * GRID - step) > _SNAP or not 0 <= step <= GRID:
        raise ValueError(f"a threshold must be a multiple of 1/600 in 0..1, got {threshold}")
    return _frozen(step <= GRID_FLOOR)


def bin_edges(count: int) -> Sequence[float]:
    """The count + 1 edges of equal-width bins over 0..1."""
    return [m / count for m in range(count + 1)]

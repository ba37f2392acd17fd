"""The ladder: thresholds that are fixed before anybody has seen a label, and what lies above each of them."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from monitor.calibration.bounds import DISTANCE_BOUNDS
from monitor.calibration.cells import CELLS, GRID, GRID_FLOOR, HIGH, LOW, UNIT, FloatArray, Int64Array
from monitor.calibration.sketch import Row, Sketch
from monitor.errors import BadInput

_SNAP: Final = 1e-9
_BOUNDS: Final = np.array(DISTANCE_BOUNDS)


def exact_threshold(threshold: float) -> float:
    """The threshold next to the given one at which sketches can be cut without error.

    That is the given one where it is a multiple of 1/600 (0.9, 0.925, 0.95), else the nearest multiple; above 599/600
    1 minus one of the published bounds, which lie 7 % apart. Raises BadInput outside 0..1.
    """
    if not 0 <= threshold <= 1:
        raise BadInput(f"a threshold must be in 0..1, got {threshold:g}", "threshold")
    place = threshold * GRID
    if threshold < 1 - _SNAP and place > GRID - 1 + _SNAP * GRID:
        return float(1 - _BOUNDS[np.argmin(np.abs(np.log(_BOUNDS) - np.log(1 - threshold)))])
    return round(place) / GRID


def first_cells(threshold: float) -> FloatArray:
    """(1649,) 1 for the cells that hold confidences at or above an exact threshold, else 0."""
    if threshold * GRID - _SNAP > GRID - 1 and threshold < 1:
        inside = int(np.argmin(np.abs(_BOUNDS - (1 - threshold)))) + 1
        cells = np.arange(CELLS)
        above = ((cells >= HIGH + inside) & (cells < LOW)) | (cells == 2 * GRID)
    else:
        above = round(threshold * GRID) <= GRID_FLOOR
    return np.asarray(above, np.float64)


def _ladder() -> tuple[float, ...]:
    fine = [exact_threshold(1 - step * 10.0**-power) for power in (5, 4, 3) for step in (1, 2, 5)]
    return tuple(dict.fromkeys([*fine, *(step / 100 for step in range(99, -1, -1))]))


LADDER: Final = _ladder()
"""From 0.99999 down: steps of 1, 2 and 5 in each power of ten of the distance to 1, hundredths from 0.99 down."""
_ABOVE: Final = np.stack([first_cells(step) for step in LADDER])


@dataclass(frozen=True, slots=True, eq=False)
class Rungs:
    """What lies on one side of each of k thresholds, in the order in which they are to be tested: all (k,)."""

    threshold: FloatArray
    n_pred: FloatArray
    """Predictions, with a label or without."""
    n: FloatArray
    """Labels."""
    right: FloatArray
    """The sum of their outcomes."""

    def __len__(self) -> int:
        return len(self.threshold)


def rungs_above(sketch: Sketch, start: float) -> Rungs:
    """What lies at or above each step of the ladder, from `start` down."""
    return _rungs(sketch, start, above=True)


def rungs_below(sketch: Sketch, end: float) -> Rungs:
    """What lies below each step of the ladder, from the lowest up to `end`."""
    return _rungs(sketch, end, above=False)


def above(sketch: Sketch, threshold: float) -> Rungs:
    """What lies at or above one exact threshold."""
    inside = first_cells(threshold)[sketch.cells][None]
    return Rungs(np.array([threshold]), *_sums(sketch, inside))


def _rungs(sketch: Sketch, highest: float, *, above: bool) -> Rungs:
    ladder = np.array(LADDER)
    wanted = ladder <= highest + _SNAP
    reached, steps = _ABOVE[wanted][:, sketch.cells], ladder[wanted]
    if above:
        return Rungs(steps, *_sums(sketch, reached))
    return Rungs(steps[::-1], *_sums(sketch, 1 - reached[::-1]))


def _sums(sketch: Sketch, inside: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    n_pred, n, right = (sketch.row(row).astype(np.float64) for row in (Row.N_PRED, Row.N, Row.Y))
    return inside @ n_pred, inside @ n, np.asarray(inside @ right) / UNIT


def has_fractions(sketch: Sketch) -> bool:
    """Whether some outcomes are shares rather than right or wrong."""
    outcomes: Int64Array = sketch.row(Row.Y)
    return bool((outcomes % UNIT).any())

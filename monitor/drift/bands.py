"""Bands of confidence: all of it, and low, middle and high confidences apart."""

from typing import Final, Literal, TypeAlias, get_args

import numpy as np

from monitor.calibration.cells import GRID, GRID_FLOOR, FloatArray, Int16Array, Int64Array

Band: TypeAlias = Literal["all", "low", "middle", "high"]
BANDS: Final[tuple[Band, ...]] = get_args(Band)

CUTS: Final = (0.75, 0.9)
"""low: [0, .75), middle: [.75, .9), high: [.9, 1]."""
PARTS: Final = len(CUTS) + 1
"""Bands that share no confidence; the part p is the band p + 1 of `BANDS`."""
_CUTS: Final = np.array([round(cut * GRID) for cut in CUTS])


def part_of(cells: Int16Array | Int64Array) -> Int64Array:
    """Which of low, middle, high (0, 1, 2) each cell belongs to, (t,). A confidence on a cut belongs to the upper."""
    return np.searchsorted(_CUTS, GRID_FLOOR[cells], side="right").astype(np.int64)


def by_band(by_part: FloatArray) -> FloatArray:
    """(S, 4) sums by band, of (S, 3) sums by part: the first band is all of them."""
    return np.concatenate([by_part.sum(axis=1, keepdims=True), by_part], axis=1)

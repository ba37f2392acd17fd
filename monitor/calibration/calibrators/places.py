"""Where confidences lie among ascending bounds: numpy's binary search, with most of its answers from a table."""

from collections.abc import Callable
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from monitor.calibration.cells import FloatArray

Places: TypeAlias = npt.NDArray[np.intp]
Side: TypeAlias = Literal["left", "right"]

PARTS: Final = 4096
"""Equal parts of 0..1: a power of two, so that the part of a confidence is found without rounding."""
WORTH: Final = 16_384
"""Confidences from which on making the table pays."""


def finder(bounds: FloatArray, side: Side, n: int) -> Callable[[FloatArray], Places]:
    """`np.searchsorted` among ascending bounds, for n confidences in all, each from 0 to below 1."""
    if n < WORTH:
        return lambda confidence: np.searchsorted(bounds, confidence, side=side)
    before: Places = np.searchsorted(bounds, np.arange(PARTS + 1) / PARTS, side=side)

    def places(confidence: FloatArray) -> Places:
        part = (confidence * PARTS).astype(np.intp)
        found = before[part]
        split = np.flatnonzero(before[part + 1] > found)  # the parts with a bound inside
        found[split] = np.searchsorted(bounds, confidence[split], side=side)
        return found

    return places

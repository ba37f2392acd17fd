"""The confidence-accuracy matrix of a dimension: how often each of its values is right, by how sure the model was."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from monitor.calibration.means import share

BANDS: Final = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95)
"""Where each band of confidence begins; it ends where the next begins, the last at 1, included."""
OTHERS: Final = "__other__"
MOST: Final = 40
"""Values of a dimension that have a row of their own: those with the most labels."""


@dataclass(frozen=True, slots=True)
class Count:
    """Labelled predictions of one value of a dimension in one band: how many, and sums over them."""

    value: str
    band: int
    n: int
    right: float
    """Of outcomes."""
    confidence: float
    """Of confidences."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One place of the matrix. `accuracy` with its Wilson interval, `gap` its mean confidence less that; 0..1, -1..1.

    All None where there is no label.
    """

    n: int
    accuracy: float | None = None
    low: float | None = None
    high: float | None = None
    gap: float | None = None

    @property
    def off(self) -> Literal["over", "under", ""]:
        """On which side the mean confidence lies outside the interval; empty within it."""
        if self.accuracy is None or self.low is None or self.high is None or self.gap is None:
            return ""
        stated = self.accuracy + self.gap
        return "over" if stated > self.high else "under" if stated < self.low else ""


@dataclass(frozen=True, slots=True)
class Row:
    """One value of the dimension: a cell for each band, and one for all of them."""

    value: str
    cells: tuple[Cell, ...]
    total: Cell


def matrix(counts: Sequence[Count], level: float) -> list[Row]:
    """The rows, most labels first; past MOST values the rest is one row OTHERS."""
    size: dict[str, int] = {}
    for each in counts:
        size[each.value] = size.get(each.value, 0) + each.n
    shown = sorted(size, key=lambda value: (value == OTHERS, -size[value], value))
    own = set(shown if len(shown) <= MOST else shown[:MOST])
    sums = {value: np.zeros((3, len(BANDS))) for value in (*own, *(() if len(shown) == len(own) else (OTHERS,)))}
    for each in counts:
        sums[each.value if each.value in own else OTHERS][:, each.band] += (each.n, each.right, each.confidence)
    order = [*(value for value in shown if value in own), *(value for value in sums if value not in own)]
    return [
        Row(value, _cells(sums[value], level), _cells(sums[value].sum(axis=1, keepdims=True), level)[0])
        for value in order
    ]


def _cells(sums: "np.typing.NDArray[np.float64]", level: float) -> tuple[Cell, ...]:
    n, right, confidence = sums
    found = share(right, n, level)
    gaps = confidence / np.where(n > 0, n, np.nan) - found.value
    columns = zip(n, found.value, found.low, found.high, gaps, strict=True)
    return tuple(
        Cell(round(float(count)), *(float(each) for each in numbers)) if count else Cell(0)
        for count, *numbers in columns
    )

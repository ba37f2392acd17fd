"""Agreement: do two signals of one prediction say the same? Declared pairs, as a dimension of segments."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

PREFIX: Final = "agreement:"
"""Begins the names of their dimensions."""
BOTH_HIGH: Final = "both_high"
FIRST_ONLY: Final = "first_only"
SECOND_ONLY: Final = "second_only"
BOTH_LOW: Final = "both_low"

_SNAP: Final = 1e-9
"""A confidence so near below a threshold counts as on it, as it counts as the atom there in the sketch."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two signals, each with the confidence (0..1) from which on it is high."""

    first: str
    first_from: float
    second: str
    second_from: float

    @property
    def dimension(self) -> str:
        """The name of the dimension whose values are the four quadrants."""
        return f"{PREFIX}{self.first}~{self.second}"

    def quadrant(self, confidence: Mapping[str, float]) -> str | None:
        """The quadrant of a prediction with these signals; None where it lacks one of the two."""
        if self.first not in confidence or self.second not in confidence:
            return None
        first = confidence[self.first] >= self.first_from - _SNAP
        second = confidence[self.second] >= self.second_from - _SNAP
        if first:
            return BOTH_HIGH if second else FIRST_ONLY
        return SECOND_ONLY if second else BOTH_LOW

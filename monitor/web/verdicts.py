"""What a reading says in words: inside its null band or outside, which way it leans, or not enough labels. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from monitor.web.scales import MINUS, plain

UNKNOWN = "\N{EN DASH}"


class Standing(Enum):
    """Where the ECE of a series stands against its null band, worst first. The value is the word shown."""

    CLEARLY_OUTSIDE = "clearly outside"
    OUTSIDE = "outside"
    WITHIN = "within"
    NOT_ENOUGH = "not enough labels"

    @property
    def shape(self) -> str:
        """The mark that goes with the word, so that colour is never alone."""
        return {"CLEARLY_OUTSIDE": "diamond", "OUTSIDE": "diamond", "WITHIN": "circle", "NOT_ENOUGH": "circle"}[
            self.name
        ]

    @property
    def css(self) -> str:
        return self.name.lower().replace("_", "-")

    @property
    def is_off(self) -> bool:
        """Outside the null band, clearly or not."""
        return self in {Standing.CLEARLY_OUTSIDE, Standing.OUTSIDE}


@dataclass(frozen=True, slots=True)
class Range:
    """Two ends of an interval or band, low <= high."""

    low: float
    high: float


def standing(ece: float | None, interval: Range | None, null_band: Range | None, *, enough: bool) -> Standing:
    """Outside = the ECE is above its null band; clearly outside = its whole interval is.

    The null band is what ECE reads at this n when the model is calibrated. An ECE below it is no fault: within.
    """
    if ece is None or null_band is None or not enough:
        return Standing.NOT_ENOUGH
    if interval is not None and interval.low > null_band.high:
        return Standing.CLEARLY_OUTSIDE
    return Standing.OUTSIDE if ece > null_band.high else Standing.WITHIN


def leaning(signed_gap: float | None, ece: float | None) -> str:
    """Which way the error goes: `over-confident`, `under-confident`, or both where neither rules.

    ECE is the sum of the over- and the under-confident part, the gap their difference: a gap of half the ECE means that
    one side makes up three quarters of it. Empty for the unknown and for an ECE of nothing.
    """
    if signed_gap is None or ece is None or ece < 5e-4:
        return ""
    if abs(signed_gap) < ece / 2:
        return "over- and under-confident"
    return "over-confident" if signed_gap > 0 else "under-confident"


def ratio(value: float | None, decimals: int = 3) -> str:
    """`0.123`, with a real minus sign; a dash for the unknown."""
    if value is None:
        return UNKNOWN
    text = f"{abs(value):.{decimals}f}"
    return MINUS + text if value < 0 and float(text) else text


def signed(value: float | None, decimals: int = 3) -> str:
    """`+0.123`, so that the direction is read first."""
    return (
        f"+{ratio(value, decimals)}"
        if value is not None and float(f"{value:.{decimals}f}") > 0
        else ratio(value, decimals)
    )


def between(found: Range | None, decimals: int = 3) -> str:
    """`0.10 to 0.20`."""
    return UNKNOWN if found is None else f"{ratio(found.low, decimals)} to {ratio(found.high, decimals)}"


def count(value: float) -> str:
    """`12 345`, or with decimals where outcomes are fractions."""
    return plain(value) if value == round(value) else plain(value, 0.1)


def percent(value: float | None) -> str:
    """`83.3 %`."""
    return UNKNOWN if value is None else f"{value * 100:.1f}\N{NO-BREAK SPACE}%"

"""Verdict: what one evaluation of one rule says about one series, and the evidence for it."""

from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from monitor.calibration.reading import Bin
from monitor.calibration.uncertainty import Interval
from monitor.drift.alarms import Tier
from monitor.drift.bands import Band

Compare: TypeAlias = Literal["above", "below", "change_above", "change_below"]
Proof: TypeAlias = Literal["confident", "point"]
"""What must cross `enter`: the end of the interval that is nearer to it, or the estimate."""

Finding: TypeAlias = Literal["crossed", "between", "below", "insufficient", "failed", "series_ended", "rule_ended"]
"""`crossed` beyond enter; `below` back beyond exit, on the good side; `between` neither; `insufficient` too little to
know; `failed` an error of ours; the last two: configuration took the series, or the rule, away."""


def sign_of(compare: Compare) -> int:
    """+1 where high values are bad, -1 where low ones are."""
    return 1 if compare in {"above", "change_above"} else -1


class Estimate(msgspec.Struct, frozen=True):
    """A value with its interval, and the labels `n` behind it; `interval` None: the value is exact, as a count is."""

    value: float
    interval: Interval | None
    n: int


class Measured(msgspec.Struct, frozen=True, kw_only=True, tag="measured"):
    """The evidence of a level or a change rule: the estimate then, and the limits that it was held against.

    `judged` is what was compared: `estimate` itself, or for a change rule `estimate` less `baseline`. Intervals are of
    `confidence_level`. `bins` are those of the reliability diagram. `coverage` the labelled share of the window's
    predictions, 0..1.
    """

    as_of: datetime
    measure: str
    estimate: Estimate
    judged: Estimate
    compare: Compare
    proof: Proof
    enter: float
    exit: float
    confidence_level: float
    coverage: float | None = None
    baseline: Estimate | None = None
    bins: tuple[Bin, ...] = ()


class Diagram(msgspec.Struct, frozen=True, kw_only=True):
    """The reliability diagram of a window, by its name; intervals of the bins are of `confidence_level`."""

    window: str
    confidence_level: float
    bins: tuple[Bin, ...]


class Alarmed(msgspec.Struct, frozen=True, kw_only=True, tag="alarmed"):
    """The evidence of a detector rule: the alarm that stands; its fields as in `monitor.drift.alarms.Alarm`.

    `labels_since` counts the mature labels since the alarm, of the `calm_labels` that would end it. `diagram` shows the
    series then, in the shortest window that held labels.
    """

    as_of: datetime
    tier: Tier
    pane: int
    band: Band
    sign: int
    onset: int
    onset_interval: tuple[int, int]
    size: float
    size_interval: Interval
    value: float
    labels: float
    slope: float
    intercept: float
    labels_since: float
    calm_labels: int
    diagram: Diagram | None = None


class Said(msgspec.Struct, frozen=True, kw_only=True, tag="said"):
    """Evidence in words: why nothing can be known, what failed, what ended. `n` labels and `coverage`, where known."""

    as_of: datetime
    reason: str
    n: int | None = None
    coverage: float | None = None


Evidence: TypeAlias = Measured | Alarmed | Said


class Verdict(msgspec.Struct, frozen=True):
    """A finding with its evidence. `new_labels`, 0 or more: labels that matured since the evaluation before."""

    finding: Finding
    evidence: Evidence
    new_labels: int = 0

    @property
    def as_of(self) -> datetime:
        """The instant whose knowledge was judged; it tells this verdict from every other one on the same alert."""
        return self.evidence.as_of

"""Audit: what a gate that a team has today, say auto-approve from 0.9 on, really buys."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from monitor.calibration.binomial import lower_bound, upper_bound
from monitor.calibration.cells import UNIT
from monitor.calibration.certificates import START, Promise, certify
from monitor.calibration.ladder import above, exact_threshold, first_cells
from monitor.calibration.reading import SCHEMA, Subject
from monitor.calibration.sketch import Row, Sketch
from monitor.calibration.uncertainty import Interval
from monitor.errors import BadInput

Verdict = Literal["keeps", "breaks", "cannot tell"]


class Gate(msgspec.Struct, frozen=True):
    """A gate as a team uses it: let through what has a confidence of at least `threshold`, since `promised` is right.

    Without a number of its own the promise is what the threshold seems to say: 0.9 for a gate at 0.9.
    """

    threshold: float
    promised: float

    def __post_init__(self) -> None:
        """Raises BadInput with what is out of range."""
        for value, name in ((self.threshold, "gate"), (self.promised, "promise")):
            if not 0 <= value <= 1:
                raise BadInput(f"a {name} must be in 0..1, got {value:g}", "gate")


class Audited(msgspec.Struct, frozen=True, kw_only=True):
    """What one gate buys. Unknown values are null, with the reason in `missing`."""

    gate: float
    threshold: float
    """The gate, or next to it where sketches can be cut exactly."""
    promised: float
    n_predictions: int
    """Predictions that pass."""
    coverage: float | None
    """Their share of all predictions."""
    n: int
    """Labels among them."""
    stated: float | None
    """Mean confidence of these."""
    accuracy: float | None
    interval: Interval | None
    """Clopper-Pearson, two-sided, at the level of the audit; it promises one look."""
    verdict: Verdict
    """keeps: the interval lies at or above the promise; breaks: below it."""
    certified_from: float | None
    """The threshold that certifies the promise, if one does."""
    certified_coverage: float | None
    missing: dict[str, str] = {}


class Audit(Subject, frozen=True, kw_only=True):
    """The gates of one series."""

    n_predictions: int
    n: int
    confidence_level: float
    gates: list[Audited]
    warnings: list[str] = msgspec.field(default_factory=list)


class Audits(msgspec.Struct, frozen=True, kw_only=True):
    """What `caldrift audit --json` prints."""

    schema: int = SCHEMA
    audits: list[Audit]


def audit(
    sketch: Sketch, gates: Iterable[Gate], level: float, subject: Subject, *, warnings: Iterable[str] = ()
) -> Audit:
    """What each gate buys, with its interval at this confidence level in (0, 1)."""
    return Audit(
        **msgspec.structs.asdict(subject),
        n_predictions=sketch.total(Row.N_PRED),
        n=sketch.total(Row.N),
        confidence_level=level,
        gates=[audited(sketch, gate, level) for gate in gates],
        warnings=list(warnings),
    )


def audited(sketch: Sketch, gate: Gate, level: float) -> Audited:
    """What one gate buys."""
    threshold = exact_threshold(gate.threshold)
    passed = above(sketch, threshold)
    n, right, whole = float(passed.n[0]), float(passed.right[0]), sketch.total(Row.N_PRED)
    tail = (1 - level) / 2
    interval = None
    if n:
        interval = (
            float(lower_bound(passed.right, passed.n, tail)[0]),
            float(upper_bound(passed.right, passed.n, tail)[0]),
        )
    wanted = min(max(gate.promised, 1e-9), 1 - 1e-9)
    better = certify(sketch, Promise(wanted, min(0.5, 1 - level), start=max(START, threshold)))
    confidence = float(first_cells(threshold)[sketch.cells] @ sketch.row(Row.C)) / UNIT
    return Audited(
        gate=gate.threshold,
        threshold=threshold,
        promised=gate.promised,
        n_predictions=int(passed.n_pred[0]),
        coverage=float(passed.n_pred[0]) / whole if whole else None,
        n=int(n),
        stated=confidence / n if n else None,
        accuracy=right / n if n else None,
        interval=interval,
        verdict=_verdict(interval, gate.promised),
        certified_from=better.threshold,
        certified_coverage=better.coverage,
        missing={} if better.certified else {"certified_from": better.reason},
    )


def _verdict(interval: Interval | None, promised: float) -> Verdict:
    if interval is None or interval[0] < promised <= interval[1]:
        return "cannot tell"
    return "keeps" if interval[0] >= promised else "breaks"

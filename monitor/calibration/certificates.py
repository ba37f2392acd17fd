"""Certificates: a threshold of confidence above which answers are right as often as was promised, with a guarantee.

The lowest threshold whose measured accuracy reaches the target breaks its promise in up to half of all cases, since it
is the luckiest of many. Here thresholds are tested one after the other, in an order that no label has influenced, each
by the exact bound of Clopper and Pearson, and the first that fails ends the walk: then the chance that any threshold
passed wrongly is at most delta, however many were tested (fixed-sequence testing; Angelopoulos et al. 2021, "Learn then
test", arXiv:2110.01052; Bauer 1991).
"""

import math
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
import numpy as np

from monitor.calibration.binomial import (
    Bound,
    lower_bound,
    lower_bound_of_fractions,
    trials_needed,
    trials_with_one_failure,
)
from monitor.calibration.cells import FloatArray
from monitor.calibration.ladder import Rungs, exact_threshold, has_fractions, rungs_above, rungs_below
from monitor.calibration.sketch import Row, Sketch
from monitor.errors import BadInput

START: Final = 0.95
"""Where the walk begins unless told otherwise: high enough for most targets, low enough to have labels."""
EVEN: Final = 0.999
"""Effective labels per label from which on propensities count as equal: they are rounded when they are stored."""

Side = Literal["accept", "reject"]


@dataclass(frozen=True, slots=True)
class Promise:
    """What a threshold is to keep: accuracy of at least `target` above it, or of at most `target` below it."""

    target: float
    """In (0, 1)."""
    delta: float = 0.05
    """Chance, in (0, 0.5], that the certificate is wrong."""
    start: float = START
    """Where the walk begins; chosen before the labels were seen. Of the side `reject`: where it ends at the latest."""
    side: Side = "accept"

    def __post_init__(self) -> None:
        """Raises BadInput with what is out of range."""
        mistakes = []
        if not 0 < self.target < 1:
            mistakes.append(f"the target must lie between 0 and 1, got {self.target:g}")
        if not 0 < self.delta <= 0.5:
            mistakes.append(f"delta must be above 0 and at most 0.5, got {self.delta:g}")
        if not 0 <= self.start <= 1:
            mistakes.append(f"the start must be in 0..1, got {self.start:g}")
        if mistakes:
            raise BadInput("; ".join(mistakes), "promise")


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """What was found for one promise. Where nothing could be certified, `threshold` is null and `reason` says why.

    Accept: answers with confidence >= threshold are right with a chance of at least `target`. Reject: those with
    confidence < threshold are right with a chance of at most `target`. Wrong with a chance of at most `delta`.
    """

    side: Side
    target: float
    delta: float
    start: float
    certified: bool
    n_labels: int
    """Labels of the whole series."""
    threshold: float | None = None
    n: int | None = None
    """Labels on the certified side."""
    accuracy: float | None = None
    """Measured on that side; of a tried but uncertified one: at the step where the walk ended."""
    bound: float | None = None
    """Of that accuracy: the lower one of `accept`, the upper one of `reject`."""
    coverage: float | None = None
    """Share of all predictions, labelled or not, on the certified side."""
    reason: str = ""
    more_labels: int | None = None
    """About how many labels more it takes, of the whole series; null where certified, and where none would do."""
    method: str = ""


CLOPPER_PEARSON: Final = "fixed sequence of exact Clopper-Pearson tests"
FRACTIONS: Final = "fixed sequence of Hoeffding's tests, as some outcomes are shares"
UNEVEN: Final = (
    "labels were sampled with different propensities: a certificate needs labels that were equally likely to be taken"
)


def certify(sketch: Sketch, promise: Promise, *, n_predictions: int | None = None) -> Certificate:
    """Walk the ladder and certify the farthest threshold that holds.

    `n_predictions`: of how many predictions the coverage is a share, where the sketch holds only some of them. The
    labels must be a fair sample, independent, and looked at once for this promise.
    """
    whole = sketch.total(Row.N_PRED) if n_predictions is None else n_predictions
    fractions = has_fractions(sketch)
    bound: Bound = lower_bound_of_fractions if fractions else lower_bound
    found = Certificate(
        side=promise.side,
        target=promise.target,
        delta=promise.delta,
        start=exact_threshold(promise.start),
        certified=False,
        n_labels=sketch.total(Row.N),
        method=FRACTIONS if fractions else CLOPPER_PEARSON,
    )
    if _uneven(sketch):
        return msgspec.structs.replace(found, reason=UNEVEN)
    walk = _walked(sketch, promise, bound)
    if walk.last is None:
        return _refused(found, walk, promise, bound)
    coverage = float(walk.rungs.n_pred[walk.last] / whole) if whole else None
    return msgspec.structs.replace(
        walk.measured(found, walk.last), certified=True, threshold=walk.threshold(walk.last), coverage=coverage
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Walk:
    """The steps in their order, and how far the walk went. Arrays are (k,)."""

    rungs: Rungs
    kept: FloatArray
    """Outcomes that keep the promise: right ones above, wrong ones below."""
    bound: FloatArray
    """Of the share that keeps it."""
    last: int | None
    """The last step that passed."""
    failed: int | None
    """The step that ended the walk; None where no step had labels enough to be tried."""

    def threshold(self, at: int) -> float:
        """The first threshold that leaves the same predictions on the side as this step."""
        same = (self.rungs.n_pred == self.rungs.n_pred[at]) & (self.rungs.n == self.rungs.n[at])
        return float(self.rungs.threshold[np.argmax(same)])

    def measured(self, found: Certificate, at: int) -> Certificate:
        """With what was measured at a step."""
        bound = float(self.bound[at])
        return msgspec.structs.replace(
            found,
            n=int(self.rungs.n[at]),
            accuracy=float(self.rungs.right[at] / self.rungs.n[at]),
            bound=bound if found.side == "accept" else 1 - bound,
        )


def _walked(sketch: Sketch, promise: Promise, bound: Bound) -> _Walk:
    """Test step by step.

    A step is passed over, whatever its outcomes, where so few labels lie that one that breaks the promise would fail
    it: which steps these are depends on no outcome, and a walk that ends by one unlucky label of few is a short one.
    """
    accept, wanted = promise.side == "accept", _wanted(promise)
    rungs = rungs_above(sketch, promise.start) if accept else rungs_below(sketch, promise.start)
    kept = rungs.right if accept else rungs.n - rungs.right
    bounds = bound(kept, rungs.n, promise.delta)
    tried = bound(np.maximum(rungs.n - 1, 0.0), rungs.n, promise.delta) >= wanted
    failures = np.flatnonzero(tried & (bounds < wanted))
    failed = int(failures[0]) if len(failures) else None
    passed = np.flatnonzero(tried[:failed])
    return _Walk(rungs, kept, bounds, int(passed[-1]) if len(passed) else None, failed)


def _wanted(promise: Promise) -> float:
    """What share of the outcomes has to keep the promise."""
    return promise.target if promise.side == "accept" else 1 - promise.target


def _uneven(sketch: Sketch) -> bool:
    """Whether labels stand for different numbers of predictions, by the effective number of them (Kish 1965)."""
    n = float(sketch.total(Row.N))
    weight, square = n + sketch.total(Row.EXCESS_W) / 1e6, n + sketch.total(Row.EXCESS_W2) / 1e3
    return weight**2 < EVEN * n * square


def _refused(found: Certificate, walk: _Walk, promise: Promise, bound: Bound) -> Certificate:
    """Why nothing was certified, and about how many labels more it takes."""
    wanted, whole = _wanted(promise), found.n_labels
    side = "at or above" if promise.side == "accept" else "below"
    if walk.failed is None:
        held = float(walk.rungs.n[-1])
        least = trials_with_one_failure(bound, wanted, promise.delta)
        lie = f"{whole} labels, of which {held:.0f} lie {side} {walk.threshold(len(walk.rungs) - 1):.5g}"
        return _short(found, f"not certifiable with {lie if whole else 'no labels'}", least, held, "at least")
    found, n = walk.measured(found, walk.failed), float(walk.rungs.n[walk.failed])
    kept, where = float(walk.kept[walk.failed]), f"{side} {walk.threshold(walk.failed):.5g}"
    measured = f"{where}, {found.accuracy:.3f} of {n:.0f} labels are right"
    if float(bound(np.array([n - kept]), np.array([n]), promise.delta)[0]) > 1 - wanted:
        reason = f"not certifiable: {measured}, so the promise does not hold there, and more labels would not help"
        return msgspec.structs.replace(found, reason=reason)
    needed = trials_needed(bound, wanted, promise.delta, (kept + 0.5) / (n + 1))
    return _short(found, f"not certifiable with {whole} labels: {measured}", needed, n)


def _short(found: Certificate, reason: str, needed: int | None, held: float, about: str = "about") -> Certificate:
    """With the number of labels that are missing, where `held` of all of them lie on the side and so many have to."""
    if needed is None:
        return msgspec.structs.replace(found, reason=f"{reason}; how many it would take cannot be foretold")
    share = held / found.n_labels if held else 1.0
    more = max(1, math.ceil((needed - held) / share))
    return msgspec.structs.replace(found, reason=f"{reason}; {about} {more} more are needed", more_labels=more)

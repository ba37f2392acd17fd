"""A trial: which maps are fitted, what the gate says of them, and the record that is kept of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import msgspec
import numpy as np

from monitor.calibration.calibrators.artefact import Calibrator, Method
from monitor.calibration.calibrators.fitting import Origin, Part, Policy, fit
from monitor.calibration.calibrators.sample import Sample, sample_of
from monitor.calibration.calibrators.scoring import mean_loss
from monitor.calibration.cells import FloatArray
from monitor.calibration.gate import Gate, Verdict, judge, said_of
from monitor.calibration.means import share
from monitor.calibration.odds import CLIP
from monitor.calibration.reading import Bin
from monitor.calibration.sketch import Row
from monitor.errors import NotEnoughData
from monitor.recalibration.cuts import Cut, Stretches, dimensions_of

BINS: Final = 10
HALF_A_LABEL: Final = 0.5
UNDIVIDED: Final = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """How maps are fitted and judged. `by`: the dimension whose values get maps of their own, "" for none; None: the
    one that tells most is found out."""

    method: Method | Policy = "by_labels"
    by: str | None = None
    clip: float = CLIP
    gate: Gate = field(default_factory=Gate)


class Choice(msgspec.Struct, frozen=True, gc=False):
    """A dimension that was tried, and the log loss (nats) of maps by it on labels before the hold-out; None, and a
    reason, where there was no map."""

    dimension: str
    log_loss: float | None
    reason: str = ""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What was tried, UTC: labels of predictions in since..holdout_from fitted the maps, those up to `until` judged.

    `before` and `after`: reliability on the hold-out as stated, and as the candidate says.
    """

    since: datetime
    holdout_from: datetime
    until: datetime
    labels: int
    holdout_labels: int
    by: str = ""
    choices: tuple[Choice, ...] = ()
    verdict: Verdict
    before: tuple[Bin, ...] = ()
    after: tuple[Bin, ...] = ()


@dataclass(frozen=True, slots=True)
class Tried:
    """A trial, and its candidate if there was one."""

    trial: Trial
    candidate: Calibrator | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What is recalibrated, by which program."""

    model: str
    signal: str
    code_version: str

    def origin(self, since: datetime, until: datetime) -> Origin:
        """Of its labels in a stretch of time."""
        return Origin(self.model, self.signal, since, until)


def tried(
    subject: Subject, cuts: Sequence[Cut], stretches: Stretches, incumbent: Calibrator | None, terms: Terms
) -> Tried:
    """Fit maps by the cut that tells most on labels before the hold-out, and let the gate judge them on the hold-out.

    `cuts` begin with the undivided one. Where the map in force divides by a dimension, so does its successor unless
    the terms say otherwise, because both are judged on the same parts.
    """
    wanted, refusal = _wanted(cuts, incumbent, terms)
    whole = cuts[0]
    counts = _labels(whole.fitted), _labels(whole.holdout)

    def kept(reason: str, choices: tuple[Choice, ...] = ()) -> Tried:
        verdict = Verdict(passed=False, reasons=(reason,), labels=counts[1])
        return Tried(_trial(stretches, counts, UNDIVIDED, choices, verdict))

    if refusal:
        return kept(refusal)
    choices = tuple(_choice(subject, cut, stretches, terms) for cut in wanted)
    known = [(each.log_loss, place) for place, each in enumerate(choices) if each.log_loss is not None]
    best = wanted[min(known)[1]] if known else wanted[0]
    try:
        candidate = _fitted(subject, best, best.fitted, (stretches.since, stretches.holdout_from), terms)
    except NotEnoughData as failure:
        return kept(str(failure), choices)
    origin = subject.origin(stretches.holdout_from, stretches.until)
    verdict = judge(candidate, incumbent, best.holdout, origin, terms.gate)
    trial = _trial(stretches, counts, best.dimension, choices, verdict)
    labelled = [part for part in best.holdout if part.labels]
    if not labelled:
        return Tried(trial, candidate)
    sample = sample_of([part.sketch for part in labelled], candidate.clip)
    level = terms.gate.level
    after = said_of(candidate, candidate.clip, labelled, sample)
    bins = bins_of(sample, sample.confidence, level), bins_of(sample, after, level)
    return Tried(msgspec.structs.replace(trial, before=bins[0], after=bins[1]), candidate)


def bins_of(sample: Sample, said: FloatArray, level: float) -> tuple[Bin, ...]:
    """Reliability in ten bins of equal width of (t,) what is said, with Wilson intervals; bins without labels left
    out. Weighted labels count as their effective number."""
    place = np.minimum((said * BINS).astype(np.int64), BINS - 1)
    n, right, stated = (
        np.bincount(place, by, BINS).astype(np.float64) for by in (sample.n, sample.right, sample.n * said)
    )
    accuracy = share(right, n, level)
    return tuple(
        Bin(
            at / BINS,
            (at + 1) / BINS,
            round(float(n[at])),
            float(stated[at] / n[at]),
            float(accuracy.value[at]),
            (float(accuracy.low[at]), float(accuracy.high[at])),
        )
        for at in np.flatnonzero(n >= HALF_A_LABEL).tolist()
    )


def _wanted(cuts: Sequence[Cut], incumbent: Calibrator | None, terms: Terms) -> tuple[list[Cut], str]:
    """The cuts to try, or why there is none."""
    told_apart = dimensions_of(incumbent) if incumbent is not None else frozenset()
    if terms.by is not None:
        wanted = [cut for cut in cuts if cut.dimension == terms.by]
        if not wanted:
            return [], f"no prediction has a value of {terms.by}"
        if told_apart - {terms.by}:
            named = ", ".join(sorted(told_apart))
            return [], f"the map in force tells {named} apart, this one would not: roll back to as stated first"
        return wanted, ""
    if told_apart:
        wanted = [cut for cut in cuts if {cut.dimension} == told_apart]
        return wanted, "" if wanted else f"the map in force tells {', '.join(sorted(told_apart))} apart, labels do not"
    return list(cuts), ""


def _choice(subject: Subject, cut: Cut, stretches: Stretches, terms: Terms) -> Choice:
    """How well maps by this cut, fitted on the early labels, say what the late ones will be."""
    try:
        early = _fitted(subject, cut, cut.early, (stretches.since, stretches.choice_from), terms)
    except NotEnoughData as failure:
        return Choice(cut.dimension, None, str(failure))
    parts = [part for part in cut.late if part.labels]
    if not parts:
        return Choice(cut.dimension, None, "no labels to choose by")
    sample = sample_of([part.sketch for part in parts], early.clip)
    losses = mean_loss(sample, said_of(early, early.clip, parts, sample))
    return Choice(cut.dimension, float(np.average(losses, weights=sample.labels)))


def _fitted(
    subject: Subject, cut: Cut, parts: Sequence[Part], between: tuple[datetime, datetime], terms: Terms
) -> Calibrator:
    method: Method | Policy = "adaptive_temperature" if cut.is_numeric else terms.method
    return fit(parts, subject.origin(*between), method=method, clip=terms.clip, code_version=subject.code_version)


def _trial(
    stretches: Stretches, counts: tuple[int, int], by: str, choices: tuple[Choice, ...], verdict: Verdict
) -> Trial:
    return Trial(
        since=stretches.since,
        holdout_from=stretches.holdout_from,
        until=stretches.until,
        labels=counts[0],
        holdout_labels=counts[1],
        by=by,
        choices=choices,
        verdict=verdict,
    )


def _labels(parts: Sequence[Part]) -> int:
    return sum(part.sketch.total(Row.N) for part in parts)

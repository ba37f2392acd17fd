"""The gate: whether a candidate's maps may replace those in force.

A candidate is judged by labels of predictions made after those it was fitted on, by log loss, which no map can improve
but by being more right: ECE is best for a constant, which says nothing. One clip holds for all that are compared, the
candidate's, and the confidences as stated are a competitor: else clipping a wrong 1.0 alone would pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import msgspec
import numpy as np

from monitor.calibration.calibrators.artefact import Calibrator
from monitor.calibration.calibrators.fitting import Origin, Part
from monitor.calibration.calibrators.lookup import Lookup
from monitor.calibration.calibrators.newton import fitted, ridge
from monitor.calibration.calibrators.sample import Sample, Sum, sample_of
from monitor.calibration.calibrators.scoring import applied, log_losses
from monitor.calibration.cells import FloatArray
from monitor.calibration.uncertainty import z_of

ROUNDING: Final = 1e-9
"""Nats below which a gain is the rounding of logarithms."""

Rival = Literal["in force", "as stated", "a constant"]


@dataclass(frozen=True, slots=True)
class Gate:
    """What a candidate has to show on the hold-out.

    `min_labels` labels in all, and `min_each` right and wrong; a gain whose interval of this `level` excludes 0; in no
    segment with `large` labels a loss of more than `worst_loss` nats, beyond chance; and a slope of outcomes on what it
    says whose interval meets `slopes`: 1 where it means what it says, far above where it is too flat.
    """

    min_labels: int = 200
    min_each: int = 10
    level: float = 0.95
    large: int = 200
    worst_loss: float = 0.02
    slopes: tuple[float, float] = (0.5, 2.0)


class Gain(msgspec.Struct, frozen=True, gc=False):
    """By how much the mean log loss falls, in nats a label, with its interval; positive: the candidate is better."""

    value: float
    low: float
    high: float


class SegmentGain(msgspec.Struct, frozen=True):
    """The gain over what is in force in one segment."""

    segment: dict[str, str]
    labels: float
    gain: Gain


class Slope(msgspec.Struct, frozen=True, gc=False):
    """Of outcomes on the log odds of what the candidate says: 1 where it means what it says, above 1 where it is too
    flat, below where it is too steep."""

    value: float
    low: float
    high: float


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate says. `reasons`: why the old map is kept, empty where the candidate passed.

    `gains` over each rival and `segments`, the large ones, the least gain first; both empty where nothing was compared.
    """

    passed: bool
    reasons: tuple[str, ...]
    labels: float = 0.0
    gains: dict[Rival, Gain] = {}
    slope: Slope | None = None
    segments: tuple[SegmentGain, ...] = ()

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        if self.passed:
            gain = self.gains["in force"]
            return (
                f"the candidate passed: on {self.labels:.0f} later labels its log loss is lower by {gain.value:.4f} "
                f"({gain.low:.4f} to {gain.high:.4f}) nats"
            )
        return f"kept the old map: {'; '.join(self.reasons)}"


def judge(
    candidate: Calibrator, incumbent: Calibrator | None, holdout: Sequence[Part], origin: Origin, gate: Gate
) -> Verdict:
    """Whether a candidate may replace the incumbent, or without one the confidences as stated.

    `holdout`: disjoint parts, as for the fit; `origin` says which model and signal they are of, and when.
    """
    parts = [part for part in holdout if part.labels]
    reasons = _mismatches(candidate, incumbent, origin)
    if not parts:
        return Verdict(passed=False, reasons=(*reasons, "the hold-out has no labels"))
    sample = sample_of([part.sketch for part in parts], candidate.clip)
    pooled = sample.pooled()
    labels, right = float(pooled.labels[0]), float(pooled.right.sum())
    if reasons := [*reasons, *_too_few(labels, right, gate)]:
        return Verdict(passed=False, reasons=tuple(reasons), labels=labels)
    new = said_of(candidate, candidate.clip, parts, sample)
    old = sample.confidence if incumbent is None else said_of(incumbent, candidate.clip, parts, sample)
    constant = np.full(len(old), np.clip(right / labels, candidate.clip, 1 - candidate.clip))
    rivals: dict[Rival, FloatArray] = {"in force": old, "as stated": sample.confidence, "a constant": constant}
    gains = {rival: paired_gains(pooled, said, new, gate.level)[0] for rival, said in rivals.items()}
    slope = _slope(pooled, new, gate.level)
    segments = _segments(sample, parts, old, new, gate)
    reasons = [*_no_gain(gains, incumbent), *_too_flat(gains["a constant"], slope, gate), *_harmed(segments, gate)]
    return Verdict(
        passed=not reasons,
        reasons=tuple(reasons),
        labels=labels,
        gains=gains,
        slope=slope,
        segments=segments,
    )


def paired_gains(sample: Sample, old: FloatArray, new: FloatArray, level: float) -> list[Gain]:
    """The gain of each series from (t,) what one map says to what another says, both strictly within 0..1.

    The same labels score both, so only their differences vary. The interval is normal (by weight: Hajek), with half a
    right and half a wrong answer added so that only right answers are not certain.
    """
    (old_right, old_wrong), (new_right, new_wrong) = log_losses(old), log_losses(new)
    if_right, if_wrong = old_right - new_right, old_wrong - new_wrong
    w, wy, w2, w2y = (sample.sums[row] for row in (Sum.W, Sum.WY, Sum.W2, Sum.W2Y))
    weight = sample.total(w)
    value = sample.total(wy * if_right + (w - wy) * if_wrong) / weight
    mean = value[sample.series]
    half = 0.5 * w2 / sample.labels[sample.series]
    squares = (w2y + half) * (if_right - mean) ** 2 + (w2 - w2y + half) * (if_wrong - mean) ** 2
    reach = z_of(level) * np.sqrt(np.maximum(sample.total(squares), 0.0)) / weight
    return [Gain(*row) for row in zip(*(each.tolist() for each in (value, value - reach, value + reach)), strict=True)]


def _mismatches(candidate: Calibrator, incumbent: Calibrator | None, origin: Origin) -> list[str]:
    """Why these cannot be compared at all."""
    found = []
    for role, calibrator in (("candidate", candidate), ("map in force", incumbent)):
        if calibrator is not None and (calibrator.model, calibrator.signal) != (origin.model, origin.signal):
            found.append(
                f"the {role} is of {calibrator.model} ({calibrator.signal}), "
                f"the labels are of {origin.model} ({origin.signal})"
            )
    if origin.since < candidate.until:
        found.append(
            f"the hold-out begins at {origin.since:%Y-%m-%d %H:%M}, before the labels of the fit end at "
            f"{candidate.until:%Y-%m-%d %H:%M}: it must be later"
        )
    return found


def _too_few(labels: float, right: float, gate: Gate) -> list[str]:
    if labels < gate.min_labels:
        return [f"the hold-out has {labels:.0f} labels, it takes {gate.min_labels}"]
    if min(right, labels - right) < gate.min_each:
        word = "right" if right < gate.min_each else "wrong"
        few = min(right, labels - right)
        return [f"the hold-out has {few:.0f} {word} answers, it takes {gate.min_each}"]
    return []


def said_of(calibrator: Calibrator, clip: float, parts: Sequence[Part], sample: Sample) -> FloatArray:
    """(t,) what a calibrator makes of each cell of the sample of these parts, within clip..1-clip."""
    lookup = Lookup(calibrator)
    curves = [lookup.map_of(part.segment).curve for part in parts]
    said = applied(curves, sample, calibrator.clip, [part.fields for part in parts])
    return np.clip(said, clip, 1 - clip)


def _slope(pooled: Sample, said: FloatArray, level: float) -> Slope | None:
    """None where the candidate says one thing of all."""
    if np.ptp(said) == 0:
        return None
    sample = replace(pooled, confidence=said)
    fit = fitted(sample, [sample.odds, sample.ones], ridge([1.0, 0.0]))
    information = fit.information[0]
    determinant = float(np.linalg.det(information))
    if determinant <= 1e-12 * float(information[0, 0] * information[1, 1]):
        return None
    value = float(fit.coefficients[0, 0])
    reach = z_of(level) * float(np.sqrt(information[1, 1] / determinant))
    return Slope(value, value - reach, value + reach)


def _segments(
    sample: Sample, parts: Sequence[Part], old: FloatArray, new: FloatArray, gate: Gate
) -> tuple[SegmentGain, ...]:
    """The gains in large segments, with intervals that hold for all of them together (Bonferroni 1936)."""
    large = np.flatnonzero(sample.labels >= gate.large).tolist()
    gains = paired_gains(sample, old, new, 1 - (1 - gate.level) / max(len(large), 1))
    found = [SegmentGain(dict(parts[at].segment), float(sample.labels[at]), gains[at]) for at in large]
    return tuple(sorted(found, key=lambda each: each.gain.value))


def _no_gain(gains: dict[Rival, Gain], incumbent: Calibrator | None) -> list[str]:
    rivals: dict[Rival, str] = {"in force": "the map in force", "as stated": "the confidences as stated"}
    if incumbent is None:
        del rivals["in force"]
    return [
        f"no sure gain over {words}: log loss changes by {-gain.value:+.4f} ({-gain.high:+.4f} to {-gain.low:+.4f})"
        for rival, words in rivals.items()
        if (gain := gains[rival]).low <= ROUNDING
    ]


def _too_flat(over_constant: Gain, slope: Slope | None, gate: Gate) -> list[str]:
    if slope is None or over_constant.value <= ROUNDING:
        return ["it says no more than a constant: what it makes of confidences does not tell right from wrong"]
    least, most = gate.slopes
    if slope.low > most:
        return [f"it is too flat: the slope of outcomes on what it says is {slope.value:.2f}, {most:g} is the most"]
    if slope.high < least:
        return [f"it is too steep: the slope of outcomes on what it says is {slope.value:.2f}, {least:g} is the least"]
    return []


def _harmed(segments: Sequence[SegmentGain], gate: Gate) -> list[str]:
    harmed = [each for each in segments if each.gain.value < -gate.worst_loss and each.gain.high < 0]
    if not harmed:
        return []
    worst = harmed[0]
    name = ",".join(f"{key}={value}" for key, value in sorted(worst.segment.items())) or "everything else"
    others = f" and {len(harmed) - 1} more" if len(harmed) > 1 else ""
    return [f"worse by {-worst.gain.value:.4f} in {name}{others}: the limit is {gate.worst_loss:g}"]

"""Recalibration as text for a person, and how the settings want it."""

from collections.abc import Iterator, Set
from dataclasses import replace
from importlib.metadata import version
from typing import Final

import msgspec

from monitor.calibration.calibrators.artefact import Calibrator
from monitor.calibration.calibrators.curves import apply
from monitor.calibration.reading import Bin
from monitor.config.recalibration import plans
from monitor.config.sections import Settings
from monitor.config.values import segment_scheme
from monitor.postgres.calibrators import InForce, Run, Stored
from monitor.recalibration.plan import Plan
from monitor.recalibration.trial import Trial
from monitor.workers.recalibration import Attempt, Recalibrating

EVERYTHING: Final = "everything"
SHOWN: Final = (0.5, 0.8, 0.9, 0.99)
"""Confidences of which a table says what becomes."""


def recalibrating_of(settings: Settings) -> Recalibrating:
    """How models are recalibrated."""
    return Recalibrating(
        plans(settings),
        settings.events.main_signal,
        settings.windows.maturity,
        version("caldrift"),
        tuple(each for each in segment_scheme(settings).dimensions if each.cuts),
    )


def plan_of(how: Recalibrating, model: str, asked: Set[str]) -> Plan:
    """The plan of a model; what was asked for by option is taken from the default instead."""
    plan, default = how.plans.of(model), how.plans.default
    terms = plan.terms
    if "by" in asked:
        terms = replace(terms, by=default.terms.by)
    if "method" in asked:
        terms = replace(terms, method=default.terms.method)
    return replace(plan, terms=terms)


def done_text(found: Attempt, promoted: str | None, *, as_json: bool) -> str:
    """What came of an attempt; `promoted` says what was stored, None: nothing was to be."""
    if as_json:
        body = {
            "model": found.run.model,
            "signal": found.run.signal,
            "outcome": found.run.outcome,
            "sentence": found.run.sentence,
            "trial": found.run.trial,
            "candidate": found.candidate,
        }
        return msgspec.json.format(msgspec.json.encode(body), indent=2).decode()
    lines = [f"{found.run.model} ({found.run.signal}): {found.run.sentence}"]
    if found.run.trial is not None:
        lines += _trial_lines(found.run.trial)
    if found.candidate is not None:
        lines += ["", *map_lines(found.candidate)]
    if promoted:
        lines += ["", promoted]
    elif found.candidate is not None:
        lines += ["", "nothing was stored"]
    return "\n".join(lines)


def _trial_lines(trial: Trial) -> Iterator[str]:
    yield (
        f"fitted on {trial.labels} labels of {trial.since:%Y-%m-%d %H:%M} to {trial.holdout_from:%Y-%m-%d %H:%M}, "
        f"judged on {trial.holdout_labels} up to {trial.until:%Y-%m-%d %H:%M}"
    )
    if len(trial.choices) > 1:
        tried = ", ".join(
            f"{each.dimension or 'one map'} {'none' if each.log_loss is None else format(each.log_loss, '.4f')}"
            for each in trial.choices
        )
        yield f"by {trial.by or 'one map'}; log loss of what was tried: {tried}"
    verdict = trial.verdict
    for rival, gain in verdict.gains.items():
        change = f"{-gain.value:+.4f} ({-gain.high:+.4f} to {-gain.low:+.4f})"
        yield f"  against what is {rival}: log loss changes by {change}"
    if trial.before:
        yield from ("", "hold-out       n  said    right", *_bin_lines("as stated", trial.before))
        yield from _bin_lines("by the map", trial.after)


def _bin_lines(name: str, bins: tuple[Bin, ...]) -> Iterator[str]:
    for number, each in enumerate(bins):
        yield f"{name if not number else '':<10} {each.n:5}  {each.mean_confidence:.3f}  {each.accuracy:.3f}"


def map_lines(calibrator: Calibrator) -> Iterator[str]:
    """The maps of an artefact, and what each makes of some confidences."""
    heads = "".join(f"{f'{c:g} ->':>8}" for c in SHOWN)
    yield f"{'map':<28} {'method':<20} {'labels':>7}{heads}"
    for each in (*calibrator.maps[-1:], *calibrator.maps[:-1]):
        name = ",".join(f"{key}={value}" for key, value in sorted(each.segment.items())) or EVERYTHING
        values = "".join(f"{apply(each.curve, c, calibrator.clip):>8.3f}" for c in SHOWN)
        yield f"{name:<28} {each.method:<20} {each.labels:>7.0f}{values}"


def run_line(run: Run) -> str:
    """A run in one line."""
    return f"{run.at:%Y-%m-%d %H:%M}  {run.cause:<8}  {run.sentence}"


def promotion_line(promotion: InForce) -> str:
    """A promotion in one line."""
    return f"{promotion.at:%Y-%m-%d %H:%M}  {promotion.words} by {promotion.by}: {promotion.reason}"


def stored_line(stored: Stored, now: InForce | None) -> str:
    """An artefact in one line, and whether it is in force."""
    force = now is not None and now.calibrator is not None and now.calibrator.id == stored.id
    mark = f" ({now.words.partition(' in ')[2] or 'active'})" if force and now is not None else ""
    return f"{stored.version:>4}  {stored.created_at:%Y-%m-%d %H:%M}  {stored.signal}  {stored.fingerprint[:12]}{mark}"

"""Changes: what is said of runs and promotions, to whoever the rules want to be told of recalibration."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final
from urllib.parse import quote

from monitor.alerting.force import Force
from monitor.alerting.notice import Change, Happening
from monitor.calibration.gate import Rival
from monitor.postgres.calibrators import InForce, Run, in_force, promotions, runs, stored
from monitor.postgres.database import Connection
from monitor.recalibration.trial import Trial

IN_FORCE: Final = "in force"
AS_STATED: Final = "as stated"
_RIVALS: Final[dict[Rival, str]] = {IN_FORCE: "against the map in force", AS_STATED: "against as stated"}
"""What the gate holds a candidate against; without a map in force, that is what is stated."""


def of_run(connection: Connection, run: Run, force: Force) -> Change | None:
    """What to say of a run: that its map waits for a person, or that a scheduled run changed nothing; None: nothing,
    because its map was put in force, which is news of its own, or because somebody asked for it and saw what came."""
    made = next((each for each in stored(connection, run.model, run.signal) if each.id == run.calibrator_id), None)
    before = in_force(connection, run.model, run.signal)
    if made is not None:
        used = {each.calibrator.id for each in promotions(connection, run.model) if each.calibrator is not None}
        if made.id in used:
            return None
        return _change("proposed", run, made.version, before, force)
    if run.cause != "schedule":
        return None
    return _change("kept", run, None if before is None else before.version, before, force)


def of_promotion(connection: Connection, promotion: InForce, force: Force) -> Change:
    """What to say of a promotion."""
    every = [each for each in promotions(connection, promotion.model) if each.signal == promotion.signal]
    before = next((each for each in every if each.number == promotion.number - 1), None)
    chosen = promotion.calibrator
    known = {each.calibrator.id for each in every if each.calibrator and each.number < promotion.number}
    was_shown = before is not None and before.calibrator == chosen  # in shadow, and now active
    is_back = chosen is None or (chosen.id in known and not was_shown)
    happened: Happening = "rolled_back" if is_back else "shadowed" if promotion.stage == "shadow" else "promoted"
    run = next((each for each in runs(connection, promotion.model) if chosen and each.calibrator_id == chosen.id), None)
    trial = None if run is None else run.trial
    return Change(
        what=happened,
        model=promotion.model,
        signal=promotion.signal,
        version=promotion.version,
        previous=None if before is None else before.version,
        by=promotion.by,
        sentence=promotion.reason,
        facts=tuple(_facts(trial)),
        before=() if trial is None else trial.before,
        after=() if trial is None else trial.after,
        report=report(force, promotion.model, promotion.at),
    )


def report(force: Force, model: str, at: datetime) -> str | None:
    """Where the report of a month is; None where the pages are not known."""
    pages = force.pages.rstrip("/")
    return f"{pages}/reports/{quote(model, safe='')}/{at:%Y-%m}" if pages else None


def _change(what: Happening, run: Run, version: int | None, before: InForce | None, force: Force) -> Change:
    return Change(
        what=what,
        model=run.model,
        signal=run.signal,
        version=version,
        previous=None if before is None else before.version,
        by="caldrift",
        sentence=run.sentence,
        facts=tuple(_facts(run.trial)),
        before=() if run.trial is None else run.trial.before,
        after=() if run.trial is None else run.trial.after,
        report=report(force, run.model, run.at),
    )


def _facts(trial: Trial | None) -> Iterator[tuple[str, str]]:
    if trial is None:
        return
    yield "labels", f"{trial.labels:,} fitted, {trial.holdout_labels:,} later ones judged"
    if trial.by:
        yield "maps by", trial.by
    for rival, words in _RIVALS.items():
        gain = trial.verdict.gains.get(rival)
        if gain is not None and (rival != IN_FORCE or gain != trial.verdict.gains.get(AS_STATED)):
            yield f"log loss {words}", f"{-gain.value:+.4f} ({-gain.high:+.4f} to {-gain.low:+.4f})"

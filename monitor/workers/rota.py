"""The rota: what the leader does about recalibration, whenever it is due by the service's clock.

Every step may be repeated after a crash: a run and what came of it are one transaction, with a key for what was due;
what follows from a promotion is done once it is there, whoever made it.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from monitor.alerting.force import Force
from monitor.alerting.notice import Change
from monitor.errors import CaldriftError, Refused
from monitor.events.rules import CALIBRATED
from monitor.postgres.alerts import firing_since
from monitor.postgres.calibrators import (
    InForce,
    all_in_force,
    back_to,
    last_due,
    note_checked,
    note_settled,
    note_told,
    promote,
    runs,
    unsettled,
    untold_runs,
)
from monitor.postgres.database import Connection
from monitor.postgres.detectors import ask_anew
from monitor.postgres.incidents import write_change
from monitor.postgres.installation import StoredClock
from monitor.postgres.labels import model_series, models
from monitor.postgres.leader import leading
from monitor.recalibration.plan import Plan
from monitor.recalibration.regret import EVERY, Regret
from monitor.workers.calendar import last_due as due_by
from monitor.workers.changes import of_promotion, of_run
from monitor.workers.recalibration import (
    SERVICE,
    Done,
    Recalibrating,
    Request,
    attempt,
    carry_out,
    regrets,
)

AGAIN: Final = timedelta(hours=6)
"""After an alert there may be too few labels yet: so long it is until the next attempt,"""
ATTEMPTS: Final = 28
"""and so many there are."""

log = logging.getLogger("caldrift.recalibration")


@dataclass(frozen=True, slots=True)
class Office:
    """A leader's: its connection and epoch, how models are recalibrated, the clock. People are told by the rules in
    `force`; None: nobody is."""

    connection: Connection
    epoch: int
    how: Recalibrating
    clock: StoredClock
    force: Force | None = None


def attend(office: Office, now: datetime) -> list[Done]:
    """Do all that is due: runs, roll-backs of what does harm, and what follows from both."""
    done = [found for request in requests(office, now) if (found := _run(office, request, now)) is not None]
    for promotion in all_in_force(office.connection):
        _check(office, promotion, now)
    for promotion in unsettled(office.connection):
        with leading(office.connection, office.epoch):
            _begin_anew(office.connection, promotion)
            note_settled(office.connection, promotion, now)
            _tell(office, of_promotion(office.connection, promotion, office.force) if office.force else None, now)
    for run in reversed(untold_runs(office.connection)):
        with leading(office.connection, office.epoch):
            note_told(office.connection, run.id, now)
            _tell(office, of_run(office.connection, run, office.force) if office.force else None, now)
    return done


def requests(office: Office, now: datetime) -> Iterator[Request]:
    """The runs that are due: the last one of each schedule, and those that firing alerts ask for."""
    signal = office.how.main_signal
    for model, met_at in models(office.connection, signal).items():
        plan = office.how.plans.of(model)
        if plan.mode == "off":
            continue
        after = last_due(office.connection, model, signal) or office.clock.at(met_at)
        due_at = due_by(plan.schedule, plan.timezone, after, now)
        if due_at is not None:
            yield Request(model, plan, "schedule", due_at)
        asked = _asked(office.connection, model, plan, now)
        if asked is not None:
            yield asked


def _asked(connection: Connection, model: str, plan: Plan, now: datetime) -> Request | None:
    """What an alert asks for that fires: a run at once and again and again for some time. What passed rests on few
    labels, so the next run waits until the alert fires for twice as long as it did then."""
    firing = firing_since(connection, model, plan.on_alerts) if plan.on_alerts else None
    if firing is None:
        return None
    alert, fired_at = firing
    since = [run for run in runs(connection, model) if run.at >= fired_at]
    passed = max((run.at - fired_at for run in since if run.outcome == "passed"), default=timedelta(0))
    number = (now - fired_at) // AGAIN
    due_at = fired_at + number * AGAIN
    if number >= ATTEMPTS or now - fired_at < 2 * passed or any(run.at >= due_at for run in since):
        return None
    return Request(model, plan, "alert", due_at, alert)


def _run(office: Office, request: Request, now: datetime) -> Done | None:
    tried_out = attempt(office.connection, office.how, request, now)
    try:
        with leading(office.connection, office.epoch):
            done = carry_out(office.connection, tried_out, request.plan.mode, SERVICE)
    except Refused as failure:  # a person was faster: at the next look the candidate is held against what is new
        log.warning(str(failure))
        return None
    if done is not None:
        log.info("recalibration", extra={"model": request.model, "cause": request.cause, "said": done.run.sentence})
    return done


def _check(office: Office, promotion: InForce, now: datetime) -> None:
    """Once a day, take a map out of force that does harm."""
    plan, connection = office.how.plans.of(promotion.model), office.connection
    last = promotion.checked_at or promotion.at
    if promotion.calibrator is None or not plan.rolls_back or now - last < EVERY:
        return
    try:
        found = regrets(connection, office.how, promotion, now)
        harm = next((each for each in found if each.is_harm(plan.terms.gate.min_labels)), None)
    except CaldriftError as failure:  # an artefact of another version of caldrift: what holds is left alone
        log.warning(str(failure), extra={"model": promotion.model, "version": promotion.version})
        harm = None
    try:
        with leading(connection, office.epoch):
            note_checked(connection, promotion, now)
            if harm is not None:
                reason = _blame(harm)
                promote(connection, back_to(promotion, None, now, SERVICE, reason))
                log.warning(reason, extra={"model": promotion.model, "version": promotion.version})
    except Refused as failure:  # a person was faster: what they put in force is looked at by itself
        log.warning(str(failure))


def _blame(harm: Regret) -> str:
    gain = harm.gain
    return (
        f"rolled back: on {harm.labels} labels since {harm.since:%Y-%m-%d %H:%M} its log loss is higher than as "
        f"stated, by {-gain.value:.4f} ({-gain.high:.4f} to {-gain.low:.4f}) nats"
    )


def _begin_anew(connection: Connection, promotion: InForce) -> None:
    """The detectors learn what is normal under the map in force."""
    for signal in (promotion.signal, CALIBRATED):
        series = model_series(connection, promotion.model, signal)
        if series is not None:
            ask_anew(connection, series.ids)


def _tell(office: Office, change: Change | None, now: datetime) -> None:
    if office.force is not None and change is not None:
        write_change(office.connection, office.force, change, now)

"""The role `evaluate`: one process leads, any others stand by; it waits for a database that is away and goes on."""

import logging
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import psycopg

from monitor.errors import Unavailable
from monitor.postgres.database import Connection, answering, connect, connect_waiting, is_conflict, place_of
from monitor.postgres.heartbeats import Process, beat, forget
from monitor.postgres.installation import StoredClock, read_clock
from monitor.postgres.leader import LeadershipLostError, take_lead, wall_time
from monitor.postgres.retention import Horizons
from monitor.workers.clock import Clock
from monitor.workers.evaluation import Turn, turn
from monitor.workers.memory import keep_freed_memory, pass_over_startup
from monitor.workers.recalibration import Recalibrating
from monitor.workers.rota import Office, attend
from monitor.workers.rulesource import RuleSource, again, begin
from monitor.workers.schedule import ticking
from monitor.workers.standing import Evaluation, Standing, load
from monitor.workers.upkeep import Kept, upkeep

APPLICATION: Final = "caldrift evaluate"
BEAT_SECONDS: Final = 2.0
STAND_BY_SECONDS: Final = 2.0
UPKEEP_SECONDS: Final = 10.0
ROTA_SECONDS: Final = 5.0

log = logging.getLogger("caldrift.evaluate")


@dataclass(frozen=True, slots=True)
class Role:
    """What an evaluate process is told."""

    dsn: str = field(repr=False)
    evaluation: Evaluation
    horizons: Horizons
    process: Process
    rules: RuleSource | None = None
    """None: nothing is judged."""
    recalibrating: Recalibrating | None = None
    """None: nothing is recalibrated."""
    tick_seconds: float = 0.5
    """Wall time between two looks for new deltas."""


def run(role: Role, stop: threading.Event) -> None:
    """Evaluate until `stop` is set. Raises what no waiting can mend."""
    keep_freed_memory()
    pass_over_startup()

    def sleep(seconds: float) -> None:
        stop.wait(seconds)

    while not stop.is_set():
        try:
            with (
                connect_waiting(role.dsn, APPLICATION, sleep=sleep, say=log.warning, stopped=stop.is_set) as connection,
                answering(role.dsn),
            ):
                _serve(role, connection, stop)
        except Unavailable as failure:
            if not stop.is_set():
                log.warning(str(failure))
                sleep(1.0)
        except LeadershipLostError as failure:
            log.warning(str(failure))
        except psycopg.Error as failure:
            if not is_conflict(failure):
                raise
            log.warning("conflict, once more", extra={"reason": str(failure)})


def _serve(role: Role, connection: Connection, stop: threading.Event) -> None:
    """Stand by until this process may lead, then lead."""
    stored = read_clock(connection)
    epoch = take_lead(connection)
    while epoch is None and not stop.is_set():
        beat(connection, role.process, {"leads": False})
        stop.wait(STAND_BY_SECONDS)
        epoch = take_lead(connection)
    if epoch is not None:
        _lead(role, connection, epoch, stored, stop)
    forget(connection, role.process)


def _lead(role: Role, connection: Connection, epoch: int, stored: StoredClock, stop: threading.Event) -> None:
    clock = Clock(stored.epoch_at, stored.started_at, stored.rate)
    standing = load(connection, epoch, role.evaluation)
    if role.rules is not None:
        standing.judging = begin(role.rules, connection, epoch)
    log.info("leads", extra={"epoch": epoch, "series": len(standing.series), "database": place_of(role.dsn)})
    kept = Kept()
    beaten = [0.0]

    def tell() -> datetime:
        return clock.at(wall_time(connection))

    def evaluate() -> None:
        _read_rules_again(role, standing, connection)
        more = True
        while more and not stop.is_set():
            started = time.monotonic()
            done = turn(connection, standing, role.evaluation, tell)
            more = done.more
            _log_turn(done, time.monotonic() - started)
            if time.monotonic() - beaten[0] > BEAT_SECONDS:
                beaten[0] = time.monotonic()
                refused = role.rules.refused if role.rules is not None else None
                detail = {"leads": True, "epoch": epoch, "series": len(standing.series), "rules_refused": refused}
                beat(connection, role.process, detail)

    def keep() -> None:
        with connect(role.dsn, f"{APPLICATION} upkeep") as other:
            upkeep(other, epoch, role.horizons, kept, clock.at(wall_time(other)))

    jobs = {
        "evaluate": (role.tick_seconds, evaluate),
        "upkeep": (UPKEEP_SECONDS, keep),
        "recalibrate": (ROTA_SECONDS, lambda: _recalibrate(role, standing, stored)),
    }
    with ticking(jobs) as failure:
        while not stop.is_set() and not failure.happened.wait(0.1):
            pass
    if failure.cause is not None:
        raise failure.cause


def _recalibrate(role: Role, standing: Standing, clock: StoredClock) -> None:
    if role.recalibrating is not None:
        with connect(role.dsn, f"{APPLICATION} recalibration") as connection:
            now, judging = clock.at(wall_time(connection)), standing.judging
            force = None if judging is None else judging.force
            attend(Office(connection, standing.epoch, role.recalibrating, clock, force), now)


def _read_rules_again(role: Role, standing: Standing, connection: Connection) -> None:
    """Where that is wanted; every reading is then held against the new rules."""
    if role.rules is not None and role.rules.wanted.is_set():
        judging = again(role.rules, connection, standing.epoch)
        if judging is not None:
            standing.judging = judging
            standing.changed.update(standing.spans)


def _log_turn(done: Turn, seconds: float) -> None:
    if done.deltas or done.readings or done.past_readings or done.transitions:
        log.info(
            "turn",
            extra={
                "deltas": done.deltas,
                "panes": done.panes,
                "windows_rolled": done.windows_rolled,
                "readings": done.readings,
                "past_readings": done.past_readings,
                "panes_fed": done.panes_fed,
                "transitions": done.transitions,
                "seconds": round(seconds, 3),
            },
        )

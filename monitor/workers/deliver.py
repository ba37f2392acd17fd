"""The role `deliver`: a messenger for each channel of the rules in force. Any number of such processes may run at once.

The thread that starts them looks for new rules, gives up what waits for channels that cannot be used, and waits for a
database that is away.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import psycopg

from monitor.alerting.kept import Kept
from monitor.alerting.validation import checked
from monitor.errors import Unavailable
from monitor.notify.outcome import Dead
from monitor.postgres import outbox
from monitor.postgres.database import Connection, answering, connect_waiting, is_conflict
from monitor.postgres.heartbeats import Process, beat, forget
from monitor.postgres.rule_sets import rule_set
from monitor.workers.keeper import Keeper, Keeping
from monitor.workers.messenger import APPLICATION, REFUSED_FOR, Messenger, Telling, bounce
from monitor.workers.outlets import Outlets, outlets_of

LOOK_SECONDS: Final = 1.0
BEAT_SECONDS: Final = 2.0
STOP_SECONDS: Final = 20.0
"""An attempt may take longer; whoever comes next makes it again."""
_BOUNCING: Final = timedelta(seconds=30)

log = logging.getLogger("caldrift.deliver")


@dataclass(frozen=True, slots=True)
class Role:
    """What a deliver process is told. `kept` is what the settings keep, which rules must fit."""

    telling: Telling
    kept: Kept
    process: Process
    keeping: Keeping | None = None
    """None: rules about models and the service are judged elsewhere."""


class _Office:
    """The messengers at work, and the outlets that they serve."""

    def __init__(self, role: Role, stop: threading.Event) -> None:
        self._role, self._stop = role, stop
        self._outlets: Outlets | None = None
        self._rule_set: int | None = None
        self._messengers: dict[str, Messenger] = {}

    def look(self, connection: Connection, *, anew: bool) -> None:
        """Take over rules that are new, or all of them `anew` with their secrets, and keep a messenger a channel."""
        due = outbox.due_channels(connection)  # before the rules: what is due for a new channel comes after its rules
        found = rule_set(connection)
        if found is not None and (anew or found.id != self._rule_set):
            self._rule_set = found.id
            self._take_over(connection, found.body)
        if self._outlets is None:
            return
        for name, messenger in list(self._messengers.items()):
            if messenger.failure is not None:
                raise messenger.failure
            if not messenger.thread.is_alive():
                del self._messengers[name]
        for name in self._outlets.places:
            if name not in self._messengers:
                self._messengers[name] = Messenger(name, self._role.telling, self._current, self._stop)
        for name in due:
            self._bounce(connection, name, self._outlets)

    def close(self) -> None:
        """Wait for the attempts under way, for as long as a stop may take."""
        deadline = time.monotonic() + STOP_SECONDS
        for messenger in self._messengers.values():
            messenger.thread.join(max(0.0, deadline - time.monotonic()))

    @property
    def detail(self) -> dict[str, str | int | float | bool | None]:
        """What the process says of itself with its sign of life."""
        outlets = self._current()
        return {"channels": len(outlets.places), "unusable": ", ".join(outlets.unusable) or None}

    def _current(self) -> Outlets:
        return self._outlets or Outlets()

    def _take_over(self, connection: Connection, body: str) -> None:
        read = checked(body, self._role.kept)
        if read.file is None:
            said = [mistake.line("rules in force") for mistake in read.mistakes]
            log.error("the rules in force cannot be used; what held before still holds", extra={"mistakes": said})
            return
        self._outlets = outlets_of(read.file)
        outbox.forgive(connection, [*self._outlets.places, *self._outlets.unusable])
        for name, why in self._outlets.unusable.items():
            log.error("channel cannot be used", extra={"channel": name, "reason": why})
        log.info("rules", extra={"rule_set": self._rule_set, "channels": list(self._outlets.places)})

    def _bounce(self, connection: Connection, channel: str, outlets: Outlets) -> None:
        reason = outlets.why_not(channel)
        while reason is not None and not self._stop.is_set():
            batch = outbox.lease(connection, channel, _BOUNCING)
            if batch is None:
                return
            bounce(connection, batch, outlets, Dead(reason, permanent=True), REFUSED_FOR)


def run(role: Role, stop: threading.Event, reload: threading.Event) -> None:
    """Tell until `stop` is set; `reload` has rules and secrets read again. Raises what no waiting can mend."""
    office = _Office(role, stop)
    keeper = None if role.keeping is None else Keeper(role.keeping, stop)
    try:
        while not stop.is_set():
            try:
                with (
                    connect_waiting(
                        role.telling.dsn, APPLICATION, sleep=_sleeping(stop), say=log.warning, stopped=stop.is_set
                    ) as connection,
                    answering(role.telling.dsn),
                ):
                    _serve(role, office, connection, stop, reload)
            except Unavailable as failure:
                if not stop.is_set():
                    log.warning(str(failure))
                    stop.wait(1.0)
            except psycopg.Error as failure:
                if not is_conflict(failure):
                    raise
                log.warning("conflict, once more", extra={"reason": str(failure)})
    finally:
        stop.set()
        office.close()
        if keeper is not None:
            keeper.thread.join(STOP_SECONDS)


def _serve(role: Role, office: _Office, connection: Connection, stop: threading.Event, reload: threading.Event) -> None:
    connection.execute("SET enable_seqscan = off")  # its statements touch few rows of tables that grow
    beaten = -BEAT_SECONDS
    while not stop.is_set():
        anew = reload.is_set()
        reload.clear()
        office.look(connection, anew=anew)
        if time.monotonic() - beaten >= BEAT_SECONDS:
            beaten = time.monotonic()
            beat(connection, role.process, office.detail)
        stop.wait(LOOK_SECONDS)
    office.close()
    forget(connection, role.process)


def _sleeping(stop: threading.Event) -> Callable[[float], None]:
    def sleep(seconds: float) -> None:
        stop.wait(seconds)

    return sleep

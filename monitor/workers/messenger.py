"""A messenger: tells one channel what waits for it, with a connection of its own, so that no channel waits for another.

Lease, tell, mark: each step is whole by itself, and a process may die between any two of them. What it told without
being able to say so is kept until the database answers again.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Final, assert_never

import psycopg

from monitor.alerting.channels import Alertmanager
from monitor.alerting.merging import merged
from monitor.alerting.notice import Notice, decode
from monitor.errors import CaldriftError, Refused, Unavailable
from monitor.notify import channel as channels
from monitor.notify.channel import Errand, Place, Sender
from monitor.notify.outcome import Dead, Delivered, Outcome, Retry
from monitor.notify.patience import pause
from monitor.notify.slack import Picture
from monitor.postgres import outbox
from monitor.postgres.database import Connection, answering, connect_waiting, is_conflict
from monitor.postgres.monitored import evaluation_age
from monitor.postgres.outbox import Batch, Health
from monitor.workers.clock import wall_now
from monitor.workers.outlets import Outlets

APPLICATION: Final = "caldrift deliver"
REFUSED_FOR: Final = timedelta(minutes=10)
"""A channel that refuses everything is tried again after so long."""
_BEAT_AGAIN_SECONDS: Final = 10.0
"""After a sign of life that was not taken, if they are not more frequent anyway."""

log = logging.getLogger("caldrift.deliver")


@dataclass(frozen=True, slots=True)
class Telling:
    """What every messenger is told. `picture` draws what goes with a notice, or says that there is nothing to draw;
    signs of life are given while the last evaluation is no older than `fresh_for`, by the service's clock."""

    dsn: str = field(repr=False)
    sender: Sender
    picture: Callable[[Notice], Picture | None]
    fresh_for: timedelta
    look_seconds: float = 0.5
    """Wall time between two looks for something that is due."""


@dataclass(frozen=True, slots=True)
class Told:
    """What came of one attempt: the reference to keep for the incident's next notice, None to forget the last."""

    batch: Batch
    outcome: Outcome
    reference: str | None


class Messenger:
    """Serves the channel `name` for as long as the rules in force, `current()`, have it."""

    def __init__(self, name: str, telling: Telling, current: Callable[[], Outlets], stop: threading.Event) -> None:
        self.name, self._telling, self._current, self._stop = name, telling, current, stop
        self._unmarked: Told | None = None
        self._beat_at = self._resend_at = 0.0
        self._is_fresh = True
        self._rng = Random()  # noqa: S311 - no secret hangs on when an attempt is made
        self.failure: Refused | None = None
        self.thread = threading.Thread(target=self._run, name=f"channel {name}", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while not self._stop.is_set() and self.name in self._current().places:
            try:
                with (
                    connect_waiting(
                        self._telling.dsn, f"{APPLICATION} {self.name}", sleep=self._sleep, say=log.warning,
                        stopped=self._stop.is_set,
                    ) as connection,
                    answering(self._telling.dsn),
                ):  # fmt: skip
                    self._serve(connection)
            except Unavailable as failure:
                if not self._stop.is_set():
                    log.warning(str(failure), extra={"channel": self.name})
                    self._sleep(1.0)
            except Refused as failure:
                self.failure = failure
                return
            except psycopg.Error as failure:
                log.log(
                    logging.WARNING if is_conflict(failure) else logging.ERROR,
                    "the outbox cannot be used; once more",
                    extra={"channel": self.name, "reason": str(failure)},
                )
                self._sleep(1.0)

    def _sleep(self, seconds: float) -> None:
        self._stop.wait(seconds)

    def _serve(self, connection: Connection) -> None:
        connection.execute("SET enable_seqscan = off")  # its statements touch few rows of tables that grow
        while True:
            if self._unmarked is not None:
                self._mark(connection, self._unmarked)
                self._unmarked = None
            outlets = self._current()
            place = outlets.places.get(self.name)
            if place is None or self._stop.is_set():
                return
            health = outbox.health(connection, self.name)
            self._give_sign(connection, place, outlets, health)
            self._say_again(connection, place, health)
            if not self._tell_next(connection, place, health):
                self._sleep(self._telling.look_seconds)

    def _tell_next(self, connection: Connection, place: Place, health: Health) -> bool:
        """Tell what is due next, if anything is. Returns whether something was."""
        if not health.is_open and not health.refuses:
            return False
        lease = channels.longest_attempt(place.channel, self._telling.sender.transport.timeout)
        tries = health.is_open
        batch = outbox.lease(connection, self.name, lease, on_trial=tries and health.is_on_trial)
        if batch is None:
            return False
        if tries:
            self._unmarked = self._told(place, batch)
        else:
            refused = Dead(f"the channel refuses everything: {health.error}", permanent=True)
            bounce(connection, batch, self._current(), refused, None)
        return True

    def _told(self, place: Place, batch: Batch) -> Told:
        """One attempt. Whatever goes wrong with one notice must not keep back all that follow it."""
        try:
            notice = merged([decode(body) for body in batch.bodies])
            continues = channels.keeps_thread(place.channel) and notice.kind not in {"fired", "digest"}
            reference = batch.reference if continues else None
            picture, flaw = self._picture(place, notice, reference)
            errand = Errand(notice, wall_now(), batch.key, reference, picture)
            outcome = channels.deliver(place, errand, self._telling.sender)
        except CaldriftError as failure:
            return Told(batch, Dead(str(failure), permanent=False), None)
        except Exception as failure:
            log.exception("not told", extra={"channel": self.name, "notices": batch.notices})
            return Told(batch, Dead(f"caldrift failed to tell it: {type(failure).__name__}", permanent=False), None)
        if not isinstance(outcome, Delivered):
            return Told(batch, outcome, None)
        kept = outcome.reference if channels.keeps_thread(place.channel) and not notice.is_over else None
        flaws = "; ".join(said for said in (outcome.flaw, flaw) if said)
        return Told(batch, Delivered(outcome.reference, flaws or None), kept)

    def _picture(self, place: Place, notice: Notice, reference: str | None) -> tuple[Picture | None, str | None]:
        """What to show with the first message of an incident and with each change, or why it is missing."""
        follows = reference is not None and notice.kind != "change"
        if follows or notice.kind == "resolved" or not channels.shows_pictures(place.channel):
            return None, None
        try:
            return self._telling.picture(notice), None
        except Exception as failure:  # noqa: BLE001 - a picture never holds up the text
            return None, f"without the picture: {failure}"

    def _mark(self, connection: Connection, told: Told) -> None:
        batch, outcome = told.batch, told.outcome
        values = {"channel": self.name, "incident": batch.incident, "notices": list(batch.notices)}
        match outcome:
            case Delivered():
                outbox.mark_told(connection, batch, told.reference, outcome.flaw)
                log.info("told", extra={**values, "flaw": outcome.flaw})
            case Retry():
                wait = outcome.after or pause(batch.attempts, self._rng)
                outbox.put_off(connection, batch, wait, outcome.after, outcome.reason)
                log.warning(
                    "put off",
                    extra={**values, "reason": outcome.reason, "seconds": round(wait.total_seconds(), 1)},
                )
            case Dead():
                bounce(connection, batch, self._current(), outcome, REFUSED_FOR)
            case _:
                assert_never(outcome)

    def _give_sign(self, connection: Connection, place: Place, outlets: Outlets, health: Health) -> None:
        """Give a sign of life, while rules are judged: a monitor that looks at nothing is not alive."""
        heartbeat = outlets.beats(self.name)
        if heartbeat is None or time.monotonic() < self._beat_at:
            return
        every = heartbeat.every.total_seconds()
        since = health.beat_seconds
        if since is not None and since < 0.9 * every:  # another process gave it
            self._beat_at = time.monotonic() + every - since
            return
        age = evaluation_age(connection)
        was_fresh, self._is_fresh = self._is_fresh, age is not None and age <= self._telling.fresh_for
        if not self._is_fresh:
            self._beat_at = time.monotonic() + min(every, _BEAT_AGAIN_SECONDS)
            if was_fresh:
                log.warning("no sign of life: nothing is evaluated", extra={"channel": self.name, "age": str(age)})
            return
        outcome = channels.beat(place, heartbeat.every, wall_now(), self._telling.sender)
        if isinstance(outcome, Delivered):
            outbox.note_beat(connection, self.name)
            self._beat_at = time.monotonic() + every
        else:
            self._beat_at = time.monotonic() + min(every, _BEAT_AGAIN_SECONDS)
            log.warning("sign of life not taken", extra={"channel": self.name, "reason": outcome.reason})

    def _say_again(self, connection: Connection, place: Place, health: Health) -> None:
        """Tell Alertmanager again what fires, before it takes silence for an end."""
        channel = place.channel
        if not isinstance(channel, Alertmanager) or not health.is_open or time.monotonic() < self._resend_at:
            return
        self._resend_at = time.monotonic() + channel.resend_every.total_seconds()
        now, transport = wall_now(), self._telling.sender.transport
        before = outbox.standing(connection, self.name)
        fires = [notice for notice in _readable(before.values()) if not notice.is_over]
        outcome = channels.resend(channel, fires, now, transport)
        if not isinstance(outcome, Delivered):
            log.warning("not told again", extra={"channel": self.name, "reason": outcome.reason})
            return
        # Another process may have told an end meanwhile, and Alertmanager heard of it before it heard this.
        ended = before.keys() - outbox.standing(connection, self.name).keys()
        if ended:
            over = _readable(outbox.last_told(connection, self.name, sorted(ended)))
            channels.resend(channel, [notice for notice in over if notice.is_over], now, transport)


def _readable(bodies: Iterable[str]) -> Iterator[Notice]:
    """The notices; without those of another version of caldrift, which were told by it."""
    for body in bodies:
        with suppress(Refused):
            yield decode(body)


def bounce(connection: Connection, batch: Batch, outlets: Outlets, outcome: Dead, next_trial: timedelta | None) -> None:
    """Give notices up on a channel, and raise them on those of the fallback route."""
    if outcome.permanent:
        outbox.mark_refused(connection, batch, outlets.fallback, outcome.reason, next_trial)
    else:
        outbox.mark_dead(connection, batch, outlets.fallback, outcome.reason)
    values = {"channel": batch.channel, "incident": batch.incident, "notices": list(batch.notices)}
    log.error("dead", extra={**values, "reason": outcome.reason, "raised_on": list(outlets.fallback)})

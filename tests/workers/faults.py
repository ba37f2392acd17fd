"""A run of the outbox through errors, deaths and outages, and what its receivers heard.

Every announcement of an incident fires an alert of its own, `step=<ord>`, and ends the one before. So whatever is told
together, a message says which announcements it tells of, and receivers can say what they were never told.
"""

import json
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import pairwise

from monitor.alerting.notice import Alert, Counts, Incident, Kind, Notice, Series
from monitor.notify.channel import Place, Sender
from monitor.notify.exchange import Transport
from monitor.postgres.database import Connection, connect
from monitor.postgres.outbox import Batch
from monitor.workers.messenger import Messenger, Told
from monitor.workers.messenger import Telling as MessengerTelling
from monitor.workers.outlets import Outlets, outlets_of
from tests.notify.receivers import Reply, Seen, receiving
from tests.notify.samples import NOW, alert, notice
from tests.postgres.queueing import queue
from tests.workers.delivering import no_picture, put_rules, rules_with

TICK_SECONDS = 0.5
TICK = timedelta(minutes=5)
"""What passes in a tick for everything that waits for another attempt; leases take their real time."""
OUTAGE_TICKS = 12
STEPS = 8
"""Announcements of an incident, that opens and closes twice in them."""
KINDS: Sequence[Kind] = ("fired", "changed", "changed", "resolved")


@dataclass(slots=True)
class Hearer:
    """One receiver: what it accepted, in order, and what it refused."""

    rng: random.Random
    error_share: float
    is_away: bool = False
    refused: int = 0
    keys: Counter[str] = field(default_factory=Counter)
    steps: defaultdict[str, list[frozenset[int]]] = field(default_factory=lambda: defaultdict(list))

    def __call__(self, seen: Seen) -> Reply:
        if self.is_away or self.rng.random() < self.error_share:
            self.refused += 1
            return Reply(503 if self.is_away else self.rng.choice([500, 503, 504]))
        body = json.loads(seen.body)
        self.keys[seen.headers["idempotency-key"]] += 1
        told = frozenset(int(one["labels"]["segment"].removeprefix("step=")) for one in body["alerts"])
        self.steps[body["groupKey"]].append(told)
        return Reply(200)


class _Death(BaseException):
    """The end of a messenger; nothing that foresees errors may catch it."""


@dataclass(slots=True)
class Deaths:
    """How often a messenger died, by where it was."""

    share: float
    rng: random.Random
    n: Counter[str] = field(default_factory=Counter)

    def perhaps(self, where: str) -> None:
        """End this thread, at one in three of the places of an attempt."""
        if self.rng.random() < self.share / 3:
            self.n[where] += 1
            raise _Death


class Mortal(Messenger):
    """A messenger that may die before it tells, after it told, and after it marked."""

    deaths: Deaths

    def _run(self) -> None:
        with suppress(_Death):
            super()._run()

    def _told(self, place: Place, batch: Batch) -> Told:
        self.deaths.perhaps("before telling")
        told = super()._told(place, batch)
        self.deaths.perhaps("between telling and marking")
        return told

    def _mark(self, connection: Connection, told: Told) -> None:
        super()._mark(connection, told)
        self.deaths.perhaps("after marking")


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of a run."""

    queued: int
    untold: int
    messages: int
    refused: int
    duplicates: int
    out_of_order: int
    not_told_by_state: int
    deaths: Mapping[str, int]
    seconds: float

    @property
    def deaths_after_telling(self) -> int:
        return self.deaths.get("between telling and marking", 0)


def announcement(key: str, order: int) -> Notice:
    """The incident's announcement of that order, 1, 2, ..."""
    kind = KINDS[(order - 1) % len(KINDS)]
    fires = () if kind == "resolved" else (alert(series=series(order)),)
    ended: tuple[Alert, ...] = (
        (replace(alert(series=series(order)), state="resolved", ended_at=NOW),) if kind == "resolved" else ()
    )
    if kind != "fired":
        ended += (replace(alert(series=series(order - 1)), state="resolved", ended_at=NOW),)
    return notice(kind, (*fires, *ended), incident=Incident(key, key), counts=Counts(len(fires), len(ended)), group=())


def series(order: int) -> Series:
    return replace(alert().series, segment=f"step={order}")


def through_faults(
    dsn: str,
    notices: int,
    seed: int,
    *,
    channels: int = 4,
    error_share: float = 0.2,
    death_share: float = 0.1,
    say: Callable[[str], None] = lambda said: None,
) -> Heard:
    """Queue announcements for some channels, each of which is away once for an hour that passes quickly, while two
    messengers a channel tell them and die, until nothing waits."""
    rng, started = random.Random(seed), time.monotonic()
    hearers = {f"hook{number}": Hearer(random.Random(rng.random()), error_share) for number in range(channels)}
    Mortal.deaths = Deaths(death_share, random.Random(rng.random()))
    stop = threading.Event()
    with ExitStack() as stack:
        connection = stack.enter_context(connect(dsn, "faults"))
        receivers = {name: stack.enter_context(receiving(hearer)) for name, hearer in hearers.items()}
        hooks = {name: {"kind": "webhook", "url": receiver.url} for name, receiver in receivers.items()}
        put_rules(connection, hooks)
        outlets = outlets_of(rules_with(hooks))
        telling = MessengerTelling(
            dsn, Sender("faults", "http://caldrift.example", Transport(2.0)), no_picture, TICK, 0.01
        )
        crew = [_begin(name, telling, outlets, stop) for name in hearers for _ in range(2)]
        stack.callback(stop.set)
        order: Counter[str] = Counter()
        waiting = _plan(rng, notices, list(hearers))
        outages = {name: at for at, name in enumerate(rng.sample(list(hearers), channels))}
        ticks, ticked = 0, time.monotonic()
        while waiting or _waits(connection):
            for key, channel in waiting[-max(20, notices // 60) :]:
                order[key] += 1
                queue(connection, announcement(key, order[key]), channel)
            del waiting[-max(20, notices // 60) :]
            for place, messenger in enumerate(crew):
                if not messenger.thread.is_alive():
                    crew[place] = _begin(messenger.name, telling, outlets, stop)
            if time.monotonic() - ticked >= TICK_SECONDS:
                ticks, ticked = ticks + 1, time.monotonic()
                _pass_time(connection)
                for name, place in outages.items():
                    begins = 2 + place * OUTAGE_TICKS
                    hearers[name].is_away = begins <= ticks < begins + OUTAGE_TICKS
                said = ", ".join(name for name, hearer in hearers.items() if hearer.is_away)
                say(f"{sum(order.values()):,} queued, {_waits(connection):,} wait, away: {said or 'none'}")
            time.sleep(0.02)
        stop.set()
        for messenger in crew:
            messenger.thread.join(10)
        row = connection.execute("SELECT count(*) FROM delivery WHERE state <> 'told'").fetchone()
    return Heard(
        queued=sum(order.values()),
        untold=sum(
            len(set(range(1, n + 1)).difference(*(step for hearer in hearers.values() for step in hearer.steps[key])))
            for key, n in order.items()
        ),
        messages=sum(sum(hearer.keys.values()) for hearer in hearers.values()),
        refused=sum(hearer.refused for hearer in hearers.values()),
        duplicates=sum(n - 1 for hearer in hearers.values() for n in hearer.keys.values()),
        out_of_order=sum(
            max(later) < max(earlier)
            for hearer in hearers.values()
            for steps in hearer.steps.values()
            for earlier, later in pairwise(steps)
        ),
        not_told_by_state=0 if row is None else int(row[0]),
        deaths=dict(Mortal.deaths.n),
        seconds=time.monotonic() - started,
    )


def _begin(name: str, telling: MessengerTelling, outlets: Outlets, stop: threading.Event) -> Messenger:
    return Mortal(name, telling, lambda: outlets, stop)


def _plan(rng: random.Random, notices: int, channels: list[str]) -> list[tuple[str, str]]:
    """Incidents and their channels in the order of their announcements, mixed."""
    incidents = [(f"incident {number}", rng.choice(channels)) for number in range(max(1, notices // STEPS))]
    plan = [incident for incident in incidents for _ in range(STEPS)]
    rng.shuffle(plan)
    return plan


def _waits(connection: Connection) -> int:
    row = connection.execute("SELECT count(*) FROM delivery WHERE state = 'waiting'").fetchone()
    return 0 if row is None else int(row[0])


def _pass_time(connection: Connection) -> None:
    """Everything that waits for another attempt has waited for longer."""
    connection.execute(
        "UPDATE delivery SET due_at = due_at - %s WHERE state = 'waiting' AND batch IS NULL AND attempts > 0", (TICK,)
    )
    connection.execute("UPDATE channel SET closed_until = closed_until - %s", (TICK,))

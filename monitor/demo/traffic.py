"""The demo's traffic: a process that publishes to Kafka and knows nothing else of the service.

A month of history goes in at once; then messages go out when they are due by the demo's clock. After a while one
segment of one model is right less often than before, and some time later it is well again.
"""

import contextlib
import heapq
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from monitor.demo.events import PREDICTION, Due, Mapped, messages
from monitor.demo.maps import Maps
from monitor.demo.models import MODELS, answers
from monitor.errors import Unavailable
from monitor.kafka.access import KafkaAccess
from monitor.kafka.publisher import Publisher

TICK_SECONDS: Final = 0.1
MICROSECOND: Final = timedelta(microseconds=1)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
NO_MAPS: Final[Mapping[str, Mapped]] = {}

BEGINS: Final = "drift begins: risk-scorer is wrong more often in French than it says"
ENDS: Final = "drift ends: risk-scorer is right in French as often as it says again"


@dataclass(frozen=True, slots=True)
class TrafficSettings:
    """What to send where. The clock showed `epoch_at` at the wall time `started_at` and runs `rate` times as fast."""

    bootstrap: str
    predictions_topic: str
    labels_topic: str
    epoch_at: datetime
    started_at: datetime
    rate: float
    seed: int = 1
    history: int = 75_000
    history_days: float = 30.0
    per_second: float = 120.0
    drift_after_seconds: float = 30.0
    drift_seconds: float = 240.0
    web: str = ""
    """Where maps come from; "": none are applied."""

    def now_us(self, wall_at: datetime) -> int:
        """The clock's instant in microseconds since 1970."""
        return (self.epoch_at + (wall_at - self.started_at) * self.rate - EPOCH) // MICROSECOND

    def drifts(self, live_seconds: float) -> bool:
        """Whether the drifting segment is wrong more often so long after the live traffic began."""
        return 0.0 <= live_seconds - self.drift_after_seconds < self.drift_seconds


@dataclass(slots=True)
class Simulation:
    """Messages that are not yet due, and the chance that makes more. The same seed makes the same messages."""

    settings: TrafficSettings
    rng: np.random.Generator = field(init=False)
    waiting: list[Due] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.settings.seed)

    def put_history(self, until_us: int) -> None:
        """Queue the answers of the days before the instant, spread evenly over the models."""
        each = self.settings.history // len(MODELS)
        start_us = until_us - int(self.settings.history_days * 86_400e6)
        for model in MODELS:
            at_us = np.sort(self.rng.integers(start_us, until_us, each))
            self.waiting.extend(messages(answers(model, self.rng, each), at_us, self.rng))
        self.waiting.sort()

    def put_live(self, from_us: int, until_us: int, *, drifted: bool, maps: Mapping[str, Mapped] = NO_MAPS) -> None:
        """Queue the answers given between two instants; `maps` by model are what their service applies."""
        seconds = (until_us - from_us) / 1e6 / self.settings.rate
        for model in MODELS:
            n = int(self.rng.poisson(self.settings.per_second / len(MODELS) * seconds))
            at_us = np.sort(self.rng.integers(from_us, until_us, n))
            made = answers(model, self.rng, n, drifted=drifted)
            for due in messages(made, at_us, self.rng, maps.get(model.name)):
                heapq.heappush(self.waiting, due)

    def due(self, now_us: int) -> Iterator[Due]:
        """Take what is due at the instant, in order of time."""
        while self.waiting and self.waiting[0].at_us <= now_us:
            yield heapq.heappop(self.waiting)


def publish(publisher: Publisher, settings: TrafficSettings, due: Iterable[Due]) -> int:
    """Send messages keyed by prediction id; returns how many."""
    topics = {True: settings.predictions_topic, False: settings.labels_topic}
    n = 0
    for each in due:
        publisher.send(topics[each.kind == PREDICTION], each.key, each.body)
        n += 1
    return n


def run(settings: TrafficSettings, stopped: Callable[[float], bool], say: Callable[[str], None]) -> None:
    """Publish the history, then live traffic until `stopped`, which waits some seconds, is true.

    `say` hears when the drift begins and when it ends, and which maps are applied. A broker that is away is waited for.
    """
    simulation, maps = Simulation(settings), Maps(settings.web, say)
    sent_us = settings.now_us(datetime.now(UTC))
    simulation.put_history(sent_us)
    with Publisher(KafkaAccess(bootstrap_servers=(settings.bootstrap,), client_id="caldrift-demo")) as publisher:
        publish(publisher, settings, simulation.due(sent_us))
        publisher.flush()
        live_since = time.monotonic()
        drifted = False
        while not stopped(TICK_SECONDS):
            now_us = settings.now_us(datetime.now(UTC))
            if settings.drifts(time.monotonic() - live_since) != drifted:
                drifted = not drifted
                say(BEGINS if drifted else ENDS)
            simulation.put_live(sent_us, now_us, drifted=drifted, maps=maps.mapped)
            sent_us = now_us
            try:
                publish(publisher, settings, simulation.due(now_us))
            except Unavailable as failure:
                print(f"traffic: {failure}", file=sys.stderr)  # noqa: T201 - a process of its own


def _say(text: str) -> None:
    """A line for whoever watches the demo, if anybody still does."""
    with contextlib.suppress(BrokenPipeError):
        print(f"{datetime.now(UTC):%H:%M:%S} UTC  {text}", flush=True)  # noqa: T201 - a process of its own


def main(document: str) -> None:
    """Run as told by one JSON document, until SIGTERM or until standard input ends."""
    import msgspec  # noqa: PLC0415 - the process starts here

    settings = msgspec.json.decode(document, type=TrafficSettings)
    signalled, signaller = os.pipe()
    os.set_blocking(signaller, False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os.write(signaller, b"!"))

    def stopped(seconds: float) -> bool:
        """Whether a signal came or standard input ended, which nobody writes to, within so many seconds."""
        return bool(select.select([0, signalled], [], [], seconds)[0])

    run(settings, stopped, _say)


if __name__ == "__main__":
    main(sys.argv[1])

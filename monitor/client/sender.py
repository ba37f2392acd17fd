"""A thread that sends events to Kafka from a bounded buffer: whoever logs one never waits for a broker."""

from __future__ import annotations

import atexit
import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Final, NamedTuple, cast

from monitor.client.events import now
from monitor.client.stats import Count, Counts
from monitor.errors import BadInput, Unavailable
from monitor.events.decoding import LabelDecoder, PredictionDecoder, decode_label, decode_prediction

LOG: Final = logging.getLogger("caldrift.client")
OVERHEAD: Final = 300
"""Bytes that an event takes beside its own while it waits."""
GATHER_SECONDS: Final = 0.01
"""How long the thread lets events come together: waking it for each would take the caller's turn each time."""
REAP_SECONDS: Final = 0.02
"""How often the thread looks for acknowledgements while there is nothing to send."""
TURN: Final = 16
"""Events after which the thread lets others run."""
FIRST_RETRY_SECONDS: Final = 0.5
LONGEST_RETRY_SECONDS: Final = 15.0
KAFKA_PORT: Final = 9092
"""Of a broker that is named without one."""
BLOCK_MS: Final = 2_000
DELIVERY_MS: Final = 900_000
"""For so long an event may wait for its broker; the buffer bounds how many do."""


class Event(NamedTuple):
    """An event on its way: how to check it, where it goes, its key and body."""

    decoder: PredictionDecoder | LabelDecoder
    topic: str
    key: bytes
    body: bytes


class Sender:
    """Takes events from any thread. Make it anew in a forked process."""

    def __init__(self, kafka: Mapping[str, object], counts: Counts, buffer_bytes: int) -> None:
        """`kafka` holds options of kafka-python's producer, `bootstrap_servers` among them."""
        self._options, self._counts, self._limit = kafka, counts, buffer_bytes
        self._queue: SimpleQueue[Event | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._held_bytes = self._held = 0
        self._until: float | None = None
        self._closing = threading.Event()
        self._producer: Any = None
        self._waiting: deque[tuple[Any, Event]] = deque()
        self._told, self._refusals = set[str](), set[str]()
        self._thread = threading.Thread(target=self._run, name="caldrift-sender", daemon=True)

    def start(self) -> None:
        """Begin to send; what is in the buffer when the interpreter ends gets two seconds."""
        atexit.register(self._at_exit)
        self._thread.start()

    def offer(self, event: Event) -> bool:
        """Put an event into the buffer; False when there is no room."""
        size = _size(event)
        with self._lock:
            fits = self._held_bytes + size <= self._limit and not self._closing.is_set()
            if fits:
                self._held_bytes += size
                self._held += 1
        self._counts.add("queued" if fits else "dropped")
        if fits:
            self._queue.put(event)
        elif not self._closing.is_set():
            self._warn("the buffer is full", "events are dropped: the buffer of %s bytes is full", self._limit)
        return fits

    def flush(self, timeout_seconds: float) -> bool:
        """Wait until the broker has every event, or the time is up; whether it has."""
        until = time.monotonic() + timeout_seconds
        while self._held and time.monotonic() < until:
            time.sleep(0.005)
        return not self._held

    def close(self, timeout_seconds: float) -> None:
        """Send what is left within the time, and disconnect. What cannot be sent is counted as lost."""
        atexit.unregister(self._at_exit)
        if self._closing.is_set():
            return
        self._until = time.monotonic() + timeout_seconds
        self._closing.set()
        self._queue.put(None)
        self._thread.join(timeout_seconds + 1)

    def abandon(self) -> None:
        """Forget the producer in a forked process: it is the parent's, and so are its connections and threads."""
        atexit.unregister(self._at_exit)
        if self._producer is not None:
            _PARENTS.append(self._producer)
            self._producer._unregister_cleanup()

    def _at_exit(self) -> None:
        self.close(2.0)

    def _run(self) -> None:
        try:
            is_open = True
            while is_open:
                try:
                    event = self._queue.get(timeout=REAP_SECONDS if self._waiting else None)
                except Empty:
                    self._reap()
                    continue
                if event is None:
                    break
                if not self._closing.is_set():
                    time.sleep(GATHER_SECONDS)
                self._send(event)
                is_open = self._send_gathered()
                self._reap()
        finally:
            self._disconnect()

    def _send_gathered(self) -> bool:
        """Send what is there; False when that was the last."""
        with suppress(Empty):
            for place in range(self._queue.qsize()):
                if place % TURN == 0:
                    time.sleep(0)
                event = self._queue.get_nowait()
                if event is None:
                    return False
                self._send(event)
        return True

    def _send(self, event: Event) -> None:
        """Check an event and hand it to the producer, however long that takes."""
        try:
            _check(event)
        except BadInput as failure:
            self._done(event, "refused")
            if failure.reason not in self._refusals:
                self._refusals.add(failure.reason)
                LOG.warning("an event was not sent: %s", failure)
            return
        except Exception as failure:  # noqa: BLE001 - a thread that dies would lose every later event
            self._done(event, "lost")
            self._fail(failure)
            return
        wait = FIRST_RETRY_SECONDS
        while self._until is None or time.monotonic() < self._until:
            if self._handed_over(event):
                return
            self._closing.wait(wait) if self._until is None else time.sleep(0.05)
            wait = min(2 * wait, LONGEST_RETRY_SECONDS)
        self._done(event, "lost")

    def _handed_over(self, event: Event) -> bool:
        """Whether the producer took the event, or never will; False when another attempt makes sense."""
        from kafka.errors import KafkaError  # noqa: PLC0415 - a client that only applies maps needs no Kafka

        try:
            producer = self._connected()
            future = producer.send(event.topic, key=event.key, value=event.body)
        except Unavailable as failure:
            self._fail(failure)
            return False
        except KafkaError as failure:
            self._fail(failure)
            if self._producer is None or failure.retriable:
                return False
        except Exception as failure:  # noqa: BLE001 - as above
            self._fail(failure)
            if self._producer is None:
                return False
        else:
            self._waiting.append((future, event))
            return True
        self._done(event, "lost")
        return True

    def _connected(self) -> Any:
        if self._producer is None:
            from kafka import KafkaProducer  # noqa: PLC0415

            _reach(self._options)
            self._producer = KafkaProducer(
                **{
                    "client_id": "caldrift-client",
                    "acks": "all",
                    "enable_idempotence": False,  # ids make events idempotent
                    "linger_ms": 20,
                    "max_block_ms": BLOCK_MS,
                    "bootstrap_timeout_ms": BLOCK_MS,
                    "delivery_timeout_ms": DELIVERY_MS,
                    **self._options,
                }
            )
            # The last to register is the first to be called: what is still here goes out before the producer ends.
            atexit.unregister(self._at_exit)
            atexit.register(self._at_exit)
        return self._producer

    def _reap(self) -> None:
        """Count what the broker has, or will not have. Asking costs less than being told of each event."""
        waiting = self._waiting
        while waiting and waiting[0][0].is_done:
            self._settle(*waiting.popleft())
        if 2 * self._held_bytes > self._limit:  # the first may wait for a partition that is away, others be done
            for _ in range(len(waiting)):
                future, event = waiting.popleft()
                if future.is_done:
                    self._settle(future, event)
                else:
                    waiting.append((future, event))

    def _settle(self, future: Any, event: Event) -> None:
        if future.exception is None:
            self._done(event, "acknowledged")
            self._told.clear()
        else:
            self._done(event, "lost")
            self._fail(future.exception)

    def _disconnect(self) -> None:
        until = self._until or time.monotonic()
        producer = self._producer
        if producer is not None:
            with suppress(Exception):
                producer.flush(timeout=max(until - time.monotonic(), 0))
            producer.flush = _at_once  # it flushes again when closed, and is not closed where that takes too long
            with suppress(Exception):
                producer.close(timeout=max(until - time.monotonic(), 0))
        self._reap()
        with self._lock:
            left, self._held, self._held_bytes = self._held, 0, 0
        self._counts.add("lost", left)

    def _done(self, event: Event, how: Count) -> None:
        with self._lock:
            self._held -= 1
            self._held_bytes -= _size(event)
        self._counts.add(how)

    def _fail(self, failure: BaseException) -> None:
        words = f"Kafka: {failure}"
        self._counts.failed(words)
        self._warn(type(failure).__name__, "events wait for the broker: %s", words)

    def _warn(self, kind: str, words: str, *values: object) -> None:
        """Say each kind of failure once until things go well again."""
        if kind not in self._told:
            self._told.add(kind)
            LOG.warning(words, *values)


_PARENTS: Final[list[object]] = []
"""Producers of the process that this one was forked from: kept, since their end would close what is not ours."""


def _at_once(timeout: float | None = None) -> None:
    """A flush of what was flushed."""


def _reach(options: Mapping[str, object]) -> None:
    """Raises Unavailable where no broker listens: a producer that is made in vain fills the log, and leaves open files.

    Brokers behind a proxy are left to the producer.
    """
    if options.get("socks5_proxy") or options.get("proxy_url"):
        return
    servers = cast(Sequence[str], options["bootstrap_servers"])
    for address in map(address_of, servers):
        with suppress(OSError), socket.create_connection(address, BLOCK_MS / 1000):
            return
    raise Unavailable(f"no broker listens at {','.join(servers)}")


def address_of(server: str) -> tuple[str, int]:
    """Host and port of a broker. Raises ValueError when the text names none."""
    host, colon, port = server.strip().rpartition(":")
    if not colon or server.strip().endswith("]"):
        host, port = server.strip(), str(KAFKA_PORT)
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ValueError(f"bootstrap_servers must be HOST:PORT, got {server!r}")
    return host.strip("[]"), int(port)


def _size(event: Event) -> int:
    return len(event.body) + len(event.key) + OVERHEAD


def _check(event: Event) -> None:
    """Raises BadInput for what the intake would reject."""
    if isinstance(event.decoder, PredictionDecoder):
        decode_prediction(event.body, event.decoder, now())
    else:
        decode_label(event.body, event.decoder, now())

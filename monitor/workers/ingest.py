"""The intake: poll, decode, apply; and what to do when the group, the database or the broker changes under it.

One path recovers from everything: drop what is queued, read the offsets that Postgres holds, read on from there. It is
right after a lost fence, a rebalance, a lost connection, and a commit whose answer never came: if it took place the
stored offset is the batch's end, if not its beginning.
"""

import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import psycopg

from monitor.errors import Refused, Unavailable
from monitor.kafka.access import KafkaAccess, Partition
from monitor.kafka.consumer import Intake, IntakeSettings, OffsetGone, Polled, merged
from monitor.kafka.records import UnreadableBatch
from monitor.kafka.topics import EMBEDDED_CLUSTERS, TopicSpans, cluster_id, topic_spans
from monitor.postgres import heartbeats, offsets
from monitor.postgres.database import Connection, Database, is_lost
from monitor.postgres.dead_letters import bad_offsets
from monitor.postgres.installation import read_clock
from monitor.postgres.joins import FenceLost
from monitor.postgres.offsets import Advance, Reader, StartFrom
from monitor.workers.apply import Applier, JoinRules, Staged
from monitor.workers.batch import Batch, Decoders, decode_batch
from monitor.workers.clock import Clock, wall_clock, wall_now
from monitor.workers.flood import WINDOW, FloodGate, FloodLimit
from monitor.workers.lane import Lane
from monitor.workers.stall import StallWatch

log: Final = logging.getLogger("caldrift.ingest")

POLL_SECONDS: Final = 0.25
GATHER_SECONDS: Final = 0.005
LONGEST_PAUSE_SECONDS: Final = 15.0
IDLE_TICK_SECONDS: Final = 1.0
BEAT_SECONDS: Final = 5.0
HINT_SECONDS: Final = 2.0
FINISH_SECONDS: Final = 12.0
"""How long a stop waits for the batch at work; together with leaving the group it stays under 25 s."""
CANCEL_SECONDS: Final = 2.0
LEFT_OUT_SECONDS: Final = 12.0
"""A member of the embedded broker that waits so long for its partitions joins anew."""
ASKED_TIMES: Final = 3
"""An end may now and then be listed too low: nothing is refused for the sake of one answer."""
SWITCH_INTERVAL_SECONDS: Final = 0.0005
"""The interpreter's 5 ms would be spent at each round trip to Postgres while the other thread decodes."""


@dataclass(frozen=True, slots=True)
class IngestPlan:
    """All that an ingest process depends on."""

    database: Database
    kafka: KafkaAccess
    intake: IntakeSettings
    decoders: Decoders
    rules: Callable[[Reader], JoinRules]
    flood: FloodLimit
    stall_after_seconds: float = 120.0
    start_from: StartFrom = "earliest"
    threaded: bool = True


class Ingest:
    """One ingest process. `run` returns once `stop` is set."""

    def __init__(self, plan: IngestPlan, stop: threading.Event) -> None:
        self._plan = plan
        self._stop = stop
        self._finished = threading.Event()
        self._lane = Lane(threaded=plan.threaded)
        self._gate = FloodGate(plan.flood)
        self._watch = StallWatch(plan.stall_after_seconds)
        self._process = heartbeats.Process("ingest", os.getpid(), socket.gethostname())
        self._intake: Intake | None = None
        self._connection: Connection | None = None
        self._applier: Applier | None = None
        self._reader = Reader(plan.intake.group_id, "")
        self._clock = wall_clock(wall_now())
        self._next: dict[Partition, int] = {}
        self._stale = True
        self._applied: dict[Partition, int] = {}
        self._messages = 0
        self._ticked = self._beaten = self._hinted = self._watched = 0.0
        self._joined = time.monotonic()
        self._left_out = 0
        self._pause = 0.5

    def run(self) -> None:
        """Read and apply until told to stop. Raises Refused when going on would spoil what is stored."""
        sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
        threading.Thread(target=self._roll_back_late, name="stop", daemon=True).start()
        try:
            while not self._stop.is_set():
                try:
                    self._step(self._member())
                except FenceLost as news:
                    log.info("fence lost", extra={"cause": str(news)})
                    self._drop_applier()
                except Unavailable as failure:
                    self._wait(str(failure))
                except psycopg.Error as failure:
                    if not _may_pass(failure):
                        raise
                    self._disconnect()
                    self._wait(f"Postgres at {self._plan.database.place}: {_first_line(failure)}")
                except (OffsetGone, UnreadableBatch) as failure:
                    log.debug("while paused: %s", failure)
                    self._stale = True
            self._finish()
        finally:
            self._finished.set()
            self._close()

    def _member(self) -> Intake:
        """The member that reads: a new one at first, and where the group does not let this one in."""
        if self._intake is not None and self._is_left_out(self._intake):
            self._intake.close()
            self._intake = None
        if self._intake is None:
            self._intake = self._begin()
        return self._intake

    def _begin(self) -> Intake:
        """Join the group, once every partition has a stored offset."""
        connection = self._connected()
        stored = read_clock(connection)
        self._clock = Clock(stored.epoch_at, stored.started_at, stored.rate)
        reader = Reader(self._plan.intake.group_id, cluster_id(self._plan.kafka))
        spans = self._spans()
        offsets.begin(connection, reader, spans.first, spans.end, self._plan.start_from)
        self._reader = reader
        for partition, stored_offset in offsets.load(connection, reader, spans.end).items():
            if not spans.first[partition] <= stored_offset <= spans.end[partition]:
                self._explain(OffsetGone(partition, stored_offset))
        intake = Intake(self._plan.kafka, replace(self._plan.intake, group_id=self._group_id))
        self._joined = time.monotonic()
        log.info(
            "started",
            extra={"group": self._group_id, "partitions": len(spans.end), "threaded": self._plan.threaded},
        )
        return intake

    def _is_left_out(self, intake: Intake) -> bool:
        """Whether the embedded broker holds the group for a member that is gone, so that this one must join anew.

        A real Kafka lets a member wait for another that is slow to rejoin, and then lets it in.
        """
        now = time.monotonic()
        if intake.joined or not self._reader.cluster_id.startswith(EMBEDDED_CLUSTERS):
            self._joined = now
        if now - self._joined < max(LEFT_OUT_SECONDS, 2 * self._plan.intake.session_timeout_ms / 1000):
            return False
        self._left_out += 1
        self._stale = True
        log.warning("the group lets nobody in; joining anew", extra={"group": self._group_id})
        return True

    @property
    def _group_id(self) -> str:
        """The group to join at the broker. One that stays closed is left for another: offsets are kept elsewhere."""
        renewals = self._left_out // 2
        return f"{self._plan.intake.group_id}.{renewals}" if renewals else self._plan.intake.group_id

    def _spans(self) -> TopicSpans:
        """Offsets of both topics. A topic that does not exist yet is waited for."""
        try:
            spans = topic_spans(self._plan.kafka, self._plan.intake.topics)
        except Refused as missing:
            raise Unavailable(str(missing)) from missing
        counts = {topic: sum(each == topic for each, _ in spans.end) for topic in self._plan.intake.topics}
        if len(set(counts.values())) > 1:
            log.warning("the topics have different numbers of partitions, so one id may be in two", extra=counts)
        return spans

    def _step(self, intake: Intake) -> None:
        """One poll, and what follows from it."""
        if self._stale or intake.rebalanced():
            self._resume(intake)
            return
        self._lane.check()
        try:
            polled = self._poll(intake)
        except OffsetGone as gone:
            self._drain(intake)
            self._explain(gone)
            return
        except UnreadableBatch as failure:
            self._drain(intake)
            raise Refused(_advice(failure)) from failure
        if intake.rebalanced():
            return
        if polled.positions:
            self._take(intake, polled)
        self._tick(intake)

    def _poll(self, intake: Intake) -> Polled:
        """What has come; while the lane has no room anyway, as much as makes a whole batch."""
        size = self._plan.intake.batch_size
        polled = intake.poll(POLL_SECONDS)
        while 0 < len(polled) < size and not self._lane.wait_free(0.0) and not intake.rebalanced():
            polled = merged(polled, intake.poll(GATHER_SECONDS, size - len(polled)))
        return polled

    def _resume(self, intake: Intake) -> None:
        """Read on from what Postgres holds: after a start, a rebalance, a lost fence, a lost connection."""
        if not self._lane.clear(0.2):
            intake.poll(0.0)
            return
        connection = self._connected()
        if self._applier is None:
            self._applier = Applier(connection, self._plan.rules(self._reader))
        owned = intake.owned
        stored = offsets.load(connection, self._reader, owned)
        self._gate.forget()
        for partition, next_offset in stored.items():
            bad = bad_offsets(connection, *partition, next_offset - WINDOW, next_offset)
            self._gate.resume(partition, next_offset, bad)
        self._watch.forget()
        self._next = dict(stored)
        self._applied = {}
        self._stale = False
        intake.start(stored)
        self._pause = 0.5
        log.info("reading", extra={"partitions": [f"{topic}/{part}" for topic, part in sorted(owned)]})

    def _take(self, intake: Intake, polled: Polled) -> None:
        """Decode what was polled and hand it over."""
        high_waters = intake.high_waters()
        spans = [
            Advance(*partition, self._next[partition], polled.positions[partition], high_waters.get(partition))
            for partition in sorted(polled.positions)
        ]
        batch = decode_batch(polled.records, spans, self._plan.decoders, self._gate, self._clock.now())
        for each in batch.advances:
            self._next[each.topic, each.part] = each.high
        staged = None if self._applier is None else self._applier.stage(batch, self._clock.now())
        if batch.advances and not self._submit(intake, partial(self._apply, batch, staged)):
            return
        if batch.flood is not None:
            self._drain(intake)
            raise Refused(str(batch.flood))

    def _submit(self, intake: Intake, job: Callable[[], None]) -> bool:
        """Hand a job over when there is room; meanwhile keep polling, paused. False after a rebalance: it is void."""
        while not self._lane.wait_free(POLL_SECONDS):
            if not self._idle_on(intake):
                return False
        intake.resume()
        self._lane.submit(job)
        return True

    def _drain(self, intake: Intake) -> None:
        """Wait until all that was handed over is stored, so that stopping here loses nothing. Raises what failed."""
        while not self._lane.wait_idle(POLL_SECONDS):
            if not self._idle_on(intake):
                raise FenceLost("the partitions were given to others before the last batch was stored")

    def _idle_on(self, intake: Intake) -> bool:
        """Keep the membership while nothing can be read; false after a rebalance, and when told to stop."""
        intake.pause()
        intake.poll(0.0)
        return not intake.rebalanced() and not self._stop.is_set()

    def _apply(self, batch: Batch, staged: Staged | None) -> None:
        """The job of a batch."""
        if self._applier is None:
            raise RuntimeError("no applier")
        started = time.monotonic()
        now = self._clock.now()
        applied = self._applier.apply(batch, now, staged)
        self._messages += applied.messages
        self._applied.update({(each.topic, each.part): each.high for each in batch.advances})
        log.info(
            "batch",
            extra={
                "messages": applied.messages,
                "predictions": applied.new_predictions,
                "labels": applied.applied_labels,
                "joined": applied.joined,
                "dead_letters": applied.dead_letters,
                "seconds": round(time.monotonic() - started, 4),
            },
        )
        self._beat()

    def _tick(self, intake: Intake) -> None:
        """What is due by the clock: lag and heartbeat when idle, the hint to Kafka, the look for stalls."""
        now = time.monotonic()
        if now - self._hinted >= HINT_SECONDS:
            self._hinted = now
            intake.hint(dict(self._applied))
        if now - self._ticked >= IDLE_TICK_SECONDS and self._lane.idle:
            self._ticked = now
            self._lane.submit(partial(self._note, intake.high_waters()))
        if now - self._watched >= min(15.0, self._plan.stall_after_seconds / 4):
            self._watched = now
            self._look_for_stalls(intake, now)

    def _note(self, high_waters: dict[Partition, int]) -> None:
        """The job of an idle moment: the lag, and a sign of life."""
        offsets.note_high_waters(self._connected(), self._reader, high_waters, self._clock.now())
        self._beat()

    def _beat(self) -> None:
        now = time.monotonic()
        if now - self._beaten >= BEAT_SECONDS:
            self._beaten = now
            heartbeats.beat(
                self._connected(), self._process, {"messages": self._messages, "partitions": len(self._next)}
            )

    def _look_for_stalls(self, intake: Intake, now: float) -> None:
        if not self._lane.idle:
            self._watch.forget()
            return
        for topic, part in self._watch.stalled(self._next, intake.end_offsets(5.0), now):
            self._stale = True
            log.error(
                "stalled: the partition has messages, but none arrive; a transaction that stays open does this too",
                extra={"topic": topic, "part": part, "position": self._next[topic, part]},
            )

    def _explain(self, gone: OffsetGone) -> None:
        """Refuse with the range that is missing; go on where the broker was wrong and has the offset after all."""
        topic, part = gone.partition
        asked = []
        for _ in range(ASKED_TIMES):
            asked.append(self._spans())
            self._stop.wait(POLL_SECONDS)
        first = min(spans.first[gone.partition] for spans in asked)
        end = max(spans.end[gone.partition] for spans in asked)
        mend = f"`caldrift offsets reset --topic {topic} --partition {part} --to {first}`"
        if gone.offset < first:
            raise Refused(
                f"{topic}/{part}: the messages at offsets {gone.offset} to {first - 1} are gone from Kafka (its"
                f" retention took them) before they were read; publish them again, then go on without them: {mend}"
            ) from gone
        if gone.offset > end:
            raise Refused(
                f"{topic}/{part}: the stored offset is {gone.offset}, but the topic ends at {end}: messages were lost,"
                f" or the topic was made anew; to read it from its beginning: {mend}"
            ) from gone
        self._stale = True

    def _connected(self) -> Connection:
        """The connection; a new one where the last was lost."""
        if self._connection is None or self._connection.closed:
            self._applier = None
            self._connection = self._plan.database.connect("caldrift ingest")
        return self._connection

    def _drop_applier(self) -> None:
        self._applier = None
        self._stale = True

    def _disconnect(self) -> None:
        self._drop_applier()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _wait(self, cause: str) -> None:
        """Say what is away and wait a while, keeping the membership of the group."""
        self._stale = True
        log.warning("waiting", extra={"cause": cause, "next_try_seconds": self._pause})
        deadline = time.monotonic() + self._pause
        self._pause = min(LONGEST_PAUSE_SECONDS, 2 * self._pause)
        while not self._stop.is_set() and (left := deadline - time.monotonic()) > 0:
            if self._intake is not None:
                self._intake.pause()
                try:
                    self._intake.poll(0.0)
                except (Unavailable, OffsetGone, UnreadableBatch) as failure:
                    log.debug("while waiting: %s", failure)
            self._stop.wait(min(left, POLL_SECONDS))

    def _finish(self) -> None:
        """Let the batches at work come to their end, or be rolled back."""
        try:
            self._lane.wait_idle(FINISH_SECONDS + CANCEL_SECONDS)
        except (psycopg.Error, FenceLost, Unavailable) as failure:
            log.info("the last batch was not applied", extra={"cause": _first_line(failure)})

    def _roll_back_late(self) -> None:
        """From a thread of its own: once told to stop, the batch at work gets so much time and no more."""
        self._stop.wait()
        connection = self._connection
        if not self._finished.wait(FINISH_SECONDS) and connection is not None:
            log.warning("the batch at work is rolled back")
            try:
                connection.cancel_safe(timeout=CANCEL_SECONDS)
            except psycopg.Error as failure:
                log.warning("it cannot be cancelled", extra={"cause": _first_line(failure)})
                connection.close()

    def _close(self) -> None:
        self._lane.close()
        if self._intake is not None:
            self._intake.hint(dict(self._applied))
            self._intake.close()
        if self._lane.clear(2.0) and self._connection is not None and not self._connection.closed:
            try:
                self._take_leave(self._connection)
                self._connection.close()
            except psycopg.Error as failure:
                log.debug("closing the connection: %s", failure)
        log.info("stopped", extra={"messages": self._messages})

    def _take_leave(self, connection: Connection) -> None:
        """Say that this process reads no more: when it did, then that there is none of its name."""
        with connection.transaction():
            if self._intake is not None:
                offsets.note_left(connection, self._reader, self._clock.now())
            heartbeats.forget(connection, self._process)


def _may_pass(failure: psycopg.Error) -> bool:
    """Whether waiting may mend it: a lost connection, a full disk, a server that is read-only for now."""
    return is_lost(failure) or (failure.sqlstate or "")[:2] in {"53", "55", "57"} or failure.sqlstate == "25006"


def _first_line(failure: BaseException) -> str:
    return (str(failure).strip().splitlines() or [type(failure).__name__])[0]


def _advice(failure: UnreadableBatch) -> str:
    return (
        f"{failure}. Nothing was lost: everything before them is stored, nothing behind them was read. Publish them"
        f" again with a known codec, then skip them: `caldrift offsets reset --topic {failure.topic}"
        f" --partition {failure.part} --to {failure.following}`"
    )

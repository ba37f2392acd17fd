"""A member of the consumer group whose positions come from Postgres only.

kafka-python calls rebalance listeners on its input-output thread, where asking the broker anything is an error, and
positions survive a rebalance. So the listener only parks the partitions (position 0, paused), and nothing is read from
a partition until `start` has given it the offset that Postgres holds.
"""

import logging
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import (
    AuthorizationError,
    KafkaError,
    LogTruncationError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    RetriableError,
)

from monitor.errors import Refused, Unavailable
from monitor.kafka.access import KafkaAccess, Partition, client_options
from monitor.kafka.records import Message, UnreadableBatch, read_fast

log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IntakeSettings:
    """What is read, by which group, and how much at once."""

    group_id: str
    topics: tuple[str, ...]
    batch_size: int = 5_000
    session_timeout_ms: int = 10_000
    heartbeat_interval_ms: int = 3_000
    request_timeout_ms: int = 30_000
    max_poll_interval_ms: int = 300_000
    bootstrap_timeout_ms: int = 10_000


@dataclass(frozen=True, slots=True)
class Polled:
    """What one poll brought: records by partition, and where each partition that moved stands now."""

    records: Mapping[Partition, list[Message]] = field(default_factory=dict)
    positions: Mapping[Partition, int] = field(default_factory=dict)
    """Next offset to read, for every started partition whose position moved: past markers and compacted records too."""

    def __len__(self) -> int:
        return sum(map(len, self.records.values()))


FETCH_BYTES: Final = 1 << 23
PARTITION_BYTES: Final = 1 << 17
"""What one fetch brings at most, of all partitions and of each; one large message always fits. A small share of each
partition mixes them in a batch, so that the labels of a batch are spread over many pages of the table: their rows find
room beside the old ones, and a pair takes a fifth less space."""


def merged(first: Polled, second: Polled) -> Polled:
    """Two polls in a row as one."""
    records = dict(first.records)
    for partition, messages in second.records.items():
        records[partition] = [*records.get(partition, ()), *messages]
    return Polled(records, {**first.positions, **second.positions})


class OffsetGone(Exception):  # noqa: N818 - the caller turns it into Refused, with the range that is missing
    """The broker does not hold the offset that was asked for."""

    def __init__(self, partition: Partition, offset: int) -> None:
        super().__init__(f"{partition[0]}/{partition[1]} has no offset {offset}")
        self.partition = partition
        self.offset = offset


class _Parking(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python ships no types
    """Parks what is assigned and counts the changes. Runs on the input-output thread: local work only."""

    def __init__(self, consumer: KafkaConsumer) -> None:
        self._consumer = consumer
        self._lock = threading.Lock()
        self.changes = 0
        self.joined = False
        self.owned: frozenset[Partition] = frozenset()

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:  # noqa: ARG002
        self._set((), joined=False)

    def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:  # noqa: ARG002
        self._set((), joined=False)

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        partitions = list(assigned)
        for each in partitions:
            self._consumer.seek(each, 0)
            self._consumer.pause(each)
        self._set(partitions, joined=True)

    def _set(self, partitions: Iterable[TopicPartition], *, joined: bool) -> None:
        with self._lock:
            self.joined = joined
            self.owned = frozenset((each.topic, each.partition) for each in partitions)
            self.changes += 1


class Intake:
    """Reads batches of the partitions that the group gives this member. One thread only; close it when done."""

    def __init__(self, access: KafkaAccess, settings: IntakeSettings) -> None:
        """Connect and subscribe; partitions come with later polls. Raises Unavailable when no broker answers."""
        try:
            self._consumer = KafkaConsumer(
                **client_options(access),
                group_id=settings.group_id,
                enable_auto_commit=False,
                auto_offset_reset="none",
                isolation_level="read_committed",
                partition_assignment_strategy=[RangePartitionAssignor],
                max_poll_records=settings.batch_size,
                max_poll_interval_ms=settings.max_poll_interval_ms,
                session_timeout_ms=settings.session_timeout_ms,
                heartbeat_interval_ms=settings.heartbeat_interval_ms,
                request_timeout_ms=settings.request_timeout_ms,
                bootstrap_timeout_ms=settings.bootstrap_timeout_ms,
                fetch_max_bytes=FETCH_BYTES,
                max_partition_fetch_bytes=PARTITION_BYTES,
                metrics_enabled=False,
            )
        except AuthorizationError as failure:
            raise Refused(f"Kafka refuses this client: {failure}") from failure
        except (KafkaError, OSError) as failure:
            raise Unavailable(f"Kafka at {','.join(access.bootstrap_servers)} does not answer: {failure}") from failure
        read_fast(self._consumer)
        self._parking = _Parking(self._consumer)
        self._seen = 0
        self._positions: dict[Partition, int] = {}
        self._paused = False
        self._consumer.subscribe(list(settings.topics), listener=self._parking)

    @property
    def owned(self) -> frozenset[Partition]:
        """The partitions that the group has given to this member."""
        return self._parking.owned

    @property
    def joined(self) -> bool:
        """Whether the group counts this member in; it may still have no partition for it."""
        return self._parking.joined

    def rebalanced(self) -> bool:
        """Whether the assignment changed since `start` was called last: then every partition is parked or gone."""
        return self._seen != self._parking.changes

    def start(self, offsets: Mapping[Partition, int]) -> None:
        """Read on from these offsets, which must name partitions that are owned; all others stay parked."""
        self._seen = self._parking.changes
        self._paused = False
        owned = self._consumer.assignment()
        self._positions = {}
        for each in owned:
            self._consumer.pause(each)
        for partition, offset in offsets.items():
            each = TopicPartition(*partition)
            if each not in owned:
                continue
            self._consumer.seek(each, offset)
            self._consumer.resume(each)
            self._positions[partition] = offset

    def poll(self, timeout_seconds: float, most: int | None = None) -> Polled:
        """At most one batch, or `most` messages. Empty while nothing comes, while paused, and after a rebalance.

        Raises OffsetGone, UnreadableBatch and Refused, after which nothing of the failed fetch has been passed over;
        Unavailable for whatever may mend itself: start again from the stored offsets.
        """
        self._finish_joining()
        try:
            records = self._consumer.poll(timeout_ms=round(timeout_seconds * 1000), max_records=most)
            if self.rebalanced():
                return Polled()
            return Polled(dict(records), self._moved())
        except OffsetOutOfRangeError as failure:
            for each, offset in dict(failure.args[0]).items():
                raise OffsetGone((each.topic, each.partition), int(offset)) from failure
            raise
        except AuthorizationError as failure:
            raise Refused(f"Kafka refuses to let this client read: {failure}") from failure
        except (RetriableError, LogTruncationError, NoOffsetForPartitionError, OSError) as failure:
            raise Unavailable(f"reading from Kafka failed: {failure}") from failure
        except UnreadableBatch:
            raise
        except KafkaError as failure:
            raise Unavailable(f"reading from Kafka failed: {failure!r}") from failure

    def _finish_joining(self) -> None:
        """Have a join that outlived its poll taken up again by the next one.

        kafka-python joins again when the metadata that an assignment was made from turn out to be old, as they may be
        for a topic just made, and forgets why as soon as the new assignment is made. Without this a join that takes
        longer than one poll is then never finished: no partition, no heartbeat, and nothing is raised.
        """
        coordinator = self._consumer._coordinator
        if coordinator.rejoining:
            coordinator.request_rejoin()

    def pause(self) -> None:
        """Keep the membership but read nothing, until `resume`."""
        if not self._paused and not self.rebalanced():
            self._paused = True
            self._consumer.pause(*(TopicPartition(*each) for each in self._positions))

    def resume(self) -> None:
        """Read again what `pause` stopped."""
        if self._paused and not self.rebalanced():
            self._paused = False
            assigned = self._consumer.assignment()
            self._consumer.resume(*(each for each in map(_topic_partition, self._positions) if each in assigned))

    def high_waters(self) -> dict[Partition, int]:
        """End offsets as the last fetches told them, of started partitions; costs nothing."""
        found: dict[Partition, int] = {}
        assigned = self._consumer.assignment()
        for partition in self._positions:
            each = TopicPartition(*partition)
            high = self._consumer.highwater(each) if each in assigned else None
            if high is not None:
                found[partition] = int(high)
        return found

    def end_offsets(self, timeout_seconds: float) -> dict[Partition, int]:
        """End offsets of the owned partitions, asked of the broker now. Raises Unavailable."""
        wanted = [TopicPartition(*each) for each in self.owned]
        try:
            answer = self._consumer.end_offsets(wanted, timeout_ms=round(timeout_seconds * 1000)) if wanted else {}
        except (KafkaError, OSError) as failure:
            raise Unavailable(f"Kafka does not answer: {failure}") from failure
        seen = self.high_waters()  # the embedded broker lists an end within the last batch
        ends = {(each.topic, each.partition): int(offset) for each, offset in answer.items()}
        return {each: max(offset, seen.get(each, 0)) for each, offset in ends.items()}

    def hint(self, offsets: Mapping[Partition, int]) -> None:
        """Tell Kafka, without waiting, what has been applied: for tools that show lag. It is never read back."""
        if self.rebalanced() or not offsets:
            return
        try:
            self._consumer.commit_async(
                {TopicPartition(*each): OffsetAndMetadata(offset, "", -1) for each, offset in offsets.items()},
                callback=_ignore,
            )
        except KafkaError as failure:
            log.debug("offset hint not sent: %s", failure)

    def close(self, timeout_seconds: float = 5.0) -> None:
        """Leave the group and disconnect."""
        try:
            self._consumer.close(autocommit=False, timeout_ms=round(timeout_seconds * 1000))
        except (KafkaError, OSError) as failure:
            log.debug("closing the consumer: %s", failure)

    def _moved(self) -> dict[Partition, int]:
        moved: dict[Partition, int] = {}
        for partition, before in self._positions.items():
            now = self._consumer.position(TopicPartition(*partition), timeout_ms=0)
            if now is not None and now != before:
                moved[partition] = self._positions[partition] = int(now)
        return moved


def _topic_partition(partition: Partition) -> TopicPartition:
    return TopicPartition(*partition)


def _ignore(_offsets: object, outcome: object) -> None:
    """What became of a hint matters to nobody."""
    if isinstance(outcome, Exception):
        log.debug("offset hint: %s", outcome)

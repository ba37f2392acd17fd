"""Reading the records of a fetch: offset, key and value, and nothing else.

Parsing is most of what a consumer in Python costs: kafka-python builds objects of eleven and thirteen fields a record,
about 5 us. This reader takes the three fields that are needed in one loop, about 1 us, and knows which offsets a batch
that cannot be read spans. It takes the place of `Fetcher.PartitionRecords`, which is why kafka-python is pinned.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.protocol.consumer import IsolationLevel

Message: TypeAlias = tuple[int, bytes | None, bytes | None]
"""Offset, key and value of one record."""

_CODECS: Final = {0: "none", 1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}
_VERSION_2: Final = 2


class UnreadableBatch(Exception):  # noqa: N818 - the caller turns it into Refused, with advice
    """A record batch is damaged, or its codec is unknown. Nothing of it, or behind it, has been passed on."""

    def __init__(self, topic: str, part: int, first: int, following: int, why: str) -> None:
        super().__init__(f"{topic}/{part}: the records at offsets {first} to {following - 1} cannot be read: {why}")
        self.topic = topic
        self.part = part
        self.first = first
        self.following = following
        """The offset behind the batch."""


def read_fast(consumer: KafkaConsumer) -> None:
    """Make the consumer give `Message` tuples instead of ConsumerRecord."""
    fetcher: Fetcher = consumer._fetcher
    fetcher.PartitionRecords = BatchRecords


class BatchRecords:
    """The records of one fetched partition, a batch at a time; what `Fetcher` asks of its PartitionRecords."""

    def __init__(
        self,
        fetch_offset: int,
        tp: TopicPartition,
        records: Any,
        *,
        check_crcs: bool = True,
        isolation_level: IsolationLevel = IsolationLevel.READ_UNCOMMITTED,
        aborted_transactions: Iterable[Any] | None = None,
        metric_aggregator: Any = None,
        on_drain: Callable[["BatchRecords"], None] = lambda _: None,
        **_deserializers: object,
    ) -> None:
        self.topic_partition = tp
        self.fetch_offset = fetch_offset
        self.next_fetch_offset = fetch_offset
        self.leader_epoch = -1
        self.bytes_read = 0
        self.records_read = 0
        self._records = records
        self._check_crcs = check_crcs
        self._committed_only = isolation_level == IsolationLevel.READ_COMMITTED
        self._aborted = deque(sorted(aborted_transactions or (), key=lambda each: each.first_offset))
        self._aborted_producers: set[int] = set()
        self._metrics = metric_aggregator
        self._on_drain = on_drain
        self._open = True
        self._messages: list[Message] = []
        self._at = 0
        self._following = fetch_offset
        self._failure: UnreadableBatch | None = None

    def __bool__(self) -> bool:
        return self._open

    def drain(self) -> None:
        """Give up what is left."""
        if self._open:
            self._open = False
            self._messages = []
            if self._metrics is not None:
                self._metrics.record(self.topic_partition, self.bytes_read, self.records_read)
            self._on_drain(self)

    def take(self, n: int | None = None) -> list[Message]:
        """The next records of one batch, at most `n`; empty at the end, and where a batch holds none for us.

        Raises UnreadableBatch, again at each call, once everything before the batch has been taken.
        """
        if self._at >= len(self._messages):
            self._next_batch()
        stop = len(self._messages) if n is None else min(len(self._messages), self._at + n)
        taken = self._messages[self._at : stop]
        self._at = stop
        self.records_read += len(taken)
        self.next_fetch_offset = self._following if stop >= len(self._messages) else taken[-1][0] + 1
        return taken

    def _next_batch(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._messages, self._at = [], 0
        batch = None
        try:
            batch = self._records.next_batch()
            if batch is None:
                self.drain()
                return
            messages = self._read(batch)
        except Exception as failure:
            self._failure = self._unreadable(batch, failure)
            raise self._failure from failure
        self.bytes_read += batch.size_in_bytes if batch.magic == _VERSION_2 else 0
        self._messages = messages if not messages or messages[0][0] >= self.fetch_offset else self._wanted(messages)
        if batch.magic == _VERSION_2:
            self._following = max(self.fetch_offset, batch.next_offset)
        elif messages:
            self._following = max(self.fetch_offset, messages[-1][0] + 1)

    def _wanted(self, messages: list[Message]) -> list[Message]:
        """A compressed batch comes whole even when the fetch began in its middle."""
        return [each for each in messages if each[0] >= self.fetch_offset]

    def _read(self, batch: Any) -> list[Message]:
        if self._check_crcs and not batch.validate_crc():
            raise ValueError("its checksum does not match")
        if batch.magic != _VERSION_2:
            return [(each.offset, each.key, each.value) for each in batch]
        self.leader_epoch = batch.leader_epoch
        if self._committed_only and batch.has_producer_id() and self._is_aborted(batch):
            return []
        if batch.is_control_batch:
            return []
        batch._maybe_uncompress()
        return parse_records(bytes(batch._buffer), batch._pos, batch.records_count, batch.base_offset)

    def _is_aborted(self, batch: Any) -> bool:
        while self._aborted and self._aborted[0].first_offset <= batch.last_offset:
            self._aborted_producers.add(self._aborted.popleft().producer_id)
        if batch.is_control_batch:
            if next(iter(batch)).abort:
                self._aborted_producers.discard(batch.producer_id)
            return False
        return bool(batch.is_transactional and batch.producer_id in self._aborted_producers)

    def _unreadable(self, batch: Any, failure: Exception) -> UnreadableBatch:
        topic, part = self.topic_partition.topic, self.topic_partition.partition
        if batch is None or batch.magic != _VERSION_2:
            return UnreadableBatch(topic, part, self._following, self._following + 1, str(failure) or repr(failure))
        why = str(failure) or repr(failure)
        codec = batch.compression_type
        if codec not in _CODECS:
            why = f"compression codec {codec} is unknown (known are gzip, snappy, lz4 and zstd)"
        elif codec:
            why = f"{_CODECS[codec]} compression: {why}"
        return UnreadableBatch(topic, part, max(self.fetch_offset, batch.base_offset), batch.next_offset, why)


def parse_records(buffer: bytes, at: int, count: int, base_offset: int) -> list[Message]:  # noqa: C901, PLR0912, PLR0915 - hot
    """The records of one uncompressed batch of format 2. Raises ValueError or IndexError where it is damaged.

    A record is: length, attributes, time delta, offset delta, key, value, headers; the numbers are zigzag varints
    (https://kafka.apache.org/documentation/#record). Those of up to two bytes are read in place, which nearly halves
    the time. Headers are stepped over.
    """
    messages: list[Message] = []
    add = messages.append
    size = len(buffer)
    for _ in range(count):
        length = buffer[at]
        at += 1
        if length > 127:
            byte = buffer[at]
            at += 1
            if byte > 127:
                length, at = _more(buffer, at - 1, length)
            else:
                length = length & 0x7F | byte << 7
        end = at + (length >> 1)
        at += 1
        while buffer[at] > 127:
            at += 1
        at += 1
        delta = buffer[at]
        at += 1
        if delta > 127:
            byte = buffer[at]
            at += 1
            if byte > 127:
                delta, at = _more(buffer, at - 1, delta)
            else:
                delta = delta & 0x7F | byte << 7
        key_size = buffer[at]
        at += 1
        if key_size > 127:
            key_size, at = _more(buffer, at, key_size)
        if key_size & 1:
            key = None
        else:
            start = at
            at += key_size >> 1
            key = buffer[start:at]
        value_size = buffer[at]
        at += 1
        if value_size > 127:
            byte = buffer[at]
            at += 1
            if byte > 127:
                value_size, at = _more(buffer, at - 1, value_size)
            else:
                value_size = value_size & 0x7F | byte << 7
        if value_size & 1:
            value = None
        else:
            start = at
            at += value_size >> 1
            value = buffer[start:at]
        if at >= end or end > size:
            raise ValueError("a record is longer or shorter than it says")
        at = end
        add((base_offset + (delta >> 1), key, value))
    if at != size:
        raise ValueError(f"{size - at} bytes are left after the last record")
    return messages


def _more(buffer: bytes, at: int, low: int) -> tuple[int, int]:
    """The rest of a varint of several bytes: the number, still in zigzag form, and where it ends."""
    number, shift = low & 0x7F, 7
    while True:
        byte = buffer[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 128:
            return number, at
        shift += 7

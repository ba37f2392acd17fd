"""Record batches as a broker holds them, made with kafka-python's own writer."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kafka import TopicPartition
from kafka.protocol.consumer import IsolationLevel
from kafka.record import MemoryRecords
from kafka.record.default_records import DefaultRecordBatchBuilder

from monitor.kafka.records import BatchRecords, Message

Body = tuple[bytes | None, bytes | None]
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
PLACE = TopicPartition("topic", 3)


@dataclass(frozen=True)
class Aborted:
    """A transaction that was aborted, as a fetch tells it."""

    producer_id: int
    first_offset: int


@dataclass
class Fetch:
    """What one fetch of a partition brought."""

    raw: bytes = b""
    aborted: list[Aborted] = field(default_factory=list)

    def read(self, offset: int = 0, *, committed_only: bool = False) -> BatchRecords:
        level = IsolationLevel.READ_COMMITTED if committed_only else IsolationLevel.READ_UNCOMMITTED
        return BatchRecords(
            offset, PLACE, MemoryRecords(self.raw), isolation_level=level, aborted_transactions=self.aborted
        )


def batch(
    first: int,
    bodies: Sequence[Body],
    codec: str = "none",
    *,
    headers: Sequence[tuple[str, bytes]] = (),
    producer_id: int = -1,
    transactional: bool = False,
) -> bytes:
    """A batch of format 2 whose first record has this offset."""
    epoch = 0 if producer_id >= 0 else -1
    builder = DefaultRecordBatchBuilder(
        2, CODECS[codec], transactional, producer_id, epoch, 0 if producer_id >= 0 else -1, 1 << 20
    )
    for place, (key, value) in enumerate(bodies):
        assert builder.append(place, 1_700_000_000_000 + 300 * place, key, value, list(headers)) is not None
    return with_offset(bytes(builder.build()), first)


def with_offset(raw: bytes, first: int) -> bytes:
    """The offset lies before what the checksum covers."""
    return struct.pack(">q", first) + raw[8:]


def drain(records: BatchRecords, at_a_time: int = 1000) -> list[Message]:
    """Everything, in pieces."""
    found: list[Message] = []
    while records:
        found += records.take(at_a_time)
    return found


def stock(raw: bytes) -> list[Message]:
    """What kafka-python itself reads."""
    records: Any = MemoryRecords(raw)
    found: list[Message] = []
    while (one := records.next_batch()) is not None:
        found += [(record.offset, record.key, record.value) for record in one]
    return found

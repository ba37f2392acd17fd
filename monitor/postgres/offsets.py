"""What has been read from Kafka: offsets, changed by compare-and-swap in the batch's own transaction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias

import numpy as np

from monitor.errors import Refused
from monitor.postgres.arrays import Int4Array, Int8Array, TextArray
from monitor.postgres.database import Connection

Partition: TypeAlias = tuple[str, int]
"""A topic and the number of one of its partitions."""

StartFrom: TypeAlias = Literal["earliest", "latest"]

ADVANCE: Final = """
UPDATE kafka_offset AS k
SET next_offset = l.high, high_water = greatest(l.high, coalesce(l.high_water, k.high_water)), updated_at = %(now)s,
    waits_since = CASE WHEN coalesce(l.high_water, k.high_water) > l.high THEN %(now)s::timestamptz END
FROM (
    SELECT o.topic, o.part, n.high, n.high_water
    FROM unnest(%(topic)s::text[], %(part)s::int4[], %(low)s::int8[], %(high)s::int8[], %(high_water)s::int8[])
        AS n (topic, part, low, high, high_water)
    JOIN kafka_offset AS o ON o.group_id = %(group_id)s AND o.topic = n.topic AND o.part = n.part
    WHERE o.next_offset = n.low AND o.cluster_id = %(cluster_id)s
    ORDER BY o.topic, o.part
    FOR UPDATE OF o
) AS l
WHERE k.group_id = %(group_id)s AND k.topic = l.topic AND k.part = l.part
"""
"""Every partition of a batch from `low` to `high`; hits fewer rows than there are partitions when the fence is lost.

Rows are locked in (topic, part) order, so that two batches cannot wait for each other."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Whose offsets: the consumer group, in one Kafka cluster."""

    group_id: str
    cluster_id: str


@dataclass(frozen=True, slots=True)
class Advance:
    """One partition of a batch: everything from `low` up to `high` (excluded) is in it.

    `low` is the offset last stored or loaded, never a record's own: transaction markers and compaction leave gaps.
    """

    topic: str
    part: int
    low: int
    high: int
    high_water: int | None = None


@dataclass(frozen=True, slots=True)
class StoredOffset:
    """One row of `kafka_offset`. `high_water` is the end offset as it was last seen, None if never."""

    group_id: str
    topic: str
    part: int
    next_offset: int
    cluster_id: str
    high_water: int | None
    updated_at: datetime

    @property
    def lag(self) -> int | None:
        """Messages that are not yet applied, as of `updated_at`; None while the end was never seen."""
        return None if self.high_water is None else max(0, self.high_water - self.next_offset)


def advance_parameters(reader: Reader, advances: Sequence[Advance], now: datetime) -> dict[str, object]:
    """The parameters of ADVANCE."""
    seen = np.array([-1 if each.high_water is None else each.high_water for each in advances], np.int64)
    return {
        "group_id": reader.group_id,
        "cluster_id": reader.cluster_id,
        "now": now,
        "topic": TextArray([each.topic for each in advances]),
        "part": Int4Array(np.array([each.part for each in advances], np.int32)),
        "low": Int8Array(np.array([each.low for each in advances], np.int64)),
        "high": Int8Array(np.array([each.high for each in advances], np.int64)),
        "high_water": Int8Array(seen, seen < 0),
    }


def read_offsets(connection: Connection, group_id: str | None = None) -> list[StoredOffset]:
    """Stored offsets in order of group, topic and partition; of one group, or of all."""
    rows = connection.execute(
        "SELECT group_id, topic, part, next_offset, cluster_id, high_water, updated_at FROM kafka_offset"
        " WHERE %(group_id)s::text IS NULL OR group_id = %(group_id)s ORDER BY group_id, topic, part",
        {"group_id": group_id},
    ).fetchall()
    return [StoredOffset(*row) for row in rows]


def load(connection: Connection, reader: Reader, partitions: Iterable[Partition]) -> dict[Partition, int]:
    """Where to read on, for each of the partitions; one that is new begins at 0.

    Raises Refused when the stored offsets belong to another cluster.
    """
    wanted = sorted(partitions)
    with connection.transaction():
        stored = _of_cluster(connection, reader, {topic for topic, _ in wanted})
        missing = {each: 0 for each in wanted if each not in stored}
        if missing:
            _insert(connection, reader, missing)
            stored = _of_cluster(connection, reader, {topic for topic, _ in wanted})
    return {each: stored[each] for each in wanted}


def begin(
    connection: Connection,
    reader: Reader,
    first: Mapping[Partition, int],
    end: Mapping[Partition, int],
    start_from: StartFrom = "earliest",
    *,
    accept_new_cluster: bool = False,
) -> bool:
    """Make every partition known, before any is read. Returns whether the offsets of another cluster were dropped.

    A group that has read nothing of a topic begins at its first or end offset, as `start_from` says; partitions that a
    known topic has grown begin at 0. Raises Refused when the stored offsets belong to another cluster, unless
    `accept_new_cluster` (the embedded broker forgets everything with each start): then the group begins anew at 0.
    """
    topics = {topic for topic, _ in end}
    with connection.transaction():
        connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('caldrift kafka_offset ' || %s, 0))", (reader.group_id,)
        )
        dropped = False
        if accept_new_cluster:
            cursor = connection.execute(
                "DELETE FROM kafka_offset WHERE group_id = %s AND topic = ANY (%s) AND cluster_id <> %s",
                (reader.group_id, sorted(topics), reader.cluster_id),
            )
            dropped = cursor.rowcount > 0
        stored = _of_cluster(connection, reader, topics)
        known = {topic for topic, _ in stored}
        starts = first if start_from == "earliest" else end
        missing = {each: 0 if dropped or each[0] in known else starts[each] for each in end if each not in stored}
        _insert(connection, reader, missing)
    return dropped


def reset(connection: Connection, group_id: str, topic: str, part: int, next_offset: int) -> int:
    """Read a partition on from another offset, by an operator's decision. Returns the offset that was stored before.

    Raises Refused when the group has no such partition.
    """
    with connection.transaction():
        row = connection.execute(
            "SELECT next_offset FROM kafka_offset WHERE group_id = %s AND topic = %s AND part = %s FOR UPDATE",
            (group_id, topic, part),
        ).fetchone()
        if row is None:
            raise Refused(f"group {group_id} has no stored offset of {topic}/{part}")
        connection.execute(
            "UPDATE kafka_offset SET next_offset = %s WHERE group_id = %s AND topic = %s AND part = %s",
            (next_offset, group_id, topic, part),
        )
    return int(row[0])


def forget(connection: Connection, group_id: str, topics: Sequence[str]) -> int:
    """Drop the group's offsets of these topics, by an operator's decision: it begins anew. Returns how many."""
    cursor = connection.execute(
        "DELETE FROM kafka_offset WHERE group_id = %s AND topic = ANY (%s)", (group_id, list(topics))
    )
    return cursor.rowcount


def note_high_waters(
    connection: Connection, reader: Reader, high_waters: Mapping[Partition, int], now: datetime
) -> None:
    """Store the end offsets as last seen, where they differ: the lag of an intake that has nothing to apply."""
    if not high_waters:
        return
    seen = sorted(high_waters.items())
    connection.execute(
        """
        UPDATE kafka_offset AS k SET high_water = n.high_water, updated_at = %(now)s,
            waits_since = CASE WHEN n.high_water > k.next_offset THEN coalesce(k.waits_since, %(now)s) END
        FROM (
            SELECT o.topic, o.part, n.high_water
            FROM unnest(%(topic)s::text[], %(part)s::int4[], %(high)s::int8[]) AS n (topic, part, high_water)
            JOIN kafka_offset AS o ON o.group_id = %(group_id)s AND o.topic = n.topic AND o.part = n.part
            WHERE o.cluster_id = %(cluster_id)s AND o.high_water IS DISTINCT FROM n.high_water
                AND n.high_water >= o.next_offset
            ORDER BY o.topic, o.part FOR UPDATE OF o
        ) AS n
        WHERE k.group_id = %(group_id)s AND k.topic = n.topic AND k.part = n.part
        """,
        {
            "now": now,
            "group_id": reader.group_id,
            "cluster_id": reader.cluster_id,
            "topic": TextArray([topic for (topic, _), _ in seen]),
            "part": Int4Array(np.array([part for (_, part), _ in seen], np.int32)),
            "high": Int8Array(np.array([high for _, high in seen], np.int64)),
        },
    )


def note_left(connection: Connection, reader: Reader, now: datetime) -> None:
    """A process that read ends in order: where it was the last one, nobody reads from now on."""
    connection.execute("UPDATE kafka_offset SET left_at = %s WHERE group_id = %s", (now, reader.group_id))


def _of_cluster(connection: Connection, reader: Reader, topics: Iterable[str]) -> dict[Partition, int]:
    rows = connection.execute(
        "SELECT topic, part, next_offset, cluster_id FROM kafka_offset WHERE group_id = %s AND topic = ANY (%s)",
        (reader.group_id, sorted(topics)),
    ).fetchall()
    others = sorted({str(cluster) for _, _, _, cluster in rows} - {reader.cluster_id})
    if others:
        raise Refused(
            f"the stored offsets of group {reader.group_id} belong to the Kafka cluster {', '.join(others)},"
            f" but the brokers are those of cluster {reader.cluster_id}: point kafka.bootstrap_servers at the old"
            " cluster, or begin anew on this one with `caldrift offsets reset --all`"
        )
    return {(str(topic), int(part)): int(offset) for topic, part, offset, _ in rows}


def _insert(connection: Connection, reader: Reader, offsets: Mapping[Partition, int]) -> None:
    if not offsets:
        return
    rows = sorted(offsets.items())
    connection.execute(
        "INSERT INTO kafka_offset (group_id, topic, part, next_offset, cluster_id)"
        " SELECT %s, n.topic, n.part, n.next_offset, %s FROM unnest(%s, %s, %s) AS n (topic, part, next_offset)"
        " ON CONFLICT (group_id, topic, part) DO NOTHING",
        (
            reader.group_id,
            reader.cluster_id,
            TextArray([topic for (topic, _), _ in rows]),
            Int4Array(np.array([part for (_, part), _ in rows], np.int32)),
            Int8Array(np.array([offset for _, offset in rows], np.int64)),
        ),
    )

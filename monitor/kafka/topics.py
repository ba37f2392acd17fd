"""Topics and the cluster that holds them: create, list partitions, first and last offsets, cluster id."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, TopicAlreadyExistsError

from monitor.errors import Refused, Unavailable
from monitor.kafka.access import KafkaAccess, Partition, client_options

EMBEDDED_CLUSTERS: Final = "embedded-"
"""How the ids of embedded brokers' clusters begin."""
TIMEOUT_MS: Final = 10_000
FETCH_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class TopicSpans:
    """First and next offset of every partition asked for: what a topic holds now."""

    first: Mapping[Partition, int] = field(default_factory=dict)
    end: Mapping[Partition, int] = field(default_factory=dict)


@contextmanager
def _answering(access: KafkaAccess) -> Iterator[None]:
    """Turn what kafka-python raises while a broker is away into Unavailable."""
    try:
        yield
    except (KafkaError, OSError) as failure:
        raise Unavailable(f"Kafka at {','.join(access.bootstrap_servers)} does not answer: {failure}") from failure


@contextmanager
def _admin(access: KafkaAccess, timeout_ms: int) -> Iterator[KafkaAdminClient]:
    with _answering(access):
        admin = KafkaAdminClient(**client_options(access), bootstrap_timeout_ms=timeout_ms)
        try:
            yield admin
        finally:
            admin.close()


def cluster_id(access: KafkaAccess, timeout_ms: int = TIMEOUT_MS) -> str:
    """The id that the cluster gave itself. Raises Unavailable when no broker answers."""
    with _admin(access, timeout_ms) as admin:
        described = admin.describe_cluster()
    return str(described.get("cluster_id") or "")


def create_topics(
    access: KafkaAccess, topics: Iterable[str], partitions: int, replication: int = 1, timeout_ms: int = TIMEOUT_MS
) -> None:
    """Create the topics that are missing, each with `partitions` partitions; those that exist stay as they are.

    Returns when every topic can be used: a broker says yes to a creation before it knows the topic itself.
    """
    wanted = sorted(set(topics))
    with _admin(access, timeout_ms) as admin:
        known = set(admin.list_topics())
        for topic in wanted:
            if topic in known:
                continue
            try:
                admin.create_topics({topic: {"num_partitions": partitions, "replication_factor": replication}})
            except TopicAlreadyExistsError:
                continue
        admin.wait_for_topics(wanted, timeout_ms=timeout_ms)


def partitions_of(access: KafkaAccess, topics: Iterable[str], timeout_ms: int = TIMEOUT_MS) -> list[Partition]:
    """Every partition of the topics, sorted. Raises Refused when a topic does not exist."""
    wanted = sorted(set(topics))
    with _admin(access, timeout_ms) as admin:
        described = {entry["name"]: entry for entry in admin.describe_topics(wanted)}
    found: list[Partition] = []
    for topic in wanted:
        numbers = [int(each["partition_index"]) for each in described.get(topic, {}).get("partitions") or ()]
        if not numbers:
            raise Refused(f"topic {topic} does not exist on {','.join(access.bootstrap_servers)}")
        found.extend((topic, number) for number in numbers)
    return sorted(found)


def topic_spans(access: KafkaAccess, topics: Iterable[str], timeout_ms: int = TIMEOUT_MS) -> TopicSpans:
    """First and end offsets of every partition of the topics. Raises Unavailable, or Refused for a missing topic."""
    wanted = [TopicPartition(*each) for each in partitions_of(access, topics, timeout_ms)]
    with _answering(access):
        consumer = KafkaConsumer(
            **client_options(access), group_id=None, enable_auto_commit=False, bootstrap_timeout_ms=timeout_ms
        )
        try:
            consumer.assign(wanted)
            first = consumer.beginning_offsets(wanted, timeout_ms=timeout_ms)
            end = _seen_ends(consumer, consumer.end_offsets(wanted, timeout_ms=timeout_ms))
        finally:
            consumer.close()
    return TopicSpans(
        {(each.topic, each.partition): int(offset) for each, offset in first.items()},
        {(each.topic, each.partition): int(offset) for each, offset in end.items()},
    )


def _seen_ends(consumer: KafkaConsumer, listed: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """The ends as a fetch of the last record tells them, where that is more than what was listed.

    The embedded broker lists the first offset of the last batch plus one; every broker tells the truth with a fetch.
    """
    waiting = {each for each, offset in listed.items() if offset > 0}
    for each, offset in listed.items():
        consumer.seek(each, max(0, offset - 1))
    ends = dict(listed)
    deadline = time.monotonic() + FETCH_SECONDS
    while waiting and time.monotonic() < deadline:
        consumer.poll(100)
        for each in [each for each in waiting if consumer.highwater(each) is not None]:
            ends[each] = max(ends[each], consumer.highwater(each))
            waiting.discard(each)
    return ends

"""Ends of partitions, from a broker that now and then reports one that is too low."""

from monitor.kafka.access import KafkaAccess
from monitor.workers.progress import published


def settled_end(access: KafkaAccess, topic: str, part: int) -> int:
    """The next offset of a partition."""
    return published(access, (topic,))[topic, part]

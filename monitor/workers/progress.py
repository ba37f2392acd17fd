"""How far the intake is behind what was published, and waiting until it is not."""

import time
from collections.abc import Callable, Mapping
from typing import Final

from monitor.kafka.access import KafkaAccess, Partition
from monitor.kafka.topics import topic_spans

PAUSE_SECONDS: Final = 0.2


def settled_ends(
    read: Callable[[], Mapping[Partition, int]], pause: Callable[[], None], attempts: int = 50
) -> dict[Partition, int]:
    """The next offset of every partition, by two equal reads in a row that are not below any read before.

    A broker may now and then report an end that is too low; an end never falls, so the greatest seen is a bound. Under
    constant traffic no two reads are equal: then, after so many attempts, the greatest seen of each partition counts.
    """
    greatest: dict[Partition, int] = {}
    before: Mapping[Partition, int] | None = None
    for _attempt in range(attempts):
        seen = read()
        for partition, end in seen.items():
            greatest[partition] = max(end, greatest.get(partition, 0))
        if before is not None and dict(before) == dict(seen) == greatest:
            break
        before = seen
        pause()
    return greatest


def published(access: KafkaAccess, topics: tuple[str, ...]) -> dict[Partition, int]:
    """The settled ends of the topics. Raises Unavailable when the broker is away, Refused when a topic is missing."""
    return settled_ends(lambda: topic_spans(access, topics).end, lambda: time.sleep(PAUSE_SECONDS), attempts=10)


def remaining(ends: Mapping[Partition, int], offsets: Mapping[Partition, int]) -> dict[Partition, int]:
    """Messages of each partition that are not applied yet, where there are any; an unknown partition is at 0."""
    behind = {partition: end - offsets.get(partition, 0) for partition, end in ends.items()}
    return {partition: n for partition, n in behind.items() if n > 0}


def wait_until_applied(
    ends: Mapping[Partition, int],
    read_offsets: Callable[[], Mapping[Partition, int]],
    *,
    patience_seconds: float,
    stopped: Callable[[], bool],
) -> dict[Partition, int]:
    """Wait until everything below the ends is applied; returns what is still missing when patience runs out.

    Patience counts from the last time that the intake moved: a long queue is drained for as long as it takes.
    """
    left = remaining(ends, read_offsets())
    deadline = time.monotonic() + patience_seconds
    while left and time.monotonic() < deadline and not stopped():
        time.sleep(PAUSE_SECONDS)
        now_left = remaining(ends, read_offsets())
        if now_left != left:
            deadline = time.monotonic() + patience_seconds
        left = now_left
    return left

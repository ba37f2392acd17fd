"""The dead-letter flood limit: a schema break must stop the intake before it has drained a topic. Pure.

Bad messages are counted for each topic over the partitions of one process: those that stand in a row at the end of what
was read, added up over the partitions, and those among the last 10,000. Both counts are taken up again from the stored
dead letters at a restart, so a restart does not let another thousand through.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.events.messages import Rejected
from monitor.kafka.access import Partition
from monitor.kafka.records import Message

WINDOW: Final = 10_000
"""Messages of a topic over which the share of bad ones is taken; those not read yet count as good."""


@dataclass(frozen=True, slots=True)
class FloodLimit:
    """At most `share` (0..1) of the last 10,000 messages of a topic, and fewer than `run` in a row, may be bad."""

    share: float
    run: int


@dataclass(frozen=True, slots=True)
class Flood:
    """The limit is reached. `place` is the first message of the chunk that must not be read, `offset` its offset."""

    partition: Partition
    place: int
    offset: int
    bad_in_a_row: int
    bad_of_window: int
    reason: str

    def __str__(self) -> str:
        topic, part = self.partition
        return (
            f"too many bad messages in topic {topic}: {self.bad_in_a_row} in a row, {self.bad_of_window} of the"
            f" last {WINDOW:,}; the last is {topic}/{part} offset {self.offset} ({self.reason}). Everything before it"
            " is stored, it and what follows is not. See `caldrift dead-letters list`, then mend the field mapping or"
            f" the producer; or skip with `caldrift offsets reset --topic {topic} --partition {part} --to OFFSET`;"
            " or allow more with ingest.dead_letter_run and ingest.dead_letter_share"
        )


class FloodGate:
    """Counts the bad messages of each topic as they are read."""

    def __init__(self, limit: FloodLimit) -> None:
        self._limit = limit
        self._topics: dict[str, _Topic] = {}

    def resume(self, partition: Partition, next_offset: int, bad_offsets: Iterable[int]) -> None:
        """Take up a partition: `bad_offsets` are those below `next_offset` that were bad, as far as they matter."""
        bad = sorted(bad_offsets, reverse=True)
        run = next((place for place, offset in enumerate(bad) if offset != next_offset - 1 - place), len(bad))
        topic = self._topics.setdefault(partition[0], _Topic())
        topic.runs[partition[1]] = run
        topic.pass_over(len(bad), bad=True)

    def forget(self) -> None:
        """Begin anew, before partitions are taken up again."""
        self._topics.clear()

    def admit(self, partition: Partition, messages: Sequence[Message], rejected: Sequence[Rejected]) -> Flood | None:
        """Count the messages of a chunk; returns where they must stop, None where all may pass."""
        topic = self._topics.setdefault(partition[0], _Topic())
        part = partition[1]
        at = 0
        for each in rejected:
            topic.pass_over(each.index - at, bad=False)
            if each.index > at:
                topic.runs[part] = 0
            at = each.index + 1
            run, recent = sum(topic.runs.values()) + 1, topic.bad_with_next(bad=True)
            if run >= self._limit.run or recent > self._limit.share * WINDOW:
                return Flood(partition, each.index, messages[each.index][0], run, recent, each.reason)
            topic.pass_over(1, bad=True)
            topic.runs[part] = topic.runs.get(part, 0) + 1
        if at < len(messages):
            topic.pass_over(len(messages) - at, bad=False)
            topic.runs[part] = 0
        return None


class _Topic:
    """The last messages of a topic as a ring of flags, and the bad ones at the end of each partition."""

    __slots__ = ("_at", "_bad", "_ring", "runs")

    def __init__(self) -> None:
        self._ring: npt.NDArray[np.bool_] = np.zeros(WINDOW, np.bool_)
        self._at = 0
        self._bad = 0
        self.runs: dict[int, int] = {}

    def bad_with_next(self, *, bad: bool) -> int:
        """How many of the last messages are bad once one more has come."""
        return self._bad - int(self._ring[self._at]) + bad

    def pass_over(self, n: int, *, bad: bool) -> None:
        """Take in n messages that are all good or all bad."""
        n = min(n, WINDOW)
        if not n or (not bad and not self._bad):
            return
        places = (self._at + np.arange(n)) % WINDOW
        self._bad += n * bad - int(self._ring[places].sum())
        self._ring[places] = bad
        self._at = (self._at + n) % WINDOW

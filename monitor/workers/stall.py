"""The stall watchdog: a partition that has messages but whose position does not move. Pure."""

from collections.abc import Mapping

from monitor.kafka.access import Partition


class StallWatch:
    """Remembers since when each partition stands still behind its end."""

    def __init__(self, after_seconds: float) -> None:
        self._after = after_seconds
        self._since: dict[Partition, tuple[int, float]] = {}

    def stalled(
        self, positions: Mapping[Partition, int], ends: Mapping[Partition, int], now_seconds: float
    ) -> list[Partition]:
        """The partitions that stood still behind their end for the whole time; each is named once per that time."""
        found: list[Partition] = []
        for partition in list(self._since):
            if partition not in positions:
                del self._since[partition]
        for partition, position in positions.items():
            before = self._since.get(partition)
            if before is None or before[0] != position or ends.get(partition, 0) <= position:
                self._since[partition] = (position, now_seconds)
            elif now_seconds - before[1] >= self._after:
                self._since[partition] = (position, now_seconds)
                found.append(partition)
        return sorted(found)

    def forget(self) -> None:
        """Begin anew: time spent waiting for the database is no stall."""
        self._since.clear()

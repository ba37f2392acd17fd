"""Batches of events for the applier, as the intake makes them."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from monitor.events.messages import Label, Prediction
from monitor.postgres import offsets
from monitor.postgres.database import Connection
from monitor.postgres.offsets import Advance, Reader
from monitor.rolling.bound import SeriesBound
from monitor.rolling.deltas import Delta, decode, merge
from monitor.rolling.segments import SegmentScheme
from monitor.workers.apply import Applied, Applier, JoinRules
from monitor.workers.batch import Batch, Chunk

NOW = datetime(2026, 6, 30, 15, 30, tzinfo=UTC)
NOW_US = 1_782_833_400_000_000
READER = Reader("group", "cluster")
PREDICTIONS, LABELS = "predictions", "labels"


def rules(bound: int = 10_000, max_classes: int = 0) -> JoinRules:
    return JoinRules(
        reader=READER,
        scheme=SegmentScheme(classes=max_classes > 0),
        bound=lambda: SeriesBound(max_series=bound, max_classes=max_classes),
        is_primary=lambda name: name != "complaint",
    )


class Feeder:
    """Feeds events to an applier, in batches of one partition a topic."""

    def __init__(self, connection: Connection, number: int = 0, bound: int = 10_000, max_classes: int = 0) -> None:
        self.connection = connection
        self.part = number
        self.next = Counter[str]()
        spans = {(PREDICTIONS, number): 0, (LABELS, number): 0}
        offsets.begin(connection, READER, spans, spans)
        self.applier = Applier(connection, rules(bound, max_classes))

    def batch(self, predictions: Sequence[Prediction] = (), labels: Sequence[Label] = ()) -> Batch:
        """The events at the next offsets."""
        advances, chunks = [], {}
        for topic, n in ((LABELS, len(labels)), (PREDICTIONS, len(predictions))):
            low = self.next[topic]
            messages = [(low + place, None, b"body") for place in range(n)]
            chunks[topic] = [Chunk((topic, self.part), messages, [])]
            if n:
                advances.append(Advance(topic, self.part, low, low + n))
        return Batch(advances, predictions, labels, chunks[PREDICTIONS], chunks[LABELS], NOW)

    def feed(self, predictions: Sequence[Prediction] = (), labels: Sequence[Label] = ()) -> Applied:
        """Apply the events."""
        batch = self.batch(predictions, labels)
        applied = self.applier.apply(batch, NOW, self.applier.stage(batch, NOW))
        self.next[PREDICTIONS] += len(predictions)
        self.next[LABELS] += len(labels)
        return applied


def total(connection: Connection) -> Delta:
    """The sum of every delta that waits."""
    return merge(*(decode(bytes(row[0])) for row in connection.execute("SELECT body FROM statistics_delta")))

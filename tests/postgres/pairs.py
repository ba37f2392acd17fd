"""Rows for the join, made by hand."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from monitor.events.identity import event_ids
from monitor.events.messages import Label, LabelKind
from monitor.postgres import joins, offsets
from monitor.postgres.database import Connection
from monitor.postgres.joins import Joined, LabelRows, PredictionRows
from monitor.postgres.offsets import Advance, Reader
from monitor.rolling.rows import Floats

NOW = datetime(2026, 6, 30, 15, 30, tzinfo=UTC)
NOW_US = 1_782_833_400_000_000
READER = Reader("group", "cluster")
PREDICTIONS, LABELS = "predictions", "labels"


def begin(connection: Connection) -> None:
    """One partition of each topic, nothing read."""
    spans = {(PREDICTIONS, 0): 0, (LABELS, 0): 0}
    offsets.begin(connection, READER, spans, spans)


def names(n: int, seed: int = 0) -> list[str]:
    """n UUIDs in ascending order."""
    rng = np.random.default_rng(seed)
    return sorted(str(uuid.UUID(bytes=rng.bytes(16), version=4)) for _ in range(n))


def predictions(ids: Sequence[str], confidence: float = 0.9, signals: Floats | None = None) -> PredictionRows:
    """Predictions of segment set 1."""
    n = len(ids)
    return PredictionRows(
        ids=event_ids(ids) if n else np.zeros(0, "V16"),
        segment_set=np.ones(n, np.int32),
        predicted_us=np.full(n, NOW_US),
        confidence=np.full(n, confidence),
        signals=signals,
    )


def labels(ids: Sequence[str], *given: Label) -> LabelRows:
    """One label for each id: the given one, or the same for all."""
    chosen = list(given) * (len(ids) if len(given) == 1 else 1)
    texts = [each.text if each.kind is LabelKind.LABEL else None for each in chosen]
    return LabelRows(
        ids=event_ids(ids) if len(ids) else np.zeros(0, "V16"),
        version=np.array([each.version for each in chosen], np.int64),
        labelled_us=np.array([each.labelled_at for each in chosen], np.int64),
        kind=np.array([each.kind for each in chosen], np.int16),
        number=np.array([each.number for each in chosen], np.float64),
        text=texts if any(text is not None for text in texts) else None,
    )


def label(correct: float = 1.0, version: int = 0, at: int = NOW_US) -> Label:
    return Label("", at, LabelKind.CORRECT, correct, "", version)


class Joiner:
    """Applies rows one after another over one connection, as ingest does."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.next = {PREDICTIONS: 0, LABELS: 0}

    def apply(self, rows: PredictionRows | None = None, tags: LabelRows | None = None) -> Joined:
        """One transaction."""
        sizes = {PREDICTIONS: len(rows) if rows is not None else 0, LABELS: len(tags) if tags is not None else 0}
        advances = [Advance(topic, 0, self.next[topic], self.next[topic] + n, None) for topic, n in sizes.items() if n]
        with joins.batch_transaction(self.connection):
            joined = joins.join(self.connection, READER, advances, NOW, rows, tags)
            joins.finish(self.connection, None, [])
        for topic, n in sizes.items():
            self.next[topic] += n
        return joined

"""Batches: what a join in memory needs of decoded events, as columns; None where no event of the batch has a value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeVar

import numpy as np

from monitor.events.identity import Ids, event_ids, scoped_event_ids
from monitor.events.messages import IdScope, Interval, Label, LabelKind, Prediction
from monitor.rolling.rows import Floats, Int16s, Int64s, Texts

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class PredictionColumns:
    """n predictions in order of arrival. Their segments are kept apart, as ids of segment sets."""

    ids: Ids
    predicted_us: Int64s
    confidence: Floats
    signals: Floats
    """(n, s) extra signals in ascending order of their names, NaN past an event's last; s may be 0."""
    predicted: Texts | None
    probabilities: Sequence[Mapping[str, float] | None] | None
    interval: Floats | None
    """(n, 3) low, high, level; NaN for none."""

    def __len__(self) -> int:
        return len(self.confidence)


@dataclass(frozen=True, slots=True, eq=False)
class LabelBatch:
    """n labels in order of arrival."""

    ids: Ids
    version: Int64s
    labelled_us: Int64s
    kind: Int16s
    number: Floats
    text: Texts | None
    source: Texts | None
    """Names of label sources."""
    propensity: Floats | None
    """NaN for none."""

    def __len__(self) -> int:
        return len(self.number)


def prediction_columns(predictions: Sequence[Prediction], id_scope: IdScope = "global") -> PredictionColumns:
    """The columns of decoded predictions."""
    n = len(predictions)
    return PredictionColumns(
        ids=prediction_ids(predictions, id_scope),
        predicted_us=np.fromiter(map(attrgetter("predicted_at"), predictions), np.int64, n),
        confidence=np.fromiter(map(attrgetter("confidence"), predictions), np.float64, n),
        signals=signal_table([each.signals for each in predictions]),
        predicted=if_any([each.predicted for each in predictions]),
        probabilities=if_any([each.probabilities for each in predictions]),
        interval=interval_table([each.interval for each in predictions]),
    )


def label_batch(labels: Sequence[Label], id_scope: IdScope = "global") -> LabelBatch:
    """The columns of decoded labels."""
    n = len(labels)
    return LabelBatch(
        ids=label_ids(labels, id_scope),
        version=np.fromiter(map(attrgetter("version"), labels), np.int64, n),
        labelled_us=np.fromiter(map(attrgetter("labelled_at"), labels), np.int64, n),
        kind=np.fromiter(map(attrgetter("kind"), labels), np.int16, n),
        number=np.fromiter(map(attrgetter("number"), labels), np.float64, n),
        text=label_texts(labels),
        source=if_any([each.source for each in labels]),
        propensity=propensities(labels),
    )


def prediction_ids(predictions: Sequence[Prediction], id_scope: IdScope) -> Ids:
    """The key of each prediction, V16 (n,)."""
    names = [each.prediction_id for each in predictions]
    return scoped_event_ids(names, [each.model for each in predictions]) if id_scope == "model" else event_ids(names)


def label_ids(labels: Sequence[Label], id_scope: IdScope) -> Ids:
    """The key of each label, V16 (n,); with ids scoped by model every label names its model: decoding saw to it."""
    names = [each.prediction_id for each in labels]
    return scoped_event_ids(names, [each.model or "" for each in labels]) if id_scope == "model" else event_ids(names)


def if_any(values: list[T | None]) -> list[T | None] | None:
    """The values of an optional field, None where no event has one."""
    return None if values.count(None) == len(values) else values


def signal_table(signals: Sequence[Mapping[str, float]]) -> Floats:
    """(n, s) extra signals in ascending order of their names, NaN past an event's last; s may be 0."""
    widest = max(map(len, signals), default=0)
    table = np.full((len(signals), widest), np.nan)
    if widest:
        for row, each in enumerate(signals):
            if each:
                table[row, : len(each)] = [each[name] for name in sorted(each)]
    return table


def interval_table(intervals: list[Interval | None]) -> Floats | None:
    """(n, 3) low, high, level, NaN for none; None where no event has one."""
    if if_any(intervals) is None:
        return None
    none = (np.nan, np.nan, np.nan)
    return np.array([none if each is None else (each.low, each.high, each.level) for each in intervals], np.float64)


def label_texts(labels: Sequence[Label]) -> list[str | None] | None:
    """The class that each label names, None for labels of another kind; None where all are."""
    return if_any([each.text if each.kind is LabelKind.LABEL else None for each in labels])


def propensities(labels: Sequence[Label]) -> Floats | None:
    """(n,) NaN where none was given; None where no label has one."""
    values = if_any([each.propensity for each in labels])
    return None if values is None else np.array(values, np.float64)

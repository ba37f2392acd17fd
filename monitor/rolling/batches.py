"""Batches: what a join in memory needs of decoded events, as columns; None where no event of the batch has a value."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from monitor.events.identity import Ids, event_ids, scoped_event_ids
from monitor.events.messages import IdScope, Label, LabelKind, Prediction
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
    names = [each.prediction_id for each in predictions]
    scoped = id_scope == "model"
    return PredictionColumns(
        ids=scoped_event_ids(names, [each.model for each in predictions]) if scoped else event_ids(names),
        predicted_us=np.fromiter((each.predicted_at for each in predictions), np.int64, n),
        confidence=np.fromiter((each.confidence for each in predictions), np.float64, n),
        signals=_signals([each.signals for each in predictions]),
        predicted=_if_any([each.predicted for each in predictions]),
        probabilities=_if_any([each.probabilities for each in predictions]),
        interval=_intervals(predictions),
    )


def label_batch(labels: Sequence[Label], id_scope: IdScope = "global") -> LabelBatch:
    """The columns of decoded labels. Where ids are scoped by model every label names one: decoding saw to it."""
    n = len(labels)
    names = [each.prediction_id for each in labels]
    kinds = np.fromiter((each.kind for each in labels), np.int16, n)
    propensities = [each.propensity for each in labels]
    return LabelBatch(
        ids=scoped_event_ids(names, [each.model or "" for each in labels]) if id_scope == "model" else event_ids(names),
        version=np.fromiter((each.version for each in labels), np.int64, n),
        labelled_us=np.fromiter((each.labelled_at for each in labels), np.int64, n),
        kind=kinds,
        number=np.fromiter((each.number for each in labels), np.float64, n),
        text=[each.text for each in labels] if (kinds == LabelKind.LABEL).any() else None,
        source=_if_any([each.source for each in labels]),
        propensity=None if _if_any(propensities) is None else np.array(propensities, np.float64),
    )


def _if_any(values: list[T | None]) -> list[T | None] | None:
    return values if any(value is not None for value in values) else None


def _signals(tables: Sequence[Mapping[str, float]]) -> Floats:
    widest = max(map(len, tables), default=0)
    signals = np.full((len(tables), widest), np.nan)
    if not widest:
        return signals
    for row, table in enumerate(tables):
        if table:
            signals[row, : len(table)] = [table[name] for name in sorted(table)]
    return signals


def _intervals(predictions: Iterable[Prediction]) -> Floats | None:
    given = [each.interval for each in predictions]
    if all(each is None for each in given):
        return None
    none = (np.nan, np.nan, np.nan)
    return np.array([none if each is None else (each.low, each.high, each.level) for each in given])

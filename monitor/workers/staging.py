"""Events -> the columns that the join takes: ids, order, one row an id. Pure, vectorised where most time would go."""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from monitor.events.identity import Ids, event_ids, scoped_event_ids
from monitor.events.messages import IdScope, Label, LabelKind, Prediction, label_order
from monitor.postgres.joins import LabelRows, PredictionRows
from monitor.postgres.partitions import IdRange
from monitor.rolling.rows import Floats, Int32s, Int64s

Places: TypeAlias = npt.NDArray[np.intp]

_LATEST_MS: Final = 253_402_300_799_999  # the end of the year 9999
_encode: Final = msgspec.json.Encoder().encode


def prediction_ids(predictions: Sequence[Prediction], scope: IdScope) -> Ids:
    """The key of each prediction, V16 (n,)."""
    names = [each.prediction_id for each in predictions]
    return event_ids(names) if scope == "global" else scoped_event_ids(names, [each.model for each in predictions])


def label_ids(labels: Sequence[Label], scope: IdScope) -> Ids:
    """The key of each label, V16 (n,); with ids scoped by model every label names its model."""
    names = [each.prediction_id for each in labels]
    return event_ids(names) if scope == "global" else scoped_event_ids(names, [each.model or "" for each in labels])


def halves(ids: Ids) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """The two halves of each id as numbers: (high, low) compare as Postgres compares uuid."""
    both = np.frombuffer(ids.tobytes(), ">u8").reshape(-1, 2).astype(np.uint64)
    return both[:, 0], both[:, 1]


def id_instants(ids: Ids) -> Int64s:
    """When each id of the time-ordered layout says it was made: microseconds since the epoch, as far as they fit."""
    high, _ = halves(ids)
    return np.minimum((high >> np.uint64(16)).astype(np.int64), _LATEST_MS) * 1000


def outside_range(ids: Ids, held: IdRange) -> npt.NDArray[np.bool_]:
    """Which ids have no partition. The bounds of a range are whole days: their lower half is zero."""
    high, _ = halves(ids)
    low, end = (np.uint64(int.from_bytes(bound[:8], "big")) for bound in (held.low, held.high))
    return (high < low) | (high >= end)


def ascending(ids: Ids) -> tuple[Places, npt.NDArray[np.bool_]]:
    """The order that sorts the ids (equal ones as they came), and in that order whether a row has the id before it."""
    high, low = halves(ids)
    order = np.lexsort((low, high))
    high, low = high[order], low[order]
    again = np.zeros(len(order), np.bool_)
    again[1:] = (high[1:] == high[:-1]) & (low[1:] == low[:-1])
    return order, again


def first_of_each(ids: Ids) -> tuple[Places, Places | None]:
    """The rows to apply, in order of their ids: the first of each id. And all in that order, where some repeat one."""
    order, again = ascending(ids)
    return (order[~again], order) if again.any() else (order, None)


def greatest_of_each(ids: Ids, labels: Sequence[Label]) -> tuple[Places, Places | None]:
    """The labels to apply, in order of their ids: the greatest of each id, the first among equals. And all of them in
    that order, where some repeat an id."""
    order, again = ascending(ids)
    if not again.any():
        return order, None
    kept: list[int] = []
    for place, repeats in zip(order.tolist(), again.tolist(), strict=True):
        if not repeats:
            kept.append(place)
        elif label_order(labels[place]) > label_order(labels[kept[-1]]):
            kept[-1] = place
    return np.array(kept, np.intp), order


def prediction_rows(
    predictions: Sequence[Prediction], ids: Ids, segment_sets: Int32s, places: Places
) -> PredictionRows:
    """The columns of the predictions at these places."""
    chosen = [predictions[place] for place in places.tolist()]
    steps = [-1 if each.step is None else each.step for each in chosen]
    return PredictionRows(
        ids=ids[places],
        segment_set=segment_sets[places],
        predicted_us=np.array([each.predicted_at for each in chosen], np.int64),
        confidence=np.array([each.confidence for each in chosen], np.float64),
        signals=_signals(chosen),
        predicted=_texts([each.predicted for each in chosen]),
        probabilities=_documents([each.probabilities or None for each in chosen]),
        interval=_intervals(chosen),
        numbers=_documents([_numbers(each) if each.segments else None for each in chosen]),
        reference=_texts([each.reference for each in chosen]),
        chain_id=_texts([each.chain_id for each in chosen]),
        step=np.array(steps, np.int32) if any(step >= 0 for step in steps) else None,
    )


def label_rows(labels: Sequence[Label], ids: Ids, source_number: Callable[[str], int], places: Places) -> LabelRows:
    """The columns of the labels at these places."""
    chosen = [labels[place] for place in places.tolist()]
    kind = np.array([each.kind for each in chosen], np.int16)
    sources = [0 if each.source is None else source_number(each.source) for each in chosen]
    propensities = [np.nan if each.propensity is None else each.propensity for each in chosen]
    return LabelRows(
        ids=ids[places],
        version=np.array([each.version for each in chosen], np.int64),
        labelled_us=np.array([each.labelled_at for each in chosen], np.int64),
        kind=kind,
        number=np.array([each.number for each in chosen], np.float64),
        text=[each.text if each.kind is LabelKind.LABEL else None for each in chosen] if (kind == 2).any() else None,
        source=np.array(sources, np.int16) if any(sources) else None,
        propensity=None if all(each.propensity is None for each in chosen) else np.array(propensities, np.float64),
    )


def _texts(values: list[str | None]) -> list[str | None] | None:
    return values if any(value is not None for value in values) else None


def _documents(values: list[dict[str, float] | None]) -> list[bytes | None] | None:
    if not any(values):
        return None
    return [_encode(value) if value else None for value in values]


def _numbers(prediction: Prediction) -> dict[str, float] | None:
    return {name: value for name, value in prediction.segments.items() if not isinstance(value, str)} or None


def _signals(predictions: Sequence[Prediction]) -> Floats | None:
    longest = max((len(each.signals) for each in predictions), default=0)
    if not longest:
        return None
    table = np.full((len(predictions), longest), np.nan)
    for row, each in enumerate(predictions):
        signals = each.signals
        if signals:
            table[row, : len(signals)] = [signals[name] for name in sorted(signals)]
    return table


def _intervals(predictions: Sequence[Prediction]) -> Floats | None:
    if all(each.interval is None for each in predictions):
        return None
    table = np.full((len(predictions), 3), np.nan)
    for row, each in enumerate(predictions):
        if each.interval is not None:
            table[row] = each.interval.low, each.interval.high, each.interval.level
    return table

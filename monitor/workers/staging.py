"""Events -> the columns that the join takes: ids, order, one row an id. Pure, vectorised where most time would go."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Final, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from monitor.events.identity import Ids
from monitor.events.messages import Label, Prediction, label_order
from monitor.postgres.joins import LabelRows, PredictionRows
from monitor.postgres.partitions import IdRange
from monitor.rolling.batches import if_any, interval_table, label_texts, propensities, signal_table
from monitor.rolling.rows import Int32s, Int64s

Places: TypeAlias = npt.NDArray[np.intp]

_LATEST_MS: Final = 253_402_300_799_999  # the end of the year 9999
_encode: Final = msgspec.json.Encoder().encode
_optional: Final = attrgetter("predicted", "probabilities", "interval", "reference", "chain_id", "step")
_NOTHING: Final = (None,) * 6


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
    predictions: Sequence[Prediction], ids: Ids, segment_sets: Int32s, places: Places, *, numbers: bool = True
) -> PredictionRows:
    """The columns of the predictions at these places. `numbers` is false where no segment value is a number."""
    n = len(places)
    chosen = [predictions[place] for place in places.tolist()]
    optional = list(map(_optional, chosen))
    signals = signal_table(list(map(attrgetter("signals"), chosen)))
    rows = PredictionRows(
        ids=ids[places],
        segment_set=segment_sets[places],
        predicted_us=np.fromiter(map(attrgetter("predicted_at"), chosen), np.int64, n),
        confidence=np.fromiter(map(attrgetter("confidence"), chosen), np.float64, n),
        signals=signals if signals.shape[1] else None,
        numbers=_numbers(list(map(attrgetter("segments"), chosen))) if numbers else None,
    )
    if optional.count(_NOTHING) == n:
        return rows
    predicted, probabilities, interval, reference, chain_id, step = map(list, zip(*optional, strict=True))
    return replace(
        rows,
        predicted=if_any(predicted),
        probabilities=if_any([_encode(each) if each else None for each in probabilities]),
        interval=interval_table(interval),
        reference=if_any(reference),
        chain_id=if_any(chain_id),
        step=None if if_any(step) is None else np.array([-1 if x is None else x for x in step], np.int32),
    )


def label_rows(labels: Sequence[Label], ids: Ids, source_number: Callable[[str], int], places: Places) -> LabelRows:
    """The columns of the labels at these places."""
    n = len(places)
    chosen = [labels[place] for place in places.tolist()]
    sources = if_any(list(map(attrgetter("source"), chosen)))
    return LabelRows(
        ids=ids[places],
        version=np.fromiter(map(attrgetter("version"), chosen), np.int64, n),
        labelled_us=np.fromiter(map(attrgetter("labelled_at"), chosen), np.int64, n),
        kind=np.fromiter(map(attrgetter("kind"), chosen), np.int16, n),
        number=np.fromiter(map(attrgetter("number"), chosen), np.float64, n),
        text=label_texts(chosen),
        source=None if sources is None else np.array([0 if x is None else source_number(x) for x in sources], np.int16),
        propensity=propensities(chosen),
    )


def _numbers(segments: Sequence[Mapping[str, str | float]]) -> list[bytes | None] | None:
    """The raw values of numeric dimensions as JSON, None where no event has one."""
    documents: list[bytes | None] = []
    for each in segments:
        numbers = {name: value for name, value in each.items() if not isinstance(value, str)} if each else None
        documents.append(_encode(numbers) if numbers else None)
    return None if documents.count(None) == len(documents) else documents

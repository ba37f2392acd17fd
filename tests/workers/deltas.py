"""Deltas as ingest writes them, from made-up events, and the rows that they refer to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monitor.calibration.cells import cell_index, delay_bucket
from monitor.calibration.sketch import Row, contributions
from monitor.postgres.arrays import TextArray
from monitor.postgres.database import Connection
from monitor.rolling.deltas import EVERY_SIGNAL, Delta, encode, merge
from monitor.rolling.segments import SegmentKey, key_text

HOUR_US = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Events:
    """Events of some segment sets by hour: confidence, outcome (NaN: no label) and how long the label took."""

    segment_set: np.typing.NDArray[np.int64]
    hour: np.typing.NDArray[np.int64]
    confidence: np.typing.NDArray[np.float64]
    outcome: np.typing.NDArray[np.float64]


def some_events(rng: np.random.Generator, sets: Sequence[int], hours: range, n: int) -> Events:
    """Over-confident events, four in five of them labelled."""
    confidence = np.round(rng.beta(6, 2, n), 2)
    outcome = (rng.random(n) < confidence - 0.1).astype(np.float64)
    outcome[rng.random(n) < 0.2] = np.nan
    return Events(rng.choice(np.array(sets), n), rng.choice(np.array(hours), n), confidence, outcome)


def delta_of_events(events: Events, sign: int = 1) -> Delta:
    """What the events add, or take away."""
    n = len(events.hour)
    labelled = ~np.isnan(events.outcome)
    short = np.zeros(n, np.int16)
    added = sign * contributions(events.confidence, events.outcome)
    of_labels = added[:, labelled]
    delay = delay_bucket(np.full(int(labelled.sum()), HOUR_US)).astype(np.int16)
    once = Delta(
        segment_set=events.segment_set.astype(np.int32),
        signal=short,
        source=short,
        pane_hour=events.hour,
        cell=cell_index(events.confidence),
        sums=added,
        delay_segment_set=events.segment_set[labelled].astype(np.int32),
        delay_signal=np.full(len(delay), EVERY_SIGNAL, np.int16),
        delay_source=short[labelled],
        delay_pane_hour=events.hour[labelled],
        delay_bucket=delay,
        delay_sums=np.stack([of_labels[Row.N], of_labels[Row.Y], np.zeros(len(delay), np.int64)]),
    )
    return merge(once)


def some_sets(connection: Connection, model: str, values: Sequence[str]) -> list[int]:
    """Stored segment sets of a model, one for each value of `lang`."""
    numbers = []
    for value in values:
        key = SegmentKey(model, None, (("lang", value),), ())
        row = connection.execute(
            "INSERT INTO segment_set (key, model, segments, signals) VALUES (%s, %s, '{}', %s) RETURNING id",
            (key_text(key), model, TextArray([])),
        ).fetchone()
        assert row is not None
        numbers.append(int(row[0]))
    return numbers


def write_delta(connection: Connection, delta: Delta) -> None:
    """Leave a delta for the leader."""
    connection.execute("INSERT INTO statistics_delta (body) VALUES (%s)", (encode(delta),))

"""The labels of a model by dimension and stretch of time: what recalibration maps are fitted to and judged by."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np

from monitor.calibration.sketch import Sketch, empty
from monitor.postgres.arrays import Int4Array
from monitor.postgres.database import Connection
from monitor.postgres.panes import span_sums
from monitor.rolling.panes import Span, hour_of, start_of
from monitor.rolling.stacks import series_of, sketches

SERIES: Final = """
SELECT id, segment FROM series WHERE model = %s AND signal = %s AND source_group = ''
AND (SELECT count(*) FROM jsonb_object_keys(segment)) <= 1 ORDER BY id
"""
HOURS: Final = """
SELECT pane_start, (SELECT sum(x) FROM unnest(n) AS u (x))::bigint FROM pane
WHERE series = %(series)s AND pane_start >= %(start)s AND pane_start < %(end)s ORDER BY pane_start
"""
ONSET: Final = """
SELECT onset_at FROM alarm WHERE series = ANY(%s) AND tier = 'page' ORDER BY pane_start DESC LIMIT 1
"""
MODELS: Final = """
SELECT model, created_at FROM series WHERE signal = %s AND segment_text = '{}' AND source_group = '' ORDER BY model
"""


@dataclass(frozen=True, slots=True)
class ModelSeries:
    """The series of one model and signal: `whole` that of everything, and by dimension and value those of slices."""

    whole: int
    by_value: Mapping[str, Mapping[str, int]]

    @property
    def ids(self) -> list[int]:
        """All of them."""
        return [self.whole, *(number for values in self.by_value.values() for number in values.values())]


def model_series(connection: Connection, model: str, signal: str) -> ModelSeries | None:
    """The series of a model; None where it has none of this signal."""
    whole, by_value = None, dict[str, dict[str, int]]()
    for number, segment in connection.execute(SERIES, (model, signal)).fetchall():
        for dimension, value in segment.items():
            by_value.setdefault(dimension, {})[value] = number
        if not segment:
            whole = number
    return None if whole is None else ModelSeries(whole, by_value)


def labels_by_hour(connection: Connection, series: int, span: Span) -> list[tuple[int, int]]:
    """How many labels each pane of a series holds, as (hour of its start, labels), ascending."""
    given = {"series": series, "start": start_of(span.start_hour), "end": start_of(span.end_hour)}
    return [(hour_of(start), int(n or 0)) for start, n in connection.execute(HOURS, given).fetchall()]


def sketches_of(connection: Connection, series: list[int], span: Span) -> dict[int, Sketch]:
    """What each series holds in a stretch of time; nothing, where it has no pane there."""
    summed = span_sums(connection, np.array(sorted(series), np.int64), span)
    numbers = series_of(summed.stack.keys).tolist()
    held = {numbers[place]: sketch for place, (_, sketch) in enumerate(sketches(summed.stack))}
    return {number: held.get(number, empty()) for number in series}


def last_onset(connection: Connection, series: list[int]) -> datetime | None:
    """When the drift began that the detectors paged of last, in any of these series."""
    row = connection.execute(ONSET, (Int4Array(np.array(series, np.int64)),)).fetchone()
    found: datetime | None = None if row is None else row[0]
    return found


def models(connection: Connection, signal: str) -> dict[str, datetime]:
    """The models that have predictions with this signal, and the wall time at which each first had one."""
    return dict(connection.execute(MODELS, (signal,)).fetchall())

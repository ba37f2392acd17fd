"""The sums of windows by series of one model, as pages cut them at thresholds: rows that the leader has computed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np

from monitor.calibration.sketch import Sketch, empty
from monitor.postgres.database import Connection
from monitor.postgres.windows import read_windows
from monitor.rolling.segments import SeriesName, segment_text
from monitor.rolling.stacks import code, sketches

MOST: Final = 24
"""Series of one model that are read at once."""

CHOSEN: Final = """
SELECT s.id, s.model, s.signal, s.segment_text, s.source_group, w.start_at, w.end_at
FROM series AS s JOIN window_sum AS w ON w.series = s.id
WHERE s.model = %(model)s AND s.source_group = '' AND w.window_name = %(window)s AND (
    s.segment = '{}' OR (s.signal, s.segment_text) = (%(signal)s, %(segment)s)
    OR (s.signal = %(signal)s AND (SELECT count(*) FROM jsonb_object_keys(s.segment)) = 1))
ORDER BY (s.signal, s.segment_text) = (%(signal)s, %(segment)s) DESC, s.segment <> '{}',
    (SELECT sum(n) FROM unnest(w.n) AS n) DESC, s.segment_text, s.signal
LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class WindowSum:
    """One series, and what its window holds."""

    name: SeriesName
    start_at: datetime
    end_at: datetime
    sketch: Sketch


def window_sums(
    connection: Connection, model: str, window: str, *, signal: str, segment: dict[str, str], limit: int = MOST
) -> list[WindowSum]:
    """The series of this signal and segment first, then the whole model by each signal, then the signal by each value
    of one dimension, those with most labels first."""
    given = {"model": model, "window": window, "signal": signal, "segment": segment_text(segment), "limit": limit}
    rows = connection.execute(CHOSEN, given).fetchall()
    keys = code(np.array([row[0] for row in rows], np.int64), 0)
    found = dict(sketches(read_windows(connection, [window], np.sort(keys))))
    return [
        WindowSum(SeriesName(*row[1:5]), row[5], row[6], found.get(key, empty()))
        for key, row in zip(keys.tolist(), rows, strict=True)
    ]

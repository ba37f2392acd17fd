"""Counts for the confidence-accuracy matrix, from the sums of windows that are kept anyway."""

from typing import Final

import numpy as np

from monitor.calibration.cells import UNIT, bin_of_cells
from monitor.calibration.sketch import Row
from monitor.postgres.arrays import Int4Array
from monitor.postgres.database import Connection
from monitor.postgres.sketches import COLUMNS, read_stack
from monitor.review.matrix import BANDS, Count
from monitor.rolling.stacks import sketches

_BINS: Final = 20
"""Bins of which bands are made: every band begins at a multiple of 1/20."""
_BAND: Final = np.searchsorted(np.array(BANDS), np.arange(_BINS) / _BINS + 1e-9) - 1

_SERIES: Final = """
SELECT s.id, s.segment ->> %(dimension)s FROM series AS s
WHERE s.model = %(model)s AND s.signal = %(signal)s AND s.source_group = '' AND s.segment ? %(dimension)s
    AND (SELECT count(*) FROM jsonb_object_keys(s.segment)) = 1
"""
_SUMS: Final = f"""
SELECT series::bigint, {COLUMNS} FROM window_sum WHERE window_name = %(window)s AND series = ANY (%(series)s)
"""


def counts_by_value(connection: Connection, model: str, signal: str, window: str, dimension: str) -> list[Count]:
    """How many labels of primary sources, and how many right, of each value of the dimension in each band."""
    asked = {"model": model, "signal": signal, "dimension": dimension}
    values = {int(number): str(value) for number, value in connection.execute(_SERIES, asked).fetchall()}
    numbers = Int4Array(np.array(sorted(values), np.int32))
    stack = read_stack(connection, _SUMS, {"window": window, "series": numbers}).stack
    found = []
    for series, sketch in sketches(stack):
        band = _BAND[bin_of_cells(_BINS, "left_closed")[sketch.cells]]
        n, right, confidence = (
            np.bincount(band, sketch.sums[row].astype(float), len(BANDS)) for row in (Row.N, Row.Y, Row.C)
        )
        found += [
            Count(values[series], k, round(float(n[k])), float(right[k]) / UNIT, float(confidence[k]) / UNIT)
            for k in np.flatnonzero(n).tolist()
        ]
    return found


def dimensions(connection: Connection, model: str, signal: str) -> list[str]:
    """The dimensions that series of the model and signal have."""
    rows = connection.execute(
        "SELECT DISTINCT d.name FROM series, jsonb_object_keys(segment) AS d (name)"
        " WHERE model = %s AND signal = %s AND source_group = '' ORDER BY 1",
        (model, signal),
    ).fetchall()
    return [str(name) for (name,) in rows]

"""Maturity: the age at which the labels of a pane count as complete, and whether they still come in numbers."""

from datetime import datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.calibration.cells import UNIT
from monitor.calibration.sketch import Row
from monitor.rolling.panes import Span, hour_of
from monitor.rolling.stacks import Stack


def mature_hour(now: datetime, maturity: timedelta) -> int:
    """The first hour that is not mature at `now`: every pane before it ended at least `maturity` ago."""
    return hour_of(now - maturity)


def is_mature(span: Span, now: datetime, maturity: timedelta) -> bool:
    """Whether every pane of the span ended at least `maturity` before `now`."""
    return span.end_hour <= mature_hour(now, maturity)


STILL: Final = 0.02
"""A pane of which at most this share came in the last hour is complete as far as one can tell,"""
PATIENCE_HOURS: Final = 24
"""and one that was known for so long is taken as it is."""


def is_settled(
    held: npt.NDArray[np.int64], came: npt.NDArray[np.int64], known_for: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Which mature panes have stopped filling, (p,): a backlog that is being read brings old panes piece by piece.

    held (p,) predictions and labels of each; came (p,) those of the last hour; known_for (p,) hours since its first.
    One that came alone does not count. A pane that is not known yet has not begun to fill.
    """
    still = (came <= np.maximum(1, STILL * held)) & (known_for >= 0)
    return np.asarray(still | (known_for >= PATIENCE_HOURS))


def labels_changed(changes: Stack) -> npt.NDArray[np.int64]:
    """How many labels of each pane came, went or changed their outcome, (m,): at least so many, of the summed changes.

    A label that comes and one that goes in the same cell and batch of changes count as none.
    """
    n, right = np.abs(changes.sums[Row.N]), np.abs(changes.sums[Row.Y])
    total = np.zeros(len(changes), np.int64)
    np.add.at(total, changes.rows, np.maximum(n, -(-right // UNIT)))
    return total

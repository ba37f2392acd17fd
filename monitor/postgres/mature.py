"""Mature panes as they were known at a full hour: what the detectors are fed, once each and in order.

Read at any later moment they are the same (`pane_history` tells when each change was known), so feeding them again
gives the same answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.calibration.sketch import Row
from monitor.postgres.arrays import FixedArray, Int4Array, TimestamptzArray
from monitor.postgres.database import Connection
from monitor.postgres.panes import HOUR_SECONDS, HOUR_US, KEY, READ_HISTORY, places_of
from monitor.postgres.sketches import COLUMNS, read_stack
from monitor.rolling.maturity import is_settled
from monitor.rolling.panes import BEGINNING, start_of
from monitor.rolling.stacks import Ints, Stack, defective, negative, part, plus, series_of

UNFED: Final = f"""
SELECT p.{KEY}, {COLUMNS}
FROM unnest(%(series)s, %(after)s) AS k (series, after) CROSS JOIN LATERAL (
    SELECT * FROM pane
    WHERE pane.series = k.series AND pane_start > k.after AND pane_start < %(before)s AND width = {HOUR_SECONDS}
        AND 0 < ANY (n)
    ORDER BY pane_start LIMIT %(most)s
) AS p
"""
CHANGED_LATER: Final = f"""
SELECT h.{KEY}, {COLUMNS}
FROM unnest(%(series)s, %(start)s) AS k (series, pane_start) JOIN pane_history AS h USING (series, pane_start)
WHERE h.known_at > %(known_at)s
"""
FIRST_KNOWN: Final = f"""
SELECT k.key, (extract(epoch FROM k.known_at) / 3600)::bigint
FROM unnest(%(series)s, %(start)s) AS p (series, pane_start) CROSS JOIN LATERAL (
    SELECT h.{KEY} AS key, h.known_at FROM pane_history AS h
    WHERE h.series = p.series AND h.pane_start = p.pane_start ORDER BY h.known_at LIMIT 1
) AS k
"""


@dataclass(frozen=True, slots=True)
class Mature:
    """Panes by `code(series, hour)` as known at an hour: those that may be fed, and what changed in them later.

    A pane that still fills holds back all later ones of its series. `more`: some series have further ones to read.
    """

    panes: Stack
    later: Stack
    more: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which panes are to be read: of each series the first ones, at most `most`, after an hour of its own and before
    `before_hour`, as they were known at `known_hour`, which has passed. `series` ascending."""

    series: Ints
    after: Ints
    before_hour: int
    known_hour: int
    most: int


def mature_panes(connection: Connection, wanted: Wanted) -> Mature:
    """The panes that may be fed. Panes below zero are left out. The caller is in the leader's transaction."""
    series, known_hour, most = wanted.series, wanted.known_hour, wanted.most
    edges = {
        "after": TimestamptzArray(np.maximum(wanted.after, BEGINNING) * HOUR_US),
        "before": start_of(wanted.before_hour),
        "most": most,
    }
    now = read_stack(connection, UNFED, {"series": Int4Array(series), **edges})
    keys = np.unique(now.keys)
    places = places_of(keys)
    later = read_stack(connection, CHANGED_LATER, {**places, "known_at": start_of(known_hour)}).stack
    known = plus(now.stack, negative(later)) if len(later) else now.stack
    came = read_stack(connection, READ_HISTORY, {**places, "known_at": start_of(known_hour)}).stack
    settled = is_settled(_held(known, keys), _held(came, keys), known_hour - _first_known(connection, keys, places))
    ready = _until_the_first(~settled, keys)
    sound = ready & ~np.isin(keys, defective(known))
    full = np.bincount(np.searchsorted(series, series_of(keys)), minlength=len(series)) >= most
    held_back = np.isin(series, series_of(keys[~ready]))
    return Mature(part(known, sound), part(later, np.isin(later.keys, keys[ready])), bool((full & ~held_back).any()))


def _held(stack: Stack, keys: Ints) -> Ints:
    """Predictions and labels of each pane, (p,); what was taken back counts as well."""
    totals = np.zeros(len(keys), np.int64)
    np.add.at(
        totals, np.searchsorted(keys, stack.keys[stack.rows]), np.abs(stack.sums[[Row.N_PRED, Row.N]]).sum(axis=0)
    )
    return totals


def _first_known(connection: Connection, keys: Ints, places: Mapping[str, FixedArray]) -> Ints:
    """The hour at which each pane was first known, (p,); long ago where nothing tells."""
    found: dict[int, int] = dict(connection.execute(FIRST_KNOWN.encode(), places).fetchall())
    return np.array([found.get(key, BEGINNING) for key in keys.tolist()], np.int64)


def _until_the_first(wrong: npt.NDArray[np.bool_], keys: Ints) -> npt.NDArray[np.bool_]:
    """Which panes come before the first wrong one of their series; keys ascending."""
    series = series_of(keys)
    first = np.full(len(keys), np.iinfo(np.int64).max)
    start = np.searchsorted(series, series)
    np.minimum.at(first, start[wrong], np.flatnonzero(wrong))
    return np.asarray(np.arange(len(keys)) < first[start])

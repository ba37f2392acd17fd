"""Fan-out: from the segment sets of a delta to the series that they feed, all cells at once."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from monitor.events.rules import MAIN_SIGNAL
from monitor.rolling.columns import Integers
from monitor.rolling.deltas import EVERY_SIGNAL, Delta
from monitor.rolling.rows import Int64s
from monitor.rolling.segments import SegmentKey, SeriesName, series_names, signal_names
from monitor.rolling.stacks import Stack, code, gather

Route: TypeAlias = tuple[int, int]
"""(segment set, source group): what decides, together with the signal, which series a row of a delta feeds."""

Directory: TypeAlias = Mapping[Route, Sequence[Sequence[int]]]
"""For each route, and in it for each signal from the main one on, the ids of the series that it feeds.

A series stands twice where two signals were folded into it.
"""


def routes(delta: Delta) -> set[Route]:
    """The routes that a directory must hold for this delta."""
    return _distinct(delta.segment_set, delta.source) | _distinct(delta.delay_segment_set, delta.delay_source)


def route_names(key: SegmentKey, main_signal: str = MAIN_SIGNAL, source_group: str = "") -> list[list[SeriesName]]:
    """The series of one route by name: a list for each signal, the main one first. Source 0 is the group ''."""
    signals = range(len(signal_names(key, main_signal)))
    return [series_names(key, signal, main_signal, source_group) for signal in signals]


def by_series(delta: Delta, directory: Directory) -> Stack:
    """The delta's sums by series and pane: a stack with the keys `stacks.code(series, pane_hour)`.

    Label delays of EVERY_SIGNAL go to every signal of their segment set. Raises KeyError when the directory lacks one
    of the `routes`.
    """
    row, series = _fanned(delta.segment_set, delta.source, delta.signal, directory)
    delay_row, delay_series = _fanned(delta.delay_segment_set, delta.delay_source, delta.delay_signal, directory)
    return gather(
        code(series, delta.pane_hour[row]),
        delta.cell[row],
        delta.sums[:, row],
        delay_keys=code(delay_series, delta.delay_pane_hour[delay_row]),
        delay_buckets=delta.delay_bucket[delay_row],
        delay_sums=delta.delay_sums[:, delay_row],
    )


def _distinct(segment_set: Integers, source: Integers) -> set[Route]:
    packed = np.unique(segment_set.astype(np.int64) << 16 | source.astype(np.int64))
    return {(number >> 16, number & 0xFFFF) for number in packed.tolist()}


def _fanned(segment_set: Integers, source: Integers, signal: Integers, directory: Directory) -> tuple[Int64s, Int64s]:
    """For each row and each series that it feeds: the place of the row, and the id of the series."""
    packed = segment_set.astype(np.int64) << 32 | source.astype(np.int64) << 16 | (signal.astype(np.int64) + 1)
    distinct, which = np.unique(packed, return_inverse=True)
    fed = [_fed(directory[number >> 32, number >> 16 & 0xFFFF], (number & 0xFFFF) - 1) for number in distinct.tolist()]
    lengths = np.array([len(ids) for ids in fed], np.int64)
    starts = np.cumsum(lengths) - lengths
    flat = np.array([one for ids in fed for one in ids], np.int64)
    copies = lengths[which]
    row = np.repeat(np.arange(len(packed)), copies)
    within = np.arange(len(row)) - np.repeat(np.cumsum(copies) - copies, copies)
    return row, flat[starts[which][row] + within]


def _fed(by_signal: Sequence[Sequence[int]], signal: int) -> Sequence[int]:
    if signal == EVERY_SIGNAL:
        return [one for ids in by_signal for one in ids]
    return by_signal[signal]

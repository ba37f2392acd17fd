"""What the detectors are compared with: each gives the label of its first alarm in each stream, or -1."""

from collections.abc import Callable

import numpy as np
from msgspec import structs
from river.drift import ADWIN, PageHinkley

from bench.streams import CELLS, GRID, Floats, Stream
from monitor.calibration.bins import bin_of_cells
from monitor.calibration.cells import Int64Array
from monitor.drift.bands import part_of
from monitor.drift.baseline import Baseline

Rival = Callable[[Stream], Int64Array]
"""First alarm of each stream by the number of the label (R,), -1 for none."""

WINDOW = 500
STAKES = np.array([0.2, 0.4, 0.8, 1.4])


def windowed_ece(limit: float) -> Rival:
    """ECE of the last 500 labels above a limit, looked at with every label."""

    def first(stream: Stream) -> Int64Array:
        bins = bin_of_cells(10, "right_closed")[CELLS][stream.place]
        found = np.full(len(stream), -1)
        for row, (where, residual) in enumerate(zip(bins, stream.confidence - stream.outcome, strict=True)):
            sums = np.zeros((stream.length + 1, 10))
            sums[np.arange(1, stream.length + 1), where] = residual
            sums = np.cumsum(sums, axis=0)
            ece = np.abs(sums[WINDOW:] - sums[:-WINDOW]).sum(axis=1) / WINDOW
            over = np.flatnonzero(ece > limit)
            if len(over):
                found[row] = over[0] + WINDOW - 1
        return found

    return first


def cusum(drift: float, limit: float) -> Rival:
    """Page's two-sided CUSUM (1954) of confidence minus outcome."""

    def first(stream: Stream) -> Int64Array:
        residual = stream.confidence - stream.outcome
        over, under = np.zeros(len(stream)), np.zeros(len(stream))
        found = np.full(len(stream), -1)
        for t in range(stream.length):
            over = np.maximum(0.0, over + residual[:, t] - drift)
            under = np.maximum(0.0, under - residual[:, t] - drift)
            found[((over > limit) | (under > limit)) & (found < 0)] = t
        return found

    return first


def adwin(delta: float) -> Rival:
    """river's ADWIN on confidence minus outcome, label by label, with its defaults."""
    return _each(lambda: ADWIN(delta=delta))


def page_hinkley() -> Rival:
    """river's Page-Hinkley on confidence minus outcome, label by label, with its defaults."""
    return _each(PageHinkley)


def _each(make: Callable[[], ADWIN | PageHinkley]) -> Rival:
    def first(stream: Stream) -> Int64Array:
        found = np.full(len(stream), -1)
        for row, residual in enumerate((stream.confidence - stream.outcome).tolist()):
            detector = make()
            for t, value in enumerate(residual):
                detector.update(value)
                if detector.drift_detected:
                    found[row] = t
                    break
        return found

    return first


def frozen(baselines: list[Baseline], alpha: float, pane: int, *, careful: bool) -> Rival:
    """The betting detector on a baseline that does not grow: a tolerance of .02, or at least 2 standard errors.

    Without `careful` the baseline is Platt's map alone, not moved to zero mean residual in each band.
    """
    part = part_of(CELLS)
    inside = np.stack([np.ones(len(GRID), bool), part == 0, part == 1, part == 2])
    maps = [each if careful else structs.replace(each, shift=(0.0, 0.0, 0.0)) for each in baselines]
    expected = np.stack([each.expected(GRID, part) for each in maps])
    errors = np.array([each.standard_error for each in baselines])
    margin = np.maximum(0.02, 2 * errors) if careful else np.full(errors.shape, 0.02)
    by_outcome = [_frozen_logs(expected, inside, margin, outcome) for outcome in (0.0, 1.0)]

    def first(stream: Stream) -> Int64Array:
        held = np.zeros((len(stream), 32))
        found = np.full(len(stream), -1)
        for start in range(0, stream.length - pane + 1, pane):
            n, right = stream.counts(start, start + pane)
            gained = np.einsum("rjk,rk->rj", by_outcome[1], right) + np.einsum("rjk,rk->rj", by_outcome[0], n - right)
            log_m = held + gained
            found[(np.exp(np.minimum(log_m, 600)).mean(axis=1) >= 1 / alpha) & (found < 0)] = start + pane - 1
            held = np.logaddexp(0.0, log_m)
        return found

    return first


def _frozen_logs(expected: Floats, inside: np.ndarray, margin: Floats, outcome: float) -> Floats:
    """(R, 32, 201) log factors of one label of an outcome."""
    logs = np.zeros((len(expected), 4, 2, 4, len(GRID)))
    for band, within in enumerate(inside):
        low, high = expected[:, within].min(axis=1), expected[:, within].max(axis=1)
        for side, (sign, worst) in enumerate(((1, 1 - low), (-1, high))):
            stake = np.minimum(STAKES, 0.9 / (worst + margin[:, band])[:, None])
            x = sign * (expected[:, within] - outcome) - margin[:, band, None]
            logs[:, band, side][:, :, within] = np.log(1 + stake[:, :, None] * x[:, None, :])
    return logs.reshape(len(expected), 32, len(GRID))

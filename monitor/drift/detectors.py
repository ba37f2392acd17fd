"""Detectors: feed one mature pane to each of S series, and learn which baselines no longer hold."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from monitor.calibration.cells import FloatArray, Int64Array
from monitor.drift.alarms import Alarm, Seen, after, page, warning
from monitor.drift.baseline import Baselines
from monitor.drift.betting import bets, evidence
from monitor.drift.labels import Labels
from monitor.drift.ratios import ratios
from monitor.drift.recursion import Onset, log_mean, log_plus_one
from monitor.drift.state import State
from monitor.errors import Refused

TOLERANCE: Final = 0.01
"""Shifts of a band's mean residual that do not matter, as soon as the baseline is sure enough to tell."""


@dataclass(frozen=True, slots=True, eq=False)
class Limits:
    """`page` and `warn`: expected false alarms per pane fed, (S,), in 0..1; 0 switches a tier off for that series.

    `tolerance`: which shifts of the mean residual of a band do not matter to the page tier.
    """

    page: FloatArray
    warn: FloatArray
    tolerance: float = TOLERANCE


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What feeding a pane to each series gave.

    `state` after it; `alarms`, pages before warnings, in order of the series. What was fed, to be stored beside the
    pane: `panes` int64 (S,), `labels` (S,) and `residual` (S,), its mean of expected minus outcome by the baseline.
    """

    state: State
    alarms: tuple[Alarm, ...]
    panes: Int64Array
    labels: FloatArray
    residual: FloatArray


def step(
    state: State,
    baselines: Baselines,
    labels: Labels,
    panes: Int64Array,
    limits: Limits,
) -> Step:
    """Feed pane `panes[s]` (hours since the epoch) with its labels to each series s, in order of prediction time.

    A tier that alarms is reset. Raises Refused, with nothing fed, where a pane is not after all that were fed: labels
    that come later change the pane, not what was fed. A series' digits do not depend on the others.
    """
    _refuse_repeats(state, panes)
    expected = baselines.expected(labels.position, labels.series, labels.part)
    found = bets(baselines, state.grown, labels, expected, limits.tolerance)
    ratio = ratios(baselines, state.grown[:, 0, 0], state.excess, labels, expected)
    grown = state.grown + np.stack([found.labels, found.residual], axis=-1)
    seen = Seen(baselines, panes, grown)

    page_m, warn_m = state.page + found.log_factor, state.warn + ratio.log_factor
    page_onset = after(state.page_onset, state.page, panes, found, "page")
    warn_onset = after(state.warn_onset, state.warn, panes, found, "warn")
    page_value, warn_value = evidence(page_m), log_mean(warn_m)
    paged, warned = page_value >= _log_threshold(limits.page), warn_value >= _log_threshold(limits.warn)
    return Step(
        State(
            np.where(paged[:, None, None, None], 0.0, log_plus_one(page_m)),
            _packed(page_onset),
            np.where(warned[:, None], 0.0, log_plus_one(warn_m)),
            _packed(warn_onset),
            grown,
            state.excess + ratio.excess,
            panes.astype(np.int64),
        ),
        (
            *(page(seen, series, page_m, page_onset, page_value) for series in np.flatnonzero(paged).tolist()),
            *(warning(seen, series, warn_m, warn_onset, warn_value) for series in np.flatnonzero(warned).tolist()),
        ),
        panes.astype(np.int64),
        found.labels[:, 0],
        found.residual[:, 0] / found.labels[:, 0],
    )


def _packed(onset: Onset) -> FloatArray:
    return np.stack([onset.pane, onset.variance, onset.labels, onset.residual], axis=1)


def _log_threshold(alpha: FloatArray) -> FloatArray:
    """log(1 / alpha); infinite where alpha is 0."""
    return -np.log(alpha, out=np.full(len(alpha), -np.inf), where=alpha > 0)


def _refuse_repeats(state: State, panes: Int64Array) -> None:
    wrong = np.flatnonzero(panes <= state.fed_until)
    if len(wrong):
        at = int(wrong[0])
        raise Refused(f"pane {int(panes[at])} of series {at} is not after pane {int(state.fed_until[at])}, fed before")

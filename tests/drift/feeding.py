"""Panes of labels for the tests: drawn, told pair by pair, and fed one after the other."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from monitor.calibration.panel import panel_of
from monitor.calibration.sketch import sketch_of
from monitor.drift.alarms import Alarm
from monitor.drift.baseline import Baseline, stacked
from monitor.drift.detectors import Limits, step
from monitor.drift.labels import Labels, of_panel
from monitor.drift.state import State, begun
from tests.calibration.streams import STATED

Floats = npt.NDArray[np.float64]
Pairs = Sequence[tuple[float, float]]
VALUES = STATED[1:-1]
"""Stated confidences, without 0 and 1."""


def labels_of(*series: Pairs) -> Labels:
    """One pane of each series, given by its (confidence, outcome) pairs."""
    return of_panel(panel_of([sketch_of([c for c, _ in pairs], [y for _, y in pairs]) for pairs in series]))


def drawn(rng: np.random.Generator, n: int, chance: Floats) -> Pairs:
    """n pairs of a confidence from `VALUES` and an outcome that is right with the chance of that value."""
    place = rng.integers(0, len(VALUES), n)
    outcome = rng.random(n) < chance[place]
    return list(zip(VALUES[place].tolist(), outcome.astype(float).tolist(), strict=True))


def limits(size: int, page: float = 1e-9, warn: float = 1e-9, tolerance: float = 0.01) -> Limits:
    """The same rates for all series."""
    return Limits(np.full(size, page), np.full(size, warn), tolerance)


def fed(baseline: Baseline, panes: Sequence[Pairs], rates: Limits, first: int = 0) -> tuple[State, list[Alarm]]:
    """The state and all alarms of one series after its panes, numbered from `first`."""
    baselines = stacked([baseline])
    state, alarms = begun(baselines), list[Alarm]()
    for number, pairs in enumerate(panes, first):
        done = step(state, baselines, labels_of(pairs), np.array([number]), rates)
        state = done.state
        alarms += done.alarms
    return state, alarms

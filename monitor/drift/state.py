"""State of the detectors: 240 numbers and the last pane of each series, as arrays over S series."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np

from monitor.calibration.cells import FloatArray, Int64Array
from monitor.drift.bands import BANDS
from monitor.drift.baseline import Baselines
from monitor.drift.betting import SHIFTS, SIDES
from monitor.drift.ratio import ALTERNATIVES
from monitor.errors import Refused

NOTHING_FED: Final = -1
"""`fed_until` of a series that was fed nothing: before every pane."""

_SHAPES: Final = {
    "page": (len(BANDS), len(SIDES), len(SHIFTS)),
    "page_onset": (4, len(BANDS), len(SIDES), len(SHIFTS)),
    "warn": (len(ALTERNATIVES),),
    "warn_onset": (4, len(ALTERNATIVES)),
    "grown": (len(BANDS), 2),
    "excess": (len(ALTERNATIVES),),
}
_WIDTHS: Final = [int(np.prod(shape)) for shape in _SHAPES.values()]
WIDTH: Final = sum(_WIDTHS)


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """`page` (S, 4, 2, 4) and `warn` (S, 12): log(M + 1) of every bet by band, side and stake, and of every ratio.

    `page_onset` (S, 4, 4, 2, 4) and `warn_onset` (S, 4, 12): pane, variance, labels, residual of the `Onset` of each.
    `grown` (S, 4, 2): labels and sum of residuals (expected minus outcome) fed since the baseline, by band. `excess`
    (S, 12): the sum of ratio - 1 over the same labels. `fed_until` int64 (S,): the last pane fed.
    """

    page: FloatArray
    page_onset: FloatArray
    warn: FloatArray
    warn_onset: FloatArray
    grown: FloatArray
    excess: FloatArray
    fed_until: Int64Array

    def __len__(self) -> int:
        return len(self.fed_until)


def begun(baselines: Baselines) -> State:
    """The state of S series that were fed nothing since their baselines."""
    size = len(baselines)
    empty = {name: np.zeros((size, *shape)) for name, shape in _SHAPES.items()}
    return State(**empty, fed_until=np.full(size, NOTHING_FED, np.int64))


def numbers(state: State) -> FloatArray:
    """(S, 240) what is stored of each series beside `fed_until`; finite."""
    return np.concatenate([getattr(state, name).reshape(len(state), -1) for name in _SHAPES], axis=1)


def state_of(stored: FloatArray, fed_until: Int64Array) -> State:
    """The state that `numbers` gave, digit for digit. Raises Refused for another width: it is of another version."""
    if stored.ndim != 2 or stored.shape[1] != WIDTH:
        raise Refused(
            f"a stored detector must have {WIDTH} numbers, got {stored.shape[-1]}: begin anew from the baseline"
        )
    parts = np.split(np.asarray(stored, dtype=np.float64), np.cumsum(_WIDTHS)[:-1], axis=1)
    shaped = {name: part.reshape(-1, *shape) for (name, shape), part in zip(_SHAPES.items(), parts, strict=True)}
    return State(**shaped, fed_until=np.asarray(fed_until, dtype=np.int64))


def taken(state: State, series: Int64Array) -> State:
    """The states of some of the series, in that order."""
    return replace(state, **{each.name: getattr(state, each.name)[series] for each in fields(state)})


def joined(states: Sequence[State]) -> State:
    """The states of all series of some states, at least one, in that order."""
    return replace(
        states[0], **{each.name: np.concatenate([getattr(one, each.name) for one in states]) for each in fields(State)}
    )

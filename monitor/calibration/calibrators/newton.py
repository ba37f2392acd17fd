"""Logistic regression of many series at once by Newton steps that are halved until they help."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.calibration.calibrators.sample import Sample
from monitor.calibration.cells import FloatArray, Int64Array

Bools = NDArray[np.bool_]

RIDGE: Final = 1e-3
"""Precision of a prior that only keeps fits of separable answers finite: about a thousandth of a label."""
_STEPS: Final = 100
_TOLERANCE: Final = 1e-7
"""Of a step that is the last one, in units of the coefficients."""
_DONE_SHARE: Final = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """A normal prior of k coefficients, the same for all series: its centre (k,) and precision (k, k)."""

    centre: FloatArray
    precision: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """(S, k) coefficients, and (S, k, k) what the labels alone say about them: the Fisher information at the fit."""

    coefficients: FloatArray
    information: FloatArray


def ridge(centre: Sequence[float]) -> Prior:
    """A prior that hardly says anything."""
    return Prior(np.asarray(centre, dtype=np.float64), RIDGE * np.eye(len(centre)))


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """Some of the series: `names` (S,) which, `place` (t,) of the cells, their data, and how far each has come.

    `best` (S, k) with its objective `least` (S,); `step` (S, k) the one on trial from there.
    """

    names: Int64Array
    starts: Int64Array
    place: Int64Array
    features: tuple[FloatArray, ...]
    n: FloatArray
    right: FloatArray
    free: Bools
    best: FloatArray
    least: FloatArray
    step: FloatArray
    information: FloatArray

    def total(self, of_cells: FloatArray) -> FloatArray:
        return np.asarray(np.add.reduceat(of_cells, self.starts))

    def only(self, kept: Bools) -> "_State":
        cells = kept[self.place]
        place = (np.cumsum(kept) - 1)[self.place[cells]]
        return _State(
            self.names[kept],
            np.searchsorted(place, np.arange(int(kept.sum()))),
            place,
            tuple(feature[cells] for feature in self.features),
            self.n[cells],
            self.right[cells],
            self.free[kept],
            self.best[kept],
            self.least[kept],
            self.step[kept],
            self.information[kept],
        )


def fitted(
    sample: Sample,
    features: Sequence[FloatArray],
    prior: Prior,
    *,
    free: Bools | None = None,
    start: FloatArray | None = None,
) -> Fit:
    """The coefficients that maximise the posterior of outcome ~ Bernoulli(sigmoid(sum of coefficient x feature)).

    `features`: k arrays of (t,) values; `free` (S, k): which coefficients may move, the others are 0; `start` (S, k):
    where to begin, else at the centre of the prior. The objective is convex, so halved steps end at its one minimum.
    """
    shape = (len(sample), len(features))
    free = np.ones(shape, dtype=bool) if free is None else free
    begin = np.where(free, prior.centre if start is None else start, 0.0)
    state = _State(
        np.arange(shape[0]),
        sample.starts,
        sample.series,
        tuple(features),
        sample.n,
        sample.right,
        free,
        begin,
        np.full(shape[0], np.inf),
        np.zeros(shape),
        np.zeros((*shape, shape[1])),
    )
    found = Fit(begin.copy(), state.information.copy())
    for _ in range(_STEPS):
        state, done = _stepped(state, prior)
        if done.mean() >= _DONE_SHARE:
            _keep(found, state, done)
            if done.all():
                return found
            state = state.only(~done)
    _keep(found, state, np.ones(len(state.names), dtype=bool))
    return found


def _keep(found: Fit, state: _State, done: Bools) -> None:
    found.coefficients[state.names[done]] = state.best[done]
    found.information[state.names[done]] = state.information[done]


def _stepped(state: _State, prior: Prior) -> tuple[_State, Bools]:
    """Try the step of every series: where it lowers the objective it is taken and the next one found, else halved."""
    trial = state.best + state.step
    odds = sum(
        (feature * trial[state.place, column] for column, feature in enumerate(state.features)), np.zeros(len(state.n))
    )
    small = np.exp(-np.abs(odds))
    chance = np.where(odds >= 0, 1.0, small) / (1 + small)
    away = trial - prior.centre
    pull = away @ prior.precision
    loss = state.total(state.n * (np.maximum(odds, 0.0) + np.log1p(small)) - state.right * odds)
    objective = loss + 0.5 * (away * pull).sum(axis=1)
    better = objective <= state.least + 1e-12 * np.abs(state.least)
    step, information = _newton(state, chance, pull, prior.precision)
    step = np.where(better[:, None], step, state.step / 2)
    found = replace(
        state,
        best=np.where(better[:, None], trial, state.best),
        least=np.where(better, objective, state.least),
        step=step,
        information=np.where(better[:, None, None], information, state.information),
    )
    return found, np.abs(step).max(axis=1) < _TOLERANCE * (1 + np.abs(found.best).max(axis=1))


def _newton(
    state: _State, chance: FloatArray, pull: FloatArray, precision: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """(S, k) the Newton step from a point with these chances, and (S, k, k) the information of the labels there."""
    surprise = state.right - state.n * chance
    weight = state.n * chance * (1 - chance)
    k = len(state.features)
    information = np.empty((len(state.names), k, k))
    gradient = np.empty((len(state.names), k))
    for row, feature in enumerate(state.features):
        gradient[:, row] = state.total(surprise * feature)
        weighed = weight * feature
        for column in range(row, k):
            information[:, row, column] = information[:, column, row] = state.total(weighed * state.features[column])
    both = state.free[:, :, None] & state.free[:, None, :]
    curvature = np.where(both, information + precision, np.eye(k))
    step = np.linalg.solve(curvature, np.where(state.free, gradient - pull, 0.0)[:, :, None])[:, :, 0]
    return step, information

"""A warning without labels: the confidences of a series are not drawn as they were.

It says that **the confidences changed**, and no more. Other traffic changes them too; and a model that becomes wrong
while it goes on as sure as before changes none.

Each pane is compared with everything before it, the reference first. As long as nothing changes, every way to divide
their predictions into so many before and so many in the pane is equally likely. A bet of stake s on a feature f
multiplies what it holds by exp(s x sum of f over the pane) / B^n for n predictions, with B the mean of exp(s f) over
both together. Its mean over all divisions is at most 1: drawing without replacement spreads no sum further than drawing
with it (Hoeffding 1963). So no distribution is assumed, a small reference costs nothing but sight, and atoms do no
harm. Nor does a product of factors from any pane to any later one have a mean above 1. The bound on the number of
warnings, by the recursion of `monitor.drift.recursion`, takes the panes' factors as independent of each other besides,
as those of sums that are nearly normal are.

Predictions are taken as independent: twenty that share one cause count as twenty.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from monitor.calibration.cells import FloatArray, Int64Array
from monitor.calibration.shift import PLACES, place_of
from monitor.calibration.sketch import Row, Sketch
from monitor.drift.bands import PARTS, part_of
from monitor.drift.recursion import log_mean, log_plus_one

Feature: TypeAlias = Literal["confidence", "low", "high"]
FEATURES: Final[tuple[Feature, ...]] = get_args(Feature)
"""The confidence itself; whether it is below .75; whether it is .9 or more: bands as in `monitor.drift.bands`."""
SIDES: Final = (1, -1)
"""The mean of the feature rises, falls."""
STAKES: Final = np.multiply.outer(SIDES, 0.25 * 2.0 ** np.arange(5))
"""(2, 5) by side. The best stake is a shift over the variance: .25 for .02 of confidences from 0 to 1, 4 for .04 of
confidences that nearly all lie within .4."""
_FLAT: Final = STAKES.ravel()


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """`held` (S, 3, 2, 5): log(M + 1) of every bet by feature, side and stake; `seen` (S, 3, 12): the `sums` of all
    predictions, the reference included."""

    held: FloatArray
    seen: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What feeding a pane to each of S series gave, (S,) each.

    `warned`: log M of the tier, `log_value`, reached log(1 / alpha), and all its bets begin anew; `feature`, a place in
    `FEATURES`, and `sign` of the bets that hold most.
    """

    state: State
    log_value: FloatArray
    warned: NDArray[np.bool_]
    feature: Int64Array
    sign: Int64Array


def sums(sketches: Sequence[Sketch]) -> FloatArray:
    """(S, 3, 12) of each feature over the predictions, labelled or not: their number, the sum of the feature, and that
    of exp(stake x feature) for each stake. They add up over panes."""
    found = np.zeros((len(sketches), len(FEATURES), 2 + len(_FLAT)))
    for row, sketch in zip(found, sketches, strict=True):
        n, part = sketch.row(Row.N_PRED), part_of(sketch.cells)
        confidence = place_of(sketch.cells) / (PLACES - 1)
        for of_feature, values in zip(row, (confidence, part == 0, part == PARTS - 1), strict=True):
            of_feature[:2] = n.sum(), n @ values
            of_feature[2:] = n @ np.exp(np.multiply.outer(values, _FLAT))
    return found


def begun(reference: FloatArray) -> State:
    """The state of S series of which nothing but the sums (S, 3, 12) of their references is known."""
    return State(np.zeros((len(reference), len(FEATURES), *STAKES.shape)), reference)


def step(state: State, pane: FloatArray, alpha: FloatArray) -> Step:
    """Feed the sums (S, 3, 12) of one pane with at least one prediction to each series.

    `alpha` (S,) in 0..1: false warnings to expect per pane; 0 never warns. A pane is complete as soon as its hour is
    over: there are no labels to wait for.
    """
    log_m = state.held + log_factors(state.seen, pane)
    log_value = log_mean(log_m)
    threshold = -np.log(alpha, out=np.full(len(alpha), -np.inf), where=alpha > 0)
    warned = log_value >= threshold
    by_side = log_mean(log_m.reshape(-1, STAKES.shape[1])).reshape(len(log_m), -1)
    feature, side = np.divmod(by_side.argmax(axis=1), len(SIDES))
    held = np.where(warned[:, None, None, None], 0.0, log_plus_one(log_m))
    return Step(State(held, state.seen + pane), log_value, warned, feature, np.asarray(SIDES)[side])


def log_factors(seen: FloatArray, pane: FloatArray) -> FloatArray:
    """(S, 3, 2, 5) by feature, side and stake: what a pane multiplies the bets by, after `seen`; (S, 3, 12) both."""
    together, n = seen + pane, pane[..., :1]
    found = _FLAT * pane[..., 1:2] - n * np.log(together[..., 2:] / together[..., :1])
    return np.asarray(found.reshape(*found.shape[:2], *STAKES.shape))

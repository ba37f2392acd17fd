"""Curves: the shapes that recalibration maps have, as they stand in an artefact, and what they make of a confidence.

Every curve rises or stays level from confidence 0 to 1. docs/recalibrators.md tells other languages the same.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import exp, log, log1p
from typing import Final, TypeAlias

import msgspec
import numpy as np

from monitor.calibration.calibrators.places import finder
from monitor.calibration.cells import FloatArray
from monitor.calibration.odds import sigmoid
from monitor.errors import BadInput

LARGEST_ODDS: Final = 40.0
"""Log odds beyond which a chance is 0 or 1 to the last digit, but for the clip."""
PIECE: Final = 32_768
"""Confidences of an array at a time: what is made on the way stays in the processor's cache."""
NO_FIELDS: Final[Mapping[str, float]] = {}


class LogOdds(msgspec.Struct, frozen=True, gc=False, tag_field="shape", tag="log_odds"):
    """1 / (1 + exp(-(a ln c - b ln(1 - c) + m))), a and b not below 0 (Kull et al. 2017). With a = b it is a line on
    the log odds: Platt's map, and with m = 0 a temperature 1/a."""

    a: float
    b: float
    m: float


class Points(msgspec.Struct, frozen=True, gc=False, tag_field="shape", tag="points"):
    """Straight lines between points with ascending x; beyond the first and the last, their values."""

    x: tuple[float, ...]
    y: tuple[float, ...]


class Steps(msgspec.Struct, frozen=True, gc=False, tag_field="shape", tag="steps"):
    """y[i] for the first i with c <= upto[i], and the last y above all of them: one y more than there are steps."""

    upto: tuple[float, ...]
    y: tuple[float, ...]


class Field(msgspec.Struct, frozen=True, gc=False):
    """A numeric field: its weight in the log of the slope, for (value kept within low..high - centre) / scale."""

    name: str
    weight: float
    centre: float
    scale: float
    low: float
    high: float


class Adaptive(msgspec.Struct, frozen=True, tag_field="shape", tag="adaptive"):
    """A line through the origin of the log odds, whose slope is exp(intercept + the sum of the fields' terms).

    A field that a prediction lacks counts with its centre.
    """

    intercept: float
    fields: tuple[Field, ...]


Curve: TypeAlias = LogOdds | Points | Steps | Adaptive
IDENTITY: Final = LogOdds(1.0, 1.0, 0.0)


def mistake(curve: Curve) -> str | None:
    """Why a curve is none that rises or stays level within 0..1; None where it is one."""
    match curve:
        case LogOdds(a, b):
            return None if min(a, b) >= 0 else f"a and b must not be below 0, got {a} and {b}"
        case Adaptive():
            wrong = [field.name for field in curve.fields if field.scale <= 0 or field.low > field.high]
            return f"scale or range of the field {wrong[0]} is wrong" if wrong else None
        case Points(x, y):
            if not x or len(x) != len(y):
                return f"x and y must be equally many, got {len(x)} and {len(y)}"
            return _unsorted("x", x, strictly=True) or _unsorted("y", y, strictly=False)
        case Steps(upto, y):
            if len(y) != len(upto) + 1:
                return f"y must be one more than upto, got {len(y)} and {len(upto)}"
            return _unsorted("upto", upto, strictly=True) or _unsorted("y", y, strictly=False)


def _unsorted(name: str, values: Sequence[float], *, strictly: bool) -> str | None:
    if not all(0 <= value <= 1 for value in values):
        return f"{name} must lie within 0..1"
    if all(low < high or (low == high and not strictly) for low, high in pairwise(values)):
        return None
    return f"{name} must {'ascend' if strictly else 'never fall'}"


def slope(curve: Adaptive, fields: Mapping[str, float]) -> float:
    """The slope on the log odds, the inverse temperature, for numeric fields. Raises BadInput for a NaN."""
    total = curve.intercept
    for field in curve.fields:
        value = fields.get(field.name, field.centre)
        if value != value:  # noqa: PLR0124
            raise BadInput(f"the field {field.name} is not a number", "segments")
        total += field.weight * (min(max(value, field.low), field.high) - field.centre) / field.scale
    return exp(total)


def apply(curve: Curve, confidence: float, clip: float, fields: Mapping[str, float] = NO_FIELDS) -> float:
    """What a curve makes of one confidence in 0..1; within clip..1-clip. Plain Python: a few microseconds."""
    c = min(max(confidence, clip), 1 - clip)
    match curve:
        case LogOdds(a, b, m):
            p = _chance(a * log(c) - b * log1p(-c) + m)
        case Points(x, y):
            p = _between(x, y, c)
        case Steps(upto, y):
            p = y[bisect_left(upto, c)]
        case Adaptive():
            p = _chance(slope(curve, fields) * (log(c) - log1p(-c)))
    return min(max(p, clip), 1 - clip)


def _chance(odds: float) -> float:
    if odds >= 0:
        return 1 / (1 + exp(-odds))
    small = exp(max(odds, -LARGEST_ODDS))
    return small / (1 + small)


def _between(x: Sequence[float], y: Sequence[float], c: float) -> float:
    above = bisect_right(x, c)
    if above == 0:
        return y[0]
    if above == len(x):
        return y[-1]
    left, right = x[above - 1], x[above]
    return y[above - 1] + (y[above] - y[above - 1]) * ((c - left) / (right - left))


def apply_all(curve: Curve, confidence: FloatArray, clip: float, fields: Mapping[str, float] = NO_FIELDS) -> FloatArray:
    """The same for an array of confidences that share their fields."""
    given = np.ravel(confidence)
    curved = _of_array(curve, len(given), fields)
    found = np.empty(len(given))
    for begin in range(0, len(given), PIECE):
        piece = slice(begin, begin + PIECE)
        kept = np.clip(np.asarray(given[piece], np.float64), clip, 1 - clip)  # 1 - 1e-7 is 1 in half precision
        np.clip(curved(kept), clip, 1 - clip, out=found[piece])
    return found.reshape(np.shape(confidence))


def _of_array(curve: Curve, n: int, fields: Mapping[str, float]) -> Callable[[FloatArray], FloatArray]:
    """What a curve makes of clipped confidences, n in all."""
    match curve:
        case LogOdds(a, b, m) if a == b:
            return lambda c: sigmoid(a * np.log(c / (1 - c)) + m)
        case LogOdds(a, b, m):
            return lambda c: sigmoid(a * np.log(c) - b * np.log1p(-c) + m)
        case Points(x, y):
            return _lines(np.asarray(x), np.asarray(y), n)
        case Steps(upto, y):
            levels, find = np.asarray(y), finder(np.asarray(upto), "left", n)
            return lambda c: levels[find(c)]
        case Adaptive():
            steepness = slope(curve, fields)
            return lambda c: sigmoid(steepness * np.log(c / (1 - c)))


def _lines(x: FloatArray, y: FloatArray, n: int) -> Callable[[FloatArray], FloatArray]:
    """Straight lines between points: of each the point that it begins at and its rise, level ones at both ends."""
    find = finder(x, "right", n)
    begins, heights = np.append(x[0], x), np.append(y[0], y)
    rises = np.concatenate([[0.0], np.diff(y) / np.diff(x), [0.0]])

    def lines(c: FloatArray) -> FloatArray:
        place = find(c)
        return np.asarray(heights[place] + rises[place] * (c - begins[place]))

    return lines

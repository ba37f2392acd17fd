"""Comparison: is one release worse calibrated than the one before it, by more than matters?

ECE is a sum of absolute gaps of bins. Where the gaps are noise it is too large, by how much depends on the true gaps,
and where two models answered the same questions their noise goes together. So the gaps of all bins of both sides are
drawn again from a normal with their joint covariance, which tells how far the difference of two ECE may be off and how
much of it is bias.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.calibration.bins import Bins, equal_width
from monitor.calibration.cells import UNIT, FloatArray, bin_of_cells, cell_index
from monitor.calibration.figures import figures
from monitor.calibration.losses import LOG_LOSS_CLIP
from monitor.calibration.panel import panel_of
from monitor.calibration.reading import SCHEMA, ReadingSettings
from monitor.calibration.sketch import Row, Sketch, merge, sketch_of
from monitor.calibration.uncertainty import Interval, seeded, z_of
from monitor.errors import BadInput

Verdict = Literal["better", "same", "worse", "cannot tell"]

JUDGED: Final = "ece"
"""The measure that the verdict is about."""
LOWER_IS_BETTER: Final = ("brier", "log_loss")
SHOWN: Final = (JUDGED, *LOWER_IS_BETTER, "signed_gap", "accuracy")
PAIRED_SHARE: Final = 0.5
"""Of the smaller side's labels: as many questions at least must be on both sides to compare these alone."""
BIAS: Final = 1.6
"""How much of the bias of the draws is taken off a value. A gap that is 0 bears 2.4 times what the draws show, one as
large as its standard error .7 times, a larger one less: this leaves the same error at both ends (bench compare),"""
LEFT: Final = 0.8
"""which is at most so much of it on either side."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Labelled answers of one side: confidence (n,) in 0..1, outcome (n,) in 0..1, and the question of each (n,).

    No question comes twice. Without questions nothing can be paired.
    """

    confidence: FloatArray
    outcome: FloatArray
    question: NDArray[np.generic] | None = None

    def __len__(self) -> int:
        return len(self.confidence)

    @property
    def sketch(self) -> Sketch:
        """Their sketch."""
        return sketch_of(self.confidence, self.outcome)

    def at(self, places: NDArray[np.int64]) -> "Answers":
        """The answers at these places."""
        question = None if self.question is None else self.question[places]
        return Answers(self.confidence[places], self.outcome[places], question)


class Difference(msgspec.Struct, frozen=True):
    """After minus before of one measure, with its interval, and the two values."""

    value: float
    interval: Interval
    before: float
    after: float


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What `caldrift compare --json` prints. `difference` is after minus before: a positive one of ECE is worse.

    `interval` and the verdict are of ECE: same when the interval lies within the limit on either side; worse or better
    when it excludes 0 and is not the same; else, and with too few labels, it cannot be told.
    """

    schema: int = SCHEMA
    before: str
    after: str
    verdict: Verdict
    difference: dict[str, float]
    interval: Interval | None
    limit: float
    confidence_level: float
    paired: bool
    n_before: int
    n_after: int
    n_both: int | None
    """Questions that both sides answered; null where questions are not known."""
    differences: dict[str, Difference] = {}
    reason: str = ""
    notes: list[str] = []


@dataclass(frozen=True, slots=True)
class Sides:
    """What is compared: two sketches, what they are called, and the answers one by one where they are paired."""

    before: str
    after: str
    sketches: tuple[Sketch, Sketch]
    pairs: tuple[Answers, Answers] | None = None
    """The same questions in the same order."""
    n_both: int | None = None
    notes: tuple[str, ...] = ()


def sides_of(before: tuple[str, Answers], after: tuple[str, Answers]) -> Sides:
    """Pair two sides by question where enough of the questions are on both, else take them as two samples."""
    (name_before, one), (name_after, other) = before, after
    sketches = one.sketch, other.sketch
    if one.question is None or other.question is None:
        return Sides(name_before, name_after, sketches)
    shared, of_one, of_other = np.intersect1d(one.question, other.question, return_indices=True)
    n_both, left_out = len(shared), len(one) + len(other) - 2 * len(shared)
    if not n_both or n_both < PAIRED_SHARE * min(len(one), len(other)):
        both = f"only {n_both} questions are" if n_both else "no question is"
        note = f"{both} on both sides: compared as two independent samples"
        return Sides(name_before, name_after, sketches, n_both=n_both, notes=(note,))
    pairs = one.at(of_one), other.at(of_other)
    notes = (f"{left_out} answers to questions that only one side answered are left out",) if left_out else ()
    return Sides(name_before, name_after, (pairs[0].sketch, pairs[1].sketch), pairs, n_both, notes)


def compare(sides: Sides, limit: float, settings: ReadingSettings) -> Comparison:
    """The verdict on the two sides. `limit`, above 0, is the change of ECE up to which nobody minds."""
    if not 0 < limit <= 1:
        raise BadInput(f"the limit must be above 0 and at most 1, got {limit:g}", "limit")
    n = [sketch.total(Row.N) for sketch in sides.sketches]
    differences = _differences(sides, settings) if all(n) else {}
    interval = differences[JUDGED].interval if differences else None
    short = [
        f"{name} has {count} labels, {settings.min_labels} are needed"
        for name, count in zip((sides.before, sides.after), n, strict=True)
        if count < settings.min_labels
    ]
    said = "cannot tell" if interval is None or short else verdict(interval, limit)
    reason = "the interval holds 0 and reaches beyond the limit" if said == "cannot tell" else ""
    return Comparison(
        before=sides.before,
        after=sides.after,
        verdict=said,
        difference={name: each.value for name, each in differences.items()},
        interval=interval,
        limit=limit,
        confidence_level=settings.confidence_level,
        paired=sides.pairs is not None,
        n_before=n[0],
        n_after=n[1],
        n_both=sides.n_both,
        differences=differences,
        reason="; ".join(short) or reason,
        notes=[*sides.notes, *(_worse_otherwise(differences) if said != "worse" else ())],
    )


def verdict(interval: Interval, limit: float) -> Verdict:
    """What an interval of after minus before says of a change that matters from `limit` on."""
    low, high = interval
    if -limit <= low and high <= limit:
        return "same"
    if low > 0:
        return "worse"
    return "better" if high < 0 else "cannot tell"


def _differences(sides: Sides, settings: ReadingSettings) -> dict[str, Difference]:
    level = settings.confidence_level
    found = figures(panel_of(sides.sketches), settings.bins, settings.edges, level)
    differences = {}
    for name in SHOWN:
        each = found.estimates[name]
        before, after = each.value.tolist()
        if name == JUDGED:
            interval = ece_interval(sides, settings)
        elif sides.pairs is not None:
            half = z_of(level) * _paired_error(name, *sides.pairs)
            interval = after - before - half, after - before + half
        else:
            interval = _unpaired(each.value, each.low, each.high)
        differences[name] = Difference(after - before, interval, before, after)
    return differences


def ece_interval(sides: Sides, settings: ReadingSettings) -> Interval:
    """The interval of the ECE after minus the ECE before; it always holds the value.

    The quantiles of the draws about the value less its bias, moved outwards by what may be left of the biases of both
    sides; where the two go together, that cancels out like the noise does.
    """
    count, edges, level = settings.bins, settings.edges, settings.confidence_level
    bins = [equal_width(sketch, count, edges) for sketch in sides.sketches]
    gaps = np.concatenate([each.gap / each.total for each in bins])
    noise = _draws(_covariance(sides, bins, settings), settings.draws, seeded(merge(*sides.sketches)))
    before, after = np.split(np.abs(gaps), 2)
    of_before, of_after = (each.sum(axis=1) for each in np.split(np.abs(gaps + noise), 2, axis=1))
    bias = max(0.0, float(of_before.mean() - before.sum())), max(0.0, float(of_after.mean() - after.sum()))
    again = of_after - of_before
    apart = float(again.std() / max(np.hypot(of_before.std(), of_after.std()), 1e-300))
    value = float(after.sum() - before.sum())
    centre, left = value - BIAS * (bias[1] - bias[0]), LEFT * sum(bias) * min(1.0, apart)
    low, high = np.quantile(again - again.mean(), [(1 - level) / 2, (1 + level) / 2]).tolist()
    return max(-1.0, min(value, centre - left - high)), min(1.0, max(value, centre + left - low))


def _covariance(sides: Sides, bins: list[Bins], settings: ReadingSettings) -> FloatArray:
    """(2 b, 2 b) of the gaps of both sides' bins, each as a share of its labels.

    A bin's own variance counts its outcomes as right with chance (k + 1/2) / (n + 1) at least, so that a bin of only
    right answers is not certain.
    """
    squares, means = [], []
    for each, sketch in zip(bins, sides.sketches, strict=True):
        chance = (each.sum_y / UNIT + 0.5) / (each.n + 1)
        own = each.gap**2 / np.maximum(each.n, 1)
        spread = np.maximum(_squares(sketch, settings) - own, each.n * chance * (1 - chance))
        squares.append((spread + own) / each.total)
        means.append(each.gap / each.total)
    before, after = (
        (np.diag(square) - np.outer(mean, mean)) / each.total
        for square, mean, each in zip(squares, means, bins, strict=True)
    )
    cross = np.zeros_like(before)
    if sides.pairs is not None:
        together = _together(*sides.pairs, settings) * np.sqrt(np.outer(*squares))
        cross = (together - np.outer(*means)) / bins[0].total
    return np.block([[before, cross], [cross.T, after]])


def _squares(sketch: Sketch, settings: ReadingSettings) -> FloatArray:
    """(b,) the sum of (c - y)^2 over the labels of each bin; of a share y as if drawn with that chance."""
    bin_of = bin_of_cells(settings.bins, settings.edges)[sketch.cells]
    square = (sketch.row(Row.C2) - 2 * sketch.row(Row.CY) + sketch.row(Row.Y)) / UNIT
    return np.asarray(np.bincount(bin_of, square, settings.bins), np.float64)


def _together(before: Answers, after: Answers, settings: ReadingSettings) -> FloatArray:
    """(b, b) the cosine of what questions add to the gap of each bin before and of each bin after, -1..1.

    Where a bin's answers add nothing, the share of the questions that both bins hold.
    """
    count = settings.bins
    bin_of = [bin_of_cells(count, settings.edges)[cell_index(side.confidence)] for side in (before, after)]
    gap = [side.confidence - side.outcome for side in (before, after)]

    def cosine(one: FloatArray, other: FloatArray) -> tuple[FloatArray, FloatArray]:
        sums = np.bincount(bin_of[0] * count + bin_of[1], one * other, count * count).reshape(count, count)
        of_one, of_other = np.bincount(bin_of[0], one**2, count), np.bincount(bin_of[1], other**2, count)
        scale = np.sqrt(np.outer(of_one, of_other))
        return np.divide(sums, scale, out=np.zeros_like(sums), where=scale > 1e-12), scale

    (found, scale), (held, _) = cosine(gap[0], gap[1]), cosine(np.ones(len(before)), np.ones(len(after)))
    return np.clip(np.where(scale > 1e-12, found, held), -1.0, 1.0)


def _draws(covariance: FloatArray, draws: int, rng: np.random.Generator) -> FloatArray:
    """(draws, k) from a normal about 0; what rounding made negative in the covariance counts as 0."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(rng.standard_normal((draws, len(values))) * np.sqrt(np.maximum(values, 0.0)) @ vectors.T)


def _unpaired(value: FloatArray, low: FloatArray, high: FloatArray) -> Interval:
    """The second minus the first of two independent values, (2,) each, from their intervals (Zou & Donner 2008)."""
    difference = float(value[1] - value[0])
    down, up = value - low, high - value
    return difference - float(np.hypot(down[1], up[0])), difference + float(np.hypot(up[1], down[0]))


def _paired_error(name: str, before: Answers, after: Answers) -> float:
    """The standard error of the mean difference over questions."""
    change = _LOSSES[name](after) - _LOSSES[name](before)
    return float(change.std()) / math.sqrt(len(change))


def _log_loss(answers: Answers) -> FloatArray:
    c = np.clip(answers.confidence, LOG_LOSS_CLIP, 1 - LOG_LOSS_CLIP)
    return np.asarray(-(answers.outcome * np.log(c) + (1 - answers.outcome) * np.log1p(-c)))


_LOSSES: Final[Mapping[str, Callable[[Answers], FloatArray]]] = {
    "brier": lambda answers: answers.confidence**2 - 2 * answers.confidence * answers.outcome + answers.outcome,
    "log_loss": _log_loss,
    "signed_gap": lambda answers: answers.confidence - answers.outcome,
    "accuracy": lambda answers: answers.outcome,
}
"""What each answer adds to a mean."""


def _worse_otherwise(differences: Mapping[str, Difference]) -> list[str]:
    """A release with a better ECE may be worse all the same: one that always states its accuracy has none at all."""
    return [
        f"{name.replace('_', ' ')} is surely worse, by {differences[name].value:.4f}: do not go by ECE alone"
        for name in LOWER_IS_BETTER
        if name in differences and differences[name].interval[0] > 0
    ]

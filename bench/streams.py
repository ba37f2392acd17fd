"""Streams of stated confidences and outcomes for the detectors: simulated, and shuffled answers of real models."""

import csv
import gzip
import os
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

from monitor.calibration.cells import Int64Array, cell_index
from monitor.calibration.sketch import sketch_of
from monitor.drift.baseline import Baseline, fit, known
from monitor.drift.labels import Labels

Floats = npt.NDArray[np.float64]
Chance = Callable[[Floats], Floats]

GRID = np.arange(201) / 200
CELLS = cell_index(GRID)
LIFEEVAL = Path(os.environ.get("CALDRIFT_LIFEEVAL") or Path(__file__).parents[2] / "shared" / "data" / "lifeeval")
STATED = np.array([0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99])
WEIGHTS = np.array([2, 2, 5, 6, 8, 8, 12, 14, 16, 14, 7, 6]) / 100


@dataclass(frozen=True, slots=True)
class Stream:
    """R streams of T labels in order of prediction: places on `GRID` (R, T) and outcomes 0 or 1 (R, T)."""

    place: Int64Array
    outcome: Floats

    def __len__(self) -> int:
        return len(self.place)

    @property
    def length(self) -> int:
        """Labels of each stream."""
        return self.place.shape[1]

    @property
    def confidence(self) -> Floats:
        """(R, T)"""
        return GRID[self.place]

    def part(self, start: int, stop: int) -> "Stream":
        """Labels start..stop-1 of every stream."""
        return Stream(self.place[:, start:stop], self.outcome[:, start:stop])

    def counts(self, start: int, stop: int) -> tuple[Floats, Floats]:
        """(R, 201) labels and right answers at each place of the grid."""
        key = (self.place[:, start:stop] + len(GRID) * np.arange(len(self))[:, None]).ravel()
        size = len(self) * len(GRID)
        n = np.bincount(key, minlength=size).astype(np.float64)
        right = np.bincount(key, self.outcome[:, start:stop].ravel(), size)
        return n.reshape(len(self), -1), right.reshape(len(self), -1)

    def pane(self, start: int, stop: int) -> Labels:
        """The same as one pane of each stream."""
        n, right = self.counts(start, stop)
        series, place = np.nonzero(n)
        return Labels(len(self), series, CELLS[place], GRID[place], n[series, place], right[series, place])

    def baselines(self, labels: int) -> list[Baseline]:
        """A baseline fitted to the first labels of each stream."""
        first = self.part(0, labels)
        return [fit(sketch_of(c, y)) for c, y in zip(first.confidence, first.outcome, strict=True)]


@dataclass(frozen=True, slots=True)
class World:
    """How confidences are drawn, and with which chance an answer of that confidence is right before any drift."""

    name: str
    draw: Callable[[np.random.Generator, tuple[int, int]], Floats]
    chance: Chance


def _stated(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return rng.choice(STATED, shape, p=WEIGHTS)


def _high(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return np.clip(np.round(rng.beta(18, 2, shape) * 200) / 200, 0.005, 0.995)


def _as_said(confidence: Floats) -> Floats:
    return confidence.copy()


def _too_extreme(confidence: Floats) -> Floats:
    c = np.clip(confidence, 0.005, 0.995)
    return np.asarray(1 / (1 + np.exp(-(0.6 * np.log(c / (1 - c)) - 0.1))))


def _shrunk(confidence: Floats) -> Floats:
    return 0.7 * confidence


STATED_WORLD = World("stated", _stated, _as_said)
HIGH_WORLD = World("high", _high, _as_said)
ACCEPTED_WORLD = World("accepted", _stated, _too_extreme)
SHRUNK_WORLD = World("shrunk", _stated, _shrunk)


def drawn(
    world: World, shape: tuple[int, int], rng: np.random.Generator, *, drift: Chance | None = None, at: int = 0
) -> Stream:
    """Streams of a world; from label `at` on, answers are right with the chance that `drift` makes of the old one."""
    confidence = world.draw(rng, shape)
    chance = world.chance(confidence)
    if drift is not None:
        chance[:, at:] = drift(chance[:, at:])
    place = np.round(confidence * 200).astype(np.int64)
    return Stream(place, (rng.random(shape) < chance).astype(np.float64))


def certain(world: World, rng: np.random.Generator) -> Baseline:
    """The baseline of a calibrated world, with the variances that many labels have."""
    return known(variance=drawn(world, (1, 200_000), rng).baselines(200_000)[0].variance)


def gap(size: float) -> Chance:
    """Every answer is right less often by `size`: over-confidence."""
    return lambda chance: np.clip(chance - size, 0.01, 0.99)


def flatter(world: World, slope: float) -> Chance:
    """Log odds times `slope`, moved so that the mean residual over the stated confidences stays 0."""
    old = world.chance(STATED)
    odds = np.log(old / (1 - old))
    target = float(WEIGHTS @ old)
    intercept = brentq(lambda b: WEIGHTS @ (1 / (1 + np.exp(-(slope * odds + b)))) - target, -5, 5)
    return lambda chance: 1 / (1 + np.exp(-(slope * np.log(chance / (1 - chance)) + intercept)))


def fast_errors(stream: Stream, rng: np.random.Generator, right_after: float, wrong_after: float) -> Stream:
    """The labels in order of arrival: prediction i is labelled at i + an exponential delay, by its outcome."""
    delay = rng.exponential(np.where(stream.outcome > 0, right_after, wrong_after))
    order = np.argsort(np.arange(stream.length) + delay, axis=1)
    return Stream(np.take_along_axis(stream.place, order, 1), np.take_along_axis(stream.outcome, order, 1))


def real_answers() -> list[Floats]:
    """(k, 2) stated confidence and outcome of each model of the LifeEval study, or nothing where it is absent."""
    if not (LIFEEVAL / "life_eval.csv.gz").is_file():
        return []
    found = defaultdict[str, list[tuple[float, float]]](list)
    for name, column in (("llm-confidence-correct.csv.gz", "correct"), ("life_eval.csv.gz", "prob")):
        with gzip.open(LIFEEVAL / name, "rt", newline="") as file:
            for row in csv.DictReader(file):
                graded = {"TRUE": 1.0, "FALSE": 0.0}.get(row[column].upper())
                outcome = float(row[column]) if graded is None else graded
                found[row["llm"]].append((float(row["stated_confidence"]), outcome))
    return [np.array(answers) for _, answers in sorted(found.items())]


def shuffled(answers: list[Floats], times: int, length: int, rng: np.random.Generator) -> Stream:
    """Each model's answers in `times` random orders, the first `length` of them; a graded outcome is drawn."""
    rows = [each[rng.permutation(len(each))[:length]] for _ in range(times) for each in answers]
    both = np.stack(rows)
    outcome = (rng.random(both.shape[:2]) < both[:, :, 1]).astype(np.float64)
    return Stream(np.round(both[:, :, 0] * 200).astype(np.int64), outcome)


def spoilt(stream: Stream, size: float, at: int, rng: np.random.Generator) -> Stream:
    """From label `at` on, so many right answers become wrong that the gap rises by `size`, as a share of all."""
    lost = rng.random(stream.outcome.shape) < size / stream.outcome.mean(axis=1, keepdims=True)
    lost[:, :at] = False
    return Stream(stream.place, np.where(lost, 0.0, stream.outcome))

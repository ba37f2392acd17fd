"""Streams whose accuracy above every threshold is known, to see how often certificates break their promise."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from monitor.calibration.certificates import Promise, certify
from monitor.calibration.sketch import sketch_of
from tests.calibration.streams import KINDS, Floats, stream

STREAMS: Final = (*KINDS, "bumpy")
"""The four kinds of the other tests, and one in which the most confident answers are not the best ones."""
POPULATION: Final = 100_000


@dataclass(frozen=True, slots=True)
class World:
    """Confidences (k,) of a population, and the chance (k,) with which each answer is right."""

    confidence: Floats
    chance: Floats

    def accuracy_from(self, threshold: float) -> float:
        """The true accuracy at or above a threshold."""
        return float(self.chance[self.confidence >= threshold - 1e-12].mean())

    def accuracy_below(self, threshold: float) -> float:
        """The true accuracy below a threshold."""
        return float(self.chance[self.confidence < threshold - 1e-12].mean())

    def coverage_from(self, threshold: float) -> float:
        """The true share of predictions at or above a threshold."""
        return float((self.confidence >= threshold - 1e-12).mean())

    def best_coverage(self, target: float) -> float:
        """What a threshold could let through at most, were the truth known; 0 where none keeps the promise."""
        order = np.argsort(-self.confidence, kind="stable")
        c, right = self.confidence[order], np.cumsum(self.chance[order]) / np.arange(1, len(order) + 1)
        last = np.append(c[1:] != c[:-1], True)
        kept = np.flatnonzero(last & (right >= target))
        return float((kept[-1] + 1) / len(c)) if len(kept) else 0.0

    def drawn(self, n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """n labelled answers: confidences and outcomes."""
        pick = rng.integers(0, len(self.confidence), n)
        return self.confidence[pick], (rng.random(n) < self.chance[pick]).astype(np.float64)


def world(kind: str, gap: float, rng: np.random.Generator) -> World:
    """A world of this kind, right less often than stated by the gap; see `stream`."""
    c, _ = stream("stated" if kind == "bumpy" else kind, POPULATION, rng)
    chance = np.clip(c - gap, 0.01, 0.99) if gap else c
    if kind == "bumpy":
        chance = np.clip(chance + np.where(c > 0.96, -0.1, np.where((c > 0.7) & (c < 0.9), 0.08, 0.0)), 0.01, 0.99)
    return World(c, chance)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of many certificates: the share certified, the share that broke its promise, the mean coverage, 0 if none."""

    certified: float
    broken: float
    coverage: float


def outcome(at: World, promise: Promise, n: int, times: int, rng: np.random.Generator) -> Outcome:
    """Certify so many samples of n labels each."""
    certified = broken = 0
    coverage = 0.0
    for _ in range(times):
        found = certify(sketch_of(*at.drawn(n, rng)), promise)
        if found.threshold is None:
            continue
        certified += 1
        coverage += at.coverage_from(found.threshold)
        if promise.side == "accept":
            broken += at.accuracy_from(found.threshold) < promise.target
        else:
            broken += at.accuracy_below(found.threshold) > promise.target
    return Outcome(certified / times, broken / times, coverage / times)

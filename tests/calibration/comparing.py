"""Two releases whose true ECE is known, to see how often the interval of their difference holds the truth."""

from collections import Counter
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from monitor.calibration.comparison import Answers, Verdict, ece_interval, sides_of, verdict
from monitor.calibration.figures import figures
from monitor.calibration.panel import panel_of
from monitor.calibration.reading import ReadingSettings
from monitor.calibration.sketch import sketch_of
from tests.calibration.streams import Floats, stream

Fault = float | Literal["waves"]
"""Right less often than stated by so much; or by .04 more and less in turns, from bin to bin."""
POPULATION: Final = 100_000
SHARED: Final = 0.7
"""Of paired answers, the share whose luck is the same on both sides."""


def chance(confidence: Floats, fault: Fault) -> Floats:
    """How often answers of these confidences are right."""
    if fault == "waves":
        return np.clip(confidence + np.where(np.ceil(confidence * 10) % 2 == 0, 0.04, -0.04), 0.01, 0.99)
    return np.clip(confidence - fault, 0.01, 0.99) if fault else confidence


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Of many comparisons: the true difference, the share whose interval held it, and the share of each verdict."""

    truth: float
    held: float
    shares: dict[Verdict, float]
    width: float


@dataclass(frozen=True, slots=True)
class Case:
    """Two releases and n labels of each."""

    kind: str
    before: Fault
    after: Fault
    n: int
    paired: bool


def verdicts(case: Case, times: int, settings: ReadingSettings, limit: float, rng: np.random.Generator) -> Verdicts:
    """Compare so many pairs of samples."""
    c, _ = stream(case.kind, POPULATION, rng)
    right = [chance(c, fault) for fault in (case.before, case.after)]
    one, other = (true_ece(c, each, settings) for each in right)
    truth, held, said, width = other - one, 0, Counter[Verdict](), 0.0
    for _ in range(times):
        low, high = ece_interval(sides_of(*_drawn(case, c, right, rng)), settings)
        held += low <= truth <= high
        width += high - low
        said[verdict((low, high), limit)] += 1
    return Verdicts(truth, held / times, {name: n / times for name, n in said.items()}, width / times)


def true_ece(confidence: Floats, right: Floats, settings: ReadingSettings) -> float:
    """The ECE that many labels would have."""
    found = figures(panel_of([sketch_of(confidence, right)]), settings.bins, settings.edges, 0.95)
    return float(found.estimates["ece"].value[0])


def _drawn(
    case: Case, c: Floats, right: list[Floats], rng: np.random.Generator
) -> tuple[tuple[str, Answers], tuple[str, Answers]]:
    first = rng.integers(0, len(c), case.n)
    second = first if case.paired else rng.integers(0, len(c), case.n)
    luck, own = rng.random(case.n), rng.random(case.n)
    other = np.where(rng.random(case.n) < SHARED, luck, own) if case.paired else own
    question = np.arange(case.n) if case.paired else None
    before = Answers(c[first], (luck < right[0][first]).astype(np.float64), question)
    after = Answers(c[second], (other < right[1][second]).astype(np.float64), question)
    return ("before", before), ("after", after)

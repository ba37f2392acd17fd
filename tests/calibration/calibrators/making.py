"""Labels whose right map is known, and artefacts fitted to them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from monitor.calibration.calibrators.artefact import Calibrator, Method
from monitor.calibration.calibrators.fitting import Origin, Part, Policy, fit
from monitor.calibration.odds import CLIP, logit, sigmoid
from monitor.calibration.sketch import sketch_of
from tests.calibration.streams import STATED, Floats

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
MIDDLE = BEGIN + timedelta(days=31)
END = MIDDLE + timedelta(days=28)
FIRST = Origin("m1", "confidence", BEGIN, MIDDLE)
LATER = Origin("m1", "confidence", MIDDLE, END)


def pairs(n: int, slope: float, intercept: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """n stated confidences, right with the chance that a line on their log odds gives."""
    c = rng.choice(STATED, n)
    return c, (rng.random(n) < sigmoid(slope * logit(c) + intercept)).astype(np.float64)


def part(n: int, slope: float, intercept: float, rng: np.random.Generator, name: str = "") -> Part:
    """A segment of such pairs; without a name that of everything."""
    return Part({"lang": name} if name else {}, sketch_of(*pairs(n, slope, intercept, rng)), {})


def segments(count: int, n: int, rng: np.random.Generator, slope: float = 0.6, intercept: float = -0.3) -> list[Part]:
    """Segments with n labels each, all with the same right map."""
    return [part(n, slope, intercept, rng, f"l{number}") for number in range(count)]


def fitted(
    parts: Sequence[Part], method: Method | Policy = "by_labels", origin: Origin = FIRST, clip: float = CLIP
) -> Calibrator:
    """A candidate."""
    return fit(parts, origin, method=method, clip=clip, code_version="test")

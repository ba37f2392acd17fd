"""Streams on which libraries are asked, and which of their confidences fall into the same bin by every convention."""

import numpy as np
import numpy.typing as npt
import pytest

from tests.calibration.streams import KINDS, Floats, stream
from tests.oracles.pairs import snap

CASES = pytest.mark.parametrize(
    ("kind", "n", "gap"), [(kind, n, gap) for kind in KINDS for n in (600, 20_000) for gap in (0.0, 0.1)]
)


def pairs(kind: str, n: int, gap: float) -> tuple[Floats, Floats]:
    """Pairs strictly between 0 and 1."""
    c, y = stream(kind, n, np.random.default_rng(n + int(100 * gap)), gap)
    return np.clip(snap(c), 1e-6, 1 - 1e-6), y


def off_edges(c: Floats, count: int) -> npt.NDArray[np.bool_]:
    """Which confidences lie on no edge of so many bins."""
    return np.abs(c * count - np.round(c * count)) > 1e-9

"""Pairs of confidence and outcome: Hypothesis strategies, and streams like those that models produce."""

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from monitor.calibration.sketch import Sketch, sketch_of

Floats = npt.NDArray[np.float64]
Pair = tuple[float, float]

EDGE_VALUES = (0.0, 1.0, 0.30000000000000004, 1 - 1e-9, 1e-9, 1 - 2e-9, 0.5, 1 / 600, 599 / 600, 1e-12, 5e-324)

confidences = st.one_of(
    st.sampled_from(EDGE_VALUES),
    st.integers(0, 10).map(lambda k: k / 10),
    st.integers(0, 600).map(lambda j: j / 600),
    st.floats(0, 1),
    st.tuples(st.integers(1, 599), st.integers(-20, 20)).map(lambda near: near[0] / 600 + near[1] * 1e-10),
    st.floats(0, 9).map(lambda digits: 1 - 10**-digits),
)
outcomes = st.one_of(st.sampled_from((0.0, 1.0)), st.sampled_from((1 / 3, 2 / 3, 0.5)))
pair_lists = st.lists(st.tuples(confidences, outcomes), max_size=40)
some_pairs = st.lists(st.tuples(confidences, outcomes), min_size=1, max_size=40)


def sketched(pairs: list[Pair]) -> Sketch:
    """The sketch of labelled pairs."""
    confidence, outcome = columns(pairs)
    return sketch_of(confidence, outcome)


def columns(pairs: list[Pair]) -> tuple[Floats, Floats]:
    """Pairs as two columns."""
    return np.array([c for c, _ in pairs], dtype=np.float64), np.array([y for _, y in pairs], dtype=np.float64)


STATED = np.array([0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 1.0])


def stream(kind: str, n: int, rng: np.random.Generator, gap: float = 0.0) -> tuple[Floats, Floats]:
    """n pairs whose outcomes are right with chance confidence - gap, kept within .01-.99 where there is a gap.

    stated: a few round values; logit: token probabilities; beta: spread towards 1; mixed: stated and near 1.
    """
    if kind == "stated":
        c = rng.choice(STATED, n)
    elif kind == "logit":
        c = 1 / (1 + np.exp(-rng.normal(1.5, 2.5, n)))
    elif kind == "beta":
        c = rng.beta(8, 2, n)
    else:
        c = np.where(rng.random(n) < 0.5, rng.choice(STATED, n), 1 - 10 ** -rng.uniform(0, 8, n))
    chance = np.clip(c - gap, 0.01, 0.99) if gap else c
    return c, (rng.random(n) < chance).astype(np.float64)


KINDS = ("stated", "logit", "beta", "mixed")

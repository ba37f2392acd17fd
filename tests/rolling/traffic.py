"""Made-up traffic as stacks and sketches, and the same added up one sketch at a time."""

import numpy as np

from monitor.calibration.sketch import Sketch, empty, merge, sketch_of
from monitor.rolling.stacks import Stack, code, sketches, stacked


def some_sketch(rng: np.random.Generator, n: int = 6) -> Sketch:
    """Predictions, some of them labelled, a few with a propensity."""
    labelled = rng.random(n) < 0.8
    return sketch_of(
        np.round(rng.random(n), 2),
        np.where(labelled, rng.integers(0, 2, n), np.nan),
        propensity=np.where(rng.random(n) < 0.2, 0.5, np.nan),
        delay_us=rng.integers(0, 10**12, n),
    )


def some_stack(rng: np.random.Generator, series: range, hours: range, n_panes: int = 20) -> Stack:
    """Panes of some of the series at some of the hours."""
    keys = code(rng.choice(list(series), n_panes), rng.choice(list(hours), n_panes))
    return stacked({key: some_sketch(rng) for key in sorted(set(keys.tolist()))})


def added_up(*stacks: Stack) -> dict[int, Sketch]:
    """The sum of stacks by key, one sketch at a time; empty sketches left out."""
    total: dict[int, Sketch] = {}
    for stack in stacks:
        for key, sketch in sketches(stack):
            total[key] = merge(total.get(key, empty()), sketch)
    return {key: sketch for key, sketch in total.items() if sketch != empty()}

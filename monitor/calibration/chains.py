"""Chains: how often several answers in a row are all right, when each is right so often."""

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from monitor.calibration.binomial import lower_bound
from monitor.errors import BadInput


class Step(msgspec.Struct, frozen=True):
    """One step of a chain: how often it is right, 0..1, and where that was counted, right answers of n."""

    accuracy: float
    n: int | None = None


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """How often all steps are right, 0..1.

    `product` if steps fail independently of each other. Whatever the dependence, it lies between `worst` (errors never
    meet in one chain) and `best` (they always do): the bounds of Frechet.
    """

    steps: list[Step]
    product: float
    worst: float
    best: float
    delta: float | None = None
    lower_product: float | None = None
    """Where every step was counted: below it the product lies with a chance of at most delta."""
    lower_worst: float | None = None


def chain(steps: Sequence[Step], delta: float = 0.05) -> Chain:
    """The chain of at least one step. Bounds of counted steps share delta in equal parts (Bonferroni)."""
    if not steps:
        raise BadInput("a chain needs at least one step", "chain")
    accuracies = [step.accuracy for step in steps]
    found = Chain(steps=list(steps), product=math.prod(accuracies), worst=worst_case(accuracies), best=min(accuracies))
    if not all(step.n for step in steps):
        return found
    counts = np.array([step.n or 0 for step in steps], np.float64)
    lowest = lower_bound(np.rint(counts * np.array(accuracies)), counts, delta / len(steps)).tolist()
    return msgspec.structs.replace(found, delta=delta, lower_product=math.prod(lowest), lower_worst=worst_case(lowest))


def worst_case(accuracies: Sequence[float]) -> float:
    """How often all steps are right at least, however their errors depend on each other."""
    return max(0.0, 1.0 - sum(1.0 - each for each in accuracies))


class Needed(msgspec.Struct, frozen=True):
    """How often each step must be right, 0..1, for the whole chain to reach a target."""

    independent: float
    whatever_the_dependence: float


def needed(target: float, steps: int) -> Needed:
    """What each of so many equal steps must reach."""
    return Needed(target ** (1 / steps), 1 - (1 - target) / steps)


def parsed_step(text: str) -> Step:
    """A step as a person types it: `0.9`, `90%`, or right answers of all, `45/50`. Raises BadInput for another."""
    right, slash, n = text.partition("/")
    try:
        if slash:
            step = Step(int(right) / int(n), int(n))
        else:
            step = Step(float(text.removesuffix("%")) / (100 if text.endswith("%") else 1))
    except (ValueError, ZeroDivisionError):
        step = Step(math.nan)
    if not 0 <= step.accuracy <= 1:
        raise BadInput(f"a step must be an accuracy such as 0.9 or 90%, or counts such as 45/50, got {text}", "chain")
    return step

"""The cell format, version 1, from its description alone: one confidence at a time, nothing of the package."""

import math
from bisect import bisect_left
from decimal import Decimal, getcontext
from fractions import Fraction

GRID = 600


def published_bounds() -> list[float]:
    """The float64 nearest to 10**(-j/32)/600, j = 1..223, by decimal arithmetic."""
    getcontext().prec = 60
    return [float(Decimal(10) ** (Decimal(-j) / 32) / GRID) for j in range(1, 224)]


def published_delays() -> list[int]:
    """10**6 * 2**(j/2) to the nearest integer, j = 0..62, by integers: the square root of 10**12 * 2**j."""
    return [(math.isqrt(4 * 10**12 * 2**j) + 1) // 2 for j in range(63)]


ASCENDING = published_bounds()[::-1]


def cell(confidence: float) -> int:
    """The index of the cell of one confidence."""
    x = 600.0 * confidence
    nearest = math.floor(x + 0.5)
    if abs(x - nearest) <= 6e-7:
        return 2 * nearest
    if x > GRID - 1:
        return 1201 + _subcell(1.0 - confidence)
    if x < 1:
        return 1425 + _subcell(confidence)
    return 2 * math.floor(x) + 1


def _subcell(distance: float) -> int:
    return len(ASCENDING) - bisect_left(ASCENDING, distance)


def bin_of_value(value: Fraction, count: int, edges: str) -> int:
    """The equal-width bin of an exact value in 0..1."""
    number = value * count
    if edges == "right_closed":
        return max(0, math.ceil(number) - 1)
    return min(count - 1, math.floor(number))


def snapped(confidence: float) -> Fraction:
    """The atom within 1e-9 of the confidence, else the confidence itself."""
    nearest = math.floor(600.0 * confidence + 0.5)
    return Fraction(nearest, GRID) if abs(600.0 * confidence - nearest) <= 6e-7 else Fraction(confidence)

"""How long to wait before the next attempt."""

from datetime import timedelta
from random import Random
from typing import Final

LONGEST: Final = timedelta(minutes=5)


def pause(attempts: int, rng: Random) -> timedelta:
    """After so many attempts, 1 or more, that failed: 1 s, 2 s, 4 s ... 5 min, each shortened by chance by up to a
    half, so that not all that failed at once comes back at once."""
    longest = min(LONGEST, timedelta(seconds=2.0 ** min(attempts - 1, 20)))
    return longest * rng.uniform(0.5, 1.0)

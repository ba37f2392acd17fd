"""What a client did since its process began, as numbers that a service may export."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

Count = Literal["queued", "acknowledged", "refused", "dropped", "lost", "refreshes", "refresh_failures", "invalid"]


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts since the process began, or was forked."""

    queued: int
    """Events that were taken into the buffer."""
    acknowledged: int
    """Events that the broker has."""
    refused: int
    """Events that are none by docs/events.md, and were not sent; the log says why."""
    dropped: int
    """Events that came while the buffer was full."""
    lost: int
    """Events that could not be delivered in time, or that the broker refused."""
    invalid: int
    """Confidences that are no number from 0 to 1: they came back as they were."""
    refreshes: int
    """Answers of the server that were taken, those that said nothing new among them."""
    refresh_failures: int
    last_failure: str | None
    """Of the server or the broker, in words; None as long as there was none."""
    refreshed_seconds_ago: float | None
    """Since the server last answered as it should; None before it first did."""


@dataclass(slots=True)
class Counts:
    """Counters that threads share; the lock is never held for longer than one addition."""

    _counts: Counter[Count] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _last_failure: str | None = None
    _refreshed: float | None = None

    def add(self, name: Count, n: int = 1) -> None:
        """Count something."""
        with self._lock:
            self._counts[name] += n

    def failed(self, words: str) -> None:
        """Remember the words of a failure."""
        self._last_failure = words

    def refreshed(self) -> None:
        """Count an answer of the server that was taken."""
        self.add("refreshes")
        self._refreshed = time.monotonic()

    def snapshot(self) -> Stats:
        """The counts of this moment."""
        with self._lock:
            counts = self._counts.copy()
        since = None if self._refreshed is None else time.monotonic() - self._refreshed
        return Stats(
            queued=counts["queued"],
            acknowledged=counts["acknowledged"],
            refused=counts["refused"],
            dropped=counts["dropped"],
            lost=counts["lost"],
            invalid=counts["invalid"],
            refreshes=counts["refreshes"],
            refresh_failures=counts["refresh_failures"],
            last_failure=self._last_failure,
            refreshed_seconds_ago=since,
        )

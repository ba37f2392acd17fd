"""A thread that asks the server for the map in force, now and then, and keeps the last good one."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from monitor.client.active import ActiveMap, active_map
from monitor.client.exchange import Answer, Place, get
from monitor.client.stats import Counts
from monitor.errors import BadInput, CaldriftError, Refused, Unavailable

LOG: Final = logging.getLogger("caldrift.client")
FIRST_RETRY_SECONDS: Final = 1.0
JITTER: Final = 0.1
"""Share of a wait by which it differs, so that a fleet of services does not ask all at once."""
AFRESH: Final = 20
"""Every so many times the answer is asked for whole: a cache on the way may go on saying that nothing changed."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where maps come from, and how often to ask."""

    place: Place
    model: str
    signal: str
    token: str | None = field(repr=False)
    every_seconds: float
    timeout_seconds: float


class Refresher:
    """Runs from `start` until `stop`. `take` is called in its thread, with each new map."""

    def __init__(self, source: Source, counts: Counts, take: Callable[[ActiveMap], None]) -> None:
        self._source, self._counts, self._take = source, counts, take
        self._stop, self.answered = threading.Event(), threading.Event()
        self._etag: str | None = None
        self._asked = 0
        self._has_map = False
        self._told: str | None = None
        self._thread = threading.Thread(target=self._run, name="caldrift-refresh", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self, timeout_seconds: float) -> None:
        """Ask no more. A request under way is left to its own time limit."""
        self._stop.set()
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        every, retry = self._source.every_seconds, min(FIRST_RETRY_SECONDS, self._source.every_seconds)
        while not self._stop.is_set():
            if self._refresh():
                wait, retry = every, min(FIRST_RETRY_SECONDS, every)
            else:
                wait, retry = retry, min(2 * retry, every)
            self._stop.wait(wait * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 - no secret

    def _refresh(self) -> bool:
        """Ask once. Whatever goes wrong, the map in force stays, and the next answer is asked for whole."""
        source = self._source
        self._asked += 1
        etag = self._etag if self._asked % AFRESH else None
        try:
            self._read(get(source.place, etag, source.token, source.timeout_seconds), etag)
        except CaldriftError as failure:
            words = f"{source.place}: {failure}"
        except Exception as failure:  # noqa: BLE001 - a thread that dies would leave an old map in force unseen
            words = f"{source.place}: {type(failure).__name__}"
        else:
            if self._told is not None:
                LOG.info("the map of %s is refreshed again", source.model)
            self._told = None
            self._counts.refreshed()
            self.answered.set()
            return True
        if self._stop.is_set():
            return False  # closed while it asked: nobody waits for the answer
        self._etag = None
        self._counts.add("refresh_failures")
        self._counts.failed(words)
        if words != self._told:
            LOG.warning("the map of %s could not be refreshed, the last good one stays: %s", source.model, words)
            self._told = words
        return False

    def _read(self, answer: Answer, etag: str | None) -> None:
        """Take a new map. Raises BadInput, Refused or Unavailable for an answer that brings none."""
        match answer.status:
            case 200:
                self._take(active_map(answer.body, self._source.model, self._source.signal))
                self._etag, self._has_map = answer.etag, True
            case 304 if etag is not None:
                pass
            case 304:
                raise BadInput("not modified, though nothing was named that could be", "calibrator")
            case 404 if not self._has_map:
                pass  # there never was a map: confidences are taken as stated
            case 404:
                raise Refused("the server no longer knows the model")
            case 401 | 403:
                raise Refused("the server wants another token")
            case status:
                raise Unavailable(f"HTTP {status}")

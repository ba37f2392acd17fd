"""What a bare HTTP status means for a delivery, where the receiver says nothing more exact. Pure."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from monitor.notify.outcome import Dead, Retry

LONGEST_WAIT: Final = timedelta(hours=1)
"""The most of a `Retry-After` that is heeded: a mistake in it must not silence a channel for a year."""
_PASSING: Final = frozenset({408, 425, 429})
_OF_THE_CHANNEL: Final = frozenset({401, 402, 403, 404, 405, 407, 410, 411, 421, 426, 451})


def refusal(status: int, headers: Mapping[str, str], now: datetime) -> Retry | Dead:
    """The outcome of a status that is not a success.

    Time-outs, rate limits and errors of the server pass. What concerns the address or the credentials stays until a
    person mends it, and so does a redirect. Any other error of the client is about this one message.
    """
    if status in _PASSING or status >= 500:
        return Retry(retry_after(headers, now), f"HTTP {status}")
    if 300 <= status < 400:
        return Dead(f"HTTP {status}: a redirect; name the final address instead", permanent=True)
    return Dead(f"HTTP {status}", permanent=status in _OF_THE_CHANNEL)


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """The wait that `retry-after` asks for, in seconds or as a date, at least 0 and at most an hour; None without."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            until = parsedate_to_datetime(text)
        except ValueError:
            return None
        seconds = (until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds()
    if math.isnan(seconds):
        return None
    return timedelta(seconds=max(0.0, min(seconds, LONGEST_WAIT.total_seconds())))

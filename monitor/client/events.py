"""Events as a client writes them: the wire form of docs/events.md, without what is not said."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

_VERSION: Final = 7 << 76
_VARIANT: Final = 2 << 62
_RANDOM: Final = (1 << 74) - 1
_LOW: Final = (1 << 62) - 1


class PredictionEvent(msgspec.Struct, omit_defaults=True, gc=False):
    """A prediction on the wire. What stands in it is checked after it was encoded, by the rules of the intake."""

    prediction_id: str
    model: str
    predicted_at: datetime
    confidence: float | None = None
    model_version: str | None = None
    signals: Mapping[str, float] | None = None
    predicted: object = None
    probabilities: Mapping[str, float] | None = None
    interval: Mapping[str, float] | None = None
    segments: Mapping[str, object] | None = None
    reference: str | None = None
    chain_id: str | None = None
    step: int | None = None


class LabelEvent(msgspec.Struct, omit_defaults=True, gc=False):
    """A label on the wire."""

    prediction_id: str
    labelled_at: datetime
    correct: float | bool | None = None
    label: object = None
    value: float | None = None
    retract: bool | None = None
    version: int = 0
    source: str | None = None
    propensity: float | None = None
    model: str | None = None


def _plain(value: object) -> object:
    """numpy's scalars as Python's. Raises NotImplementedError for what JSON cannot say."""
    item = getattr(value, "item", None)
    if item is None or getattr(value, "ndim", 1) != 0:
        raise NotImplementedError
    return item()


_ENCODER: Final = msgspec.json.Encoder(enc_hook=_plain)
encode: Final = _ENCODER.encode
"""An event as JSON, UTF-8. Raises TypeError, ValueError or msgspec's errors for what JSON cannot say."""


def new_id(at: datetime | None = None) -> str:
    """A UUID of version 7 (RFC 9562) for a prediction made at `at`, or now: stores of either layout take it."""
    milliseconds = time.time_ns() // 1_000_000 if at is None else int(at.timestamp() * 1000)
    chance = int.from_bytes(os.urandom(10), "big") & _RANDOM
    number = milliseconds << 80 | _VERSION | (chance >> 62) << 64 | _VARIANT | (chance & _LOW)
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def now() -> datetime:
    """The wall clock, UTC."""
    return datetime.now(UTC)

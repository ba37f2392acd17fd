"""What a prediction and a label are once they have been decoded, and every reason why a message is not one."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Final, Literal

import msgspec

IdScope = Literal["global", "model"]

ID_LENGTH: Final = 256
"""Longest prediction id, in characters."""
NAME_LENGTH: Final = 256
"""Longest model, version, segment name or value, signal, class, source, chain id, in characters."""
TEXT_LENGTH: Final = 2048
"""Longest answer, label text or reference, in characters."""
SIGNALS: Final = 16
"""Most signals of one prediction, the main one not counted."""
SEGMENTS: Final = 64
"""Most segment dimensions of one prediction."""
CLASSES: Final = 1024
"""Most classes with a probability in one prediction."""
EARLIEST_AT: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""No event is older: an earlier clock was never set."""

REASONS: Final[dict[str, str]] = {
    "undecodable": "the bytes are not JSON text in UTF-8",
    "schema": "a field is missing or has the wrong type, or lies outside what is allowed",
    "confidence_out_of_range": "a confidence or signal is not a number from 0 to 1",
    "id_missing": "there is no prediction id, or it is empty",
    "id_too_long": f"the prediction id is longer than {ID_LENGTH} characters",
    "clock_out_of_range": "the time lies before the year 2000, or too far in the future",
    "label_missing": "a label says none of correct, label, value and retract",
    "ambiguous_label": "a label says more than one of correct, label, value and retract",
    "model_missing": "ids are scoped by model and the label names no model",
    "empty": "the message has no body (a tombstone)",
    "expired": "the event is older than the retention floor",
    "id_out_of_range": "the id lies outside every partition of a time-ordered store",
    "unknown_codec": "the record batch is compressed with a codec that is not known, or is damaged",
}
"""Every reason for which a message is rejected, with its meaning. The list is closed: metrics use it as a label."""


class Interval(msgspec.Struct, frozen=True, gc=False):
    """A range that should hold the truth with chance `level` (0..1); low <= high, both finite."""

    low: float
    high: float
    level: float


class Prediction(msgspec.Struct, frozen=True, gc=False):
    """One decoded prediction, every field checked."""

    prediction_id: str
    """1 to 256 characters."""
    model: str
    predicted_at: int
    """Microseconds since the Unix epoch."""
    confidence: float
    """0..1: the main signal."""
    model_version: str | None = None
    signals: dict[str, float] = {}
    """The other signals, each 0..1, at most 16."""
    predicted: str | None = None
    """The answer, as text."""
    probabilities: dict[str, float] | None = None
    interval: Interval | None = None
    segments: dict[str, str | float] = {}
    """Raw dimension values; numbers are floats and get their cut points later."""
    reference: str | None = None
    chain_id: str | None = None
    step: int | None = None
    level_is_confidence: bool = False
    """Whether no confidence was stated, so that the level of the interval stands in for it."""


class LabelKind(IntEnum):
    """What a label says. The numbers are stored and take part in the order of labels."""

    RETRACTION = 0
    CORRECT = 1
    LABEL = 2
    VALUE = 3


class Label(msgspec.Struct, frozen=True, gc=False):
    """One decoded label, every field checked."""

    prediction_id: str
    labelled_at: int
    """Microseconds since the Unix epoch."""
    kind: LabelKind
    number: float = 0.0
    """CORRECT: the outcome, 0..1. VALUE: the true value, finite. Otherwise 0."""
    text: str = ""
    """LABEL: the right answer. Otherwise empty."""
    version: int = 0
    source: str | None = None
    propensity: float | None = None
    """Chance in (0, 1] that this prediction was chosen for labelling."""
    model: str | None = None
    """Needed only where ids are scoped by model."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that is no event: its place in the batch, the reason (a key of REASONS) and a sentence for a person."""

    index: int
    reason: str
    message: str


def label_order(label: Label) -> tuple[int, int, int, float, bytes]:
    """The total order of the labels of one prediction: the greatest wins, whatever the order of arrival.

    Version, time, kind, number, then the bytes of the text in UTF-8 (which is the order of code points, and of
    Postgres under the collation "C"). Labels with equal keys say the same and are duplicates.
    """
    return (label.version, label.labelled_at, int(label.kind), label.number, label.text.encode())

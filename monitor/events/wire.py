"""The typed path: messages as msgspec checks them in C. What it does not take goes to the generic path."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Final, TypeVar, cast

import msgspec
from msgspec import Meta

from monitor.events.mapping import FieldMapping
from monitor.events.messages import CLASSES, ID_LENGTH, NAME_LENGTH, SEGMENTS, SIGNALS, TEXT_LENGTH, Interval

GREATEST_VERSION: Final = 2**63 - 1
GREATEST_STEP: Final = 2**31 - 1
LATEST_MS: Final = 10**14
"""Keeps times in microseconds within 64 bits; the clock's own bounds are narrower."""

Share = Annotated[float, Meta(ge=0, le=1)]
Id = Annotated[str, Meta(min_length=1, max_length=ID_LENGTH)]
Name = Annotated[str, Meta(min_length=1, max_length=NAME_LENGTH)]
Text = Annotated[str, Meta(min_length=1, max_length=TEXT_LENGTH)]
Answer = Annotated[str, Meta(max_length=TEXT_LENGTH)]
Moment = Annotated[datetime, Meta(tz=True)] | Annotated[int, Meta(ge=0, le=LATEST_MS)]


class WirePrediction(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A prediction on the wire; clock, interval order and the main signal are still to be checked."""

    prediction_id: Id
    model: Name
    predicted_at: Moment
    confidence: Share | None = None
    model_version: Name | None = None
    signals: Annotated[dict[Name, Share], Meta(max_length=SIGNALS)] = {}
    predicted: Answer | None = None
    probabilities: Annotated[dict[Name, Share], Meta(max_length=CLASSES)] | None = None
    interval: Interval | None = None
    segments: Annotated[dict[Name, Name | float], Meta(max_length=SEGMENTS)] = {}
    reference: Text | None = None
    chain_id: Name | None = None
    step: Annotated[int, Meta(ge=0, le=GREATEST_STEP)] | None = None


class WireLabel(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A label on the wire; clock, scope and the number of things it says are still to be checked."""

    prediction_id: Id
    labelled_at: Moment
    correct: bool | Share | None = None
    label: Answer | None = None
    value: float | None = None
    retract: bool | None = None
    version: Annotated[int, Meta(ge=0, le=GREATEST_VERSION)] = 0
    source: Name | None = None
    propensity: Annotated[float, Meta(gt=0, le=1)] | None = None
    model: Name | None = None


Wire = TypeVar("Wire", WirePrediction, WireLabel)


def typed_decoder(wire: type[Wire], mapping: FieldMapping) -> Callable[[bytes], Wire] | None:
    """The fast decoder of a wire form under the user's field names; None where the mapping reaches into objects.

    Raises (when called) msgspec.MsgspecError, UnicodeDecodeError or RecursionError on what it does not take.
    """
    if not mapping.is_flat:
        return None
    if mapping.is_identity:
        return msgspec.json.Decoder(wire).decode
    renamed: list[tuple[str, object, object]] = []
    for known in msgspec.structs.fields(wire):
        theirs = mapping.theirs(known.name)
        if known.required:
            renamed.append((known.name, known.type, msgspec.field(name=theirs)))
        elif known.default_factory is not msgspec.NODEFAULT:
            renamed.append((known.name, known.type, msgspec.field(default_factory=known.default_factory, name=theirs)))
        else:
            renamed.append((known.name, known.type, msgspec.field(default=known.default, name=theirs)))
    if len({mapping.theirs(known.name) for known in msgspec.structs.fields(wire)}) < len(renamed):
        return None
    form = msgspec.defstruct(wire.__name__, renamed, frozen=True, gc=False, kw_only=True)
    return cast(Callable[[bytes], Wire], msgspec.json.Decoder(form).decode)

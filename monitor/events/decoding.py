"""Bytes -> prediction or label, or the reason to reject. Usual messages take the typed path, the rest the generic."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from monitor.errors import BadInput
from monitor.events.checks import microseconds, shown
from monitor.events.fields import label_of, main_signal, ordered, prediction_of
from monitor.events.mapping import FieldMapping
from monitor.events.messages import Label, LabelKind, Prediction, Rejected
from monitor.events.rules import EARLIEST_US, MAIN_SIGNAL, EventRules
from monitor.events.wire import WireLabel, WirePrediction, typed_decoder

_ZERO: Final = b"\\u0000"
"""The one character that JSON can carry and Postgres cannot; a body that holds it takes the generic path."""


@dataclass(frozen=True, slots=True)
class PredictionDecoder:
    """Reads predictions. Make it once, with `prediction_decoder`; threads may share it."""

    rules: EventRules
    quick: Callable[[bytes], WirePrediction] | None


@dataclass(frozen=True, slots=True)
class LabelDecoder:
    """Reads labels. Make it once, with `label_decoder`; threads may share it."""

    rules: EventRules
    quick: Callable[[bytes], WireLabel] | None


def prediction_decoder(rules: EventRules) -> PredictionDecoder:
    """The decoder of predictions under these rules."""
    return PredictionDecoder(rules, typed_decoder(WirePrediction, rules.predictions))


def label_decoder(rules: EventRules) -> LabelDecoder:
    """The decoder of labels under these rules."""
    return LabelDecoder(rules, typed_decoder(WireLabel, rules.labels))


def decode_prediction(body: bytes | None, decoder: PredictionDecoder, now: datetime) -> Prediction:
    """One prediction from the body of a message. Raises BadInput with its reason."""
    predictions, rejected = decode_predictions([body], decoder, now)
    if rejected:
        raise BadInput(rejected[0].message, rejected[0].reason)
    return predictions[0]


def decode_label(body: bytes | None, decoder: LabelDecoder, now: datetime) -> Label:
    """One label from the body of a message. Raises BadInput with its reason."""
    labels, rejected = decode_labels([body], decoder, now)
    if rejected:
        raise BadInput(rejected[0].message, rejected[0].reason)
    return labels[0]


def decode_predictions(
    bodies: Sequence[bytes | None], decoder: PredictionDecoder, now: datetime
) -> tuple[list[Prediction], list[Rejected]]:
    """The predictions of a batch in its order, and what was rejected with its place; together as many as `bodies`."""
    rules, quick = decoder.rules, decoder.quick
    latest = rules.latest_us(now)
    predictions: list[Prediction] = []
    rejected: list[Rejected] = []
    for index, body in enumerate(bodies):
        try:
            if quick is None or body is None or _ZERO in body:
                raise _NotUsual
            wire = quick(body)
            moment = wire.predicted_at
            at = moment * 1000 if isinstance(moment, int) else microseconds(moment)
            if not EARLIEST_US <= at <= latest:
                raise _NotUsual
            predictions.append(_prediction(wire, at, rules.main_signal))
        except _EXPECTED:
            try:
                predictions.append(prediction_of(_fields(body, rules.predictions), rules, latest))
            except BadInput as failure:
                rejected.append(Rejected(index, failure.reason, _explained(failure, rules.predictions)))
    return predictions, rejected


def decode_labels(
    bodies: Sequence[bytes | None], decoder: LabelDecoder, now: datetime
) -> tuple[list[Label], list[Rejected]]:
    """The labels of a batch in its order, and what was rejected with its place; together as many as `bodies`."""
    rules, quick = decoder.rules, decoder.quick
    latest = rules.latest_us(now)
    scoped = rules.id_scope == "model"
    labels: list[Label] = []
    rejected: list[Rejected] = []
    for index, body in enumerate(bodies):
        try:
            if quick is None or body is None or _ZERO in body:
                raise _NotUsual
            wire = quick(body)
            moment = wire.labelled_at
            at = moment * 1000 if isinstance(moment, int) else microseconds(moment)
            if not EARLIEST_US <= at <= latest or (scoped and wire.model is None):
                raise _NotUsual
            labels.append(_label(wire, at))
        except _EXPECTED:
            try:
                labels.append(label_of(_fields(body, rules.labels), rules, latest))
            except BadInput as failure:
                rejected.append(Rejected(index, failure.reason, _explained(failure, rules.labels)))
    return labels, rejected


class _NotUsual(Exception):  # noqa: N818 - it leads to the generic path and never leaves this module
    """The message is not of the usual form."""


_EXPECTED: Final = (_NotUsual, msgspec.MsgspecError, UnicodeDecodeError, RecursionError, BadInput)


def _prediction(wire: WirePrediction, at: int, main: str) -> Prediction:
    confidence, signals, interval, level_is_confidence = wire.confidence, wire.signals, wire.interval, False
    if interval is not None:
        ordered(interval)
    if confidence is None or main != MAIN_SIGNAL or (signals and MAIN_SIGNAL in signals):
        confidence, signals, level_is_confidence = main_signal(confidence, signals, interval, main)
    return Prediction(
        wire.prediction_id,
        wire.model,
        at,
        confidence,
        wire.model_version,
        signals,
        wire.predicted,
        wire.probabilities,
        interval,
        wire.segments,
        wire.reference,
        wire.chain_id,
        wire.step,
        level_is_confidence,
    )


def _label(wire: WireLabel, at: int) -> Label:
    correct, named = wire.correct, wire.label
    if (correct is None) is (named is None) or wire.value is not None or wire.retract:
        raise _NotUsual
    return Label(
        wire.prediction_id,
        at,
        LabelKind.CORRECT if named is None else LabelKind.LABEL,
        0.0 if correct is None else float(correct),
        named or "",
        wire.version,
        wire.source,
        wire.propensity,
        wire.model,
    )


def _fields(body: bytes | None, mapping: FieldMapping) -> dict[str, object]:
    """The values of a body by our names. Raises BadInput where it is no JSON object."""
    if body is None:
        raise BadInput("the message has no body (a tombstone); caldrift needs none, retract a label instead", "empty")
    record = _parsed(body)
    if not isinstance(record, dict):
        raise BadInput(f"a message must be a JSON object, got {shown(record)}", "schema")
    return record if mapping.is_identity else mapping.apply(record)


def _parsed(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as failure:
        # Python's own parser takes NaN and Infinity, which many programs write: then the field at fault can be named.
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise BadInput(f"the body must be JSON text in UTF-8: {failure}", "undecodable") from None


def _explained(failure: BadInput, mapping: FieldMapping) -> str:
    """The sentence, with the user's name of the field where that differs."""
    ours = str(failure).split(" ", 1)[0]
    theirs = mapping.theirs(ours)
    return str(failure) if theirs == ours else f"{failure} (read from the field {theirs})"

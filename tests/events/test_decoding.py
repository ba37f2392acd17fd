"""Decoding: good messages as they were meant, and for each bad one its reason and a sentence that names the fault."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.errors import BadInput
from monitor.events.decoding import (
    decode_label,
    decode_labels,
    decode_prediction,
    decode_predictions,
    label_decoder,
    prediction_decoder,
)
from monitor.events.fields import label_of, prediction_of
from monitor.events.messages import REASONS, Interval, LabelKind
from monitor.events.rules import EventRules
from tests.events import messages
from tests.events.messages import ABSENT, LABEL, NOW, PREDICTION, changed, hours_after

RULES = EventRules()
PREDICTIONS = prediction_decoder(RULES)
LABELS = label_decoder(RULES)
NAN, INFINITE = float("nan"), float("inf")


BAD_PREDICTIONS: list[tuple[bytes | None, str, str]] = [
    (None, "empty", "tombstone"),
    (b"", "undecodable", "must be JSON text in UTF-8"),
    (b"\xff\xfe\x00", "undecodable", "must be JSON text in UTF-8"),
    (b'{"prediction_id": "a"', "undecodable", "must be JSON text in UTF-8"),
    (b'{"model": "\xff"}', "undecodable", "must be JSON text in UTF-8"),
    (b"[" * 100_000, "undecodable", "must be JSON text in UTF-8"),
    (b"[1, 2]", "schema", "must be a JSON object, got a list"),
    (b'"high"', "schema", "must be a JSON object, got 'high'"),
    (b"null", "schema", "must be a JSON object, got null"),
    (changed(PREDICTION, prediction_id=ABSENT), "id_missing", "prediction_id must be text of 1 to 256"),
    (changed(PREDICTION, prediction_id=None), "id_missing", "got null"),
    (changed(PREDICTION, prediction_id=""), "id_missing", "prediction_id must be text of 1 to 256"),
    (changed(PREDICTION, prediction_id=17), "schema", "prediction_id must be text, got 17"),
    (changed(PREDICTION, prediction_id="x" * 257), "id_too_long", "at most 256 characters long, got 257"),
    (changed(PREDICTION, prediction_id="a\0b"), "schema", "prediction_id must be text without the zero character"),
    (changed(PREDICTION, model=ABSENT), "schema", "model is missing"),
    (changed(PREDICTION, model=""), "schema", "model must be text of 1 to 256 characters, got ''"),
    (changed(PREDICTION, model=["m"]), "schema", "model must be text, got a list"),
    (changed(PREDICTION, model="m\0"), "schema", "zero character"),
    (changed(PREDICTION, model="\ud800"), "schema", "half of a surrogate pair"),
    (changed(PREDICTION, model="m" * 257), "schema", "model must be at most 256 characters long, got 257"),
    (changed(PREDICTION, model_version=1.5), "schema", "model_version must be text, got 1.5"),
    (changed(PREDICTION, confidence=ABSENT), "schema", "confidence is missing"),
    (changed(PREDICTION, confidence=1.2), "confidence_out_of_range", "a number from 0 to 1, got 1.2"),
    (changed(PREDICTION, confidence=-1e-9), "confidence_out_of_range", "got -1e-09"),
    (
        changed(PREDICTION, confidence=NAN),
        "confidence_out_of_range",
        "confidence must be a number from 0 to 1, got NaN",
    ),
    (changed(PREDICTION, confidence=INFINITE), "confidence_out_of_range", "got Infinity"),
    (changed(PREDICTION, confidence=90), "confidence_out_of_range", "got 90"),
    (changed(PREDICTION, confidence=10**400), "confidence_out_of_range", "confidence must be a number from 0 to 1"),
    (changed(PREDICTION, confidence="high"), "schema", "confidence must be a number from 0 to 1, got 'high'"),
    (changed(PREDICTION, confidence="0.9"), "schema", "confidence must be a number from 0 to 1, got '0.9'"),
    (changed(PREDICTION, confidence=True), "schema", "confidence must be a number from 0 to 1, got true"),
    (changed(PREDICTION, predicted_at=ABSENT), "schema", "predicted_at is missing"),
    (changed(PREDICTION, predicted_at="yesterday"), "schema", "predicted_at must be a time such as"),
    (changed(PREDICTION, predicted_at="2026-05-01T12:00:00"), "schema", "a time with its zone"),
    (changed(PREDICTION, predicted_at=1.5), "schema", "whole milliseconds since 1970, got 1.5"),
    (changed(PREDICTION, predicted_at=True), "schema", "got true"),
    (changed(PREDICTION, predicted_at="1999-12-31T23:59:59Z"), "clock_out_of_range", "in the year 2000 or later"),
    (changed(PREDICTION, predicted_at=1_777_000_000), "clock_out_of_range", "in the year 2000 or later"),
    (changed(PREDICTION, predicted_at=-5), "clock_out_of_range", "in the year 2000 or later"),
    (changed(PREDICTION, predicted_at=hours_after(NOW, 1.1)), "clock_out_of_range", "at most 2026-06-01T01:00:00Z"),
    (changed(PREDICTION, predicted_at=10**15), "clock_out_of_range", "at most 2026-06-01T01:00:00Z"),
    (changed(PREDICTION, predicted_at=10**30), "clock_out_of_range", "at most 2026-06-01T01:00:00Z"),
    (changed(PREDICTION, signals=[0.5]), "schema", "signals must be an object, got a list"),
    (changed(PREDICTION, signals={"logprob": 1.1}), "confidence_out_of_range", "signals.logprob must be a number"),
    (changed(PREDICTION, signals={"logprob": "x"}), "schema", "signals.logprob must be a number from 0 to 1, got 'x'"),
    (changed(PREDICTION, signals={"": 0.5}), "schema", "a name in signals must be text of 1 to 256"),
    (changed(PREDICTION, signals={f"s{i}": 0.5 for i in range(17)}), "schema", "at most 16 values, got 17"),
    (changed(PREDICTION, signals={f"s{i}": 0.5 for i in range(18)}), "schema", "signals must hold at most"),
    (changed(PREDICTION, signals={"confidence": 0.5}), "schema", "signals.confidence must be absent"),
    (changed(PREDICTION, predicted=["a"]), "schema", "predicted must be text, a number, true or false, got a list"),
    (changed(PREDICTION, predicted="a" * 2049), "schema", "predicted must be at most 2048 characters long"),
    (changed(PREDICTION, probabilities={"cat": 1.5}), "schema", "probabilities.cat must be a number from 0 to 1"),
    (changed(PREDICTION, probabilities={f"c{i}": 0.0 for i in range(1025)}), "schema", "at most 1024 values, got 1025"),
    (changed(PREDICTION, interval=[1, 2, 0.9]), "schema", "interval must be an object"),
    (changed(PREDICTION, interval={"low": 1, "high": 2}), "schema", "interval.level is missing"),
    (changed(PREDICTION, interval={"low": 2, "high": 1, "level": 0.9}), "schema", "interval.low must be at most"),
    (
        changed(PREDICTION, interval={"low": 0, "high": 1, "level": 9}),
        "confidence_out_of_range",
        "interval.level must be",
    ),
    (changed(PREDICTION, interval={"low": NAN, "high": 1, "level": 0.9}), "schema", "interval.low must be a finite"),
    (changed(PREDICTION, segments=["de"]), "schema", "segments must be an object"),
    (changed(PREDICTION, segments={"lang": ["de"]}), "schema", "segments.lang must be text, a number, true or false"),
    (changed(PREDICTION, segments={"lang": ""}), "schema", "segments.lang must be text of 1 to 256 characters"),
    (changed(PREDICTION, segments={"lang": "x" * 257}), "schema", "segments.lang must be at most 256 characters"),
    (changed(PREDICTION, segments={"lang": "\0"}), "schema", "segments.lang must be text without the zero character"),
    (
        changed(PREDICTION, segments={"tokens": INFINITE}),
        "schema",
        "segments.tokens must be a finite number, got Infinity",
    ),
    (changed(PREDICTION, segments={f"d{i}": "v" for i in range(65)}), "schema", "at most 64 values, got 65"),
    (changed(PREDICTION, reference="r" * 2049), "schema", "reference must be at most 2048 characters long"),
    (changed(PREDICTION, chain_id=5), "schema", "chain_id must be text, got 5"),
    (changed(PREDICTION, step=-1), "schema", "step must be a whole number from 0 to 2147483647, got -1"),
    (changed(PREDICTION, step=1.5), "schema", "step must be a whole number"),
    (changed(PREDICTION, step=2**31), "schema", "step must be a whole number from 0 to 2147483647"),
]

BAD_LABELS: list[tuple[bytes | None, str, str]] = [
    (None, "empty", "retract a label instead"),
    (b"nonsense", "undecodable", "must be JSON text in UTF-8"),
    (changed(LABEL, prediction_id=ABSENT), "id_missing", "prediction_id must be text"),
    (changed(LABEL, prediction_id="x" * 1000), "id_too_long", "got 1000"),
    (changed(LABEL, labelled_at=ABSENT), "schema", "labelled_at is missing"),
    (changed(LABEL, labelled_at=hours_after(NOW, 2)), "clock_out_of_range", "labelled_at must be at most"),
    (changed(LABEL, correct=ABSENT), "label_missing", "one of correct, label, value or retract: true, got none"),
    (changed(LABEL, correct=None), "label_missing", "got none"),
    (changed(LABEL, correct=ABSENT, retract=False), "label_missing", "got none"),
    (changed(LABEL, label="cat"), "ambiguous_label", "got correct and label"),
    (changed(LABEL, retract=True), "ambiguous_label", "got correct and retract"),
    (changed(LABEL, correct=ABSENT, label="cat", value=1), "ambiguous_label", "got label and value"),
    (changed(LABEL, correct=1.5), "schema", "correct must be a number from 0 to 1, got 1.5"),
    (changed(LABEL, correct=NAN), "schema", "correct must be a number from 0 to 1, got NaN"),
    (changed(LABEL, correct="yes"), "schema", "correct must be a number from 0 to 1, got 'yes'"),
    (changed(LABEL, correct=ABSENT, label={}), "schema", "label must be text, a number, true or false, got an object"),
    (changed(LABEL, correct=ABSENT, label="l" * 2049), "schema", "label must be at most 2048 characters long"),
    (changed(LABEL, correct=ABSENT, label="a\0"), "schema", "label must be text without the zero character"),
    (changed(LABEL, correct=ABSENT, value="3"), "schema", "value must be a number, got '3'"),
    (changed(LABEL, correct=ABSENT, value=INFINITE), "schema", "value must be a finite number, got Infinity"),
    (changed(LABEL, correct=ABSENT, value=10**400), "schema", "value must be a finite number"),
    (changed(LABEL, correct=ABSENT, retract="true"), "schema", "retract must be true, or absent, got 'true'"),
    (changed(LABEL, version=-1), "schema", "version must be a whole number from 0 to 9223372036854775807, got -1"),
    (changed(LABEL, version=2**63), "schema", "version must be a whole number"),
    (changed(LABEL, version="2"), "schema", "version must be a whole number"),
    (changed(LABEL, version=True), "schema", "version must be a whole number"),
    (changed(LABEL, source=""), "schema", "source must be text of 1 to 256 characters"),
    (changed(LABEL, propensity=0), "schema", "propensity must be a number above 0, at most 1, got 0"),
    (changed(LABEL, propensity=1.01), "schema", "propensity must be a number from 0 to 1, got 1.01"),
    (changed(LABEL, propensity="0.5"), "schema", "propensity must be a number from 0 to 1"),
    (changed(LABEL, model=7), "schema", "model must be text, got 7"),
]


def ids_of(rows: list[tuple[bytes | None, str, str]]) -> list[str]:
    return [f"{place}-{reason}" for place, (_, reason, _) in enumerate(rows)]


@pytest.mark.parametrize(("body", "reason", "fragment"), BAD_PREDICTIONS, ids=ids_of(BAD_PREDICTIONS))
def test_a_bad_prediction_is_rejected_with_its_reason_and_a_sentence(
    body: bytes | None, reason: str, fragment: str
) -> None:
    with pytest.raises(BadInput) as failure:
        decode_prediction(body, PREDICTIONS, NOW)
    assert failure.value.reason == reason
    assert fragment in str(failure.value)
    assert len(str(failure.value)) < 300


@pytest.mark.parametrize(("body", "reason", "fragment"), BAD_LABELS, ids=ids_of(BAD_LABELS))
def test_a_bad_label_is_rejected_with_its_reason_and_a_sentence(body: bytes | None, reason: str, fragment: str) -> None:
    with pytest.raises(BadInput) as failure:
        decode_label(body, LABELS, NOW)
    assert failure.value.reason == reason
    assert fragment in str(failure.value)


def test_every_reason_of_decoding_occurs_in_the_tables() -> None:
    met = {reason for _, reason, _ in BAD_PREDICTIONS + BAD_LABELS}
    elsewhere = {"model_missing", "expired", "id_out_of_range", "unknown_codec"}
    assert met | elsewhere == set(REASONS)


def test_a_full_prediction_is_read_as_it_was_meant() -> None:
    body = changed(
        PREDICTION,
        model_version="v2",
        signals={"logprob": 0.25},
        predicted="cat",
        probabilities={"cat": 0.7, "dog": 0.3},
        interval={"low": 1, "high": 2, "level": 0.8},
        segments={"lang": "de", "prompt_tokens": 512},
        reference="https://example.org/1",
        chain_id="c-1",
        step=3,
        comment="fields that are not known are ignored",
    )
    prediction = decode_prediction(body, PREDICTIONS, NOW)
    assert prediction.predicted_at == 1_777_636_800_000_000
    assert prediction.confidence == 0.9
    assert prediction.signals == {"logprob": 0.25}
    assert prediction.interval == Interval(1.0, 2.0, 0.8)
    assert prediction.segments == {"lang": "de", "prompt_tokens": 512.0}
    assert isinstance(prediction.segments["prompt_tokens"], float)
    assert (prediction.model_version, prediction.predicted, prediction.chain_id, prediction.step) == (
        "v2", "cat", "c-1", 3,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("spelling", "us"),
    [
        ("2026-05-01T12:00:00Z", 1_777_636_800_000_000),
        ("2026-05-01T12:00:00.000001Z", 1_777_636_800_000_001),
        ("2026-05-01T14:00:00.999999+02:00", 1_777_636_800_999_999),
        ("2026-05-01 12:00:00Z", 1_777_636_800_000_000),
        (1_777_636_800_123, 1_777_636_800_123_000),
    ],
)
def test_a_time_is_rfc_3339_with_its_zone_or_milliseconds(spelling: object, us: int) -> None:
    assert decode_prediction(changed(PREDICTION, predicted_at=spelling), PREDICTIONS, NOW).predicted_at == us


@given(messages.moments)
@example(datetime(2025, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))
def test_no_microsecond_of_a_time_is_lost(moment: datetime) -> None:
    body = changed(PREDICTION, predicted_at=moment.isoformat())
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    assert decode_prediction(body, PREDICTIONS, NOW).predicted_at == since // timedelta(microseconds=1)


def test_a_clock_may_run_ahead_as_far_as_the_rules_say() -> None:
    bodies = [changed(PREDICTION, predicted_at=hours_after(NOW, hours)) for hours in (1, 1.001)]
    taken, rejected = decode_predictions(bodies, PREDICTIONS, NOW)
    assert len(taken) == 1
    assert [each.index for each in rejected] == [1]
    wide = prediction_decoder(EventRules(max_clock_ahead=timedelta(days=1)))
    assert decode_predictions(bodies, wide, NOW)[1] == []


def test_spellings_that_many_programs_use_are_taken() -> None:
    body = changed(
        PREDICTION,
        model_version=None,
        signals={"logprob": None},
        predicted=3,
        segments={"urgent": True, "lang": None, "tier": "a"},
        reference=None,
    )
    prediction = decode_prediction(body, PREDICTIONS, NOW)
    assert prediction.predicted == "3"
    assert prediction.segments == {"urgent": "true", "tier": "a"}
    assert prediction.signals == {}


@pytest.mark.parametrize(
    ("spelling", "text"), [(3, "3"), (3.0, "3"), (2.5, "2.5"), (True, "true"), ("3", "3"), ("", ""), (-0.0, "0")]
)
def test_answers_and_labels_of_any_type_meet_as_text(spelling: object, text: str) -> None:
    assert decode_prediction(changed(PREDICTION, predicted=spelling), PREDICTIONS, NOW).predicted == text
    label = decode_label(changed(LABEL, correct=ABSENT, label=spelling), LABELS, NOW)
    assert (label.kind, label.text) == (LabelKind.LABEL, text)


@pytest.mark.parametrize(
    ("payload", "kind", "number"),
    [
        ({"correct": True}, LabelKind.CORRECT, 1.0),
        ({"correct": False}, LabelKind.CORRECT, 0.0),
        ({"correct": 0.25}, LabelKind.CORRECT, 0.25),
        ({"correct": 1, "label": None, "retract": False}, LabelKind.CORRECT, 1.0),
        ({"correct": ABSENT, "value": -3.5}, LabelKind.VALUE, -3.5),
        ({"correct": ABSENT, "retract": True}, LabelKind.RETRACTION, 0.0),
    ],
)
def test_a_label_says_one_thing(payload: dict[str, object], kind: LabelKind, number: float) -> None:
    label = decode_label(changed(LABEL, **payload), LABELS, NOW)
    assert (label.kind, label.number, label.text) == (kind, number, "")


def test_an_interval_stands_in_for_a_confidence_with_its_level() -> None:
    interval = {"low": 0, "high": 9, "level": 0.8}
    assert (
        decode_prediction(changed(PREDICTION, confidence=ABSENT, interval=interval), PREDICTIONS, NOW).confidence == 0.8
    )
    assert decode_prediction(changed(PREDICTION, interval=interval), PREDICTIONS, NOW).confidence == 0.9


def test_the_main_signal_is_taken_from_the_signals_where_it_is_named_so() -> None:
    stated = prediction_decoder(EventRules(main_signal="stated"))
    both = decode_prediction(changed(PREDICTION, signals={"stated": 0.6, "logprob": 0.7}), stated, NOW)
    assert (both.confidence, both.signals) == (0.6, {"logprob": 0.7, "confidence": 0.9})
    only = decode_prediction(changed(PREDICTION, confidence=ABSENT, signals={"stated": 0.6}), stated, NOW)
    assert (only.confidence, only.signals) == (0.6, {})
    with pytest.raises(BadInput, match=r"signals\.stated \(the main signal\) is missing"):
        decode_prediction(changed(PREDICTION), stated, NOW)
    inside = changed(PREDICTION, confidence=ABSENT, signals={"confidence": 0.3, "logprob": 0.7})
    plain = decode_prediction(inside, PREDICTIONS, NOW)
    assert (plain.confidence, plain.signals) == (0.3, {"logprob": 0.7})


def test_a_label_names_its_model_where_ids_are_scoped_by_model() -> None:
    scoped = label_decoder(EventRules(id_scope="model"))
    assert decode_label(changed(LABEL, model="triage"), scoped, NOW).model == "triage"
    with pytest.raises(BadInput) as failure:
        decode_label(changed(LABEL), scoped, NOW)
    assert failure.value.reason == "model_missing"


def test_good_messages_around_bad_ones_are_all_taken_in_order() -> None:
    bodies: list[bytes | None] = []
    for place in range(300):
        bodies.append(changed(PREDICTION, prediction_id=f"good-{place}"))
        bodies.append(BAD_PREDICTIONS[place % len(BAD_PREDICTIONS)][0])
    taken, rejected = decode_predictions(bodies, PREDICTIONS, NOW)
    assert [each.prediction_id for each in taken] == [f"good-{place}" for place in range(300)]
    assert [each.index for each in rejected] == list(range(1, 600, 2))
    assert [each.reason for each in rejected] == [
        BAD_PREDICTIONS[place % len(BAD_PREDICTIONS)][1] for place in range(300)
    ]


@given(messages.predictions)
def test_the_typed_and_the_generic_path_read_the_same_prediction(fields: dict[str, object]) -> None:
    body = json.dumps(fields).encode()
    typed = decode_prediction(body, PREDICTIONS, NOW)
    assert typed == prediction_of(json.loads(body), RULES, RULES.latest_us(NOW))


@given(messages.labels)
def test_the_typed_and_the_generic_path_read_the_same_label(fields: dict[str, object]) -> None:
    body = json.dumps(fields).encode()
    assert decode_label(body, LABELS, NOW) == label_of(json.loads(body), RULES, RULES.latest_us(NOW))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
damaged = st.builds(
    lambda message, changes: json.dumps(message | changes).encode(),
    messages.predictions | messages.labels,
    st.dictionaries(st.sampled_from([*PREDICTION, *LABEL, "signals", "segments", "interval", "step"]), json_values),
)
cut = st.builds(lambda body, end: body[: end % (len(body) + 1)], damaged, st.integers(0, 10_000))


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()) | damaged | cut)
def test_whatever_comes_is_an_event_or_is_rejected_with_a_known_reason(body: bytes) -> None:
    taken, rejected = decode_predictions([body], PREDICTIONS, NOW)
    known, refused = decode_labels([body], LABELS, NOW)
    assert len(taken) + len(rejected) == 1
    assert len(known) + len(refused) == 1
    for each in rejected + refused:
        assert each.reason in REASONS
        assert each.message
    for prediction in taken:
        assert 0 <= prediction.confidence <= 1
        assert all(0 <= value <= 1 for value in prediction.signals.values())
        assert "\0" not in prediction.model + (prediction.predicted or "")

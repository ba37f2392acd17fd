"""What a client writes is what the intake reads."""

import uuid
from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.client.events import LabelEvent, PredictionEvent, encode, new_id
from monitor.events.decoding import decode_label, decode_prediction, label_decoder, prediction_decoder
from monitor.events.identity import event_id
from monitor.events.messages import Label, LabelKind, Prediction
from monitor.events.rules import EventRules

AT = datetime(2026, 5, 1, 12, 0, 0, 250_000, tzinfo=UTC)
MICROSECONDS = 1_777_636_800_250_000


def test_the_least_that_a_prediction_says() -> None:
    body = encode(PredictionEvent("p1", "triage", AT, 0.93))
    assert body == (
        b'{"prediction_id":"p1","model":"triage","predicted_at":"2026-05-01T12:00:00.250000Z","confidence":0.93}'
    )
    assert decode_prediction(body, prediction_decoder(EventRules()), AT) == Prediction(
        "p1", "triage", MICROSECONDS, 0.93
    )


def test_all_that_a_prediction_can_say() -> None:
    body = encode(
        PredictionEvent(
            "p1",
            "triage",
            AT,
            0.93,
            "2026-04",
            {"logprob": 0.997, "calibrated": 0.71},
            "refund",
            {"refund": 0.93, "complaint": 0.07},
            {"low": 1.0, "high": 2.0, "level": 0.9},
            {"lang": "de", "prompt_tokens": 512, "calibrator": "3"},
            "https://tickets.example.org/4711",
            "ticket-4711",
            2,
        )
    )
    assert body == (
        b'{"prediction_id":"p1","model":"triage","predicted_at":"2026-05-01T12:00:00.250000Z","confidence":0.93,'
        b'"model_version":"2026-04","signals":{"logprob":0.997,"calibrated":0.71},"predicted":"refund",'
        b'"probabilities":{"refund":0.93,"complaint":0.07},"interval":{"low":1.0,"high":2.0,"level":0.9},'
        b'"segments":{"lang":"de","prompt_tokens":512,"calibrator":"3"},'
        b'"reference":"https://tickets.example.org/4711","chain_id":"ticket-4711","step":2}'
    )
    found = decode_prediction(body, prediction_decoder(EventRules()), AT)
    assert found.signals == {"logprob": 0.997, "calibrated": 0.71}
    assert found.segments == {"lang": "de", "prompt_tokens": 512.0, "calibrator": "3"}
    assert (found.reference, found.chain_id, found.step) == ("https://tickets.example.org/4711", "ticket-4711", 2)


def test_what_a_label_says() -> None:
    decoder = label_decoder(EventRules(id_scope="model"))
    body = encode(LabelEvent("p1", AT, correct=False, source="human", model="triage"))
    assert body == (
        b'{"prediction_id":"p1","labelled_at":"2026-05-01T12:00:00.250000Z","correct":false,"source":"human",'
        b'"model":"triage"}'
    )
    assert decode_label(body, decoder, AT) == Label(
        "p1", MICROSECONDS, LabelKind.CORRECT, 0.0, source="human", model="triage"
    )
    retracted = encode(LabelEvent("p1", AT, retract=True, version=2, model="triage"))
    assert decode_label(retracted, decoder, AT).kind is LabelKind.RETRACTION


def test_the_numbers_of_numpy_are_numbers() -> None:
    written = encode(
        PredictionEvent(
            "p1",
            "m",
            AT,
            0.5,
            signals={"s": np.float64(0.25)},
            segments={"n": np.int64(3), "b": np.True_, "f": np.float32(0.5)},
        )
    )
    found = decode_prediction(written, prediction_decoder(EventRules()), AT)
    assert (found.confidence, found.signals, found.segments) == (0.5, {"s": 0.25}, {"n": 3.0, "b": "true", "f": 0.5})


@given(st.integers(0, 4 * 10**9).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)), st.integers(0, 999_999))
def test_ids_are_uuids_of_version_7_that_tell_when(second: datetime, microsecond: int) -> None:
    at = second.replace(microsecond=microsecond)
    found = new_id(at)
    parsed = uuid.UUID(found)
    assert (str(parsed), parsed.version, parsed.variant) == (found, 7, uuid.RFC_4122)
    assert event_id(found) == parsed.bytes
    told = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=parsed.int >> 80)
    assert timedelta(0) <= at - told < timedelta(milliseconds=2)


def test_ids_of_one_instant_differ() -> None:
    assert len({new_id(AT) for _ in range(10_000)}) == 10_000

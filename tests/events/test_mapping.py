"""Field mapping: the user's names and nesting lead to the same events as the default names."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import BadInput, BadSettings
from monitor.events.decoding import decode_label, decode_prediction, label_decoder, prediction_decoder
from monitor.events.mapping import FIELDS, IDENTITY, field_mapping, look_up
from monitor.events.messages import LabelKind
from monitor.events.rules import EventRules
from tests.events import messages
from tests.events.messages import LABEL, NOW, PREDICTION, changed

PLAIN = prediction_decoder(EventRules())


@given(messages.predictions, st.dictionaries(st.sampled_from(FIELDS["prediction"]), st.just(""), max_size=6))
def test_renamed_fields_give_the_same_event(fields: dict[str, object], renamed: dict[str, str]) -> None:
    names = {ours: f"their {ours}" for ours in renamed}
    theirs = {names.get(ours, ours): value for ours, value in fields.items()}
    decoder = prediction_decoder(EventRules(predictions=field_mapping("prediction", names)))
    assert decoder.quick is not None
    expected = decode_prediction(json.dumps(fields).encode(), PLAIN, NOW)
    assert decode_prediction(json.dumps(theirs).encode(), decoder, NOW) == expected


@given(messages.predictions)
def test_nested_fields_give_the_same_event(fields: dict[str, object]) -> None:
    mapping = field_mapping("prediction", {ours: f"payload.deep.{ours}" for ours in FIELDS["prediction"]})
    decoder = prediction_decoder(EventRules(predictions=mapping))
    nested = json.dumps({"payload": {"deep": fields}, "confidence": "not this one"}).encode()
    assert decode_prediction(nested, decoder, NOW) == decode_prediction(json.dumps(fields).encode(), PLAIN, NOW)


def test_one_value_of_a_container_may_come_from_elsewhere() -> None:
    mapping = field_mapping(
        "prediction",
        {
            "segments.lang": "request.language",
            "signals.logprob": "scores.lp",
            "prediction_id": "id",
            "interval.low": "lo",
        },
    )
    fields = {
        "id": "a",
        "model": "m",
        "predicted_at": PREDICTION["predicted_at"],
        "confidence": 0.5,
        "segments": {"tier": "gold"},
        "request": {"language": "de"},
        "scores": {"lp": 0.75},
    }
    decoder = prediction_decoder(EventRules(predictions=mapping))
    prediction = decode_prediction(
        json.dumps({**fields, "interval": {"high": 2, "level": 0.9}, "lo": 1}).encode(), decoder, NOW
    )
    assert prediction.prediction_id == "a"
    assert prediction.segments == {"tier": "gold", "lang": "de"}
    assert prediction.signals == {"logprob": 0.75}
    assert prediction.interval is not None
    assert prediction.interval.low == 1
    without = {name: value for name, value in fields.items() if name != "request"}
    assert decode_prediction(json.dumps(without).encode(), decoder, NOW).segments == {"tier": "gold"}


def test_swapped_names_are_read_as_the_mapping_says() -> None:
    swapped = field_mapping("label", {"source": "model", "model": "source"})
    label = decode_label(changed(LABEL, source="triage", model="human"), label_decoder(EventRules(labels=swapped)), NOW)
    assert (label.model, label.source) == ("triage", "human")


def test_one_field_of_theirs_may_feed_two_of_ours() -> None:
    mapping = field_mapping("prediction", {"chain_id": "model"})
    prediction = decode_prediction(changed(PREDICTION), prediction_decoder(EventRules(predictions=mapping)), NOW)
    assert (prediction.model, prediction.chain_id) == ("triage", "triage")


def test_a_mapped_field_is_not_read_under_our_own_name() -> None:
    mapping = field_mapping("label", {"correct": "verdict"})
    with pytest.raises(BadInput) as failure:
        decode_label(changed(LABEL), label_decoder(EventRules(labels=mapping)), NOW)
    assert failure.value.reason == "label_missing"
    label = decode_label(changed(LABEL, verdict=0), label_decoder(EventRules(labels=mapping)), NOW)
    assert (label.kind, label.number) == (LabelKind.CORRECT, 0.0)


@pytest.mark.parametrize("theirs", ["score", "out.score"])
def test_a_rejection_names_the_field_of_theirs(theirs: str) -> None:
    mapping = field_mapping("prediction", {"confidence": theirs})
    head, _, rest = theirs.partition(".")
    body = changed(PREDICTION, **{head: {rest: 1.2} if rest else 1.2})
    with pytest.raises(BadInput, match=rf"confidence must be .* got 1\.2 \(read from the field {theirs}\)"):
        decode_prediction(body, prediction_decoder(EventRules(predictions=mapping)), NOW)


def test_a_field_whose_name_holds_a_dot_comes_before_a_nested_one() -> None:
    assert look_up({"a.b": 1, "a": {"b": 2}}, "a.b") == 1
    assert look_up({"a": {"b.c": 3}}, "a.b.c") == 3
    assert look_up({"a": 5}, "a.b") is None
    assert look_up({}, "a") is None


def test_every_unknown_field_of_a_mapping_is_named_at_once() -> None:
    with pytest.raises(BadSettings) as failure:
        field_mapping("prediction", {"confidnce": "a", "modle": "b", "correct": "c", "model.x": "d", "step": ""})
    assert len(failure.value.mistakes) == 5
    assert "did you mean confidence?" in failure.value.mistakes[0]
    assert "step needs the name of the field" in failure.value.mistakes[-1]


def test_names_that_stay_the_same_are_no_mapping() -> None:
    assert field_mapping("label", {name: name for name in FIELDS["label"]}) == IDENTITY

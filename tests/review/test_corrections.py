"""What an answer says in the labels topic: read back by the decoder, it puts right what was wrong and nothing else."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from monitor.errors import BadInput
from monitor.events.checks import microseconds
from monitor.events.decoding import decode_labels, label_decoder
from monitor.events.identity import event_id
from monitor.events.mapping import field_mapping
from monitor.events.messages import Label, LabelKind, label_order
from monitor.events.rules import EventRules
from monitor.review.corrections import Subject, label_of, message_of

AT = datetime(2026, 11, 20, 12, 0, 1, 500, tzinfo=UTC)
KEY = event_id("ticket 4711")
WRONG = Subject(UUID(bytes=KEY), "triage", "refund", LabelKind.LABEL, 0.0, 3, "human", 0.25)
RULES = EventRules()


def read_back(
    subject: Subject, reason: str, truth: str = "", rules: EventRules = RULES, queue: str = "errors"
) -> Label:
    label = label_of(subject, "errors" if queue == "errors" else "spot_check", reason, truth, propensity=0.1, at=AT)
    assert label is not None
    key, body = message_of(label, subject.model, rules)
    (found,), rejected = decode_labels([body], label_decoder(rules), AT)
    assert rejected == []
    assert found.prediction_id.encode() == key
    return found


@pytest.mark.parametrize(
    ("subject", "truth", "kind", "number", "text"),
    [
        (WRONG, "", LabelKind.LABEL, 0.0, "refund"),
        (WRONG, "complaint", LabelKind.LABEL, 0.0, "complaint"),
        (replace(WRONG, outcome=1.0), "complaint", LabelKind.LABEL, 0.0, "complaint"),
        (replace(WRONG, kind=LabelKind.CORRECT), "", LabelKind.CORRECT, 1.0, ""),
        (replace(WRONG, kind=LabelKind.CORRECT, outcome=1.0), "", LabelKind.CORRECT, 0.0, ""),
        (replace(WRONG, kind=LabelKind.VALUE), "17.5", LabelKind.VALUE, 17.5, ""),
    ],
)
def test_a_correction_keeps_kind_source_and_weight_and_beats_the_label_that_it_corrects(
    subject: Subject, truth: str, kind: LabelKind, number: float, text: str
) -> None:
    found = read_back(subject, "label_wrong", truth)
    assert (found.kind, found.number, found.text) == (kind, number, text)
    assert (found.source, found.propensity, found.version) == ("human", 0.25, 4)
    old = Label("", 2_000_000_000_000_000, LabelKind.VALUE, 9.0, version=3)
    assert label_order(found) > label_order(old)


@pytest.mark.parametrize("id_scope", ["global", "model"])
def test_the_label_reaches_the_pair_whatever_its_id_was(id_scope: str) -> None:
    rules = replace(RULES, id_scope="model" if id_scope == "model" else "global")
    key = event_id("ticket 4711", "triage") if id_scope == "model" else KEY
    subject = replace(WRONG, prediction=UUID(bytes=key))
    found = read_back(subject, "label_wrong", rules=rules)
    assert event_id(found.prediction_id, found.model if id_scope == "model" else None) == key


def test_the_label_is_written_as_the_installation_names_its_fields() -> None:
    names = {"prediction_id": "meta.id", "label": "truth.text", "version": "rev", "labelled_at": "meta.at"}
    rules = replace(RULES, labels=field_mapping("label", names))
    found = label_of(WRONG, "errors", "label_wrong", "", propensity=None, at=AT)
    assert found is not None
    key, body = message_of(found, "triage", rules)
    (label,), _ = decode_labels([body], label_decoder(rules), AT)
    assert (label.text, label.version, label.source) == ("refund", 4, "human")
    assert event_id(label.prediction_id) == KEY
    assert b'"meta": {"id"' in body
    assert key == str(UUID(bytes=KEY)).encode()


@pytest.mark.parametrize(("reason", "correct"), [("right", 1.0), ("wrong", 0.0)])
def test_a_spot_check_becomes_a_label_with_its_propensity(reason: str, correct: float) -> None:
    unlabelled = Subject(UUID(bytes=KEY), "triage", "refund")
    found = read_back(unlabelled, reason, queue="spot_check")
    assert (found.kind, found.number, found.source, found.propensity) == (LabelKind.CORRECT, correct, "spot_check", 0.1)
    assert found.labelled_at == microseconds(AT)


def test_a_spot_check_that_knows_the_right_answer_says_it() -> None:
    unlabelled = Subject(UUID(bytes=KEY), "triage", "refund")
    found = read_back(unlabelled, "wrong", "complaint", queue="spot_check")
    assert (found.kind, found.text) == (LabelKind.LABEL, "complaint")


@pytest.mark.parametrize("reason", ["model_wrong", "ambiguous", "missing_context", "out_of_scope", "nothing_wrong"])
def test_where_the_label_stands_nothing_is_sent(reason: str) -> None:
    assert label_of(WRONG, "errors", reason, "", propensity=None, at=AT) is None
    assert label_of(WRONG, "spot_check", "cannot_tell", "", propensity=0.1, at=AT) is None


@pytest.mark.parametrize(
    ("subject", "truth", "words"),
    [
        (replace(WRONG, outcome=1.0), "", "say what the right answer is"),
        (replace(WRONG, kind=LabelKind.VALUE), "", "true number"),
        (replace(WRONG, kind=LabelKind.VALUE), "nan", "true number"),
        (replace(WRONG, kind=LabelKind.RETRACTION, outcome=None), "", "no label any more"),
        (replace(WRONG, kind=None, outcome=None), "", "no label any more"),
        (WRONG, "x" * 2049, "at most 2048"),
    ],
)
def test_an_answer_that_cannot_become_a_label_says_what_is_missing(subject: Subject, truth: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        label_of(subject, "errors", "label_wrong", truth, propensity=None, at=AT)

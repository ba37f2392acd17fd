"""Ids: UUIDs keep their value, all else is hashed, and a batch agrees with one at a time."""

from hashlib import blake2b
from uuid import UUID

from hypothesis import example, given
from hypothesis import strategies as st

from monitor.events.identity import event_id, event_ids, scoped_event_ids

uuids = st.uuids().map(str)
spellings = uuids | uuids.map(str.upper) | uuids.map(lambda text: text.replace("-", ""))
odd = st.sampled_from(
    [
        "0b9c6a1e-4f6b-4d52-9a37-3d1c0a8f7e2",
        "0b9c6a1e-4f6b-4d52-9a37-3d1c0a8f7e211",
        "0b9c6a1e-4f6b-4d52-9a37-3d1c0a8f7e2g",
        "0b9c6a1e-4f6b-4d52-9a37- d1c0a8f7e21",
        "0b9c6a1e-4f6b-4d52-9a37--d1c0a8f7e21",
        "0b9c6a1e4-f6b-4d52-9a37-3d1c0a8f7e21",
        "0b9c6a1e04f6b04d5209a3703d1c0a8f7e21",
        "{b9c6a1e-4f6b-4d52-9a37-3d1c0a8f7e2}",
        "é" * 36,
        "order 17",
    ]
)
anything = spellings | odd | st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)


@given(st.uuids())
def test_a_uuid_keeps_its_value_in_every_spelling(value: UUID) -> None:
    assert {event_id(text) for text in (str(value), str(value).upper(), value.hex)} == {value.bytes}


@given(odd)
def test_other_text_becomes_its_digest(text: str) -> None:
    assert event_id(text) == blake2b(text.encode(), digest_size=16).digest()


@given(st.lists(spellings | odd, min_size=1) | st.lists(uuids, min_size=1) | st.lists(anything))
@example(["0b9c6a1e4-f6b-4d52-9a37-3d1c0a8f7e21"])
@example(["0b9c6a1e-4f6b-4d52-9a37-3d1c0a8f7e2", "10b9c6a1e-4f6b-4d52-9a37-3d1c0a8f7e21"])
def test_a_batch_has_the_ids_of_its_members(texts: list[str]) -> None:
    assert event_ids(texts).tolist() == [event_id(text) for text in texts]


@given(st.lists(st.tuples(anything, st.text(st.characters(codec="utf-8"), max_size=5))))
def test_ids_scoped_by_model_are_the_digest_of_model_and_id(pairs: list[tuple[str, str]]) -> None:
    texts, models = [text for text, _ in pairs], [model for _, model in pairs]
    expected = [blake2b(f"{model}\0{text}".encode(), digest_size=16).digest() for text, model in pairs]
    assert scoped_event_ids(texts, models).tolist() == expected
    assert [event_id(text, model) for text, model in pairs] == expected

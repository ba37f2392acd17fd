"""Messages to publish: keys, times, and two files merged into one stream."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.events.mapping import MessageKind, field_mapping
from monitor.files.fields import FlatFields
from monitor.files.formats import source
from monitor.files.rejections import Rejections
from monitor.files.replay import Outgoing, merged, outgoing


def messages(path: Path, fields: FlatFields) -> list[Outgoing]:
    return list(outgoing(source(path), fields, lambda _: None, Rejections(lambda _: None)))


@pytest.mark.parametrize(
    ("body", "key", "at_us"),
    [
        ({"id": "a", "meta": {"at": 5}}, b"a", 5000),
        ({"id": "é", "meta": {"at": "1970-01-01T00:00:01+00:00"}}, "é".encode(), 1_000_000),
        ({"id": "a", "meta": {"at": "1970-01-01T00:00:01"}}, b"a", -1),
        ({"id": "a", "meta": {"at": float("nan")}}, b"a", -1),
        ({"id": 7, "meta": 3}, None, -1),
        ({"id": ""}, None, -1),
        (3, None, -1),
    ],
)
def test_the_key_is_the_id_under_the_users_name_and_a_time_that_cannot_be_read_holds_nothing_up(
    tmp_path: Path, body: object, key: bytes | None, at_us: int
) -> None:
    mapping = field_mapping("label", {"prediction_id": "id", "labelled_at": "meta.at"})
    (tmp_path / "l.jsonl").write_text(json.dumps(body))
    (message,) = messages(tmp_path / "l.jsonl", FlatFields("label", mapping))
    assert (message.key, message.at_us, message.body) == (key, at_us, json.dumps(body).encode())


def stream(times: list[int], kind: MessageKind) -> list[Outgoing]:
    return [Outgoing(kind, None, f"{kind}{n}".encode(), at) for n, at in enumerate(times)]


@given(st.lists(st.integers(0, 50)), st.lists(st.integers(0, 50)))
def test_files_in_order_of_time_make_one_stream_in_order_of_time(first: list[int], second: list[int]) -> None:
    one, other = stream(sorted(first), "prediction"), stream(sorted(second), "label")
    found = list(merged([iter(one), iter(other)]))
    assert [message.at_us for message in found] == sorted([*first, *second])
    assert [message for message in found if message.kind == "prediction"] == one
    assert [message for message in found if message.kind == "label"] == other


@given(st.lists(st.integers(-1, 9)), st.lists(st.integers(-1, 9)))
def test_files_in_any_order_lose_nothing_and_each_keeps_its_own_order(first: list[int], second: list[int]) -> None:
    one, other = stream(first, "prediction"), stream(second, "label")
    found = list(merged([iter(one), iter(other)]))
    assert [message for message in found if message.kind == "prediction"] == one
    assert [message for message in found if message.kind == "label"] == other

"""Offsets: only ever changed from what they were; another cluster's are refused."""

import threading
from datetime import UTC, datetime

import pytest

from monitor.errors import Refused
from monitor.postgres import offsets
from monitor.postgres.database import Connection
from monitor.postgres.offsets import ADVANCE, Advance, Reader, advance_parameters
from tests.postgres.sessions import another

NOW = datetime(2026, 6, 30, tzinfo=UTC)
READER = Reader("group", "one")
FIRST = {("p", 0): 5, ("p", 1): 0}
END = {("p", 0): 9, ("p", 1): 3}


def advance(connection: Connection, *advances: Advance, reader: Reader = READER) -> int:
    return connection.execute(ADVANCE, advance_parameters(reader, advances, NOW)).rowcount


@pytest.mark.parametrize(("start_from", "expected"), [("earliest", FIRST), ("latest", END)])
def test_a_new_group_begins_where_it_is_told_to(
    connection: Connection, start_from: offsets.StartFrom, expected: dict[tuple[str, int], int]
) -> None:
    offsets.begin(connection, READER, FIRST, END, start_from)
    assert offsets.load(connection, READER, END) == expected


def test_a_partition_that_a_known_topic_grows_begins_at_zero(connection: Connection) -> None:
    offsets.begin(connection, READER, FIRST, END, "latest")
    grown = {**END, ("p", 2): 50, ("q", 0): 8}
    offsets.begin(connection, READER, dict.fromkeys(grown, 0), grown, "latest")
    assert offsets.load(connection, READER, grown) == {**END, ("p", 2): 0, ("q", 0): 8}
    assert offsets.load(connection, READER, [("p", 3)]) == {("p", 3): 0}


def test_what_is_stored_is_not_touched_by_another_beginning(connection: Connection) -> None:
    offsets.begin(connection, READER, FIRST, END)
    advance(connection, Advance("p", 0, 5, 7))
    offsets.begin(connection, READER, FIRST, END)
    assert offsets.load(connection, READER, [("p", 0)]) == {("p", 0): 7}


def test_only_the_partitions_that_stand_where_the_batch_begins_advance(connection: Connection) -> None:
    offsets.begin(connection, READER, FIRST, END)
    assert advance(connection, Advance("p", 0, 5, 8, 20), Advance("p", 1, 1, 2, 3)) == 1
    assert [(row.next_offset, row.high_water, row.lag) for row in offsets.read_offsets(connection)] == [
        (8, 20, 12),
        (0, None, None),
    ]


def test_of_two_owners_at_once_one_advances_a_partition(connection: Connection) -> None:
    offsets.begin(connection, READER, FIRST, END)
    second = another(connection)
    hits: list[int] = []
    with connection.transaction():
        assert advance(connection, Advance("p", 0, 5, 8)) == 1
        waiting = threading.Thread(target=lambda: hits.append(advance(second, Advance("p", 0, 5, 9))))
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()
    waiting.join(10)
    second.close()
    assert hits == [0]
    assert offsets.load(connection, READER, [("p", 0)]) == {("p", 0): 8}


def test_the_offsets_of_another_cluster_are_refused(connection: Connection) -> None:
    offsets.begin(connection, READER, FIRST, END)
    other = Reader("group", "two")
    with pytest.raises(Refused, match=r"cluster one.*cluster two.*offsets reset --all"):
        offsets.begin(connection, other, FIRST, END)
    with pytest.raises(Refused, match="cluster one"):
        offsets.load(connection, other, FIRST)
    assert advance(connection, Advance("p", 0, 5, 8), reader=other) == 0
    offsets.forget(connection, "group", ["p"])
    offsets.begin(connection, other, FIRST, END)
    assert offsets.load(connection, other, FIRST) == FIRST


def test_a_broker_that_forgets_with_each_start_is_read_from_zero(connection: Connection) -> None:
    offsets.begin(connection, READER, FIRST, END)
    other = Reader("group", "two")
    assert offsets.begin(connection, other, FIRST, END, accept_new_cluster=True)
    assert offsets.load(connection, other, FIRST) == {("p", 0): 0, ("p", 1): 0}
    assert not offsets.begin(connection, other, FIRST, END, accept_new_cluster=True)


def test_an_operator_moves_one_partition(connection: Connection) -> None:
    offsets.begin(connection, READER, FIRST, END)
    assert offsets.reset(connection, "group", "p", 0, 2) == 5
    assert offsets.load(connection, READER, FIRST) == {("p", 0): 2, ("p", 1): 0}
    with pytest.raises(Refused, match="no stored offset of q/0"):
        offsets.reset(connection, "group", "q", 0, 0)


def test_the_lag_of_an_idle_intake_is_noted(connection: Connection) -> None:
    offsets.begin(connection, READER, FIRST, END)
    offsets.note_high_waters(connection, READER, {("p", 0): 11, ("p", 1): 0}, NOW)
    assert [row.lag for row in offsets.read_offsets(connection, "group")] == [6, 0]
    offsets.note_high_waters(connection, READER, {("p", 0): 3}, NOW)  # an end below what was read is a mistake
    assert offsets.read_offsets(connection)[0].high_water == 11

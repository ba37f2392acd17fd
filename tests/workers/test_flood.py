"""The flood limit: a schema break stops the intake, single bad messages do not, and a restart begins where it was."""

from hypothesis import given
from hypothesis import strategies as st

from monitor.events.messages import Rejected
from monitor.kafka.records import Message
from monitor.workers.flood import WINDOW, Flood, FloodGate, FloodLimit

PART = ("labels", 0)


def messages(n: int, first: int = 0) -> list[Message]:
    return [(first + place, None, b"") for place in range(n)]


def bad(*places: int) -> list[Rejected]:
    return [Rejected(place, "schema", "no") for place in places]


def admit(gate: FloodGate, n: int, *places: int, first: int = 0, part: int = 0) -> Flood | None:
    return gate.admit(("labels", part), messages(n, first), bad(*places))


def test_the_message_that_makes_it_too_many_in_a_row_is_the_first_not_to_be_read() -> None:
    gate = FloodGate(FloodLimit(1.0, 3))
    flood = admit(gate, 6, 1, 2, 3, 4)
    assert flood is not None
    assert (flood.place, flood.offset, flood.bad_in_a_row) == (3, 3, 3)
    assert "labels/0 offset 3" in str(flood)


def test_good_messages_between_end_a_row() -> None:
    gate = FloodGate(FloodLimit(1.0, 3))
    assert admit(gate, 5, 0, 1, 3, 4) is None
    assert admit(gate, 1, first=5) is None
    assert admit(gate, 2, 0, 1, first=6) is None


def test_a_row_goes_on_in_the_next_batch() -> None:
    gate = FloodGate(FloodLimit(1.0, 3))
    assert admit(gate, 2, 0, 1) is None
    flood = admit(gate, 2, 0, first=2)
    assert flood is not None
    assert flood.place == 0


def test_a_row_is_added_up_over_the_partitions_of_a_topic() -> None:
    gate = FloodGate(FloodLimit(1.0, 4))
    assert [admit(gate, 1, 0, part=part) for part in range(3)] == [None] * 3
    assert admit(gate, 1, 0, part=3) is not None


def test_another_topic_has_a_row_of_its_own() -> None:
    gate = FloodGate(FloodLimit(1.0, 2))
    assert gate.admit(("predictions", 0), messages(1), bad(0)) is None
    assert gate.admit(("labels", 0), messages(1), bad(0)) is None


def test_a_share_of_the_last_messages_is_too_much_even_when_good_ones_lie_between() -> None:
    gate = FloodGate(FloodLimit(0.2, 1000))
    n = WINDOW
    assert admit(gate, n, *range(0, n, 6)) is None
    flood = admit(gate, n, *range(0, n, 4), first=n)
    assert flood is not None
    assert flood.bad_of_window == WINDOW // 5 + 1


def test_old_messages_leave_the_share() -> None:
    gate = FloodGate(FloodLimit(0.2, 10_000))
    for batch in range(20):
        assert admit(gate, 5000, *range(0, 5000, 6), first=5000 * batch) is None


@given(st.lists(st.booleans(), max_size=60), st.integers(0, 60), st.integers(1, 12))
def test_a_restart_stops_where_the_first_run_would_have(flags: list[bool], cut: int, run: int) -> None:
    """However often it is restarted, no more bad messages pass."""
    limit = FloodLimit(1.0, run)
    whole = FloodGate(limit)
    flood = whole.admit(PART, messages(len(flags)), bad(*(place for place, each in enumerate(flags) if each)))
    expected = flood.offset if flood else len(flags)
    cut = min(cut, expected)
    second = FloodGate(limit)
    second.resume(PART, cut, [place for place, each in enumerate(flags[:cut]) if each])
    rest = flags[cut:]
    flood = second.admit(PART, messages(len(rest), cut), bad(*(place for place, each in enumerate(rest) if each)))
    assert (flood.offset if flood else len(flags)) == expected

"""What was published is known although a broker may misreport it, and waiting for it ends."""

from collections.abc import Mapping
from itertools import chain, repeat

from hypothesis import given
from hypothesis import strategies as st

from monitor.kafka.access import Partition
from monitor.workers.progress import remaining, settled_ends, wait_until_applied

P: Partition = ("predictions", 0)
Q: Partition = ("labels", 0)


def reads(*ends: Mapping[Partition, int]) -> dict[Partition, int]:
    answers = chain(ends, repeat(ends[-1]))
    return settled_ends(lambda: next(answers), lambda: None, attempts=20)


def test_one_low_read_is_not_believed() -> None:
    assert reads({P: 10}, {P: 3}, {P: 10}) == {P: 10}


def test_two_equal_reads_below_an_earlier_one_are_not_believed() -> None:
    assert reads({P: 10}, {P: 3}, {P: 3}, {P: 11}) == {P: 11}


@given(st.lists(st.fixed_dictionaries({P: st.integers(0, 50), Q: st.integers(0, 50)}), min_size=1, max_size=30))
def test_the_target_is_never_below_what_any_read_said(ends: list[dict[Partition, int]]) -> None:
    answers = chain(ends, repeat(ends[-1]))
    seen: list[Mapping[Partition, int]] = []

    def read() -> Mapping[Partition, int]:
        seen.append(next(answers))
        return seen[-1]

    target = settled_ends(read, lambda: None, attempts=20)
    assert target == {partition: max(each[partition] for each in seen) for partition in (P, Q)}


def test_an_unknown_partition_has_everything_before_it() -> None:
    assert remaining({P: 5, Q: 0}, {}) == {P: 5}


def test_waiting_ends_when_all_is_applied_or_nothing_moves() -> None:
    offsets = iter([{P: 1}, {P: 4}, {P: 5}])
    assert wait_until_applied({P: 5}, lambda: next(offsets), patience_seconds=5.0, stopped=lambda: False) == {}
    assert wait_until_applied({P: 5}, lambda: {P: 2}, patience_seconds=0.5, stopped=lambda: False) == {P: 3}

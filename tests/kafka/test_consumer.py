"""The intake: nothing is read from a partition before it has been given its offset, through every rebalance."""

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from kafka.coordinator.consumer import ConsumerCoordinator

from monitor.kafka.access import KafkaAccess, Partition
from monitor.kafka.consumer import Intake, IntakeSettings, Polled
from monitor.kafka.publisher import Publisher
from tests.embedded import Topics

EACH = 50


@pytest.fixture
def access(broker: str, topics: Topics) -> KafkaAccess:
    """A cluster whose first topic holds 50 messages in each of its four partitions."""
    access = KafkaAccess((broker,))
    with Publisher(access) as publisher:
        for number in range(4 * EACH):
            publisher.send(topics.predictions, b"k", b"%d" % number, number % 4)
        publisher.flush()
    return access


@contextmanager
def member(access: KafkaAccess, topics: Topics, group: str) -> Iterator[Intake]:
    settings = IntakeSettings(group, (topics.predictions,), 30, session_timeout_ms=6000, heartbeat_interval_ms=500)
    intake = Intake(access, settings)
    try:
        yield intake
    finally:
        intake.close()


def poll_until_owned(intake: Intake, n: int) -> frozenset[Partition]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert not intake.poll(0.2).records, "records before any offset was given"
        if len(intake.owned) == n:
            return intake.owned
    raise TimeoutError(f"owns {intake.owned}")


def poll_until_revoked(intake: Intake) -> None:
    deadline = time.monotonic() + 30
    while intake.owned:
        assert time.monotonic() < deadline
        intake.poll(0.2)


def read(intake: Intake, n: int) -> list[Polled]:
    """Polls until n messages have come."""
    found: list[Polled] = []
    deadline = time.monotonic() + 30
    while sum(len(messages) for polled in found for messages in polled.records.values()) < n:
        assert time.monotonic() < deadline
        found.append(intake.poll(0.2))
    return found


def test_reading_begins_at_the_offsets_that_are_given(access: KafkaAccess, topics: Topics) -> None:
    with member(access, topics, uuid.uuid4().hex) as intake:
        owned = poll_until_owned(intake, 4)
        assert intake.rebalanced()
        offsets = {partition: 10 * place for place, partition in enumerate(sorted(owned))}
        intake.start(offsets)
        assert not intake.rebalanced()
        polls = read(intake, 50 + 40 + 30 + 20)
        assert max(len(messages) for polled in polls for messages in polled.records.values()) <= 30
        for partition, first in offsets.items():
            offsets_read = [m[0] for polled in polls for m in polled.records.get(partition, [])]
            assert offsets_read == list(range(first, EACH))
            moves = [polled.positions[partition] for polled in polls if partition in polled.positions]
            assert moves[-1] == EACH
        assert all(high >= 0 for high in intake.high_waters().values())


def test_a_partition_that_is_not_started_stays_parked(access: KafkaAccess, topics: Topics) -> None:
    with member(access, topics, uuid.uuid4().hex) as intake:
        first, *_ = sorted(poll_until_owned(intake, 4))
        intake.start({first: 0})
        assert {each for polled in read(intake, EACH) for each in polled.records} == {first}
        assert intake.poll(0.5).records == {}


def test_paused_it_keeps_polling_and_brings_nothing(access: KafkaAccess, topics: Topics) -> None:
    with member(access, topics, uuid.uuid4().hex) as intake:
        intake.start(dict.fromkeys(poll_until_owned(intake, 4), 0))
        intake.pause()
        assert [intake.poll(0.1).records for _ in range(5)] == [{}] * 5
        intake.resume()
        assert len(read(intake, 4 * EACH)) >= 7


def test_after_a_rebalance_every_partition_waits_for_its_offset_again(access: KafkaAccess, topics: Topics) -> None:
    """A position survives a rebalance: whoever owned a partition before must not read on from where it stood."""
    group = uuid.uuid4().hex
    with member(access, topics, group) as first:
        first.start(dict.fromkeys(poll_until_owned(first, 4), 0))
        read(first, 4 * EACH)
        stop = threading.Event()

        def poll_on() -> None:
            with member(access, topics, group) as second:
                while not stop.is_set():
                    second.poll(0.2)

        other = threading.Thread(target=poll_on)
        other.start()
        try:
            owned = poll_until_owned(first, 2)
            assert first.rebalanced()
            first.start(dict.fromkeys(owned, 40))
            again = read(first, 20)
        finally:
            stop.set()
            other.join(60)
        assert {each for polled in again for each in polled.records} == owned
        assert {m[0] for polled in again for ms in polled.records.values() for m in ms} == set(range(40, EACH))


def test_seeking_back_reads_again(access: KafkaAccess, topics: Topics) -> None:
    with member(access, topics, uuid.uuid4().hex) as intake:
        owned = poll_until_owned(intake, 4)
        intake.start(dict.fromkeys(owned, 0))
        intake.poll(1.0)
        intake.start(dict.fromkeys(owned, 0))
        polls = read(intake, 4 * EACH)
        for partition in owned:
            assert [m[0] for polled in polls for m in polled.records.get(partition, [])] == list(range(EACH))


def test_a_join_that_outlives_its_poll_is_finished(
    access: KafkaAccess, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Joining again since the metadata changed: the reason is gone before the join is done."""
    join = ConsumerCoordinator._do_join_and_sync_async

    async def slow(coordinator: Any) -> object:
        assignment = await join(coordinator)
        await coordinator._net.sleep(0.7)
        return assignment

    with member(access, topics, uuid.uuid4().hex) as intake:
        intake.start(dict.fromkeys(poll_until_owned(intake, 4), 0))
        monkeypatch.setattr(ConsumerCoordinator, "_do_join_and_sync_async", slow)
        intake._consumer._coordinator._assignment_snapshot = {topics.predictions: {0, 1}}
        poll_until_revoked(intake)
        intake.start(dict.fromkeys(poll_until_owned(intake, 4), 0))
        assert len(read(intake, 4 * EACH)) >= 7

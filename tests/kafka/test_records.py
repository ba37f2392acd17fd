"""Our reader of record batches: what kafka-python's own reads, faster, and exact about what cannot be read."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.kafka.records import UnreadableBatch
from tests.kafka.batches import CODECS, Aborted, Body, Fetch, batch, drain, stock

bodies = st.lists(
    st.tuples(st.none() | st.binary(max_size=300), st.none() | st.binary(max_size=400)), min_size=1, max_size=80
)
THREE: list[Body] = [(b"a", b"1"), (None, b"2"), (b"c", None)]


@pytest.mark.parametrize("codec", CODECS)
@given(batches=st.lists(bodies, min_size=1, max_size=4), first=st.integers(0, 2**40), at_a_time=st.integers(1, 90))
def test_every_record_comes_as_kafka_python_reads_it(
    codec: str, batches: list[list[Body]], first: int, at_a_time: int
) -> None:
    raw, at = b"", first
    for each in batches:
        raw += batch(at, each, codec, headers=[("trace", b"x" * 200)] if len(each) % 2 else ())
        at += len(each)
    records = Fetch(raw).read(first)
    assert drain(records, at_a_time) == stock(raw)
    assert records.next_fetch_offset == at


def test_a_fetch_from_the_middle_of_a_batch_begins_there() -> None:
    records = Fetch(batch(10, THREE, "gzip")).read(12)
    assert drain(records) == [(12, b"c", None)]


def test_the_position_moves_record_by_record_and_behind_the_batch_at_its_end() -> None:
    raw = batch(10, THREE) + batch(20, THREE)
    records = Fetch(raw).read(10)
    assert records.take(2) == [(10, b"a", b"1"), (11, None, b"2")]
    assert records.next_fetch_offset == 12
    records.take(1)
    assert records.next_fetch_offset == 13
    records.take(10)
    assert records.next_fetch_offset == 23


def test_aborted_transactions_are_not_read() -> None:
    raw = (
        batch(0, THREE, producer_id=7, transactional=True)
        + batch(3, THREE, producer_id=8, transactional=True)
        + batch(6, THREE)
    )
    fetch = Fetch(raw, [Aborted(7, 0)])
    records = fetch.read(committed_only=True)
    assert [offset for offset, _, _ in drain(records)] == [3, 4, 5, 6, 7, 8]
    assert [offset for offset, _, _ in drain(fetch.read())] == list(range(9))


def unreadable(raw: bytes, before: int) -> UnreadableBatch:
    """What is raised once the good records before it have been taken; again and again, so nothing slips past it."""
    records = Fetch(raw).read(0)
    if before:
        assert len(records.take(100)) == before
    with pytest.raises(UnreadableBatch) as first:
        records.take(100)
    with pytest.raises(UnreadableBatch):
        records.take(100)
    assert records.next_fetch_offset == before
    return first.value


def test_a_damaged_batch_stops_behind_the_good_ones_and_names_its_range() -> None:
    good, damaged = batch(0, THREE), bytearray(batch(3, THREE))
    damaged[-1] ^= 1
    failure = unreadable(good + bytes(damaged) + batch(6, THREE), before=3)
    assert (failure.topic, failure.part, failure.first, failure.following) == ("topic", 3, 3, 6)
    assert "checksum" in str(failure)


def test_an_unknown_codec_is_named() -> None:
    raw = bytearray(batch(0, THREE))
    raw[22] |= 5
    failure = unreadable(sealed(raw), before=0)
    assert (failure.first, failure.following) == (0, 3)
    assert "codec 5 is unknown" in str(failure)


def test_bytes_that_do_not_unpack_are_named_with_their_codec() -> None:
    raw = bytearray(batch(0, THREE))
    raw[22] |= CODECS["zstd"]
    assert "zstd" in str(unreadable(sealed(raw), before=0))


def test_a_record_that_is_longer_than_it_says_is_damage() -> None:
    raw = bytearray(batch(0, [(b"a", b"hello")]))
    raw[61] -= 2
    assert "longer or shorter" in str(unreadable(sealed(raw), before=0))


def test_bytes_behind_the_last_record_are_damage() -> None:
    raw = bytearray(batch(0, THREE) + b"xx")
    struct.pack_into(">i", raw, 8, len(raw) - 12)
    assert "left after the last record" in str(unreadable(sealed(raw), before=0))


def sealed(raw: bytearray) -> bytes:
    """The batch with the checksum of what it now holds."""
    from kafka.record.util import calc_crc32c

    struct.pack_into(">I", raw, 17, calc_crc32c(memoryview(raw)[21:]))
    return bytes(raw)

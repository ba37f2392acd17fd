"""The stall watchdog."""

from monitor.workers.stall import StallWatch

PART = ("p", 0)


def test_a_partition_that_stands_still_behind_its_end_is_named_once_per_time() -> None:
    watch = StallWatch(60)
    assert watch.stalled({PART: 5}, {PART: 9}, 0) == []
    assert watch.stalled({PART: 5}, {PART: 9}, 59) == []
    assert watch.stalled({PART: 5}, {PART: 9}, 60) == [PART]
    assert watch.stalled({PART: 5}, {PART: 9}, 100) == []
    assert watch.stalled({PART: 5}, {PART: 9}, 120) == [PART]


def test_a_partition_that_moves_or_is_at_its_end_does_not_stall() -> None:
    watch = StallWatch(60)
    watch.stalled({PART: 5}, {PART: 9}, 0)
    assert watch.stalled({PART: 6}, {PART: 9}, 60) == []
    assert watch.stalled({PART: 6}, {PART: 6}, 119) == []
    assert watch.stalled({PART: 6}, {PART: 9}, 178) == []
    assert watch.stalled({PART: 6}, {PART: 9}, 179) == [PART]


def test_what_is_no_longer_owned_is_forgotten() -> None:
    watch = StallWatch(60)
    watch.stalled({PART: 5}, {PART: 9}, 0)
    watch.stalled({}, {}, 30)
    assert watch.stalled({PART: 5}, {PART: 9}, 70) == []
    watch.forget()
    assert watch.stalled({PART: 5}, {PART: 9}, 200) == []

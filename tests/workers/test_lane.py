"""The lane: jobs in order, one at a time, a failure told to who waits for it."""

import threading
from functools import partial

import pytest

from monitor.workers.lane import Lane


@pytest.fixture(params=[True, False], ids=["threaded", "inline"])
def lane(request: pytest.FixtureRequest) -> Lane:
    return Lane(threaded=bool(request.param))


def test_jobs_run_in_order(lane: Lane) -> None:
    seen: list[int] = []
    for number in range(100):
        assert lane.wait_free(10)
        lane.submit(partial(seen.append, number))
    assert lane.wait_idle(10)
    assert seen == list(range(100))
    lane.close()


def test_a_failure_reaches_the_reader_and_stops_what_waits() -> None:
    lane = Lane()
    gate = threading.Event()
    seen: list[str] = []

    def fail() -> None:
        gate.wait(10)
        raise ValueError("on purpose")

    lane.submit(fail)
    assert lane.wait_free(10)
    lane.submit(lambda: seen.append("must not run"))
    gate.set()
    with pytest.raises(ValueError, match="on purpose"):
        lane.wait_idle(10)
    with pytest.raises(ValueError, match="on purpose"):
        lane.submit(lambda: None)
    assert lane.clear(10)
    lane.submit(lambda: seen.append("after"))
    assert lane.wait_idle(10)
    assert seen == ["after"]
    lane.close()


def test_inline_the_failure_is_raised_at_once() -> None:
    lane = Lane(threaded=False)

    def fail() -> None:
        raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        lane.submit(fail)
    with pytest.raises(ValueError, match="on purpose"):
        lane.check()
    assert lane.clear(0)
    lane.check()


def test_it_holds_one_job_that_runs_and_one_that_waits() -> None:
    lane = Lane()
    gate = threading.Event()
    lane.submit(lambda: gate.wait(10))
    assert lane.wait_free(10)
    lane.submit(lambda: None)
    assert not lane.wait_free(0.05)
    assert not lane.idle
    gate.set()
    assert lane.wait_free(10)
    assert lane.wait_idle(10)
    lane.close()


def test_clear_forgets_what_waits_and_waits_for_what_runs() -> None:
    lane = Lane()
    gate = threading.Event()
    seen: list[str] = []
    lane.submit(lambda: seen.append("ran") if gate.wait(10) else None)
    assert lane.wait_free(10)
    lane.submit(lambda: seen.append("waited"))
    assert not lane.clear(0.05)
    gate.set()
    assert lane.clear(10)
    assert seen == ["ran"]
    lane.close()

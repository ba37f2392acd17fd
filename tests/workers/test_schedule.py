"""Jobs tick; the first failure stops them and reaches the role."""

import threading

import pytest

from monitor.workers.schedule import ticking


def test_jobs_are_called_again_and_again_and_never_twice_at_a_time() -> None:
    inside, most, called = [0], [0], threading.Semaphore(0)

    def job() -> None:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        threading.Event().wait(0.03)
        inside[0] -= 1
        called.release()

    with ticking({"job": (0.01, job)}) as failure:
        for _ in range(5):
            assert called.acquire(timeout=10)
    assert failure.cause is None
    assert most == [1]


def test_the_first_failure_of_a_job_stops_all_and_is_told() -> None:
    calls: list[str] = []

    def fails() -> None:
        calls.append("fails")
        raise ValueError("once")

    with ticking({"fails": (0.01, fails)}) as failure:
        assert failure.happened.wait(10)
        threading.Event().wait(0.1)
    assert calls == ["fails"]
    with pytest.raises(ValueError, match="once"):
        raise failure.cause or AssertionError("no cause")


def test_leaving_waits_for_the_call_under_way() -> None:
    begun, finished = threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        threading.Event().wait(0.2)
        finished.set()

    with ticking({"slow": (0.01, slow)}):
        assert begun.wait(10)
    assert finished.is_set()

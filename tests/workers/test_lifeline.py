"""A child ends when its parent does, in order where it can, and in any case."""

import signal
import subprocess
import sys
import time

import pytest

from monitor.workers.lifeline import EXIT_ABANDONED

ORDERLY = """
from monitor.workers.lifeline import stop_event
stop = stop_event(supervised=True)
print("ready", flush=True)
stop.wait()
print("stopped in order", flush=True)
"""
SLOW = ORDERLY.replace("stop.wait()", "stop.wait(); import time; time.sleep(0.6)")
HANGING = """
import time
from monitor.workers.lifeline import watch
watch(lambda: None, grace_seconds=0.2)
print("ready", flush=True)
time.sleep(600)
"""
DEAF = """
import time
from monitor.workers.lifeline import stop_event
stop_event(supervised=False)
print("ready", flush=True)
while True:
    time.sleep(1)
"""
BUSY = """
from monitor.workers.lifeline import stop_event
stop = stop_event(supervised=True)
print("ready", flush=True)
while not stop.wait(0.0):
    pass
"""


def child(program: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_the_end_of_the_pipe_stops_a_child_in_order() -> None:
    said, _ = child(ORDERLY).communicate(timeout=20)
    assert said == "stopped in order\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_a_child_in_order(number: signal.Signals) -> None:
    process = child(ORDERLY)
    process.send_signal(number)
    assert process.wait(20) == 0
    process.communicate()


def test_the_end_of_the_pipe_and_a_signal_together_are_one_wish() -> None:
    process = child(SLOW)
    assert process.stdin is not None
    process.stdin.close()
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert process.stdout is not None
    assert process.stdout.read() == "stopped in order\n"
    process.stdout.close()


def test_a_child_that_hangs_ends_after_its_grace() -> None:
    process = child(HANGING)
    process.communicate(timeout=20)
    assert process.returncode == EXIT_ABANDONED


def test_a_second_signal_ends_a_child_that_is_busy_stopping() -> None:
    process = child(DEAF)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    process.communicate()


@pytest.mark.parametrize("seed", range(3))
def test_a_signal_is_heard_whatever_the_waiting_thread_holds_just_then(seed: int) -> None:
    """A handler that took the event's lock itself would hang in most of these attempts."""
    for attempt in range(8):
        process = child(BUSY)
        time.sleep(0.003 * attempt + 0.001 * seed)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, "it never stopped"
        process.communicate()

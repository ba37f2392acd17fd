"""The supervisor keeps roles running, respects their refusals, and never leaves one behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.demo.processes import identity
from monitor.workers.supervisor import LONGEST_PAUSE_SECONDS, Role, Supervisor, Verdict, judge, pause_after

LOYAL = """
from monitor.workers.lifeline import stop_event
stop_event(supervised=True).wait()
"""
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"


def role(name: str, code: str) -> Role:
    return Role(name, (sys.executable, "-c", code), dict(os.environ))


def tick_until(supervisor: Supervisor, holds: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass"
        supervisor.tick()
        time.sleep(0.01)


def test_a_killed_role_is_started_again_as_a_new_process() -> None:
    supervisor = Supervisor([role("evaluate", LOYAL)])
    supervisor.tick()
    first = supervisor.pids()["evaluate"]
    os.kill(first, signal.SIGKILL)
    tick_until(supervisor, lambda: supervisor.pids().get("evaluate", first) != first)
    supervisor.stop("evaluate")
    assert supervisor.pids() == {}


@pytest.mark.parametrize("status", [1, 2])
def test_a_role_that_refuses_stays_down(status: int) -> None:
    supervisor = Supervisor([role("ingest-1", f"raise SystemExit({status})")])
    tick_until(supervisor, lambda: bool(supervisor.refused()))
    time.sleep(0.5)
    supervisor.tick()
    supervisor.resume("ingest-1")
    supervisor.tick()
    assert supervisor.pids() == {}
    assert supervisor.refused() == {"ingest-1": status}


def test_a_role_that_ignores_a_polite_stop_is_killed() -> None:
    supervisor = Supervisor([role("web", STUBBORN)])
    supervisor.tick()
    pid = supervisor.pids()["web"]
    time.sleep(0.3)
    supervisor.stop("web", seconds=0.3)
    assert identity("", pid) is None


def test_a_stopped_role_runs_again_only_when_resumed() -> None:
    supervisor = Supervisor([role("ingest-1", LOYAL), role("ingest-2", LOYAL), role("web", LOYAL)])
    supervisor.tick()
    assert supervisor.names("ingest") == ["ingest-1", "ingest-2"]
    supervisor.stop(*supervisor.names("ingest"))
    supervisor.tick()
    assert list(supervisor.pids()) == ["web"]
    supervisor.resume("ingest-1", "ingest-2")
    supervisor.tick()
    assert sorted(supervisor.pids()) == ["ingest-1", "ingest-2", "web"]
    supervisor.stop("ingest-1", "ingest-2", "web")


def test_roles_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time, os\n"
        "from monitor.workers.supervisor import Role, Supervisor\n"
        f"supervisor = Supervisor([Role('web', (sys.executable, '-c', {LOYAL!r}), dict(os.environ))])\n"
        "supervisor.tick(); print(supervisor.pids()['web'], flush=True); time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while identity("", pid) is not None:
        assert time.monotonic() < deadline, "the role outlived its supervisor"
        time.sleep(0.02)


@given(st.integers(1, 10_000))
def test_pauses_between_starts_grow_to_a_bound(failures: int) -> None:
    assert 0 < pause_after(failures) <= pause_after(failures + 1) <= LONGEST_PAUSE_SECONDS


def test_only_refusals_are_final() -> None:
    assert [judge(status) for status in (1, 2)] == [Verdict.REFUSED, Verdict.MISCONFIGURED]
    assert {judge(status) for status in (0, 3, 4, 70, 137, -9, -15)} == {Verdict.AGAIN}

"""The demo as a person runs it: it shows the page, it takes no special path, and it leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from monitor.demo.embedded import is_owned
from tests.embedded import private_folder

COMMAND = [sys.executable, "-P", "-m", "monitor.cli.app"]
READY_SECONDS = 120.0


@dataclass
class Demo:
    """A running demo in a temporary folder of its own."""

    process: subprocess.Popen[str]
    temporary: Path
    web: str = ""

    @property
    def folder(self) -> Path:
        (found,) = self.temporary.glob("caldrift-demo-*")
        return found

    def wait_until_ready(self) -> str:
        """The opening line."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the demo ended before it was ready"
        self.web = line.split()[0]
        return line

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"{self.web}{path}", timeout=30) as answer:
            assert answer.status == 200
            return str(answer.read().decode())

    def wait_until_shown(self, text: str, seconds: float = 90.0) -> None:
        """The first page comes to show the text."""
        deadline = time.monotonic() + seconds
        while text not in (page := self.get("/")):
            assert time.monotonic() < deadline, page
            time.sleep(0.5)

    def caldrift(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*COMMAND, "--embedded", str(self.folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@contextmanager
def running_demo(temporary: Path, *arguments: str) -> Iterator[Demo]:
    command = [*COMMAND, "demo", "--history", "3000", "--per-second", "30", *arguments]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield Demo(process, temporary)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def processes_in(folder: Path) -> list[str]:
    """Command lines of every process of this machine that names the folder or works in it."""
    found = []
    for process in psutil.process_iter():
        try:
            command = " ".join(process.cmdline())
            if str(folder) in command or process.cwd().startswith(str(folder)):
                found.append(command)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def wait_until_none(folder: Path, seconds: float = 60.0) -> list[str]:
    deadline = time.monotonic() + seconds
    while (left := processes_in(folder)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


@pytest.mark.timeout(400)
def test_two_demos_show_their_pages_side_by_side_and_leave_no_process_and_no_file() -> None:
    with (
        private_folder() as here,
        private_folder() as there,
        running_demo(here) as one,
        running_demo(there) as other,
    ):
        for demo in (one, other):
            line = demo.wait_until_ready()
            assert line.startswith("http://127.0.0.1:")
            assert "Ctrl-C" in line
        assert one.web != other.web
        for demo in (one, other):
            waited = demo.caldrift("status", "--wait", "90s", "--json")
            assert waited.returncode == 0, waited.stderr
            assert json.loads(waited.stdout)["evaluated_at"] is not None
            demo.wait_until_shown("risk-scorer")
            assert "caldrift_" in demo.get("/metrics")
        one.process.send_signal(signal.SIGINT)
        assert one.process.wait(60) == 0
        assert one.process.stderr is not None
        assert one.process.stderr.read() == ""
        assert processes_in(here) == []
        assert list(here.iterdir()) == []
        assert "risk-scorer" in other.get("/"), "the second demo goes on"


@pytest.mark.timeout(300)
def test_a_killed_demo_ends_its_processes_and_the_next_one_removes_its_folder() -> None:
    with private_folder() as temporary:
        with running_demo(temporary) as killed:
            killed.wait_until_ready()
            left = killed.folder
            killed.process.kill()
            assert wait_until_none(temporary) == []
        assert not is_owned(left)
        an_hour_ago = time.time() - 3600
        os.utime(left / "lock", (an_hour_ago, an_hour_ago))
        with running_demo(temporary) as after:
            after.wait_until_ready()
            assert not left.exists()
            after.process.send_signal(signal.SIGTERM)
            assert after.process.wait(60) == 0
        assert list(temporary.iterdir()) == []


def test_a_demo_stopped_while_it_starts_leaves_nothing_either() -> None:
    with private_folder() as temporary, running_demo(temporary) as demo:
        deadline = time.monotonic() + 60
        while not list(temporary.glob("caldrift-demo-*/postgres")) and time.monotonic() < deadline:
            time.sleep(0.02)
        demo.process.send_signal(signal.SIGINT)
        assert demo.process.wait(60) == 0
        assert wait_until_none(temporary, 5.0) == []
        assert list(temporary.iterdir()) == []


def test_the_traffic_knows_nothing_of_the_service_but_how_to_publish() -> None:
    program = "import sys, json, monitor.demo.traffic; print(json.dumps(sorted(sys.modules)))"
    modules = json.loads(subprocess.check_output([sys.executable, "-c", program], text=True))
    own = {name for name in modules if name.startswith("monitor.")}
    assert own == {
        "monitor.demo",
        "monitor.demo.events",
        "monitor.demo.models",
        "monitor.demo.traffic",
        "monitor.errors",
        "monitor.kafka",
        "monitor.kafka.access",
        "monitor.kafka.publisher",
    }
    assert not {"psycopg", "sqlalchemy", "fastapi"} & set(modules)


def test_the_demo_starts_the_shipped_run_and_the_traffic_and_nothing_else() -> None:
    from monitor.cli import demo

    service = demo._service_command(Path("/somewhere"))
    assert service[3:] == ["monitor.cli.app", "--embedded", "/somewhere", "run", "--volatile", "--supervised"]
    assert demo._traffic_command("{}")[3:] == ["monitor.demo.traffic", "{}"]

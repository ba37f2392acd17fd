"""`caldrift run --embedded DIR` from start to stop: what files say is what the service says, whatever is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psutil
import pytest

from monitor.demo.events import PREDICTION, messages
from monitor.demo.models import MODELS, answers
from monitor.demo.processes import identity
from tests.embedded import private_folder

COMMAND = [sys.executable, "-P", "-m", "monitor.cli.app"]
MODEL = "support-agent"
LAST_US = int(datetime(2024, 9, 1, tzinfo=UTC).timestamp()) * 1_000_000
MONTH_US = 30 * 86_400_000_000

SETTINGS = """
[windows]
lengths = ["7d"]
maturity = "0s"

[segments.dimensions.difficulty]
field = "prompt_tokens"
cuts = [200, 1000]
names = ["easy", "medium", "hard"]
"""


def write_files(folder: Path, n: int = 4000, seed: int = 11) -> list[str]:
    """Predictions and labels as files, and the options that name them."""
    rng = np.random.default_rng(seed)
    with (folder / "predictions.jsonl").open("wb") as predictions, (folder / "labels.jsonl").open("wb") as labels:
        for model in MODELS:
            at_us = np.sort(rng.integers(LAST_US - MONTH_US, LAST_US, n // len(MODELS)))
            for each in messages(answers(model, rng, at_us.size), at_us, rng):
                (predictions if each.kind == PREDICTION else labels).write(each.body + b"\n")
    return ["--predictions", str(folder / "predictions.jsonl"), "--labels", str(folder / "labels.jsonl")]


@dataclass
class Run:
    """A running service and its folder."""

    process: subprocess.Popen[bytes]
    folder: Path

    def caldrift(self, *arguments: str, expect: int = 0) -> str:
        result = caldrift("--embedded", str(self.folder), *arguments)
        assert result.returncode == expect, f"{arguments}: {result.stdout} {result.stderr} {self.log()}"
        return result.stdout

    def publish(self, files: list[str]) -> None:
        """Publish the files. The broken messages make exit code 4."""
        result = caldrift("--embedded", str(self.folder), "replay", *files)
        assert result.returncode in {0, 4}, result.stderr + self.log()

    def replay(self, files: list[str]) -> None:
        """Publish the files and wait until they are joined and evaluated."""
        self.publish(files)
        self.caldrift("status", "--wait", "120s")

    def readings(self) -> dict[str, object]:
        """The whole model and two slices over all time, without what depends on the instant of asking."""
        found: dict[str, object] = {}
        for segment in ("", "lang=de", "difficulty=hard"):
            chosen = ["--segment", segment] if segment else []
            text = self.caldrift("reading", MODEL, *chosen, "--window", "all", "--maturity", "0", "--json")
            found[segment] = comparable(json.loads(text)["readings"][0])
        return found

    def pids(self) -> dict[str, int]:
        found: dict[str, int] = json.loads((self.folder / "servers.json").read_text())["pids"]
        return found

    def kill(self, role: str, *, guard: bool = False) -> None:
        """SIGKILL one process, or the guard of a server, and wait until the service has another in its place."""
        old = self.pids()[role]
        os.kill(psutil.Process(old).ppid() if guard else old, signal.SIGKILL)
        deadline = time.monotonic() + 60
        while self.pids().get(role, old) == old:
            assert time.monotonic() < deadline, f"{role} did not come back {self.log()}"
            time.sleep(0.1)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(90)

    def log(self) -> str:
        return (self.folder.parent / "run.log").read_text()[-3000:]


def caldrift(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=240, check=False)


def comparable(reading: dict[str, object]) -> dict[str, object]:
    """Without the instant of asking, and without the ends of the window, which files do not have."""
    return {name: value for name, value in reading.items() if name not in {"as_of", "window_start", "window_end"}}


@contextmanager
def running(folder: Path, *arguments: str, settings: str = SETTINGS) -> Iterator[Run]:
    """`caldrift run --embedded`, ready; killed at the end when the test has not stopped it."""
    (folder / "caldrift.toml").write_text(settings)
    with (folder.parent / "run.log").open("ab") as log:
        process = subprocess.Popen(
            [*COMMAND, "--embedded", str(folder), "--set", "web.port=0", "run", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    run = Run(process, folder)
    deadline = time.monotonic() + 90
    try:
        while not (folder / "servers.json").exists() or run.pids()["supervisor"] != process.pid:
            assert process.poll() is None and time.monotonic() < deadline, run.log()  # noqa: PT018
            time.sleep(0.1)
        yield run
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.fixture
def folder() -> Iterator[Path]:
    with private_folder() as parent:
        place = parent / "service"
        place.mkdir(mode=0o711)
        yield place


@pytest.mark.timeout(600)
def test_a_service_that_is_stopped_and_started_and_fed_again_says_what_the_files_say(folder: Path) -> None:
    files = write_files(folder.parent)
    with running(folder) as run:
        pids = run.pids()
        run.publish(files)
        assert run.stop() == 0, "it joins what was published before it stops " + run.log()
    assert [pid for pid in pids.values() if identity("", pid) is not None] == []
    assert not (folder / "servers.json").exists()
    with running(folder) as run:
        page = json.loads((folder / "servers.json").read_text())["web"]
        assert run.caldrift("status", "--wait", "120s").split()[:2] == ["page", page]
        before = run.readings()
        run.replay(files)
        assert run.readings() == before, "nothing was lost, and nothing is counted twice"
        measured = caldrift("--config", str(folder / "caldrift.toml"), "measure", *files, "--by", "lang", "--json")
        wanted = {
            json.dumps(each["segment"]): comparable(each)
            for each in json.loads(measured.stdout)["readings"]
            if each["model"] == MODEL and each["signal"] == "confidence"
        }
        assert before[""] == wanted["{}"]
        assert before["lang=de"] == wanted['{"lang": "de"}']
        assert run.stop() == 0, run.log()


@pytest.mark.timeout(600)
def test_whatever_process_is_killed_a_second_replay_gives_the_same_numbers(folder: Path) -> None:
    files = write_files(folder.parent)
    with running(folder, "--ingest-processes", "2") as run:
        assert {"postgres", "broker", "ingest-1", "ingest-2", "evaluate", "deliver", "web", "supervisor"} == set(
            run.pids()
        )
        run.replay(files)
        before = run.readings()
        for role in ("web", "deliver", "evaluate", "ingest-2", "postgres", "broker"):
            run.kill(role)
        for role in ("postgres", "broker"):
            run.kill(role, guard=True)
        run.replay(files)
        assert run.readings() == before
        run.process.kill()
        run.process.wait()
    with running(folder) as run:
        assert run.readings() == before, "the supervisor's death loses nothing either"
        assert run.stop() == 0, run.log()


@pytest.mark.timeout(300)
def test_a_folder_has_one_owner_and_says_who_it_is(folder: Path) -> None:
    with running(folder) as run:
        second = caldrift("--embedded", str(folder), "run")
        assert second.returncode == 1
        assert str(run.process.pid) in second.stderr
        run.process.send_signal(signal.SIGINT)
        assert run.process.wait(60) == 0


def test_without_servers_a_command_says_how_to_start_them(tmp_path: Path) -> None:
    result = caldrift("--embedded", str(tmp_path), "status")
    assert result.returncode == 3
    assert f"caldrift run --embedded {tmp_path}" in result.stderr


def test_run_refuses_a_database_that_is_not_at_head(empty_database: str, tmp_path: Path) -> None:
    environment = {**os.environ, "CALDRIFT_POSTGRES__DSN": empty_database}
    result = subprocess.run(
        [*COMMAND, "run"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 1
    assert "caldrift db upgrade" in result.stderr

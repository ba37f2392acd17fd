"""The demo as a person runs it: it shows the page, it takes no special path, and it leaves nothing behind."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from monitor.demo.embedded import is_owned
from tests.embedded import private_folder
from tests.notify.receivers import Reply, receiving
from tests.workers.delivering import until

COMMAND = [sys.executable, "-P", "-m", "monitor.cli.app"]
READY_SECONDS = 120.0


@dataclass
class Demo:
    """A running demo in a temporary folder of its own."""

    process: subprocess.Popen[str]
    temporary: Path
    web: str = ""
    receivers: str = ""

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
        self.receivers = self.process.stdout.readline().split()[0]
        return line

    def wait_until_said(self, words: str) -> None:
        """One of the demo's next lines says so; the others tell of maps that the simulated services apply."""
        assert self.process.stdout is not None
        while words not in (line := self.process.stdout.readline()):
            assert "risk-scorer is" in line, line

    def received(self) -> dict[str, Any]:
        """What the stand-ins for Slack and PagerDuty were told."""
        with urllib.request.urlopen(f"{self.receivers}/received.json", timeout=30) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found

    def wait_until_received(self, is_there: Callable[[dict[str, Any]], bool], seconds: float) -> dict[str, Any]:
        """What they were told, once that is there."""
        deadline = time.monotonic() + seconds
        while not is_there(found := self.received()):
            assert time.monotonic() < deadline, found
            time.sleep(0.5)
        return found

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


def about(rule: str, found: dict[str, Any]) -> list[dict[str, Any]]:
    """Slack's messages of incidents of the rule."""
    return [message for message in found["slack"] if f"rule={rule}" in json.dumps(message["blocks"])]


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("font")
def test_slack_and_pagerduty_are_told_of_the_drift_with_evidence_and_picture_and_of_its_end() -> None:
    story = ("--per-second", "120", "--drift-after", "5", "--drift-seconds", "60")
    with (
        private_folder() as temporary,
        receiving(lambda _seen: Reply(200, b"ok")) as real_slack,
        running_demo(temporary, *story, "--slack-webhook", f"{real_slack.url}/T0/secret") as demo,
    ):
        demo.wait_until_ready()
        demo.wait_until_said("drift begins")
        fired = demo.wait_until_received(
            lambda found: any(one["replies"] for one in about("OverConfident", found)), 150.0
        )
        [message] = about("OverConfident", fired)
        assert message["text"].startswith("FIRING")
        assert re.search(r"signed_gap 0\.\d+ \(0\.\d+ to 0\.\d+\), n \d+, limit 0\.100", json.dumps(message["blocks"]))
        with urllib.request.urlopen(demo.receivers + message["replies"][0]["picture"], timeout=30) as picture:
            assert picture.read().startswith(b"\x89PNG")
        [incident] = fired["pagerduty"]["incidents"]
        assert incident["resolved_at"] is None
        payload = incident["events"][0]["payload"]
        assert payload["custom_details"]["alerts"][0]["evidence"].startswith("signed_gap 0.")
        link = payload["custom_details"]["alerts"][0]["link"]
        assert link.startswith(demo.web)
        assert "OverConfident" in demo.get(link.removeprefix(demo.web))

        demo.wait_until_said("drift ends")
        over = demo.wait_until_received(
            lambda found: (
                found["pagerduty"]["incidents"][0]["resolved_at"] is not None
                and about("OverConfident", found)[0]["text"].startswith("RESOLVED")
            ),
            240.0,
        )
        [incident] = over["pagerduty"]["incidents"]
        assert [event["event_action"] for event in incident["events"]][:: len(incident["events"]) - 1] == [
            "trigger",
            "resolve",
        ]
        [message] = about("OverConfident", over)
        assert message["replies"][-1]["text"].startswith("RESOLVED")

        def told() -> set[str]:
            texts = [json.loads(seen.body)["text"] for seen in list(real_slack.seen) if seen.path == "/T0/secret"]
            return {text.partition(" ")[0] for text in texts if "promises" in text}

        # A channel of its own, which waits for no other and is waited for by none.
        until(lambda: told() >= {"FIRING", "RESOLVED"}, "the webhook is told of both ends")


def test_the_traffic_knows_nothing_of_the_service_but_the_client_and_how_to_publish() -> None:
    program = "import sys, json, monitor.demo.traffic; print(json.dumps(sorted(sys.modules)))"
    modules = json.loads(subprocess.check_output([sys.executable, "-c", program], text=True))
    inside = {"calibration", "client", "demo", "errors", "events", "forms", "kafka", "rolling"}
    """What a service of a customer's has of us: the client, what that needs, and how to publish."""
    assert {name.split(".")[1] for name in modules if name.startswith("monitor.")} <= inside
    assert not {"psycopg", "sqlalchemy", "fastapi"} & set(modules)


def test_the_demo_starts_the_shipped_run_and_the_traffic_and_nothing_else() -> None:
    from monitor.cli import demo

    service = demo._service_command(Path("/somewhere"))
    assert service[3:] == ["monitor.cli.app", "--embedded", "/somewhere", "run", "--volatile", "--supervised"]
    assert demo._traffic_command("{}")[3:] == ["monitor.demo.traffic", "{}"]


@pytest.mark.parametrize("hooked", [False, True])
def test_the_rules_of_the_demo_are_right_and_hold_no_secret(tmp_path: Path, hooked: bool) -> None:
    from monitor.cli import demo
    from monitor.demo import receivers

    with receivers.receiving(0) as told:
        demo._write_settings(tmp_path, 3600.0, "http://127.0.0.1:8321", told, hooked=hooked)
        secrets = demo._secrets(told, "https://hooks.example/T0/secret" if hooked else None)
    command = [*COMMAND, "--embedded", str(tmp_path), "check-rules", str(tmp_path / "alerts.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    rules = (tmp_path / "alerts.yaml").read_text()
    for name, secret in secrets.items():
        if name.startswith("CALDRIFT_"):
            assert name in rules
            assert secret not in rules


def test_a_webhook_that_is_no_url_is_refused_and_not_repeated() -> None:
    command = [*COMMAND, "demo", "--slack-webhook", "T0/secret"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "--slack-webhook" in done.stderr
    assert "secret" not in done.stderr + done.stdout

"""The installed service as real processes of ours: started, killed and stopped by process id."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

SETTINGS = """
[kafka]
bootstrap_servers = ["{broker}"]
group_id = "{group}"
predictions_topic = "{predictions}"
labels_topic = "{labels}"
session_timeout = "6s"
heartbeat_interval = "500ms"

[segments]
crosses = [["lang", "difficulty"], ["qset", "complete"]]
agreements = [["confidence >= 0.9", "stated >= 0.5"]]
max_classes = 5

[segments.dimensions.difficulty]
field = "prompt_tokens"
cuts = [200, 1000]
names = ["easy", "medium", "hard"]

[ingest]
batch_size = {batch_size}

[windows]
maturity = "0s"

[retention]
label_horizon = "3650d"
"""


def write_settings(path: Path, broker: str, predictions: str, labels: str, batch_size: int = 300) -> Path:
    """A caldrift.toml for the log of `log.write_log`, and for the answers of LifeEval."""
    group = f"group-{predictions}"
    path.write_text(
        SETTINGS.format(broker=broker, group=group, predictions=predictions, labels=labels, batch_size=batch_size)
    )
    return path


@dataclass(slots=True)
class Fleet:
    """Processes of the service by name. `source` is another source tree to run instead of the installed one."""

    settings: Path
    dsn: str
    logs: Path
    source: Path | None = None
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *command: str) -> None:
        """Start `caldrift COMMAND`; its output goes to a file of its own."""
        program = (
            [sys.executable, "-m", "monitor.cli.app"]
            if self.source
            else [str(Path(sys.executable).with_name("caldrift"))]
        )
        environment = {**os.environ, "CALDRIFT_POSTGRES__DSN": self.dsn, "PYTHONHASHSEED": "0"}
        if self.source:
            environment["PYTHONPATH"] = str(self.source)
        with (self.logs / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [*program, "--config", str(self.settings), *command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=self.logs,
            )  # fmt: skip

    def signal(self, name: str, which: signal.Signals) -> None:
        """Send a signal to one process of ours."""
        self.running[name].send_signal(which)

    def kill(self, name: str) -> None:
        """SIGKILL: the process gets no chance to finish anything."""
        process = self.running.pop(name)
        process.kill()
        process.wait(timeout=10)

    def stop(self, name: str, seconds: float = 25) -> int:
        """SIGTERM, and the exit code. Fails when the process does not end in time."""
        process = self.running.pop(name)
        process.terminate()
        return process.wait(timeout=seconds)

    def kill_all(self) -> None:
        """End whatever still runs."""
        for name in list(self.running):
            self.signal(name, signal.SIGCONT)
            self.kill(name)

    def log_of(self, name: str) -> str:
        """The last lines that a process wrote."""
        return (self.logs / f"{name}.log").read_text(errors="replace")[-3000:]


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll a callable until it is true. Raises TimeoutError naming what did not happen."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.1)

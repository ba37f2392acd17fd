"""Processes that this DIR started, written down, so that the next start can end those that outlived a SIGKILL.

A process id alone proves nothing, since the kernel gives it out again: a process is ours only when its start time and
its command line are the recorded ones.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

import msgspec

from monitor.errors import Unavailable

GUARD = Path(__file__).with_name("guard.py")
LOOKS = 50
LOOK_SECONDS = 0.01


class Started(msgspec.Struct, frozen=True):
    """A process as it was when it was written down. `ticks` is its start time in clock ticks since boot."""

    name: str
    pid: int
    ticks: int
    command: str


def identity(name: str, pid: int) -> Started | None:
    """What the kernel says of a running process now; None when there is none, or only its unread exit status.

    A process that has just begun its program has no command line for a moment: it is looked at again.
    """
    for _ in range(LOOKS):
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            return None
        state, *rest = stat.rpartition(")")[2].split()
        if state in {"Z", "X"}:
            return None
        if command:
            break
        time.sleep(LOOK_SECONDS)
    return Started(name, pid, int(rest[18]), command)


def is_running(process: Started) -> bool:
    """Whether that very process still runs: same id, same start, same command."""
    return identity(process.name, process.pid) == process


@dataclass(slots=True)
class Ledger:
    """The file in DIR that names every process started for it. One writer: the holder of the lock on DIR."""

    path: Path
    entries: dict[str, Started] = field(default_factory=dict)

    def record(self, name: str, pid: int) -> None:
        """Write a process down at once; a process that is gone already is forgotten."""
        entry = identity(name, pid)
        if entry is None:
            self.entries.pop(name, None)
        else:
            self.entries[name] = entry
        self._write()

    def forget(self, name: str) -> None:
        if self.entries.pop(name, None) is not None:
            self._write()

    def await_end(self, name: str, seconds: float = 15.0) -> None:
        """Wait until a recorded process is gone: a server whose guard was killed outlives it for a moment."""
        if name in self.entries:
            _wait([self.entries[name]], seconds)

    def clear(self) -> None:
        """Every process has ended in order."""
        self.entries.clear()
        self._write()

    def survivors(self) -> list[Started]:
        """The recorded processes that still run, of this start or of an earlier one."""
        return [entry for entry in self._read() if is_running(entry)]

    def end_survivors(self, patience_seconds: float = 3.0) -> list[str]:
        """End what an earlier start left, and return the names. Most end by themselves, since their pipe closed."""
        left = self.survivors()
        names = [entry.name for entry in left]
        left = _wait(left, patience_seconds)
        for number, seconds in (
            (signal.SIGCONT, 0.0),
            (signal.SIGINT, 5.0),
            (signal.SIGTERM, 3.0),
            (signal.SIGKILL, 10.0),
        ):
            for entry in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(entry.pid, number)
            left = _wait(left, seconds)
        self.clear()
        return names

    def _read(self) -> list[Started]:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=list[Started])
        except (FileNotFoundError, msgspec.DecodeError):
            return []

    def _write(self) -> None:
        write_atomically(self.path, msgspec.json.encode(list(self.entries.values())))


def _wait(processes: Iterable[Started], seconds: float) -> list[Started]:
    """The processes that still run after at most so many seconds."""
    deadline = time.monotonic() + seconds
    left = [process for process in processes if is_running(process)]
    while left and time.monotonic() < deadline:
        time.sleep(0.02)
        left = [process for process in left if is_running(process)]
    return left


def write_atomically(path: Path, content: bytes) -> None:
    """Put content in place whole, readable by its owner only: a reader sees the old file or the new one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    draft.replace(path)


@dataclass(frozen=True, slots=True)
class GuardedServer:
    """An embedded server behind its guard. `pid` is the server's own."""

    name: str
    pid: int
    guard: subprocess.Popen[bytes]
    log: Path

    @property
    def is_alive(self) -> bool:
        return self.guard.poll() is None

    def stop(self) -> None:
        """Close the pipe and wait: the guard ends the server in order, then itself."""
        if self.guard.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.guard.stdin.close()
        self.guard.wait()

    def last_words(self, lines: int = 5) -> str:
        """The end of the server's log, for an error message."""
        try:
            return " | ".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return "no log was written"


def start_guarded(
    name: str,
    command: Sequence[str],
    log: Path,
    stop_signals: Sequence[int],
    *,
    account: str = "",
    grace_seconds: float = 8.0,
) -> GuardedServer:
    """Start a server that ends with this process, even when this process is killed.

    The pipe's writing end is held by this process alone, and the guard leads a session of its own, so a Ctrl-C at the
    terminal reaches neither it nor the server.
    """
    signals = ",".join(str(int(number)) for number in stop_signals)
    guard = subprocess.Popen(
        [sys.executable, "-I", "-S", str(GUARD), str(log), account, str(grace_seconds), signals, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd=log.parent,
    )
    with cast("IO[bytes]", guard.stdout) as answer:
        first_line = answer.readline()
    if not first_line.strip():
        guard.wait()
        raise Unavailable(f"the guard of {name} did not start (exit status {guard.returncode})")
    return GuardedServer(name=name, pid=int(first_line), guard=guard, log=log)

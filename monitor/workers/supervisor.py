"""One process a role: start it, start it again with a growing pause when it ends, stop it in order.

Children hold the reading end of a pipe (`monitor.workers.lifeline`), so they end with the supervisor however it ends.
Each leads a session of its own: a Ctrl-C at the terminal reaches the supervisor alone, which stops them in order.
"""

import contextlib
import logging
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, assert_never

log = logging.getLogger("caldrift.supervisor")

FIRST_PAUSE_SECONDS: Final = 0.25
LONGEST_PAUSE_SECONDS: Final = 30.0
STEADY_SECONDS: Final = 60.0
"""A child that ran so long starts its next pause from the beginning."""

STOP_SECONDS: Final = 25.0


@dataclass(frozen=True, slots=True)
class Role:
    """A process to keep running. `name` is unique: ingest-1, ingest-2, evaluate, deliver, web."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    descriptors: tuple[int, ...] = ()
    """Open files that the process gets under the same numbers."""


class Verdict(Enum):
    """What an exit means for the role."""

    AGAIN = auto()
    REFUSED = auto()
    MISCONFIGURED = auto()


def judge(exit_status: int) -> Verdict:
    """What to do after an exit: a role that refuses to go on stays down, since a restart would overrule its refusal."""
    match exit_status:
        case 1:
            return Verdict.REFUSED
        case 2:
            return Verdict.MISCONFIGURED
        case _:
            return Verdict.AGAIN


def pause_after(failures: int) -> float:
    """Seconds to wait before the next start after so many failures in a row: 0.25, 0.5, 1 ... 30."""
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 20))


@dataclass(slots=True)
class Child:
    """A role and its present process; `process` is None during a pause, and for good once the role refused."""

    role: Role
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    due: float | None = 0.0
    exit_status: int | None = None

    @property
    def is_down_for_good(self) -> bool:
        return self.process is None and self.due is None and self.exit_status is not None


class Supervisor:
    """Keeps children running. Not thread-safe: one loop calls `tick` and reads what changed."""

    def __init__(self, roles: Sequence[Role]) -> None:
        self._children = {role.name: Child(role) for role in roles}

    def pids(self) -> dict[str, int]:
        """The process of each role that runs now."""
        return {name: child.process.pid for name, child in self._children.items() if child.process is not None}

    def refused(self) -> dict[str, int]:
        """Roles that ended with a status after which they are not started again, and that status."""
        return {
            name: child.exit_status
            for name, child in self._children.items()
            if child.is_down_for_good and child.exit_status is not None
        }

    def tick(self) -> bool:
        """Notice ended children and start those that are due. Returns whether any process came or went."""
        changed = False
        now = time.monotonic()
        for child in self._children.values():
            if child.process is not None and (status := child.process.poll()) is not None:
                self._ended(child, status, now)
                changed = True
            if child.process is None and child.due is not None and child.due <= now:
                self._start(child, now)
                changed = True
        return changed

    def signal(self, number: int, *names: str) -> None:
        """Send a signal to those of the named roles that run."""
        for child in (self._children[name] for name in names if name in self._children):
            if child.process is not None and child.process.poll() is None:
                child.process.send_signal(number)

    def stop(self, *names: str, seconds: float = STOP_SECONDS) -> None:
        """Stop the named roles together, each in order; what does not end in time is killed."""
        children = [self._children[name] for name in names if name in self._children]
        for child in children:
            child.due = None
            if child.process is not None:
                _hang_up(child.process)
                child.process.terminate()
        deadline = time.monotonic() + seconds
        for child in children:
            if child.process is None:
                continue
            try:
                child.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("killed", extra={"name_of_role": child.role.name, "after_seconds": seconds})
                child.process.kill()
                child.process.wait()
            child.process = None

    def resume(self, *names: str) -> None:
        """Have the next tick start roles that were stopped; those that refused stay down."""
        for child in (self._children[name] for name in names if name in self._children):
            if child.process is None and not child.is_down_for_good:
                child.due = 0.0

    def names(self, kind: str) -> list[str]:
        """The names of the roles of one kind: `ingest` has several."""
        return [name for name in self._children if name == kind or name.startswith(f"{kind}-")]

    def _start(self, child: Child, now: float) -> None:
        child.process = subprocess.Popen(
            child.role.command,
            stdin=subprocess.PIPE,
            env=dict(child.role.environment),
            pass_fds=child.role.descriptors,
            start_new_session=True,
        )
        child.started, child.due, child.exit_status = now, None, None
        log.info("started", extra={"name_of_role": child.role.name, "pid": child.process.pid})

    def _ended(self, child: Child, status: int, now: float) -> None:
        if child.process is not None:
            _hang_up(child.process)
        child.process, child.exit_status = None, status
        values = {"name_of_role": child.role.name, "exit_status": status}
        verdict = judge(status)
        match verdict:
            case Verdict.REFUSED | Verdict.MISCONFIGURED:
                child.due = None
                log.error("role refuses to go on; mend the cause and start again", extra=values)
            case Verdict.AGAIN:
                child.failures = 1 if now - child.started >= STEADY_SECONDS else child.failures + 1
                pause = pause_after(child.failures)
                child.due = now + pause
                log.warning("ended", extra={**values, "next_start_seconds": pause})
            case _:
                assert_never(verdict)


def _hang_up(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()

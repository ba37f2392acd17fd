"""A small process between a parent and an embedded server: when the parent's pipe closes, the server ends.

Run by path with `python -I -S`, so it imports the standard library only and starts in a few hundredths of a second.
A parent that is killed cannot stop its children, but the kernel closes its end of the pipe, and that is read here.
If the guard itself is killed, the server gets a signal from the kernel (PR_SET_PDEATHSIG).

    guard.py LOG ACCOUNT GRACE_SECONDS STOP_SIGNALS COMMAND...

ACCOUNT is empty or the account the server runs as; STOP_SIGNALS are numbers with commas, each given GRACE_SECONDS, and
SIGKILL follows the last. The first line on stdout is the server's process id; the exit status is the server's.
"""

import ctypes
import os
import pwd
import select
import signal
import sys
import time

PR_SET_PDEATHSIG = 1


def become(account: str) -> None:
    """Give up root for good, when an account is named."""
    if account:
        entry = pwd.getpwnam(account)
        os.setgroups([])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)


def execute(command: list[str], log: str, account: str, guard_pid: int) -> None:
    """Become the server: its output goes to the log, and the guard's death ends it. Never returns."""
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        become(account)
        last_signal = signal.SIGQUIT if "postgres" in command[0] else signal.SIGKILL
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(last_signal), 0, 0, 0)
        if os.getppid() != guard_pid:
            os._exit(1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        os.execv(command[0], command)  # noqa: S606 - a shell in between would hide the server's process id
    except OSError as failure:
        os.write(2, f"cannot start {command[0]}: {failure}\n".encode())
        os._exit(127)


def ended(server: int) -> int | None:
    """The exit status of the server as a shell would say it, or None while it runs."""
    pid, status = os.waitpid(server, os.WNOHANG)
    if pid == 0:
        return None
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def wait_for_end(server: int, seconds: float) -> int | None:
    """The exit status, or None when the server outlives the seconds."""
    deadline = time.monotonic() + seconds
    while (status := ended(server)) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    return status


def stop(server: int, signals: list[int], grace_seconds: float) -> int:
    """Ask the server to end, more and more firmly; the last signal cannot be refused."""
    for number in signals:
        os.kill(server, number)
        status = wait_for_end(server, grace_seconds)
        if status is not None:
            return status
    os.kill(server, signal.SIGKILL)
    status = wait_for_end(server, 60.0)
    return 137 if status is None else status


def main(arguments: list[str]) -> int:
    """Start the server, say its process id, and stay until it ends or the parent does."""
    log, account, grace_seconds, stop_signals, *command = arguments
    wakened, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    guard_pid = os.getpid()
    server = os.fork()
    if server == 0:
        signal.set_wakeup_fd(-1)
        execute(command, log, account, guard_pid)
    os.write(1, f"{server}\n".encode())
    os.close(1)
    while True:
        readable, _, _ = select.select([0, wakened], [], [])
        if (status := ended(server)) is not None:
            return status
        signals_seen = os.read(wakened, 64) if wakened in readable else b""
        parent_gone = 0 in readable and not os.read(0, 64)
        if parent_gone or set(signals_seen) - {int(signal.SIGCHLD)}:
            return stop(server, [int(number) for number in stop_signals.split(",")], float(grace_seconds))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

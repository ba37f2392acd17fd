"""The tie between the supervisor and its children: a pipe on standard input that nobody ever writes to.

The kernel closes the supervisor's end however the supervisor ends, SIGKILL included; the child reads the end of the
file and stops in order. A child that does not manage to stop in time ends anyway.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Final

GRACE_SECONDS: Final = 25.0
"""An orderly stop takes less; a child that hangs must not outlive its supervisor for longer."""

EXIT_ABANDONED: Final = 70
_STOP: Final = b"!"
_RELOAD: Final = b"r"


def watch(on_end: Callable[[], None], grace_seconds: float = GRACE_SECONDS) -> threading.Thread:
    """Call `on_end` once when standard input ends, from a thread of its own; after the grace leave the process."""
    thread = threading.Thread(target=_wait_for_end, args=(on_end, grace_seconds), name="lifeline", daemon=True)
    thread.start()
    return thread


def stop_event(*, supervised: bool, reload: threading.Event | None = None) -> threading.Event:
    """An event that is set at SIGTERM, SIGINT, SIGHUP and, in a supervised process, when the supervisor ends.

    Where a process can `reload`, SIGHUP sets that event instead, unless the terminal has gone. Call it from the main
    thread, once. A second signal during the stop ends the process at once with status 130; the end of the
    supervisor and one signal are but one wish.
    """
    event = threading.Event()
    had_terminal = _has_terminal()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    heard: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        # A handler runs in the main thread, perhaps inside event.wait() with the event's lock held: to set the event
        # here could wait for that lock for ever. Another thread sets it.
        if heard and event.is_set():
            os._exit(130)
        if reload is not None and number == signal.SIGHUP and _has_terminal() == had_terminal:
            os.write(writer, _RELOAD)
            return
        heard.append(number)
        os.write(writer, _STOP)

    def relay() -> None:
        while heard_of := os.read(reader, 1):
            (reload if reload is not None and heard_of == _RELOAD else event).set()

    threading.Thread(target=relay, name="signals", daemon=True).start()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup asks to go on without the terminal
        signal.signal(signal.SIGHUP, handle)
    if supervised:
        watch(event.set)
    return event


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _wait_for_end(on_end: Callable[[], None], grace_seconds: float) -> None:
    descriptor = sys.__stdin__.fileno() if sys.__stdin__ is not None else 0
    while True:
        try:
            if not os.read(descriptor, 1024):
                break
        except InterruptedError:
            continue
        except OSError:
            break
    on_end()
    timer = threading.Timer(grace_seconds, os._exit, args=(EXIT_ABANDONED,))
    timer.daemon = True
    timer.start()

"""One job at a time beside the reading: batch n is applied while n + 1 is polled and decoded."""

import threading
from collections.abc import Callable
from typing import TypeAlias

Job: TypeAlias = Callable[[], object]


class Lane:
    """Runs jobs in order; holds one that runs and one that waits. A job that fails stops the lane until `clear`.

    Not threaded, it runs each job at once in the caller's thread: where there are as many processes as cores, a second
    thread only costs.
    """

    def __init__(self, *, threaded: bool = True) -> None:
        self._changed = threading.Condition()
        self._waiting: Job | None = None
        self._running = False
        self._closed = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="apply", daemon=True) if threaded else None
        if self._thread is not None:
            self._thread.start()

    def submit(self, job: Job) -> None:
        """Take a job; `wait_free` must have said that there is room. Raises what an earlier job raised, or, where not
        threaded, this one."""
        if self._thread is None:
            self.check()
            try:
                job()
            except BaseException as failure:
                self._failure = failure
                raise
            return
        with self._changed:
            self._raise()
            if self._waiting is not None:
                raise RuntimeError("the lane is full")
            self._waiting = job
            self._changed.notify_all()

    def check(self) -> None:
        """Raise what a job raised."""
        with self._changed:
            self._raise()

    def wait_free(self, seconds: float) -> bool:
        """Wait until there is room for a job; raises what a job raised."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting is None or self._failure is not None, seconds)
            self._raise()
            return self._waiting is None

    @property
    def idle(self) -> bool:
        """Whether nothing runs or waits."""
        return self._waiting is None and not self._running

    def wait_idle(self, seconds: float) -> bool:
        """Wait until nothing runs or waits; raises what a job raised."""
        with self._changed:
            self._changed.wait_for(lambda: self.idle or self._failure is not None, seconds)
            self._raise()
            return self.idle

    def clear(self, seconds: float) -> bool:
        """Forget the waiting job and any failure, and wait for the running one. Returns whether the lane is idle."""
        with self._changed:
            self._waiting = None
            self._changed.wait_for(lambda: not self._running, seconds)
            self._failure = None
            return not self._running

    def close(self) -> None:
        """End the thread once the running job is done."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or (self._waiting is not None and self._failure is None))
                if self._waiting is None or self._failure is not None:
                    return
                job, self._waiting, self._running = self._waiting, None, True
                self._changed.notify_all()
            failure: BaseException | None = None
            try:
                job()
            except BaseException as raised:  # noqa: BLE001 - it is raised again in the thread that reads
                failure = raised
            with self._changed:
                self._running = False
                if failure is not None:
                    self._failure, self._waiting = failure, None
                self._changed.notify_all()

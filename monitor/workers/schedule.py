"""The leader's jobs. The scheduler only ticks: what is due is decided from the service's clock."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler


@dataclass(slots=True)
class Failure:
    """The first failure of any job."""

    happened: threading.Event = field(default_factory=threading.Event)
    cause: BaseException | None = None

    def note(self, cause: BaseException) -> None:
        """Keep the first one."""
        if self.cause is None:
            self.cause = cause
        self.happened.set()


@contextmanager
def ticking(jobs: Mapping[str, tuple[float, Callable[[], None]]]) -> Iterator[Failure]:
    """Call each job at its interval in wall seconds, never twice at a time; missed calls are made up for by one.

    After the first failure no job is called any more. Leaving waits for the calls under way.
    """
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    failure = Failure()
    scheduler = BackgroundScheduler(
        executors={"default": ThreadPoolExecutor(len(jobs))},
        job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        timezone="UTC",
    )
    for name, (seconds, job) in jobs.items():
        scheduler.add_job(_guarded, "interval", seconds=seconds, args=(job, failure), id=name)
    scheduler.start()
    try:
        yield failure
    finally:
        scheduler.shutdown(wait=True)


def _guarded(job: Callable[[], None], failure: Failure) -> None:
    if failure.happened.is_set():
        return
    try:
        job()
    except BaseException as cause:  # noqa: BLE001 - the role's main thread raises it again
        failure.note(cause)

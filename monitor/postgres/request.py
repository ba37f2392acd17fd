"""A reading computed from panes when somebody asks for it: any window and maturity, now or as it was known then."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from monitor.calibration.reading import Reading, ReadingSettings, Subject
from monitor.calibration.readout import read
from monitor.calibration.sketch import Sketch, checked
from monitor.errors import BadInput
from monitor.postgres.database import Connection
from monitor.postgres.detectors import read_references
from monitor.postgres.leader import settle
from monitor.postgres.lookup import find_series, known_since
from monitor.postgres.panes import series_sum
from monitor.rolling.segments import SeriesName
from monitor.rolling.subjects import subject_of
from monitor.rolling.windows import Window, span_at

SHOWN: Final = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class Request:
    """What to read and how. `known_at` None reads what is known now."""

    name: SeriesName
    window: Window
    maturity: timedelta
    """Predictions younger than this are left out."""
    full_maturity: timedelta
    """The configured one: a reading with younger predictions is marked as not mature."""
    reading: ReadingSettings
    known_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Total:
    """What a request is about: the sums of its window, and whose they are."""

    series: int
    sketch: Sketch
    subject: Subject


def total(connection: Connection, request: Request, now: datetime) -> Total:
    """The exact sums. An edge that falls into a merged day is moved out to the day's, and the subject says so.

    Raises BadInput for a series that does not exist or an instant of which nothing can be told, Refused for sums that
    no events lead to.
    """
    at = now if request.known_at is None else request.known_at
    with connection.transaction():
        if request.known_at is not None:
            settle(connection)
            _check_known(connection, request.known_at, now)
        series = find_series(connection, request.name)
        found = series_sum(connection, series.id, span_at(request.window, at, request.maturity), request.known_at)
    subject = subject_of(request.name, request.window.name, found.span, at, request.full_maturity)
    return Total(series.id, checked(found.sketch), subject)


def answer(connection: Connection, request: Request, now: datetime) -> Reading:
    """The exact reading of `total`."""
    with connection.transaction():
        found = total(connection, request, now)
        reference = read_references(connection, [found.series]).get(found.series)
    before = None if reference is None else reference.before(found.subject.window_start)
    return read(found.sketch, request.reading, found.subject, before)


def _check_known(connection: Connection, known_at: datetime, now: datetime) -> None:
    if known_at > now:
        raise BadInput(f"as of {known_at:{SHOWN}}: that is yet to come, the clock shows {now:{SHOWN}}", "as_of")
    since = known_since(connection)
    if since is not None and known_at < since:
        raise BadInput(
            f"as of {known_at:{SHOWN}}: what was known then is kept from {since:{SHOWN}} on "
            "(retention.history_horizon)",
            "as_of",
        )

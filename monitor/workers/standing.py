"""What a leader goes by: how to evaluate, and what it remembers between its turns."""

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from monitor.calibration.reading import ReadingSettings
from monitor.drift.watches import Rules, Taken
from monitor.postgres import windows
from monitor.postgres.database import Connection
from monitor.postgres.detectors import read_progress
from monitor.postgres.leader import leading
from monitor.postgres.readings import read_before
from monitor.postgres.series import Routes, read_series
from monitor.postgres.windows import Held
from monitor.rolling.panes import BEGINNING, Span
from monitor.rolling.segments import SeriesName
from monitor.rolling.windows import Window, span_at
from monitor.workers.judging import Judging


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What is evaluated, and how."""

    windows: tuple[Window, ...]
    maturity: timedelta
    every: timedelta
    reading: ReadingSettings
    main_signal: str
    drift: Rules = field(default_factory=Rules)

    @property
    def names(self) -> list[str]:
        """Names of the windows; keys of windows count places in this list."""
        return [window.name for window in self.windows]

    def targets(self, now: datetime) -> list[Span]:
        """Where each window belongs at `now`."""
        return [span_at(window, now, self.maturity) for window in self.windows]


@dataclass(slots=True)
class Touched:
    """Changes to the past of one series that its past readings do not show yet."""

    first_hour: int
    """The oldest pane that changed."""
    n_new: int
    """Labels that came or went."""
    n_known: int
    """Labels that came or went before the last filling."""
    first_at: float
    """Wall time of the first and the last change since then."""
    last_at: float


@dataclass(slots=True)
class Detecting:
    """How far the detectors have come."""

    taken: dict[int, Taken]
    """What each series gave them, as stored."""
    hour: int = BEGINNING
    """The full hour of the clock up to which changes are known to the round under way, or the last one."""
    alphas: dict[int, tuple[float, float]] = field(default_factory=dict)
    """Of each watched series in this round: expected false pages and warnings a pane."""
    queue: deque[list[int]] = field(default_factory=deque)
    """Series that the round has still to look at, some at a time."""


@dataclass(slots=True)
class Standing:
    """What the leader of one epoch remembers. After any failure it is dropped, and loaded again from the database."""

    epoch: int
    routes: Routes
    series: dict[int, SeriesName]
    spans: Held
    read_before: set[tuple[int, str]]
    """Series and windows that have a reading; once they are empty, they get one that says so."""
    changed: set[int]
    """Windows whose sums changed after their last reading was begun."""
    detecting: Detecting
    past: dict[int, Touched] = field(default_factory=dict)
    """What changed in the past of a series since its past readings were filled in."""
    to_fill: deque[tuple[int, Window, int]] = field(default_factory=deque)
    """Series and windows whose past is to be filled in, from a pane hour on."""
    queue: list[int] = field(default_factory=list)
    """Windows that the pass under way has still to read."""
    began: datetime | None = None
    """The clock when the pass under way began."""
    exact: bool = False
    """Whether the pass under way resamples."""
    pass_seconds: float = 0.0
    """Wall time that it has taken."""
    rough: set[int] = field(default_factory=set)
    """Windows whose last reading has its bands in closed form."""
    due_at: datetime | None = None
    """When the next evaluation begins, or earlier once nothing new comes; None: at once."""
    quiet_turns: int = 0
    """Turns in a row that found no deltas and nothing left over."""
    unread_at: float | None = None
    """Wall time of the first deltas since the last pass began, even if they changed no window: a pass says so."""
    to_roll: list[tuple[int, Span]] = field(default_factory=list)
    """Windows that are not where the clock wants them, and where that is."""
    targets: list[Span] = field(default_factory=list)
    rows_read: int = 0
    bytes_read: int = 0
    defects: set[int] = field(default_factory=set)
    watched_hour: int = BEGINNING
    """Predictions of the hours before it were counted for deployed certificates."""
    judging: Judging | None = None
    """None: there are no rules."""

    @property
    def busy(self) -> bool:
        """Whether work is left over from the last turn."""
        return bool(self.to_roll or self.queue or self.to_fill or self.detecting.queue)


def load(connection: Connection, epoch: int, evaluation: Evaluation) -> Standing:
    """What is stored. Every window counts as changed, because its last reading may not have been finished."""
    with leading(connection, epoch):
        spans = windows.held(connection, evaluation.names)
    series = {stored.id: stored.name for stored in read_series(connection)}
    before = read_before(connection, evaluation.names)
    detecting = Detecting(read_progress(connection))
    return Standing(epoch, Routes(evaluation.main_signal), series, spans, before, set(spans), detecting)


def grid_instant(now: datetime, every: timedelta) -> datetime:
    """The last instant up to `now` that is a whole number of periods after the beginning of 1970."""
    return now - (now - datetime(1970, 1, 1, tzinfo=UTC)) % every

"""Where a command finds the past: in the store of a service or, without any server, in files of events."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from monitor.cli import context
from monitor.errors import BadInput

if TYPE_CHECKING:
    from monitor.backtest.replay import Setting
    from monitor.config.sections import Settings
    from monitor.files.measure import Reader
    from monitor.rolling.history import Known
    from monitor.rolling.segments import SeriesName

PARTIAL = 4
"""The exit code where some rows were bad."""

Predictions: TypeAlias = Annotated[
    Path | None, typer.Option("--predictions", help="File of predictions, in place of the store.")
]
Labels: TypeAlias = Annotated[Path | None, typer.Option("--labels", help="File of their labels.")]
By: TypeAlias = Annotated[
    list[str] | None, typer.Option("--by", metavar="DIM", help="With files: also by this dimension, or DIM*DIM.")
]
From: TypeAlias = Annotated[
    str | None, typer.Option("--from", metavar="T", help="Judge from here on: an instant, or -60d before the end.")
]
To: TypeAlias = Annotated[str | None, typer.Option("--to", metavar="T", help="Judge up to here, with what was known.")]
Every: TypeAlias = Annotated[str, typer.Option("--every", help="How often rules are judged: whole hours.")]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options of a command said."""

    predictions: Path | None
    labels: Path | None
    by: tuple[str, ...]
    until: str | None

    @property
    def has_files(self) -> bool:
        return self.predictions is not None or self.labels is not None


@dataclass(frozen=True, slots=True)
class Past:
    """All that became known, from the first hour, `start_at`, to the last, `end_at`; `bad_rows` of files."""

    series: "Mapping[int, SeriesName]"
    hours: "Iterable[Known]"
    start_at: datetime
    end_at: datetime
    source: str
    bad_rows: int = 0

    @property
    def n_hours(self) -> int:
        """From the first to the last hour, both counted."""
        from monitor.rolling.panes import HOUR

        return (self.end_at - self.start_at) // HOUR + 1


def settings_of(asked: Asked) -> "Settings":
    """The settings; files need no servers."""
    return context.settings(servers=not asked.has_files)


def setting_of(settings: "Settings") -> "Setting":
    """How the service is set up."""
    from monitor.backtest.replay import Setting
    from monitor.config.detectors import detector_rules
    from monitor.config.values import reading_settings, windows

    return Setting(
        windows=windows(settings),
        maturity=settings.windows.maturity,
        reading=reading_settings(settings),
        drift=detector_rules(settings),
        main_signal=settings.events.main_signal,
    )


@contextmanager
def past(settings: "Settings", asked: Asked) -> Iterator[Past]:
    """The past that was asked for. Raises BadInput where there is none."""
    if asked.predictions is not None and asked.labels is not None:
        yield _of_files(settings, asked.predictions, asked.labels, asked)
    elif asked.has_files:
        raise BadInput("give --predictions and --labels, or neither", "usage")
    else:
        yield from _of_store(settings, asked)


def _of_files(settings: "Settings", predictions: Path, labels: Path, asked: Asked) -> Past:
    from monitor.cli.progress import progress
    from monitor.files.formats import source
    from monitor.files.measure import read_history
    from monitor.files.rejections import Rejections
    from monitor.files.slices import slices
    from monitor.rolling.panes import start_of

    files = source(predictions), source(labels)
    with (
        Rejections(lambda line: print(line, file=sys.stderr), 20, None) as refused,
        progress("reading", sum(file.size for file in files)) as told,
    ):
        now = datetime.now(UTC)
        found = read_history(files, _reader(settings), slices(asked.by), now, told=told, rejections=refused)
        refused.finish()
    ends = found.hours_between
    if ends is None:
        raise BadInput(f"{predictions}: holds no prediction", "usage")
    end_at = start_of(ends[1]) if asked.until is None else instant(asked.until, "--to", start_of(ends[1]))
    names = f"{predictions.name} and {labels.name}"
    return Past(found.series, found.hours(), start_of(ends[0]), end_at, names, sum(refused.counts.values()))


def _reader(settings: "Settings") -> "Reader":
    from functools import partial

    from monitor.config.values import event_rules, is_primary_source, segment_scheme, series_bound
    from monitor.files.measure import Reader

    primary = partial(is_primary_source, settings)
    return Reader(event_rules(settings), segment_scheme(settings), series_bound(settings), primary)


def _of_store(settings: "Settings", asked: Asked) -> Iterator[Past]:
    from monitor.postgres.database import answering, connect
    from monitor.postgres.installation import read_clock
    from monitor.postgres.known import known_between, known_hours, known_series
    from monitor.postgres.leader import wall_time

    dsn = settings.postgres.dsn
    with connect(dsn, "caldrift backtest") as connection, answering(dsn):
        now = read_clock(connection).at(wall_time(connection))
        until = now if asked.until is None else instant(asked.until, "--to", now)
        ends = known_between(connection, until)
        if ends is None:
            raise BadInput("nothing was known by then: the store has no history yet", "usage")
        yield Past(known_series(connection), known_hours(connection, until), ends[0], min(until, now), "the store")


def instant(text: str, option: str, end_at: datetime) -> datetime:
    """An instant as a person types it: `2026-11-01`, `2026-11-01T06:00:00Z`, or `-60d` before `end_at`."""
    from monitor.forms.durations import parse

    if text.startswith("-"):
        try:
            return end_at - parse(text[1:])
        except ValueError:
            raise BadInput(f"{option} must be an instant, or a duration such as -60d, got {text}", "usage") from None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(
            f"{option} must be an instant such as 2026-11-01T00:00:00Z, or -60d, got {text}", "usage"
        ) from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)

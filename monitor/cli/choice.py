"""The series that a command was asked about, from files or from the store."""

import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from monitor.cli.files import Extra, Files, measured_files
from monitor.errors import BadInput

if TYPE_CHECKING:
    from monitor.calibration.reading import Subject
    from monitor.calibration.sketch import Sketch
    from monitor.config.sections import Settings
    from monitor.files.measure import Measured
    from monitor.files.slices import Slices
    from monitor.postgres.database import Connection
    from monitor.rolling.agreement import Agreement
    from monitor.rolling.segments import SeriesName

HIGH: Final = "high"
_SNAP: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Choice:
    """What the options said."""

    files: Files = field(default_factory=Files)
    model: str | None = None
    signal: str | None = None
    by: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    """Bars of other signals, as `consistency >= 0.8`."""
    segment: str = ""
    window: str = "all"
    maturity: str | None = None
    as_of: str | None = None
    shown: int = 20
    rejects: Path | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """One series. `sketch` holds its predictions that reach the bars of `also`, `whole` all of them."""

    sketch: "Sketch"
    whole: "Sketch"
    subject: "Subject"
    parts: tuple[str, ...] = ()
    """In the store: the segments, as text, whose sums `sketch` holds."""


@dataclass(frozen=True, slots=True)
class Bar:
    """Another signal, and the confidence from which on it is high."""

    signal: str
    threshold: float

    @property
    def words(self) -> str:
        """As a person types it."""
        return f"{self.signal} >= {self.threshold:g}"


def bars(also: tuple[str, ...]) -> list[Bar]:
    """The bars of `--also`. Raises BadInput for a text that is none."""
    from monitor.config.thresholds import high_from

    found = []
    for text in also:
        try:
            found.append(Bar(*high_from(text)))
        except ValueError:
            raise BadInput(f'--also must look like "consistency >= 0.8", got {text}', "also") from None
    return found


def choose(settings: "Settings", choice: Choice) -> tuple[list[Chosen], bool]:
    """The series, those of all events first, and whether some rows of files were bad.

    Without files they come from the store, which `settings` must then name. Raises BadInput for what does not exist.
    """
    if choice.files.paths:
        return _from_files(settings, choice)
    return _from_store(settings, choice), False


def _from_files(settings: "Settings", choice: Choice) -> tuple[list[Chosen], bool]:
    from monitor.files.measure import Wanted, unknown_slices
    from monitor.files.rejections import Rejections
    from monitor.files.slices import slices

    asked = slices(choice.by)
    required = bars(choice.also)
    signal = choice.signal or settings.events.main_signal
    extra, also = _in_files(required, signal, pairs=choice.files.pairs is not None)
    with Rejections(lambda line: print(line, file=sys.stderr), choice.shown, choice.rejects) as refused:
        wanted = Wanted(_with(asked, also), choice.model)
        measured = measured_files(settings, choice.files, wanted, refused, extra)
        refused.finish()
    for name in unknown_slices(measured, asked):
        print(f"no prediction has a value of {name}", file=sys.stderr)
    return _paired(settings, measured, choice.signal, also), bool(refused.counts)


def _in_files(required: list[Bar], signal: str, *, pairs: bool) -> tuple[Extra, dict[str, str]]:
    """The dimensions by which files tell who reaches the bars, and the value that says so."""
    from monitor.rolling.agreement import BOTH_HIGH, Agreement
    from monitor.rolling.segments import Dimension

    if pairs:
        dimensions = tuple(
            Dimension(bar.words, bar.signal, (bar.threshold - _SNAP,), ("low", HIGH)) for bar in required
        )
        return Extra(dimensions=dimensions), dict.fromkeys((each.name for each in dimensions), HIGH)
    agreements = tuple(Agreement(signal, 0.0, bar.signal, bar.threshold) for bar in required)
    return Extra(agreements=agreements), dict.fromkeys((each.dimension for each in agreements), BOTH_HIGH)


def _with(asked: "Slices", also: dict[str, str]) -> "Slices":
    from monitor.files.slices import Slices

    if not also:
        return asked
    return Slices((*asked.crosses, *(tuple(sorted((*cross, *also))) for cross in ((), *asked.crosses))))


def _paired(settings: "Settings", measured: "Measured", signal: str | None, also: dict[str, str]) -> list[Chosen]:
    """Each series with its part that reaches the bars."""
    import json

    from msgspec.structs import replace

    from monitor.calibration.sketch import empty
    from monitor.rolling.segments import segment_text
    from monitor.rolling.subjects import subject_of

    found = []
    length = timedelta(0) if measured.latest_at is None else settings.windows.maturity
    for name, series in measured.series.items():
        segment: dict[str, str] = json.loads(name.segment)
        if segment.keys() & also.keys() or signal not in {None, name.signal}:
            continue
        part = measured.series.get(name._replace(segment=segment_text({**segment, **also})))
        subject = subject_of(name, "all", series.span, datetime.now(UTC), length)
        sketch = series.sketch if not also else empty() if part is None else part.sketch
        found.append(Chosen(sketch, series.sketch, replace(subject, as_of=measured.latest_at)))
    return found


def _from_store(settings: "Settings", choice: Choice) -> list[Chosen]:
    from monitor.postgres.database import answering, connect
    from monitor.rolling.segments import parse_segment, segment_text

    if choice.model is None:
        raise BadInput("name a model of the store, or give files: --pairs, or --predictions and --labels", "usage")
    signal = choice.signal or settings.events.main_signal
    dsn = settings.postgres.dsn
    with connect(dsn, "caldrift thresholds", statement_timeout_seconds=60) as connection, answering(dsn):
        segments = [segment_text(parse_segment(choice.segment)), *_segments(connection, choice, signal)]
        return [
            _stored(connection, settings, choice, model=choice.model, signal=signal, segment=segment)
            for segment in segments
        ]


def _segments(connection: "Connection", choice: Choice, signal: str) -> list[str]:
    """The segments of `--by` that the store has, in order."""
    from monitor.files.slices import slices
    from monitor.postgres.series import read_series, segment_of

    crosses = {frozenset(cross) for cross in slices(choice.by).crosses}
    every = [each.name for each in read_series(connection)] if crosses else []
    ours = [name for name in every if (name.model, name.signal, name.source_group) == (choice.model, signal, "")]
    found = [name.segment for name in ours if frozenset(segment_of(name)) in crosses]
    if crosses and not found:
        raise BadInput(f"no series of {choice.model} is by {', '.join(choice.by)}: see `caldrift series`", "segment")
    return found


def _stored(
    connection: "Connection", settings: "Settings", choice: Choice, *, model: str, signal: str, segment: str
) -> Chosen:
    from monitor.calibration.sketch import merge
    from monitor.rolling.segments import SeriesName, parse_segment, segment_text

    name = SeriesName(model, signal, segment)
    whole, subject = _total(connection, settings, choice, name)
    sketch = whole
    counted: tuple[str, ...] = (name.segment,)
    for place, bar in enumerate(bars(choice.also)):
        if place:
            raise BadInput("the store knows pairs of signals: give --also once", "also")
        agreement, quadrants = _declared(settings, signal, bar)
        inside = parse_segment(segment)
        counted = tuple(segment_text({**inside, agreement.dimension: quadrant}) for quadrant in quadrants)
        sketch = merge(*(_part(connection, settings, choice, name._replace(segment=part)) for part in counted))
    return Chosen(sketch, whole, subject, counted)


def _total(
    connection: "Connection", settings: "Settings", choice: Choice, name: "SeriesName"
) -> "tuple[Sketch, Subject]":
    from monitor.cli.evaluate import reading_settings
    from monitor.cli.reading import instant, length
    from monitor.postgres.installation import read_clock
    from monitor.postgres.leader import wall_time
    from monitor.postgres.request import Request, total
    from monitor.rolling.windows import window_named

    request = Request(
        name=name,
        window=window_named(choice.window),
        maturity=settings.windows.maturity if choice.maturity is None else length(choice.maturity),
        full_maturity=settings.windows.maturity,
        reading=reading_settings(settings),
        known_at=None if choice.as_of is None else instant(choice.as_of),
    )
    found = total(connection, request, read_clock(connection).at(wall_time(connection)))
    return found.sketch, found.subject


def _declared(settings: "Settings", signal: str, bar: Bar) -> "tuple[Agreement, tuple[str, str]]":
    """The declared pair of these signals with this bar, and its quadrants in which the bar is reached."""
    from monitor.config.values import segment_scheme
    from monitor.rolling.agreement import BOTH_HIGH, FIRST_ONLY, SECOND_ONLY

    for each in segment_scheme(settings).agreements:
        if (each.first, each.second, each.second_from) == (signal, bar.signal, bar.threshold):
            return each, (BOTH_HIGH, SECOND_ONLY)
        if (each.second, each.first, each.first_from) == (signal, bar.signal, bar.threshold):
            return each, (BOTH_HIGH, FIRST_ONLY)
    raise BadInput(
        f'segments.agreements declares no pair of {signal} and "{bar.words}": the store does not count them together',
        "also",
    )


def _part(connection: "Connection", settings: "Settings", choice: Choice, name: "SeriesName") -> "Sketch":
    """The sums of a quadrant; nothing where no prediction fell into it."""
    from monitor.calibration.sketch import empty

    try:
        return _total(connection, settings, choice, name)[0]
    except BadInput:
        return empty()

"""`caldrift reading`: one series in one window, computed from the panes when it is asked for."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli import context
from monitor.errors import BadInput

if TYPE_CHECKING:
    from monitor.calibration.reading import Reading
    from monitor.config.sections import Settings
    from monitor.postgres.request import Request


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("reading")(reading)


def reading(
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    *,
    segment: Annotated[
        str, typer.Option(help="Slice, as lang=de or lang=de,difficulty=hard; default all events.")
    ] = "",
    signal: Annotated[str | None, typer.Option(help="Which confidence; default the main one.")] = None,
    source: Annotated[str, typer.Option(help="A label source that is not primary, to read its labels alone.")] = "",
    window: Annotated[str, typer.Option(help="Length of prediction time: 12h, 7d or all.")] = "7d",
    maturity: Annotated[str | None, typer.Option(help="Leave out predictions younger than this; 0 takes all.")] = None,
    bins: Annotated[int | None, typer.Option(help="Bins of equal width.")] = None,
    edges: Annotated[str | None, typer.Option(help="right_closed or left_closed.")] = None,
    as_of: Annotated[str | None, typer.Option(help="As it was known at this instant (RFC 3339).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read one series exactly, with intervals. Reliability by bin, ECE, signed gap and more."""
    from monitor.calibration.reading import to_json
    from monitor.cli.evaluate import reading_settings
    from monitor.cli.figures import reading_text
    from monitor.postgres.request import Request
    from monitor.rolling.segments import SeriesName, parse_segment, segment_text
    from monitor.rolling.windows import window_named

    settings = context.settings()
    request = Request(
        name=SeriesName(model, signal or settings.events.main_signal, segment_text(parse_segment(segment)), source),
        window=window_named(window),
        maturity=settings.windows.maturity if maturity is None else length(maturity),
        full_maturity=settings.windows.maturity,
        reading=reading_settings(settings, bins, edges),
        known_at=None if as_of is None else instant(as_of),
    )
    found, drift = _ask(settings, request)
    typer.echo(to_json([found]) if as_json else f"{reading_text(found)}\n\n{drift}")


def _ask(settings: "Settings", request: "Request") -> "tuple[Reading, str]":
    """The reading, and what the detectors of the series say."""
    from monitor.cli.drifting import drift_line
    from monitor.postgres import alarms
    from monitor.postgres.database import answering, connect
    from monitor.postgres.installation import read_clock
    from monitor.postgres.leader import wall_time
    from monitor.postgres.lookup import find_series
    from monitor.postgres.request import answer

    dsn = settings.postgres.dsn
    with connect(dsn, "caldrift reading", statement_timeout_seconds=60) as connection, answering(dsn):
        found = answer(connection, request, read_clock(connection).at(wall_time(connection)))
        series = [find_series(connection, request.name).id]
        rows = alarms.detectors(connection, series=series)
        last = alarms.alarms(connection, series=series, until=request.known_at, limit=1)
        return found, drift_line(rows[0] if rows else None, last[0] if last else None)


def length(text: str) -> timedelta:
    from monitor.forms.durations import parse

    try:
        return parse("0s" if text == "0" else text)
    except ValueError as failure:
        raise BadInput(f"--maturity {failure}, got {text}", "maturity") from None


def instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(f"--as-of must be an instant such as 2026-11-01T00:00:00Z, got {text}", "as_of") from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)

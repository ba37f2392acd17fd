"""`caldrift series`: all series with their newest readings."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli import context
from monitor.errors import BadInput

if TYPE_CHECKING:
    from monitor.calibration.reading import Reading
    from monitor.config.sections import Settings
    from monitor.rolling.segments import SeriesName


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("series")(series)


def series(
    model: Annotated[str | None, typer.Option(help="Series of this model only.")] = None,
    window: Annotated[
        list[str] | None, typer.Option(metavar="WINDOW", help="A kept window; again for more; default every one.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the series. Labels, coverage, ECE and signed gap of each in each window, as last evaluated."""
    from monitor.calibration.reading import to_json
    from monitor.cli.figures import readings_table

    settings = context.settings()
    readings = _readings(settings, model, _windows(settings, window or []))
    if as_json:
        typer.echo(to_json(readings))
    elif readings:
        typer.echo(readings_table(readings))
    else:
        typer.echo("no series yet: nothing has been joined, or the first evaluation has not happened", err=True)


def _windows(settings: "Settings", wanted: Sequence[str]) -> list[str]:
    from monitor.config.values import windows

    kept = [each.name for each in windows(settings)]
    for name in wanted:
        if name not in kept:
            raise BadInput(f"--window must be one of the kept windows ({', '.join(kept)}), got {name}", "window")
    return list(wanted) or kept


def _readings(settings: "Settings", model: str | None, names: Sequence[str]) -> "list[Reading]":
    """The newest stored reading of every series in each window; where there is none, one without labels."""
    from monitor.calibration.reading import reading_from_json
    from monitor.postgres.database import answering, connect
    from monitor.postgres.lookup import find_model
    from monitor.postgres.readings import latest
    from monitor.postgres.series import read_series
    from monitor.rolling.segments import whole_first

    dsn = settings.postgres.dsn
    with connect(dsn, "caldrift series", statement_timeout_seconds=60) as connection, answering(dsn):
        if model is not None:
            find_model(connection, model)
        stored = {(each.series, each.window): reading_from_json(each.body) for each in latest(connection, names, model)}
        every = [one for one in read_series(connection) if model in {None, one.name.model}]
    every.sort(key=lambda one: whole_first(one.name))
    return [stored.get((one.id, name)) or _without_labels(settings, one.name, name) for one in every for name in names]


def _without_labels(settings: "Settings", name: "SeriesName", window: str) -> "Reading":
    from monitor.calibration.reading import Subject
    from monitor.calibration.readout import read
    from monitor.calibration.sketch import empty
    from monitor.cli.evaluate import reading_settings
    from monitor.postgres.series import segment_of

    subject = Subject(
        model=name.model, signal=name.signal, segment=segment_of(name), source=name.source_group, window=window
    )
    return read(empty(), reading_settings(settings), subject)

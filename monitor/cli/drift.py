"""`caldrift drift`: what the detectors know of each series, and what they said."""

from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli import context
from monitor.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.config.sections import Settings
    from monitor.postgres.alarms import AlarmRow, DetectorRow


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("drift")(drift)


def drift(
    model: Annotated[str | None, typer.Argument(help="Name of the model; default all.", show_default=False)] = None,
    *,
    segment: Annotated[str | None, typer.Option(help="One slice, as lang=de; '' is all events.")] = None,
    signal: Annotated[str | None, typer.Option(help="One confidence.")] = None,
    renew: Annotated[
        bool, typer.Option("--renew", help="Learn a new baseline of these series, from the next hour on.")
    ] = False,
    acknowledge: Annotated[
        str | None,
        typer.Option(metavar="REASON", help="The last alarms of these series are dealt with: their alerts may end."),
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="How many alarms at most, the newest first.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show drift: baselines, the evidence against them, alarms.

    After a change that was meant, a new model or another threshold, say --renew: what was normal before is no measure
    any more.
    """
    from monitor.cli.drifting import drift_text
    from monitor.postgres.alarms import to_json

    settings = context.settings()
    found, alarms = _read(settings, model, segment, signal, limit=limit, renew=renew)
    if acknowledge is not None:
        _acknowledge(settings, model, found, acknowledge)
    if as_json:
        typer.echo(to_json(found, alarms))
    elif found:
        typer.echo(drift_text(found, alarms))
    else:
        typer.echo("no series is watched yet: detectors begin with the first mature hour that has labels", err=True)
    if renew:
        typer.echo(f"{len(found)} series learn a new baseline from the next hour on", err=True)


def _acknowledge(settings: "Settings", model: str | None, found: "Sequence[DetectorRow]", reason: str) -> None:
    from monitor.cli.person import person
    from monitor.postgres.acknowledgements import acknowledge
    from monitor.postgres.database import answering, connect
    from monitor.workers.clock import load_clock

    if model is None:
        raise BadInput("--acknowledge needs the name of a model", "acknowledge")
    if not reason.strip():
        raise BadInput("--acknowledge needs a reason, got an empty one", "acknowledge")
    dsn = settings.postgres.dsn
    with connect(dsn, "caldrift drift") as connection, answering(dsn):
        now = load_clock(connection).now()
        series = [row.series for row in found]
        done = acknowledge(connection, series, by=person(), reason=reason.strip(), now=now)
    typer.echo(f"{done} alarms acknowledged", err=True)


def _read(
    settings: "Settings", model: str | None, segment: str | None, signal: str | None, *, limit: int, renew: bool
) -> "tuple[Sequence[DetectorRow], Sequence[AlarmRow]]":
    from monitor.postgres import alarms
    from monitor.postgres.database import answering, connect
    from monitor.postgres.detectors import ask_anew
    from monitor.postgres.lookup import find_model
    from monitor.rolling.segments import parse_segment

    if renew and model is None:
        raise BadInput("--renew needs the name of a model: every series would forget what is normal", "renew")
    wanted = None if segment is None else parse_segment(segment)
    dsn = settings.postgres.dsn
    with connect(dsn, "caldrift drift", statement_timeout_seconds=60) as connection, answering(dsn):
        if model is not None:
            find_model(connection, model)
        found = [
            row
            for row in alarms.detectors(connection, model=model)
            if (wanted is None or row.segment == wanted) and signal in {None, row.signal}
        ]
        if not found and (wanted is not None or signal is not None):
            raise BadInput(f"no watched series of {model or 'any model'} is so: see `caldrift drift`", "segment")
        if renew:
            ask_anew(connection, [row.series for row in found])
        return found, alarms.alarms(connection, series=[row.series for row in found], limit=limit)

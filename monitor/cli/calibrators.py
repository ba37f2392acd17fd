"""`caldrift calibrators`: the recalibration maps there are, what is in force, and changing that."""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli import context
from monitor.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.config.sections import Settings
    from monitor.postgres.database import Connection

Model = Annotated[str, typer.Argument(help="Name of the model.")]
Version = Annotated[int, typer.Argument(min=1, help="Which one.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Recalibration maps: what there is, and what is in force.", no_args_is_help=True)
    group.command("list")(list_)
    group.command("show")(show)
    group.command("promote")(promote)
    group.command("export")(export)
    app.add_typer(group, name="calibrators")


def list_(model: Model, *, limit: Annotated[int, typer.Option(min=1, help="Lines of each kind.")] = 20) -> None:
    """List the maps of a model, what was in force, the runs. The newest first."""
    from monitor.cli.recalibrating import promotion_line, run_line, stored_line
    from monitor.postgres.calibrators import in_force, promotions, runs, stored
    from monitor.postgres.lookup import find_model

    settings = context.settings()
    with _store(settings) as connection:
        find_model(connection, model)
        now = in_force(connection, model, settings.events.main_signal)
        typer.echo(f"in force: {'as stated, nothing was ever promoted' if now is None else now.words}")
        for head, lines in (
            ("maps", [stored_line(each, now) for each in stored(connection, model)]),
            ("promotions", [promotion_line(each) for each in promotions(connection, model)]),
            ("runs", [run_line(each) for each in runs(connection, model, limit)]),
        ):
            typer.echo("\n".join(["", head, *(lines[:limit] or ["  none"])]))


def show(model: Model, version: Version) -> None:
    """Show one map. What it is made of, and what it makes of some confidences."""
    from monitor.cli.recalibrating import map_lines
    from monitor.postgres.calibrators import version_of

    settings = context.settings()
    with _store(settings) as connection:
        found = version_of(connection, model, settings.events.main_signal, version)
    calibrator = found.calibrator
    typer.echo(f"{model} ({found.signal}) version {version}, {found.fingerprint}")
    typer.echo(f"fitted by caldrift {calibrator.code_version}")
    typer.echo(f"fitted on labels of {calibrator.since:%Y-%m-%d %H:%M} to {calibrator.until:%Y-%m-%d %H:%M}\n")
    typer.echo("\n".join(map_lines(calibrator)))
    for each in calibrator.left_out:
        typer.echo(f"no map of its own: {each.segment}: {each.reason}")


def promote(
    model: Model,
    version: Version,
    *,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Clients log what it says and act on the raw value.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "promoted by hand",
) -> None:
    """Put a map in force; it has passed the gate when it was fitted."""
    from monitor.cli.person import person
    from monitor.postgres import calibrators
    from monitor.workers.clock import load_clock

    settings = context.settings()
    signal = settings.events.main_signal
    with _store(settings) as connection:
        before = calibrators.in_force(connection, model, signal)
        found = calibrators.version_of(connection, model, signal, version)
        now = load_clock(connection).now()
        promotion = calibrators.promotion_of(found, before, now, person(), reason, shadow=shadow)
        calibrators.promote(connection, promotion)
    typer.echo(f"{model}: {promotion.words} is in force")


def export(
    model: Model,
    version: Version,
    *,
    out: Annotated[Path | None, typer.Option(help="Where to; default standard output.", dir_okay=False)] = None,
) -> None:
    """Print a map as JSON that any language can apply. docs/recalibrators.md says how."""
    from monitor.postgres.calibrators import version_of

    settings = context.settings()
    with _store(settings) as connection:
        body = version_of(connection, model, settings.events.main_signal, version).body
    if out is None:
        typer.echo(body)
    else:
        try:
            out.write_text(body + "\n", encoding="utf-8")
        except OSError as failure:
            raise BadInput(f"{out}: cannot be written: {failure.strerror}", "out") from None


@contextmanager
def _store(settings: "Settings") -> "Iterator[Connection]":
    from monitor.postgres.database import answering, connect

    dsn = settings.postgres.dsn
    with connect(dsn, "caldrift calibrators") as connection, answering(dsn):
        yield connection

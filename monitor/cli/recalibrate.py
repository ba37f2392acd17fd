"""`caldrift recalibrate`: fit a map now, and put it in force, or take one out."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from monitor.cli import context
from monitor.errors import BadInput

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.postgres.calibrators import InForce
    from monitor.postgres.database import Connection
    from monitor.recalibration.plan import Plan
    from monitor.workers.recalibration import Attempt, Recalibrating

KEPT: Final = 4
"""Exit code where the gate let nothing through."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("recalibrate")(recalibrate)


def recalibrate(
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Fit and judge only; nothing is stored.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Put the map in force if it passes the gate.")] = False,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="As --apply, but clients only log what it says and act on the raw value.")
    ] = False,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Fit nothing: back to the map before, or to as stated.")
    ] = False,
    by: Annotated[
        str | None, typer.Option(metavar="DIMENSION", help="Maps for each value of it; '' one map for all.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="One method instead of the policy by number of labels.")] = None,
    window: Annotated[str | None, typer.Option(help="How far back labels count, as 90d.")] = None,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Fit a recalibration map, and let the gate judge it. It is fitted to the labels there are, and judged on those of
    later predictions.

    Without further options a map that passes is stored as a proposal: `caldrift calibrators promote` puts it in force.
    Exit code 4: the gate let nothing through, and the old map stays.
    """
    from monitor.cli.recalibrating import done_text, plan_of, recalibrating_of
    from monitor.postgres.database import answering, connect
    from monitor.workers.clock import load_clock

    if dry_run + apply + shadow + rollback > 1:
        raise BadInput("--dry-run, --apply, --shadow and --rollback exclude each other", "recalibrate")
    asked = {"recalibration.by": by, "recalibration.method": method, "recalibration.window": window}
    settings = context.settings(asked)
    how = recalibrating_of(settings)
    plan = plan_of(how, model, {name.partition(".")[2] for name, value in asked.items() if value is not None})
    dsn = settings.postgres.dsn
    with connect(dsn, "caldrift recalibrate") as connection, answering(dsn):
        now = load_clock(connection).now()
        if rollback:
            promotion = _roll_back(connection, model, how.main_signal, reason, now)
            typer.echo(f"{model}: {promotion.words} is in force")
            return
        found = _attempt(connection, how, model, plan, now)
        mode = "shadow" if shadow else "automatic" if apply else "propose"
        promoted = None if dry_run else _carried_out(connection, found, mode)
    typer.echo(done_text(found, promoted, as_json=as_json))
    if found.candidate is None:
        raise typer.Exit(KEPT)


def _attempt(connection: "Connection", how: "Recalibrating", model: str, plan: "Plan", now: "datetime") -> "Attempt":
    from monitor.postgres.lookup import find_model
    from monitor.workers.recalibration import Request, attempt

    find_model(connection, model)
    return attempt(connection, how, Request(model, plan, "demand"), now)


def _carried_out(connection: "Connection", found: "Attempt", mode: str) -> str:
    from typing import cast

    from monitor.cli.person import person
    from monitor.recalibration.plan import Mode
    from monitor.workers.recalibration import carry_out

    done = carry_out(connection, found, cast("Mode", mode), person())
    if done is None or done.stored is None:
        return ""
    words = f"version {done.stored.version} of {done.stored.model}"
    return f"{words} is {'in force' if done.promotion else 'proposed'}{' in shadow' if mode == 'shadow' else ''}"


def _roll_back(connection: "Connection", model: str, signal: str, reason: str, now: "datetime") -> "InForce":
    from monitor.cli.person import person
    from monitor.postgres.calibrators import back_to, in_force, previous, promote

    before = in_force(connection, model, signal)
    if before is None or before.calibrator is None:
        raise BadInput(f"no map of {model} is in force: there is nothing to roll back", "rollback")
    promotion = back_to(before, previous(connection, model, signal), now, person(), reason or "rolled back")
    promote(connection, promotion)
    return promotion

"""`caldrift alerts`: what fires, recovers and is pending, and what ended lately."""

from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup

from monitor.cli import context

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from monitor.postgres.alert_views import AlertRow, LifeRow


class Listing(TyperGroup):
    """Commands of which `list` may be left out: what is none of their names belongs to it."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        named = args and (args[0] in self.commands or args[0] == "--help")
        return super().parse_args(ctx, args if named else ["list", *args])


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(cls=Listing, help="Alerts: `caldrift alerts [MODEL]` lists them.")
    group.command("list")(alerts)
    app.add_typer(group, name="alerts")


def alerts(
    model: Annotated[str | None, typer.Argument(help="Name of the model; default all.", show_default=False)] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Also what fired and is over.")] = False,
    limit: Annotated[int, typer.Option(min=0, help="How many of each at most.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the alerts that fire, recover or are pending, the worst first."""
    from monitor.postgres import alert_views, pipeline
    from monitor.postgres.database import answering, connect

    dsn = context.settings().postgres.dsn
    with connect(dsn, "caldrift alerts", statement_timeout_seconds=60) as connection, answering(dsn):
        chosen = alert_views.Choice(model=model)
        found = alert_views.open_alerts(connection, chosen, limit=limit)
        ended = alert_views.ended(connection, chosen, limit=limit) if everything else None
        now = pipeline.progress(connection).now
    if as_json:
        typer.echo(alert_views.to_json(found, ended))
        return
    if not found:
        typer.echo(f"nothing fires and nothing is pending{'' if model is None else f' of {model}'}", err=True)
    for part in (_open_table(found, now), _ended_table(ended or [])):
        if part:
            typer.echo(part)


def _open_table(found: "Sequence[AlertRow]", now: "datetime") -> str:
    from monitor.cli.figures import instant_words, table
    from monitor.web.alertwords import evidence_text, subject_words
    from monitor.web.scales import duration_text

    rows = []
    for row in found:
        fired_at = None if row.state == "pending" else row.fired_at
        fired = "" if fired_at is None else f"{instant_words(fired_at, '')}, {duration_text(now - fired_at)} ago"
        told = "yes" if row.hushed is None else f"no: {row.hushed}"
        rows.append([row.state, row.severity, row.rule, subject_words(row), fired, told, evidence_text(row.evidence)])
    return table(["state", "severity", "rule", "about", "fired", "told", "now"], rows) if rows else ""


def _ended_table(ended: "Sequence[LifeRow]") -> str:
    from monitor.cli.figures import instant_words, table
    from monitor.web.alertwords import REASONS, subject_words

    rows = [
        [
            "ended",
            row.severity,
            row.rule,
            subject_words(row),
            instant_words(row.fired_at, ""),
            instant_words(row.ended_at, ""),
            REASONS[row.reason],
        ]
        for row in ended
    ]
    return table(["state", "severity", "rule", "about", "fired", "ended", "because"], rows) if rows else ""

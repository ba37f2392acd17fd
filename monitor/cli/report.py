"""`caldrift report`: one model in one month, as one HTML file."""

from pathlib import Path
from typing import Annotated

import typer

from monitor.cli import context
from monitor.errors import BadInput


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report")(report)


def report(
    *,
    model: Annotated[str, typer.Option(help="Name of the model.")],
    month: Annotated[
        str | None, typer.Option(metavar="YYYY-MM", help="Which month, UTC; default the last that is over.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report here.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the readings: the whole model, then segments.")
    ] = False,
) -> None:
    """Write the monthly report. Reliability, worst segments, confident errors, thresholds, recalibrations, alerts.

    Exit code 1 when the model made no prediction in the month.
    """
    from monitor.calibration.reading import to_json
    from monitor.postgres.database import answering, connect
    from monitor.postgres.monthly import month_of
    from monitor.web.links import month_before
    from monitor.web.monthly import html_document, month_between, readings_of
    from monitor.workers.clock import load_clock

    if out is None and not as_json:
        raise BadInput("say where to: --out FILE, or --json", "usage")
    settings = context.settings()
    dsn, min_labels = settings.postgres.dsn, settings.readings.min_labels
    with answering(dsn), connect(dsn, "caldrift report") as connection:
        now = load_clock(connection).now()
        start, end = month_between(month or month_before(now), now)
        found = month_of(
            connection,
            model,
            start,
            end,
            now=now,
            maturity=settings.windows.maturity,
            main_signal=settings.events.main_signal,
        )
    if out is not None:
        text = html_document(found, min_labels=min_labels, pages=settings.web.public_url or "")
        try:
            out.write_text(text, encoding="utf-8")
        except OSError as failure:
            raise BadInput(f"{out}: cannot be written: {failure.strerror}", "out") from None
        typer.echo(f"{model} in {start:%Y-%m}: {out}", err=True)
    if as_json:
        typer.echo(to_json(readings_of(found, min_labels)))
    if not found.sums:
        raise typer.Exit(1)

"""`caldrift backtest`: what rules would have told over the past, as it was known then."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli.past import (
    PARTIAL,
    Asked,
    By,
    Every,
    From,
    Labels,
    Past,
    Predictions,
    To,
    instant,
    past,
    setting_of,
    settings_of,
)
from monitor.errors import BadInput

if TYPE_CHECKING:
    from monitor.alerting.rulefile import RuleFile
    from monitor.backtest.replay import Period
    from monitor.backtest.report import Backtest
    from monitor.config.sections import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("backtest")(backtest)


def backtest(
    *,
    rules: Annotated[Path | None, typer.Option("--rules", help="The rules; default those of the service.")] = None,
    start: From = None,
    end: To = None,
    predictions: Predictions = None,
    labels: Labels = None,
    by: By = None,
    against: Annotated[Path | None, typer.Option("--against", help="Other rules, to be compared with.")] = None,
    onset: Annotated[
        str | None, typer.Option("--onset", metavar="T", help="When something began: pages before it are false.")
    ] = None,
    every: Every = "1h",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    html: Annotated[Path | None, typer.Option("--html", metavar="OUT", help="Write a page with time lines.")] = None,
    shown: Annotated[int, typer.Option("--shown", min=0, help="Alerts to list.")] = 20,
) -> None:
    """Say what rules would have told over the past.

    Alerts, pages a week, delay, flaps, and what they could not tell.

    The past is lived through hour by hour with what was known at each hour: labels that came later, and corrections,
    change nothing before they came. Rules in shadow, and those without a route, are taken as active. Exit code 4 when
    some rows of files were bad, 1 when no rule could tell anything.
    """
    from monitor.backtest.report import to_json
    from monitor.cli.backtesting import against_text, backtest_text

    asked = Asked(predictions, labels, tuple(by or ()), end)
    settings = settings_of(asked)
    with past(settings, asked) as history:
        period = period_of(history, start, every, onset)
        paths = [rules] if against is None else [rules, against]
        report, *others = _run(settings, [rule_file(settings, path) for path in paths], history, period)
    other = others[0] if others else None
    if html is not None:
        _write_page(html, report, other, history.source)
    if as_json:
        sys.stdout.write(to_json(report, other).decode() + "\n")
    elif other is None or against is None:
        print(backtest_text(report, history.source, shown))
    else:
        print(against_text(report, other, history.source, against.name))
    if history.bad_rows:
        raise typer.Exit(PARTIAL)
    if not any(rule.series_judged for rule in report.rules):
        raise typer.Exit(1)


def period_of(history: "Past", start: str | None, every: str, onset: str | None = None) -> "Period":
    """Between which instants, and how often, rules are judged. Raises BadInput."""
    from monitor.backtest.replay import Period
    from monitor.forms.durations import parse

    try:
        pause = parse(every)
    except ValueError as failure:
        raise BadInput(f"--every {failure}, got {every}", "usage") from None
    return Period(
        start_at=None if start is None else instant(start, "--from", history.end_at),
        end_at=history.end_at,
        every=pause,
        onset_at=None if onset is None else instant(onset, "--onset", history.end_at),
    )


def rule_file(settings: "Settings", path: Path | None) -> "RuleFile":
    """The rules at a path, else those of the service. Raises BadSettings."""
    from monitor.config.rules import rule_book, rule_path

    return rule_book(settings, rule_path(settings) if path is None else path).file


def _run(settings: "Settings", files: "list[RuleFile]", history: "Past", period: "Period") -> "list[Backtest]":
    from monitor.alerting.alertrules import alert_rules
    from monitor.backtest.replay import Replay, tried
    from monitor.cli.progress import progress

    forces = [tried(file, alert_rules(file), period.every) for file in files]
    replay = Replay(forces, history.series, setting_of(settings), period)
    with progress("living through the past", history.n_hours) as told:
        return replay.run(history.hours, told)


def _write_page(path: Path, report: "Backtest", other: "Backtest | None", source: str) -> None:
    from monitor.web.backtest import html_document

    try:
        path.write_text(html_document(report, other, source), encoding="utf-8")
    except OSError as failure:
        raise BadInput(f"{path}: cannot be written: {failure.strerror}", "usage") from None

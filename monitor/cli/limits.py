"""`caldrift suggest-limits`: limits for rules, with the pages that they would have told over the past."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli.past import PARTIAL, Asked, By, Every, From, Labels, Predictions, To, past, setting_of, settings_of
from monitor.errors import BadInput

if TYPE_CHECKING:
    from monitor.alerting.alertrules import AlertRule


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("suggest-limits")(suggest_limits)


def suggest_limits(
    model: Annotated[str | None, typer.Argument(help="Name of the model; default all.", show_default=False)] = None,
    *,
    rules: Annotated[Path | None, typer.Option("--rules", help="The rules; default those of the service.")] = None,
    rule: Annotated[
        list[str] | None, typer.Option("--rule", metavar="RULE", help="Only this rule; repeatable.")
    ] = None,
    segment: Annotated[
        str | None, typer.Option("--segment", help="Look at these slices, as lang=*, and at each by itself.")
    ] = None,
    pages: Annotated[float, typer.Option("--pages-per-year", min=0.01, help="Pages of a rule to put up with.")] = 4.0,
    start: From = None,
    end: To = None,
    predictions: Predictions = None,
    labels: Labels = None,
    by: By = None,
    every: Every = "1h",
) -> None:
    """Suggest limits for the rules on measures. The tightest that would not have told too often over the past.

    Beside each candidate stand the pages to expect in a year. Exit code 1 when nothing can be suggested.
    """
    from monitor.alerting.alertrules import alert_rules
    from monitor.backtest.replay import Replay, tried
    from monitor.backtest.suggestion import suggestions, variants
    from monitor.cli.backtest import period_of, rule_file
    from monitor.cli.backtesting import suggestion_text
    from monitor.cli.progress import progress
    from monitor.config.values import kept

    asked = Asked(predictions, labels, tuple(by or ()), end)
    settings = settings_of(asked)
    file = rule_file(settings, rules)
    chosen = [_narrowed(each, model, segment) for each in alert_rules(file) if rule is None or each.name in rule]
    candidates = variants(chosen)
    if not candidates:
        raise BadInput("none of these rules is on a measure of series, so none has limits to suggest", "usage")
    with past(settings, asked) as history:
        period = period_of(history, start, every)
        force = tried(file, [each.rule for each in candidates], period.every)
        with progress("living through the past", history.n_hours) as told:
            replay = Replay([force], history.series, setting_of(settings), period)
            [report] = replay.run(history.hours, told)
    found = suggestions(chosen, candidates, report, kept(settings), pages, by_segment=segment is not None)
    print(suggestion_text(found, report, history.source, pages))
    if history.bad_rows:
        raise typer.Exit(PARTIAL)
    if not any(each.chosen for each in found):
        raise typer.Exit(1)


def _narrowed(rule: "AlertRule", model: str | None, segment: str | None) -> "AlertRule":
    """The rule as it looks at this model and these slices only."""
    select = rule.select
    if model is not None:
        select = replace(select, model=(model,))
    if segment is not None:
        select = replace(select, segment=(segment,))
    return replace(rule, select=select)

"""`caldrift test-rules`: time lines that rules must go through as their tests expect."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli import context
from monitor.errors import BadSettings

if TYPE_CHECKING:
    from monitor.alerting.mistakes import Mistake
    from monitor.config.sections import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("test-rules")(test_rules)


def test_rules(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Files of tests; docs/backtest.md shows one.")],
) -> None:
    """Test rules against time lines, without any server. What is read, and what must come of it.

    Each failure is named with its line. Exit code 1 when a test fails, 2 when a file is wrong.
    """
    settings = context.settings(servers=False)
    failed = passed = 0
    for file in files:
        found, n_tests = _failures(settings, file)
        for failure in found:
            print(failure.line(str(file)), file=sys.stderr)
        broken = {failure.text.partition(":")[0] for failure in found}
        failed, passed = failed + len(broken), passed + n_tests - len(broken)
    print(f"{passed} passed, {failed} failed")
    if failed:
        raise typer.Exit(1)


def _failures(settings: "Settings", file: Path) -> "tuple[list[Mistake], int]":
    from monitor.alerting.alertrules import alert_rules
    from monitor.backtest.rehearsal import failures
    from monitor.backtest.ruletests import read
    from monitor.config.rules import rule_book, rule_text

    written, mistakes = read(rule_text(file))
    if written is None:
        raise BadSettings([mistake.line(str(file)) for mistake in mistakes])
    rules = alert_rules(rule_book(settings, file.parent / written.tests.rules).file)
    return failures(written, {rule.name: rule for rule in rules}), len(written.tests.tests)

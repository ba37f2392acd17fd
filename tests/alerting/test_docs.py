"""docs/alerting.md tells the life cycle as it is: its table and its defaults are the program's own."""

from pathlib import Path

import pytest

from monitor.alerting.lifecycle import decide
from monitor.alerting.states import STATES, name_of
from monitor.alerting.terms import Terms
from monitor.alerting.verdict import Finding
from tests.alerting.making import MINUTE, START, duration, verdict
from tests.alerting.test_lifecycle_table import STATES as GIVEN

PAGE = (Path(__file__).parents[2] / "docs" / "alerting.md").read_text(encoding="utf-8")
RIPE = {"pending": "ripe", "recovering": "rested"}


def table(heading: str) -> list[list[str]]:
    """The rows of the first table under a heading, without its head."""
    lines = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0].splitlines()
    rows = [[cell.strip().strip("`*") for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return [rows[0], *rows[2:]]


@pytest.mark.parametrize("row", table("The table")[1:], ids=lambda row: row[0])
def test_the_table_of_the_page_is_what_happens(row: list[str]) -> None:
    findings: dict[str, list[Finding]] = {
        "crossed": ["crossed"], "between": ["between"], "below": ["below"], "insufficient": ["insufficient"],
        "failed": ["failed"], "ended": ["series_ended", "rule_ended"],
    }  # fmt: skip
    head = table("The table")[0][1:]
    assert head == list(findings)
    for name, cell in zip(head, row[1:], strict=True):
        first, _, then = cell.partition(", then ")
        for finding in findings[name]:
            given = verdict(finding, 5, new_labels=5)
            after = [
                name_of(decide(GIVEN[state], given, Terms(), START + 5 * MINUTE).state)
                for state in (row[0], RIPE.get(row[0], row[0]))
            ]
            assert after == [first, then or first], (row[0], name)


def test_the_table_of_the_page_has_every_state() -> None:
    assert [row[0] for row in table("The table")[1:]] == list(STATES)


def test_the_defaults_of_the_page_are_those_of_the_terms() -> None:
    said = {row[0]: row[1] for row in table("The terms")[1:]}
    terms = Terms(
        evaluate_every=duration(said.pop("evaluate_every")),
        wait=duration(said.pop("for")),
        for_new_labels=int(said.pop("for_new_labels")),
        keep_firing_for=duration(said.pop("keep_firing_for")),
        repeat_every=duration(said.pop("repeat_every")),
    )
    assert terms == Terms()
    others = {
        name: str(getattr(terms, name)).lower()
        for name in ("on_insufficient_data", "on_error", "send_resolved", "mode")
    }
    assert said == others

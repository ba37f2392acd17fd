"""Whoever is paged finds what to do: every rule that ships has its runbook, with commands that there are."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.core import TyperGroup

from monitor.cli.app import app

ROOT = Path(__file__).parents[2]
RUNBOOKS = (ROOT / "docs" / "runbooks.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^#|\Z)", RUNBOOKS, re.MULTILINE | re.DOTALL))
RULES: list[str] = [
    rule["name"] for rule in yaml.safe_load((ROOT / "alerts.yaml").read_text(encoding="utf-8"))["rules"]
]
OURSELVES: list[str] = [
    rule["alert"]
    for rule in yaml.safe_load((ROOT / "deploy" / "prometheus" / "caldrift_rules.yml").read_text(encoding="utf-8"))[
        "groups"
    ][0]["rules"]
]


def test_every_rule_that_ships_has_a_runbook_and_every_runbook_a_rule() -> None:
    assert list(SECTIONS) == [*RULES, *OURSELVES]


@pytest.mark.parametrize("rule", RULES)
def test_a_runbook_says_what_it_means_where_to_look_how_it_ends_and_how_to_silence_it(rule: str) -> None:
    parts = re.findall(r"^\*\*(Means|Look first at|Ends|Silence)\b", SECTIONS[rule], re.MULTILINE)
    assert parts == ["Means", "Look first at", "Ends", "Silence"]
    assert f"caldrift silence add --rule {rule} " in SECTIONS[rule]


def test_every_link_within_the_runbooks_leads_to_one() -> None:
    anchors = {name.lower() for name in SECTIONS}
    assert set(re.findall(r"\]\(#([^)]+)\)", RUNBOOKS)) <= anchors
    assert all((ROOT / "docs" / name).exists() for name in re.findall(r"\]\(([a-z-]+\.md)\)", RUNBOOKS))


def commands() -> list[str]:
    found = {re.sub(r"\s+", " ", text) for text in re.findall(r"`(caldrift [^`]+)`", RUNBOOKS)}
    return sorted(found)


@pytest.mark.parametrize("command", commands())
def test_every_command_that_a_runbook_names_is_one_with_these_options(command: str) -> None:
    words = shlex.split(command)[1:]
    found: Any = typer.main.get_command(app)
    while isinstance(found, TyperGroup) and words and words[0] in found.commands:
        found = found.commands[words.pop(0)]
    options = {name for each in found.params for name in each.opts}
    assert not isinstance(found, TyperGroup) or not words, command
    assert {word for word in words if word.startswith("--")} <= options, command

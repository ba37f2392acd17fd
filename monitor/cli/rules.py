"""`caldrift check-rules` and `caldrift rules reference|schema`: what alerts.yaml says, and whether it is right."""

import json
from dataclasses import is_dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from pydantic import BaseModel

from monitor.cli import context
from monitor.errors import BadSettings

if TYPE_CHECKING:
    from monitor.alerting.validation import Checked

_FILE: Final = Path("alerts.yaml")


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="The rules of alerts.yaml.", no_args_is_help=True)
    group.command("reference")(reference)
    group.command("schema")(schema)
    app.add_typer(group, name="rules")
    app.command("check-rules")(check_rules)


def reference() -> None:
    """Print the reference of all keys, docs/alerts.md."""
    from monitor.alerting.reference import markdown

    print(markdown(), end="")


def schema() -> None:
    """Print the JSON Schema for editors, docs/alerts.schema.json."""
    from monitor.alerting.jsonschema import json_schema

    print(json_schema(), end="")


def check_rules(
    file: Annotated[Path, typer.Argument(help="The rules.")] = _FILE,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check the rules against the settings. Every mistake at once, with its place; exit code 2 when there is one."""
    from monitor.alerting.validation import checked
    from monitor.cli.figures import plural
    from monitor.config.rules import rule_text
    from monitor.config.values import kept

    found = checked(rule_text(file), kept(context.settings(servers=False)))
    if as_json:
        print(json.dumps(_plain(found), indent=1, ensure_ascii=False))
        raise typer.Exit(2 if found.mistakes else 0)
    if found.mistakes:
        raise BadSettings([mistake.line(str(file)) for mistake in found.mistakes])
    typer.echo(f"{file}: fine, {plural(len(found.rules), 'rule')}", err=True)


def _plain(found: "Checked") -> dict[str, Any]:
    return {
        "valid": not found.mistakes,
        "rules": [_value(rule) for rule in found.rules],
        "mistakes": [
            {"line": mistake.place[0], "column": mistake.place[1], "message": mistake.text}
            for mistake in found.mistakes
        ],
    }


def _value(value: object) -> object:
    from monitor.alerting.metrics import Metric
    from monitor.forms import durations

    if isinstance(value, Metric):
        return value.name
    if isinstance(value, timedelta):
        return durations.text(value)
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    if is_dataclass(value) and not isinstance(value, type):
        return {name.removesuffix("_"): _value(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, tuple):
        return [_value(each) for each in value]
    return value

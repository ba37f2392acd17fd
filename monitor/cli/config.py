"""`caldrift config show|reference` and `caldrift check-config`: what is set, and whether it is right."""

import json
from enum import StrEnum
from typing import Annotated

import typer

from monitor.cli import context


class Page(StrEnum):
    """What can be made from the settings."""

    markdown = "markdown"
    example = "example"


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="The settings in force.", no_args_is_help=True)
    group.command("show")(show)
    group.command("reference")(reference)
    app.add_typer(group, name="config")
    app.command("check-config")(check_config)


def show(
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value was given.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print every setting in force; secrets are masked."""
    from monitor.config.shown import shown

    rows = list(shown(context.loaded()))
    if as_json:
        values = {row.name: {"value": row.value, "origin": row.origin} if origin else row.value for row in rows}
        print(json.dumps(values, indent=1, ensure_ascii=False))
        return
    for row in rows:
        value = "" if row.value is None else json.dumps(row.value, ensure_ascii=False)
        print(f"{row.name} = {value}" + (f"  # {row.origin}" if origin else ""))


def reference(
    page: Annotated[Page, typer.Argument(help="The reference page, or caldrift.example.toml.")] = Page.markdown,
) -> None:
    """Print the reference of all settings, or an example file."""
    from monitor.config.reference import example, markdown

    print(markdown() if page is Page.markdown else example(), end="")


def check_config() -> None:
    """Check the settings. Every mistake at once, each with its place; exit code 2 when there is one."""
    context.settings(servers=False)
    path = context.config_file()
    typer.echo(f"{path}: fine" if path else "no settings file; the defaults and the environment are fine", err=True)

"""The options that every command takes, and the settings of the running command.

`--config FILE`, `--embedded DIR` and `--set KEY=VALUE` may stand before or after the command's name.
"""

import json
import os
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from typer.core import TyperGroup

from monitor.errors import BadSettings, Unavailable

if TYPE_CHECKING:
    from monitor.config.loading import Loaded
    from monitor.config.sections import Settings

_EVERYWHERE: Final = ("--config", "--embedded", "--set")

#: The embedded broker lets a member join only after the session time-out of the one before it. Files of past years are
#: what embedded servers are often fed with: there retention must not call them expired.
_EMBEDDED_DEFAULTS: Final = {
    "kafka.session_timeout": "6s",
    "kafka.heartbeat_interval": "1s",
    "retention.label_horizon": "3650d",
}


@dataclass(frozen=True, slots=True)
class Invocation:
    """What the options of every command said."""

    config: Path | None = None
    embedded: Path | None = None
    flags: tuple[str, ...] = ()


#: Set for the roles that the supervisor starts: it tells them by environment where the embedded servers are, since
#: servers.json is written only once the roles are ready.
SUPERVISED: Final = "CALDRIFT_SUPERVISED"

_invocation: ContextVar[Invocation] = ContextVar("_invocation")


class CommandGroup(TyperGroup):
    """The group of all commands, by name; it finds the options of every command wherever they stand."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return sorted(super().list_commands(ctx))

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        return super().parse_args(ctx, options_first(args))


def options_first(args: list[str]) -> list[str]:
    """`args` with the options of every command moved to the front. Nothing after `--` is an option."""
    front: list[str] = []
    rest: list[str] = []
    at = 0
    while at < len(args) and args[at] != "--":
        if args[at] in _EVERYWHERE:
            front += args[at : at + 2]
            at += 2
            continue
        (front if args[at].startswith(tuple(f"{name}=" for name in _EVERYWHERE)) else rest).append(args[at])
        at += 1
    return front + rest + args[at:]


def remember(
    config: Annotated[
        Path | None, typer.Option("--config", envvar="CALDRIFT_CONFIG", help="Settings file; default ./caldrift.toml.")
    ] = None,
    embedded: Annotated[
        Path | None,
        typer.Option(
            "--embedded", envvar="CALDRIFT_EMBEDDED", help="Use the servers that run embedded in this folder."
        ),
    ] = None,
    flags: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One setting, say windows.maturity=12h.")
    ] = None,
) -> None:
    """Does 0.9 still mean 0.9? A streaming calibration-drift monitor."""
    _invocation.set(Invocation(config, embedded.absolute() if embedded else None, tuple(flags or ())))


def embedded() -> Path | None:
    """The folder of the embedded servers, absolute; None when the servers are the user's own."""
    return _invocation.get(Invocation()).embedded


def repeated() -> list[str]:
    """The options of every command as they were given, to start another command of ours alike."""
    now = _invocation.get(Invocation())
    config = ["--config", str(now.config.absolute())] if now.config is not None else []
    folder = ["--embedded", str(now.embedded)] if now.embedded is not None else []
    return config + folder + [word for flag in now.flags for word in ("--set", flag)]


def config_file() -> Path | None:
    """The settings file: what `--config` names, else DIR/caldrift.toml, else ./caldrift.toml; None without one."""
    from monitor.config.loading import DEFAULT_FILE

    now = _invocation.get(Invocation())
    if now.config is not None:
        return now.config
    if now.embedded is not None and (now.embedded / DEFAULT_FILE).is_file():
        return now.embedded / DEFAULT_FILE
    return DEFAULT_FILE if DEFAULT_FILE.is_file() else None


def settings(overrides: Mapping[str, object] | None = None, *, servers: bool = True) -> "Settings":
    """The settings of the running command. Raises BadSettings.

    `overrides` are the command's own flags by dotted key, say {"web.port": 9000}; a value None was not given.
    With `--embedded DIR` and `servers`, the servers are those of DIR/servers.json; Unavailable when none run there.
    """
    return loaded(overrides, servers=servers).settings


def loaded(overrides: Mapping[str, object] | None = None, *, servers: bool = True) -> "Loaded":
    """As `settings`, with the origin of each value."""
    from monitor.config.layers import from_overrides
    from monitor.config.loading import load

    now = _invocation.get(Invocation())
    own = from_overrides({key: value for key, value in (overrides or {}).items() if value is not None}, "flag")
    flags = from_overrides(dict(_pair(text) for text in now.flags), "flag") + own
    if now.embedded is None:
        return load(config_file(), os.environ, flags)
    below = from_overrides(_EMBEDDED_DEFAULTS, "embedded", "--embedded")
    if servers and not os.environ.get(SUPERVISED):
        found = embedded_servers(now.embedded)
        running = {"kafka.bootstrap_servers": found["kafka"], "postgres.dsn": found["postgres"]}
        flags += from_overrides(running, "embedded", str(now.embedded / "servers.json"))
    return load(config_file(), os.environ, flags, below)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise BadSettings([f'--set: must be KEY=VALUE, say windows.maturity=12h, got "{text}"'])
    return key.strip(), value.strip()


def embedded_servers(folder: Path) -> dict[str, str]:
    """Addresses of the servers that run embedded in `folder`: kafka, postgres, web. Raises Unavailable when none do."""
    path = folder / "servers.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {name: str(found[name]) for name in ("kafka", "postgres", "web")}
    except FileNotFoundError:
        raise Unavailable(f"no servers run in {folder}; start them with: caldrift run --embedded {folder}") from None
    except (OSError, ValueError, KeyError, TypeError) as failure:
        raise Unavailable(
            f"{path} cannot be read ({failure!r}); start again: caldrift run --embedded {folder}"
        ) from None

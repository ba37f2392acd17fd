"""Where values come from: the file, the environment, flags. Later layers win."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Final, Literal, cast

from monitor.config.keys import ENVIRONMENT, field_at, is_list, is_secret, is_structured, keys
from monitor.config.places import Place, places
from monitor.errors import BadSettings
from monitor.forms.allowed import allowed

Toml = str | int | float | bool | datetime | date | time | list["Toml"] | dict[str, "Toml"]
TomlPath = tuple[str | int, ...]
Kind = Literal["default", "file", "environment", "flag", "embedded"]

#: Variables that are no settings: where the file is, which servers to use, and what the tests need.
BY_NAME: Final = (("segments", "dimensions"), ("recalibration", "models"))
"""Settings that hold a section for each name: an empty one is a section too."""
RESERVED: Final = frozenset({"CALDRIFT_CONFIG", "CALDRIFT_EMBEDDED", "CALDRIFT_LIFEEVAL"})
_SYNTAX: Final = re.compile(
    r"^(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was given."""

    kind: Kind
    where: str
    place: Place | None = None

    def __str__(self) -> str:
        return self.where if self.place is None else f"{self.where}:{self.place[0]}:{self.place[1]}"


@dataclass(frozen=True, slots=True)
class Given:
    """One value as it was written, where, and where its key stands."""

    path: tuple[str, ...]
    value: Toml
    origin: Origin
    key_origin: Origin
    elements: Mapping[TomlPath, Place]


def from_file(path: Path, shown: str | None = None) -> list[Given]:
    """Every value of a TOML file. Raises BadSettings when it cannot be read or is no TOML, with line and column."""
    shown = shown or str(path)
    try:
        text = path.read_bytes().decode("utf-8")
        document = cast("dict[str, Toml]", tomllib.loads(text))
    except OSError as failure:
        raise BadSettings([f"{shown}: cannot be read: {failure.strerror}"]) from None
    except UnicodeDecodeError as failure:
        line = path.read_bytes().count(b"\n", 0, failure.start) + 1
        raise BadSettings([f"{shown}:{line}: must be UTF-8, got byte 0x{failure.object[failure.start]:02x}"]) from None
    except tomllib.TOMLDecodeError as failure:
        raise BadSettings([_syntax_mistake(shown, text, str(failure))]) from None
    found = places(text.replace("\r\n", "\n"))
    return [
        Given(
            canonical(leaf),
            value,
            Origin("file", shown, found[leaf][1]),
            Origin("file", shown, found[leaf][0]),
            {
                whole: place
                for whole, (_, place) in found.items()
                if len(whole) > len(leaf) and whole[: len(leaf)] == leaf
            },
        )
        for leaf, value in _leaves(document, ())
    ]


def _syntax_mistake(shown: str, text: str, message: str) -> str:
    match = _SYNTAX.match(message)
    if match is None:
        return f"{shown}: {message}"
    if match["line"] is None:
        lines = text.split("\n")
        return f"{shown}:{len(lines)}:{len(lines[-1]) + 1}: {match['what']}; the file ends here"
    return f"{shown}:{match['line']}:{match['column']}: {match['what']}"


def canonical(path: tuple[str, ...]) -> tuple[str, ...]:
    """The path as the settings know it: a mapped field such as `segments.lang` is one key, with or without quotes."""
    return (*path[:3], ".".join(path[3:])) if path[:2] == ("events", "fields") and len(path) > 4 else path


def _leaves(table: Mapping[str, Toml], inside: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Toml]]:
    for key, value in table.items():
        path = (*inside, key)
        if isinstance(value, dict) and (value or inside[:2] not in BY_NAME):
            yield from _leaves(value, path)
        else:
            yield path, value


def from_environment(environ: Mapping[str, str]) -> tuple[list[Given], list[str]]:
    """The values of CALDRIFT_SECTION__KEY variables, and what is wrong with their names. An empty variable is none.

    A name without two underscores is ignored unless it is plainly a setting's: an orchestrator may add its own
    CALDRIFT_PORT.
    """
    given: list[Given] = []
    mistakes: list[str] = []
    squeezed = {key.variable.replace("__", "_"): key.variable for key in keys()}
    for name in sorted(environ):
        if (
            not name.startswith(ENVIRONMENT)
            or name in RESERVED
            or name.startswith("CALDRIFT_TEST_")
            or not environ[name]
        ):
            continue
        if "__" not in name:
            meant = squeezed.get(name) or squeezed.get(name.removesuffix("_FILE"))
            if meant is not None:
                mistakes.append(
                    f"{name}: unknown variable; did you mean {meant}{'_FILE' if name not in squeezed else ''}?"
                )
            continue
        path = canonical(tuple(name.removeprefix(ENVIRONMENT).lower().split("__")))
        origin = Origin("environment", name)
        given.append(Given(path, from_text(path, environ[name]), origin, origin, {}))
    return given, mistakes


def from_text(path: tuple[str, ...], text: str) -> Toml:
    """The value that `text` (of a variable or a flag) stands for: lists may be written with commas."""
    field = field_at(path)
    if field is None or not is_structured(field):
        return text
    if is_list(field) and not text.strip().startswith("["):
        return [
            _toml(part.strip()) if allowed(field).startswith("list of numbers") else part.strip()
            for part in text.split(",")
            if part.strip()
        ]
    return _toml(text)


def _toml(text: str) -> Toml:
    try:
        return cast("Toml", tomllib.loads(f"value = {text}")["value"])
    except (tomllib.TOMLDecodeError, KeyError):
        return text


def from_overrides(overrides: Mapping[str, object], kind: Kind, where: str | None = None) -> list[Given]:
    """Values by dotted key, from flags or from the servers that run embedded."""
    given = []
    for name, value in overrides.items():
        path = canonical(tuple(name.split(".")))
        origin = Origin(kind, where or f"--set {name}")
        given.append(
            Given(path, from_text(path, value) if isinstance(value, str) else cast("Toml", value), origin, origin, {})
        )
    return given


def with_secrets(given: list[Given], base: Path) -> tuple[list[Given], list[str]]:
    """Values named `<secret>_file` replaced by what that file holds; `base` is the folder of the settings file."""
    known = {one.path for one in given}
    read: list[Given] = []
    mistakes: list[str] = []
    for one in given:
        target = (*one.path[:-1], one.path[-1].removesuffix("_file"))
        field = field_at(target)
        if target == one.path or field is None or not is_secret(field) or not isinstance(one.value, str):
            read.append(one)
            continue
        if target in known:
            mistakes.append(f"{one.key_origin}: {'.'.join(one.path)}: give {target[-1]} or {one.path[-1]}, not both")
            continue
        path = (base if one.origin.kind == "file" else Path()) / one.value
        try:
            origin = Origin("environment", f"{one.origin} ({path})") if one.origin.kind == "file" else one.origin
            read.append(Given(target, path.read_text(encoding="utf-8").strip(), origin, one.key_origin, {}))
        except (OSError, UnicodeDecodeError) as failure:
            reason = failure.strerror if isinstance(failure, OSError) else "it is no UTF-8 text"
            mistakes.append(f"{one.origin}: {'.'.join(one.path)}: cannot read {path}: {reason}")
    return read, mistakes

"""File, environment and flags in, `Settings` out; or every mistake at once."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from monitor.config.checks import check
from monitor.config.dsn import has_password
from monitor.config.keys import field_at, is_secret, is_stranger, keys, siblings
from monitor.config.layers import Given, Origin, Toml, from_environment, from_file, from_overrides, with_secrets
from monitor.config.sections import Settings
from monitor.errors import BadSettings
from monitor.forms.refusals import rule, shown

DEFAULT_FILE: Final = Path("caldrift.toml")
_PATTERNS: Final = {
    r"^[A-Za-z0-9._-]{1,249}$": "must be a topic's name: 1 to 249 letters, digits, dots, underscores or hyphens",
    r"^(\[[0-9A-Fa-f:.]+\]|[^\s:/,]+):\d{1,5}$": "must be host:port",
    r"^[^.\s][^\s]*$": "must be a key, or keys joined with dots",
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, and where each value that is no default was given."""

    settings: Settings
    origins: Mapping[tuple[str, ...], Origin]


def load_settings(
    path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, object] | None = None
) -> Settings:
    """The settings: flags over environment over file over defaults. Raises BadSettings with every mistake at once.

    `path` None means ./caldrift.toml where there is one. `overrides` are flags by dotted key.
    """
    return load(path, environ, from_overrides(overrides or {}, "flag")).settings


def load(
    path: Path | None, environ: Mapping[str, str], flags: Sequence[Given] = (), below: Sequence[Given] = ()
) -> Loaded:
    """As `load_settings`, with the origin of each value. `below` are other defaults, under the file."""
    if path is None and DEFAULT_FILE.is_file():
        path = DEFAULT_FILE
    mistakes: list[tuple[Origin | None, str]] = []
    base = path.parent if path else Path()
    layers: list[list[Given]] = []
    variables, wrong = from_environment(environ)
    mistakes += [(None, text) for text in wrong]
    for layer in (list(below), from_file(path) if path else [], variables, list(flags)):
        read, wrong = with_secrets(layer, base)
        mistakes += [(None, text) for text in wrong]
        layers.append(read)
    given = [one for layer in layers for one in layer]
    spilt = [one for one in given if one.origin.kind == "file" and _is_spilt_secret(one)]
    mistakes += [(one.origin, _spilt(one)) for one in spilt]
    strangers = [one for one in given if is_stranger(one.path)]
    mistakes += [(one.key_origin, _unknown(one.key_origin, one.path)) for one in strangers]
    latest = {one.path: one for one in given if one not in spilt and one not in strangers}
    settings = _validated(latest, mistakes)
    if mistakes or settings is None:
        raise BadSettings(_ordered(mistakes))
    return Loaded(settings, {path: one.origin for path, one in latest.items()})


def _is_spilt_secret(one: Given) -> bool:
    field = field_at(one.path)
    if field is None or not is_secret(field) or not isinstance(one.value, str):
        return False
    return one.path != ("postgres", "dsn") or has_password(one.value)


def _spilt(one: Given) -> str:
    name = ".".join(one.path)
    variable = "CALDRIFT_" + "__".join(one.path).upper()
    what = "a password" if one.path[-1] == "dsn" else "a secret"
    instead = f"set {variable} or {variable}_FILE, or {one.path[-1]}_file here"
    return f"{one.origin}: {name}: {what} must not stand in the file; {instead}"


def _validated(latest: dict[tuple[str, ...], Given], mistakes: list[tuple[Origin | None, str]]) -> Settings | None:
    """The settings of `latest`; what is wrong with its types and its sense is added to `mistakes`."""
    raw = _tree(latest.values())
    bad: set[tuple[str, ...]] = set()
    settings = None
    for _ in range(2):  # the second time without the bad values, so that the others are checked against each other too
        try:
            settings = Settings.model_validate(raw)
            break
        except ValidationError as failure:
            for error in failure.errors():
                given = _nearest(latest, error["loc"])
                if not bad or (given and given.path not in bad):
                    mistakes.append(_mistake(error, given))
            bad |= {given.path for error in failure.errors() if (given := _nearest(latest, error["loc"]))}
            raw = _tree(one for path, one in latest.items() if path not in bad)
    if settings is not None:
        for path, text in check(settings):
            culprit = _nearest(latest, path)
            if culprit is None or culprit.path not in bad:
                origin = _origin(culprit, path)
                mistakes.append((origin, f"{origin or 'default'}: {'.'.join(map(str, path))}: {text}"))
    return settings


def _tree(given: Iterable[Given]) -> dict[str, Toml]:
    tree: dict[str, Toml] = {}
    for one in given:
        node = tree
        for part in one.path[:-1]:
            inner = node.setdefault(part, {})
            if not isinstance(inner, dict):
                break
            node = inner
        else:
            node[one.path[-1]] = one.value
    return tree


def _nearest(latest: Mapping[tuple[str, ...], Given], location: Sequence[str | int]) -> Given | None:
    """The given value at `location`, around it, or (for a section) the first inside it."""
    names = tuple(str(part) for part in location)
    for length in range(len(names), 0, -1):
        if names[:length] in latest:
            return latest[names[:length]]
    return next((one for path, one in latest.items() if path[: len(names)] == names), None)


def _origin(given: Given | None, path: Sequence[str | int]) -> Origin | None:
    if given is None:
        return None
    place = given.elements.get(tuple(path))
    return given.origin if place is None else Origin(given.origin.kind, given.origin.where, place)


def _mistake(error: ErrorDetails, given: Given | None) -> tuple[Origin | None, str]:
    location = error["loc"]
    name = ".".join(str(part) for part in location if part != "[key]")
    if error["type"] == "extra_forbidden":
        origin = given.key_origin if given else None
        return origin, _unknown(origin, location)
    origin = _origin(given, location)
    field = field_at(location)
    got = "" if field is not None and is_secret(field) else f", got {shown(error['input'])}"
    return origin, f"{origin}: {name}: {rule(error, _PATTERNS)}{got}"


def _unknown(origin: Origin | None, location: Sequence[str | int]) -> str:
    return f"{origin}: {'.'.join(map(str, location))}: unknown key{_meant(location)}"


def _meant(location: Sequence[str | int]) -> str:
    """The known key that was probably meant: one beside it, else one of that name elsewhere."""
    wrong = str(location[-1]).lower()
    beside = siblings(tuple(location))
    close = difflib.get_close_matches(wrong, beside, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {'.'.join([*map(str, location[:-1]), close[0]])}?"
    names = {key.name: key.path[-1] for key in keys()}
    elsewhere = [name for name, last in names.items() if last == wrong]
    if len(elsewhere) == 1:
        return f"; did you mean {elsewhere[0]}?"
    return f"; allowed: {', '.join(beside)}" if beside else ""


def _ordered(mistakes: Iterable[tuple[Origin | None, str]]) -> list[str]:
    """Those of the file in the order of its lines, then the others; each once."""
    ranked = sorted(mistakes, key=lambda pair: pair[0].place if pair[0] and pair[0].place else (1 << 30, 0))
    return list(dict.fromkeys(text for _, text in ranked))

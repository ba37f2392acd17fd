"""Text in, rules out; or every mistake of the file at once."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from monitor.alerting.alertrules import AlertRule, alert_rules
from monitor.alerting.checks import check
from monitor.alerting.document import document
from monitor.alerting.groups import element, fields_of, group_at, kind_of, models
from monitor.alerting.kept import Kept
from monitor.alerting.kinds import PATTERNS
from monitor.alerting.mistakes import Finding, Mistake
from monitor.alerting.nodes import Node, Path, Place, at, descended, plain, without
from monitor.alerting.references import references
from monitor.alerting.rulefile import RuleFile
from monitor.alerting.secrets import secrets
from monitor.forms.refusals import first_causes, meant, rule, shown

_SECRET: Final = ("_env", "_file", "url", "urls", "base_url")
"""Ends of keys whose wrong value is not repeated: it may be the secret itself."""
_MOST_ROUNDS: Final = 20


@dataclass(frozen=True, slots=True)
class Checked:
    """What a file says, and what is wrong with it in the order of its lines: `rules` counts only without mistakes."""

    rules: tuple[AlertRule, ...]
    file: RuleFile | None
    mistakes: tuple[Mistake, ...]


def checked(text: str, kept: Kept) -> Checked:
    """The rules of a file's text, or every mistake in it. `kept` is what the settings keep, which rules must fit."""
    root, mistakes = document(text)
    if root is None:
        return Checked((), None, tuple(mistakes))
    file, live, refused = _read(root)
    mistakes += refused
    if file is not None:
        findings = chain(references(file, root), secrets(file), check(file, kept))
        mistakes += [mistake for each in findings if (mistake := _located(live, each)) is not None]
    if mistakes or file is None:
        return Checked((), None, tuple(sorted(set(mistakes))))
    return Checked(alert_rules(file), file, ())


def _read(root: Node) -> tuple[RuleFile | None, Node, list[Mistake]]:
    """The file without its bad values, its tree without them, and what is wrong with each.

    What is refused only because something bad was taken out of it goes too, and is not another mistake.
    """
    mistakes: list[Mistake] = []
    for number in range(_MOST_ROUNDS):
        try:
            return RuleFile.model_validate(plain(root)), root, mistakes
        except ValidationError as failure:
            errors = first_causes(failure.errors())
        if number == 0:
            mistakes = [mistake for each in errors if (mistake := _refused(root, each)) is not None]
        for path in sorted({_culprit(root, each) for each in errors}, key=_from_the_end, reverse=True):
            root = without(root, path)
        if root.gone:
            break
    return None, root, mistakes


def _from_the_end(path: Path) -> list[tuple[bool, str, int]]:
    """Paths in an order in which, from the last to the first, taking one away moves none of the others."""
    return [(isinstance(part, int), str(part), part if isinstance(part, int) else 0) for part in path]


def _path(root: Node, location: tuple[str | int, ...]) -> Path:
    """Where in the file pydantic found something: without the names of alternatives, which stand in no file."""
    return tuple(part for part, _ in descended(root, location))


def _culprit(root: Node, error: ErrorDetails) -> Path:
    """What must go: the value, or for a key that is missing what it is missing from."""
    location = error["loc"]
    return _path(root, location[:-1] if error["type"] == "missing" else location)


def _refused(root: Node, error: ErrorDetails) -> Mistake | None:
    path, kind = _path(root, error["loc"]), error["type"]
    if kind == "missing":
        return _missing(root, (*_path(root, error["loc"][:-1]), str(error["loc"][-1])))
    if kind == "extra_forbidden":
        return _unknown(root, path)
    if kind == "union_tag_not_found":
        return _missing(root, (*path, "kind"))
    entry = at(root, path)
    name = _name(root, path)
    if kind == "union_tag_invalid":
        return _wrong_kind(root, path)
    if error["loc"][-1:] == ("[key]",) and entry is not None:
        return Mistake(entry.place, f"{name}: {rule(error, PATTERNS)}")
    place, close = entry.node.place if entry else root.place, ""
    if kind in {"model_type", "model_attributes_type", "dict_type"}:
        said = "must be keys with values"
    elif kind == "literal_error":
        names = [part.strip("'") for part in error["ctx"]["expected"].replace(" or ", ", ").split(", ")]
        said, close = _one_of(names), _close(names, error["input"])
    else:
        said = rule(error, PATTERNS)
    secret = any(str(part).endswith(_SECRET) for part in path)
    # A pattern or a list of them is read as a list: what came is what the file has.
    got = "" if secret else f", got {shown(plain(entry.node) if entry else error['input'])}"
    return Mistake(place, f"{name}: {said}{got}{close}" if name else said + got)


def _missing(root: Node, path: Path) -> Mistake | None:
    if at(root, path) is not None:  # it is there and gone: that has been reported
        return None
    within = _name(root, path[:-1])
    return Mistake(_place(root, path), f"{within}: {path[-1]} is needed" if within else f"{path[-1]} is needed")


def _unknown(root: Node, path: Path) -> Mistake:
    """An unknown key: what was probably meant, beside it or in a group beside it, else what there is."""
    entry, group, key = at(root, path), group_at(root, path[:-1]), str(path[-1])
    place = entry.place if entry else root.place
    known = dict(fields_of(group)) if group else {}
    if f"{key}_env" in known:
        said = f"must not stand in the file: {key}_env names a variable that holds it, {key}_file a file"
        return Mistake(place, f"{_name(root, path)}: {said}")
    inside = [
        f"{name}.{key}"
        for name, field in known.items()
        for model in models(field.annotation)
        if key in dict(fields_of(model))
    ]
    elsewhere = f"; did you mean {inside[0]}?" if len(inside) == 1 else ""
    return Mistake(place, f"{_name(root, path)}: unknown key{_close(known, key) or elsewhere or meant(known, key)}")


def _wrong_kind(root: Node, path: Path) -> Mistake:
    entry = at(root, (*path, "kind"))
    several = _alternatives(root, path)
    got = plain(entry.node) if entry else None
    place = entry.node.place if entry else root.place
    return Mistake(place, f"{_name(root, path)}.kind: {_one_of(several)}, got {shown(got)}{_close(several, got)}")


def _one_of(names: list[str]) -> str:
    return f"must be {'one of ' if len(names) > 1 else ''}{', '.join(names)}"


def _close(names: Iterable[str], wrong: object) -> str:
    """What was probably meant, if anything was."""
    said = meant(names, wrong)
    return said if said.endswith("?") else ""


def _alternatives(root: Node, path: Path) -> list[str]:
    """What `kind` may say in the mapping at `path`, of which it tells what it is."""
    parent = group_at(root, path[:-1])
    if parent is None:
        parent = group_at(root, path[:-2])
        field = dict(fields_of(parent))[str(path[-2])] if parent else None
    else:
        field = dict(fields_of(parent))[str(path[-1])]
    return [kind_of(each) for each in models(field.annotation) or models(element(field.annotation))] if field else []


def _located(root: Node, finding: Finding) -> Mistake | None:
    """None where the value is gone: it is wrong by itself, and that has been reported."""
    steps = [entry for _, entry in descended(root, finding.path)]
    others = [at(root, path) for path in finding.unless]
    if any(entry.node.gone for entry in (*steps, *others) if entry is not None):
        return None
    name = _name(root, finding.path)
    if finding.of_key and len(steps) == len(finding.path):
        return Mistake(steps[-1].place, f"{name}: {finding.text}")
    return Mistake(_place(root, finding.path), f"{name}: {finding.text}")


def _place(root: Node, path: Path) -> Place:
    """Where the value stands, or the nearest thing around it."""
    steps = [entry for _, entry in descended(root, path)]
    return steps[-1].node.place if steps else root.place


def _name(root: Node, path: Path) -> str:
    """The path as a person says it: a rule by its name, `EceHigh.select.window`."""
    parts: list[str] = []
    for depth, part in enumerate(path):
        if isinstance(part, int):
            entry = at(root, (*path[: depth + 1], "name"))
            named = entry.node.value if entry else None
            if isinstance(named, str) and depth == 1:
                parts = [named]
            elif parts:
                parts[-1] += f"[{part}]"
        else:
            parts.append(part)
    return ".".join(parts)

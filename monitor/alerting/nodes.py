"""A document as a tree that knows where each key and each value stands, and which of them are not to be used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

Place: TypeAlias = tuple[int, int]
"""(line, column), both from 1."""
Path: TypeAlias = tuple[str | int, ...]
"""Keys, and places in lists from 0, from the root of the document."""
Scalar: TypeAlias = str | int | float | bool | None
Plain: TypeAlias = Scalar | list["Plain"] | dict[str, "Plain"]


@dataclass(frozen=True, slots=True)
class Node:
    """One value. `gone`: it is wrong and has been reported, so nothing else is to be said of it."""

    value: Scalar | tuple[Node, ...] | Mapping[str, Entry]
    place: Place
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a mapping with its value."""

    place: Place
    node: Node


def plain(node: Node) -> Plain:
    """The values that are to be used, without their places."""
    if isinstance(node.value, tuple):
        return [plain(each) for each in node.value if not each.gone]
    if isinstance(node.value, Mapping):
        return {key: plain(entry.node) for key, entry in node.value.items() if not entry.node.gone}
    return node.value


def descended(node: Node, path: Path) -> Iterator[tuple[str | int, Entry]]:
    """The steps from `node` along `path`, as far as there are any. A part that leads nowhere is left out.

    Places in lists count the values that are to be used, as `plain` does.
    """
    for part in path:
        if isinstance(node.value, Mapping) and part in node.value:
            entry = node.value[str(part)]
        elif isinstance(node.value, tuple) and isinstance(part, int):
            live = [each for each in node.value if not each.gone]
            if part >= len(live):
                continue
            entry = Entry(live[part].place, live[part])
        else:
            continue
        yield part, entry
        node = entry.node


def at(node: Node, path: Path) -> Entry | None:
    """The key and value at `path`, of a value that is gone too; None where there is none."""
    found = [entry for _, entry in descended(node, path)]
    return found[-1] if found and len(found) == len(path) else None


def without(node: Node, path: Path) -> Node:
    """The tree with the value at `path` gone. A path that leads nowhere changes nothing."""
    if not path:
        return replace(node, gone=True)
    part, rest = path[0], path[1:]
    if isinstance(node.value, Mapping) and part in node.value:
        entry = node.value[str(part)]
        return replace(node, value={**node.value, str(part): replace(entry, node=without(entry.node, rest))})
    if isinstance(node.value, tuple) and isinstance(part, int):
        live = [number for number, each in enumerate(node.value) if not each.gone]
        if part < len(live):
            changed = list(node.value)
            changed[live[part]] = without(changed[live[part]], rest)
            return replace(node, value=tuple(changed))
    return node


def texts(node: Node, *path: str) -> set[str]:
    """The texts at `path`, where a part `*` is every value of a list; those of gone values too.

    At a mapping: its keys.
    """
    if not path:
        if isinstance(node.value, Mapping):
            return set(node.value)
        return {node.value} if isinstance(node.value, str) else set()
    part, *rest = path
    if part == "*" and isinstance(node.value, tuple):
        return {text for each in node.value for text in texts(each, *rest)}
    if isinstance(node.value, Mapping) and part in node.value:
        return texts(node.value[part].node, *rest)
    return set()

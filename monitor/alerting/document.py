"""YAML -> a tree of nodes. Every mistake of the writing itself, with its place.

Scalars are read by the core schema of YAML 1.2: `off` is a text and `22:00` is no number of seconds.
"""

import re
from collections.abc import Iterator
from typing import Final

import yaml
from yaml.composer import Composer, ComposerError
from yaml.error import MarkedYAMLError
from yaml.nodes import MappingNode, ScalarNode, SequenceNode
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from monitor.alerting.mistakes import Mistake
from monitor.alerting.nodes import Entry, Node, Place, Scalar

_LONGEST: Final = 1_000_000
"""Characters: a file of rules is far smaller, and one that was named by mistake is not read for minutes."""
_DEEPEST: Final = 50
_MOST_NODES: Final = 100_000
_CORE: Final = "tag:yaml.org,2002:"
_TRUE: Final = frozenset({"true", "True", "TRUE"})


class _Unreadable(Exception):  # noqa: N818 - it never leaves this module
    """The document cannot be read any further."""

    def __init__(self, mistake: Mistake) -> None:
        super().__init__()
        self.mistake = mistake


class _Resolver(BaseResolver):
    """The core schema, https://yaml.org/spec/1.2.2/#103-core-schema."""


for _kind, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+0123456789."),
    ),
):
    _Resolver.add_implicit_resolver(_CORE + _kind, re.compile(f"^(?:{_pattern})$"), _first)


class _Composer(Reader, Scanner, Parser, Composer, _Resolver):
    """The nodes of a document, no deeper than a person nests them."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        _Resolver.__init__(self)
        self.depth = 0

    def compose_node(self, parent: yaml.Node | None, index: object) -> yaml.Node | None:
        if self.depth >= _DEEPEST:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise ComposerError(None, None, f"must not be nested deeper than {_DEEPEST}", mark)
        self.depth += 1
        try:
            return super().compose_node(parent, index)  # type: ignore[arg-type]
        finally:
            self.depth -= 1


def document(text: str) -> tuple[Node | None, list[Mistake]]:
    """The tree of a YAML document, None where it cannot be read, and every mistake of its writing.

    Anchors and aliases are allowed, and the merge key `<<`. A key that is given twice keeps its first value.
    """
    if len(text) > _LONGEST:
        return None, [Mistake((1, 1), f"must be shorter than {_LONGEST:,} characters, got {len(text):,}")]
    reading = _Reading()
    try:
        root = _Composer(text).get_single_node()
        if root is None:
            return None, [Mistake((1, 1), "must hold rules, got an empty file")]
        return reading.node(root), reading.mistakes
    except ReaderError as failure:
        before = text[: failure.position]
        place = before.count("\n") + 1, failure.position - before.rfind("\n")
        return None, [Mistake(place, f"must be printable text, got character {failure.character!r}")]
    except MarkedYAMLError as failure:
        return None, [_syntax(failure)]
    except _Unreadable as failure:
        return None, [*reading.mistakes, failure.mistake]


def _syntax(failure: MarkedYAMLError) -> Mistake:
    mark = failure.problem_mark or failure.context_mark
    place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    said = " ".join(part for part in (failure.context, failure.problem) if part)
    return Mistake(place, f"not YAML: {said}" if said else "not YAML")


class _Reading:
    """One pass over composed nodes. `open` are those that it is inside of."""

    def __init__(self) -> None:
        self.mistakes: list[Mistake] = []
        self.count = 0
        self.open: set[int] = set()

    def node(self, raw: yaml.Node) -> Node:
        place = _place(raw)
        self.count += 1
        if self.count > _MOST_NODES:
            said = f"must hold at most {_MOST_NODES:,} values, those that aliases repeat included"
            raise _Unreadable(Mistake(place, said))
        if id(raw) in self.open:
            raise _Unreadable(Mistake(place, "must not hold an alias of itself"))
        self.open.add(id(raw))
        try:
            if isinstance(raw, MappingNode):
                return Node(dict(self._mapping(raw)), place)
            if isinstance(raw, SequenceNode):
                return Node(tuple(self.node(each) for each in raw.value), place)
            return Node(self._scalar(raw), place)
        finally:
            self.open.discard(id(raw))

    def _mapping(self, raw: MappingNode) -> Iterator[tuple[str, Entry]]:
        own: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        for key, value in raw.value:
            place = _place(key)
            if not isinstance(key, ScalarNode):
                self.mistakes.append(Mistake(place, "a key must be text"))
            elif key.value == "<<" and key.style is None:
                for entry in self._merged(value):
                    merged.setdefault(*entry)
            elif key.value in own:
                first = own[key.value].place[0]
                self.mistakes.append(Mistake(place, f"{key.value} is given twice, first in line {first}"))
            else:
                own[key.value] = Entry(place, self._value(key.value, place, value))
        yield from own.items()
        yield from ((name, entry) for name, entry in merged.items() if name not in own)

    def _value(self, key: str, place: Place, raw: yaml.Node) -> Node:
        """The value of a key; gone where there is none."""
        node = self.node(raw)
        if node.value is None:
            self.mistakes.append(Mistake(place, f"{key}: must have a value, or be left out"))
            return Node(None, node.place, gone=True)
        return node

    def _merged(self, raw: yaml.Node) -> Iterator[tuple[str, Entry]]:
        for each in raw.value if isinstance(raw, SequenceNode) else [raw]:
            if isinstance(each, MappingNode):
                yield from self.node(each).value.items()  # type: ignore[union-attr]
            else:
                self.mistakes.append(Mistake(_place(each), "<<: must be an alias of keys with values"))

    def _scalar(self, raw: yaml.Node) -> Scalar:
        kind, text = str(raw.tag).removeprefix(_CORE), str(raw.value)
        if kind in {"null", "bool", "int", "float"} and raw.tag != self._resolved(text):
            kind = "str"  # an explicit tag on what it does not fit: the check of the value says what is allowed
        if kind == "null":
            return None
        if kind == "bool":
            return text in _TRUE
        if kind == "int":
            return _whole(text)
        if kind == "float":
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        if kind != "str":
            self.mistakes.append(
                Mistake(_place(raw), f"must not have a tag; a text that begins with ! needs quotes, got {raw.tag}")
            )
        return text

    @staticmethod
    def _resolved(text: str) -> str:
        return str(_Resolver().resolve(ScalarNode, text, (True, False)))  # type: ignore[no-untyped-call]


def _whole(text: str) -> int | float:
    """A whole number; infinity for one that Python refuses to read for its length."""
    try:
        return int(text, 0) if text[:2] in {"0o", "0x"} else int(text)
    except ValueError:
        return float("inf")


def _place(raw: yaml.Node) -> Place:
    return raw.start_mark.line + 1, raw.start_mark.column + 1

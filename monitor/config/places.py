"""Where each key and value of a TOML file stands. `tomllib` says what a file holds, but not where."""

from collections.abc import Iterator
from typing import Final

Path = tuple[str | int, ...]
Place = tuple[int, int]

_BARE_END: Final = frozenset(" \t=.]#\n\r,}")
_QUOTES: Final = ('"""', "'''", '"', "'")
_ESCAPES: Final = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b", '"': '"', "\\": "\\"}


def places(text: str) -> dict[Path, tuple[Place, Place]]:
    """(line, column) of the key and of the value of everything in `text`, both from 1; elements of lists too.

    `text` must be TOML that `tomllib` accepts. The place of a table's value is that of its header.
    """
    return dict(_Scanner(text).document())


class _Scanner:
    """One pass over a valid TOML document."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: dict[Path, tuple[Place, Place]] = {}
        self.lists: dict[Path, int] = {}

    def document(self) -> Iterator[tuple[Path, tuple[Place, Place]]]:
        table: Path = ()
        while self._skip(" \t\r\n"):
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)
        return iter(self.found.items())

    def _place(self) -> Place:
        start = self.text.rfind("\n", 0, self.at) + 1
        return self.text.count("\n", 0, self.at) + 1, self.at - start + 1

    def _skip(self, blanks: str) -> bool:
        """Step over blanks and comments; False at the end of the text."""
        while self.at < len(self.text):
            if self.text[self.at] == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            if self.at < len(self.text) and self.text[self.at] not in blanks:
                return True
            self.at += 1
        return False

    def _header(self) -> Path:
        double = self.text.startswith("[[", self.at)
        self.at += 2 if double else 1
        self._skip(" \t")
        place = self._place()
        path = self._inside_lists(self._keys(), last=not double)
        if double:
            self.lists[path] = self.lists.get(path, -1) + 1
            self.found.setdefault(path, (place, place))
            path = (*path, self.lists[path])
        self.at = self.text.index("]", self.at) + (2 if double else 1)
        self._remember(path, place)
        return path

    def _inside_lists(self, keys: list[str], *, last: bool) -> Path:
        """A header names a list of tables by its key alone: add the index of its newest element."""
        path: Path = ()
        for number, key in enumerate(keys):
            path = (*path, key)
            if path in self.lists and (last or number < len(keys) - 1):
                path = (*path, self.lists[path])
        return path

    def _remember(self, path: Path, key: Place, value: Place | None = None) -> None:
        for length in range(1, len(path)):
            self.found.setdefault(path[:length], (key, key))
        self.found[path] = (key, value or key)

    def _keys(self) -> list[str]:
        keys = [self._key()]
        while self._skip(" \t") and self.text[self.at] == ".":
            self.at += 1
            self._skip(" \t")
            keys.append(self._key())
        return keys

    def _key(self) -> str:
        if self.text[self.at] in "\"'":
            return self._string()
        start = self.at
        while self.at < len(self.text) and self.text[self.at] not in _BARE_END:
            self.at += 1
        return self.text[start : self.at]

    def _string(self) -> str:
        """Step over a string; its content where it is a key (one line; the common escapes)."""
        quote = next(quote for quote in _QUOTES if self.text.startswith(quote, self.at))
        self.at += len(quote)
        content = []
        while not self.text.startswith(quote, self.at):
            if self.text[self.at] == "\\" and quote[0] == '"':
                self.at += 1
                content.append(_ESCAPES.get(self.text[self.at], self.text[self.at]))
            else:
                content.append(self.text[self.at])
            self.at += 1
        self.at += len(quote)
        while len(quote) == 3 and self.text.startswith(quote[0], self.at):  # '""""' ends with a quote of the content
            self.at += 1
        return "".join(content)

    def _pair(self, table: Path) -> None:
        place = self._place()
        path = (*table, *self._keys())
        self.at += 1  # the equals sign
        self._skip(" \t")
        self._remember(path, place, self._place())
        self._value(path)

    def _value(self, path: Path) -> None:
        match self.text[self.at]:
            case "[":
                self._list(path)
            case "{":
                self._inline_table(path)
            case '"' | "'":
                self._string()
            case _:
                while self.at < len(self.text) and self.text[self.at] not in ",]}#\r\n":
                    self.at += 1

    def _list(self, path: Path) -> None:
        self.at += 1
        index = 0
        while self._skip(" \t\r\n,") and self.text[self.at] != "]":
            place = self._place()
            self._remember((*path, index), place)
            self._value((*path, index))
            index += 1
        self.at += 1

    def _inline_table(self, path: Path) -> None:
        self.at += 1
        while self._skip(" \t\r\n,") and self.text[self.at] != "}":
            self._pair(path)
        self.at += 1

"""Rows that were refused: counted by reason, the first of each reason said, all of them written to a file if wanted."""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec

from monitor.errors import BadInput
from monitor.files.rows import BadRow

_LONGEST_RAW = 4096


class Rejections:
    """Hears of every bad row. `say` gets a line for a person, at most `most` a reason and file."""

    def __init__(self, say: Callable[[str], None], most: int = 20, out: Path | None = None) -> None:
        """Raises BadInput when `out` cannot be written."""
        self.counts: Counter[str] = Counter()
        self._said: Counter[tuple[Path, str]] = Counter()
        self._say = say
        self._most = most
        self._out: IO[bytes] | None = None
        if out is not None:
            try:
                self._out = out.open("wb")
            except OSError as failure:
                raise BadInput(f"{out}: cannot be written: {failure.strerror}", "usage") from None

    def add(self, path: Path, bad: Iterable[BadRow]) -> None:
        """Take the bad rows of a file, in order."""
        for row in bad:
            self.counts[row.reason] += 1
            self._said[path, row.reason] += 1
            if self._said[path, row.reason] <= self._most:
                self._say(f"{path}:{row.row}: {row.reason}: {row.message}")
            if self._out is not None:
                self._out.write(_line(path, row))

    def finish(self) -> None:
        """Say how many rows were not said one by one."""
        for (path, reason), n in sorted(self._said.items()):
            if n > self._most:
                self._say(f"{path}: {reason}: {n - self._most:,} more rows")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._out is not None:
            self._out.close()


def _line(path: Path, row: BadRow) -> bytes:
    record: dict[str, object] = {"file": str(path), "row": row.row, "reason": row.reason, "message": row.message}
    if row.raw is not None:
        record["value"] = row.raw[:_LONGEST_RAW].decode("utf-8", "backslashreplace")
    return msgspec.json.encode(record) + b"\n"

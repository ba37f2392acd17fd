"""What kind of file a path names, and its bytes, with how much of it has been read."""

import contextlib
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Final, Protocol, cast

from monitor.errors import BadInput

Damaged: Final = (EOFError, gzip.BadGzipFile, zlib.error)
"""What reading raises when a compressed file is cut short or spoilt."""


class Format(StrEnum):
    """The formats that files of events may have."""

    JSON_LINES = "JSON lines"
    CSV = "CSV"
    PARQUET = "Parquet"


_ENDINGS: Final = {
    ".jsonl": Format.JSON_LINES,
    ".ndjson": Format.JSON_LINES,
    ".json": Format.JSON_LINES,
    ".csv": Format.CSV,
    ".tsv": Format.CSV,
    ".parquet": Format.PARQUET,
    ".pq": Format.PARQUET,
}


@dataclass(frozen=True, slots=True)
class Source:
    """One file and how to read it."""

    path: Path
    format: Format
    gzipped: bool = False
    delimiter: str = ","

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self.path.stat().st_size


def is_named_like_a_file(path: Path) -> bool:
    """Whether the name ends as that of a file which can be read."""
    return _ending(path)[0] in _ENDINGS


def _ending(path: Path) -> tuple[str, bool]:
    """The ending that tells the format, and whether the file is compressed."""
    endings = [ending.lower() for ending in path.suffixes]
    gzipped = endings[-1:] == [".gz"]
    return next(iter(endings[-2:-1] if gzipped else endings[-1:]), ""), gzipped


def source(path: Path) -> Source:
    """The file at `path`; its name tells its format. Raises BadInput when it cannot be read or has another name."""
    ending, gzipped = _ending(path)
    if ending not in _ENDINGS or (gzipped and _ENDINGS[ending] is Format.PARQUET):
        allowed = f"{', '.join(_ENDINGS)}; all but Parquet also with .gz"
        raise BadInput(f"{path}: the name must end in one of {allowed}", "usage")
    try:
        with path.open("rb") as file:
            file.peek(1)
    except OSError as failure:
        raise BadInput(f"{path}: cannot be read: {failure.strerror}", "usage") from None
    return Source(path, _ENDINGS[ending], gzipped, "\t" if ending == ".tsv" else ",")


class Buffered(Protocol):
    """What is used of a file that is open for reading."""

    def read(self, size: int = -1, /) -> bytes: ...
    def readline(self, size: int = -1, /) -> bytes: ...
    def peek(self, size: int = 0, /) -> bytes: ...
    def __iter__(self) -> Iterator[bytes]: ...


class Progress:
    """How many bytes of the file on disk have been read."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw

    def done(self) -> int:
        return self._raw.tell()


@contextmanager
def opened(file: Source) -> Iterator[tuple[Buffered, Progress]]:
    """The uncompressed bytes, without a byte order mark, and how far reading has come."""
    with file.path.open("rb") as raw:
        stream = cast("Buffered", gzip.GzipFile(fileobj=raw) if file.gzipped else raw)
        with contextlib.suppress(*Damaged):  # the first read says so, with its place
            if stream.peek(3)[:3] == b"\xef\xbb\xbf":
                stream.read(3)
        yield stream, Progress(raw)

"""Finding the series that a person named, or saying what there is instead."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from typing import Final

from monitor.errors import BadInput
from monitor.postgres.database import Connection
from monitor.postgres.series import StoredSeries
from monitor.rolling.segments import SeriesName, parse_segment

COLUMNS: Final = (
    ("model", "model"),
    ("signal", "signal"),
    ("source_group", "label source"),
    ("segment_text", "segment"),
)
"""What a name is made of, in the order in which a mistake is looked for: column, and words for it."""

SHOWN: Final = 20
"""Most alternatives that a message lists."""


def find_series(connection: Connection, wanted: SeriesName) -> StoredSeries:
    """The series of this name. Raises BadInput that lists what exists where the name leaves it."""
    row = connection.execute(
        "SELECT id FROM series WHERE (model, signal, segment_text, source_group) = (%s, %s, %s, %s)", wanted
    ).fetchone()
    if row is not None:
        return StoredSeries(int(row[0]), wanted)
    asked = dict(zip(("model", "signal", "segment_text", "source_group"), wanted, strict=True))
    given: dict[str, str] = {}
    for column, words in COLUMNS:
        known = _known(connection, given, column)
        if asked[column] not in known:
            raise BadInput(_unknown(words, asked[column], list(given.values()), known), "unknown_series")
        given[column] = asked[column]
    raise BadInput(f"no series of model {wanted.model}", "unknown_series")


def find_model(connection: Connection, model: str) -> None:
    """Raises BadInput that lists the models when there is none of this name."""
    known = _known(connection, {}, "model")
    if model not in known:
        raise BadInput(_unknown("model", model, [], known), "unknown_series")


def _known(connection: Connection, given: Mapping[str, str], column: str) -> list[str]:
    where = " AND ".join(["TRUE", *(f"{name} = %({name})s" for name in given)])
    rows = connection.execute(
        f"SELECT DISTINCT {column} FROM series WHERE {where} ORDER BY 1".encode(), given
    ).fetchall()
    return [str(value) for (value,) in rows]


def _unknown(words: str, asked: str, given: Sequence[str], known: Sequence[str]) -> str:
    if not known:
        return f"no {words} {_typed(asked)}: nothing has been joined yet"
    within = f" of {', '.join(_typed(each) for each in given)}" if given else ""
    close = get_close_matches(_typed(asked), [_typed(each) for each in known], n=1)
    meant = f"; did you mean {close[0]}?" if close else "."
    shown = ", ".join(_typed(each) for each in known[:SHOWN])
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return f"no {words} {_typed(asked)}{within}{meant} There is: {shown}{more}"


def _typed(text: str) -> str:
    """A name as a person types it; a segment from its canonical text."""
    if not text.startswith("{"):
        return text or "(primary sources)"
    return ",".join(f"{name}={value}" for name, value in parse_segment(text).items()) or "(all events)"


def known_since(connection: Connection) -> datetime | None:
    """The earliest instant of which the state as it was known then can be told; None: every one."""
    row = connection.execute("SELECT folded_at FROM upkeep").fetchone()
    return row[0] if row else None

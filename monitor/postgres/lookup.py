"""Finding the series that a person named, or saying what there is instead."""

from datetime import datetime
from difflib import get_close_matches
from typing import Final

from monitor.errors import BadInput
from monitor.postgres.database import Connection
from monitor.postgres.series import StoredSeries
from monitor.rolling.segments import SeriesName

SHOWN: Final = 20
"""Most alternatives that a message lists."""


def find_series(connection: Connection, wanted: SeriesName) -> StoredSeries:
    """The series of this name. Raises BadInput that lists what exists where the name leaves it."""
    row = connection.execute(
        "SELECT id FROM series WHERE (model, signal, segment_text, source_group) = (%s, %s, %s, %s)", wanted
    ).fetchone()
    if row is not None:
        return StoredSeries(int(row[0]), wanted)
    there: list[str] = []
    for place, (column, words) in enumerate(
        (("model", "model"), ("signal", "signal"), ("source_group", "label source"), ("segment_text", "segment"))
    ):
        asked = str(getattr(wanted, column))
        known = _known(connection, wanted, ("model", "signal", "source_group")[:place], column)
        if asked not in known:
            within = f" of {' '.join(each or 'the primary sources' for each in there)}" if there else ""
            raise BadInput(_unknown(words, asked, within, known), "unknown_series")
        there.append(asked)
    raise BadInput(f"no series of model {wanted.model}", "unknown_series")


def find_model(connection: Connection, model: str) -> None:
    """Raises BadInput that lists the models when there is none of this name."""
    known = _known(connection, SeriesName(model, "", ""), (), "model")
    if model not in known:
        raise BadInput(_unknown("model", model, "", known), "unknown_series")


def _known(connection: Connection, wanted: SeriesName, fixed: tuple[str, ...], column: str) -> list[str]:
    where = " AND ".join(["TRUE", *(f"{name} = %s" for name in fixed)])
    rows = connection.execute(
        f"SELECT DISTINCT {column} FROM series WHERE {where} ORDER BY 1".encode(),
        [getattr(wanted, name) for name in fixed],
    ).fetchall()
    return [str(value) for (value,) in rows]


def _unknown(words: str, asked: str, within: str, known: list[str]) -> str:
    if not known:
        return f"no {words} {asked or '(none)'}: nothing has been joined yet"
    close = get_close_matches(asked, known, n=1)
    meant = f"; did you mean {close[0]}?" if close else ""
    shown = ", ".join(each or "(primary)" for each in known[:SHOWN])
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return f"no {words} {asked or '(primary)'}{within}{meant} There is: {shown}{more}"


def known_since(connection: Connection) -> datetime | None:
    """The earliest instant of which the state as it was known then can be told; None: every one."""
    row = connection.execute("SELECT folded_at FROM upkeep").fetchone()
    return row[0] if row else None

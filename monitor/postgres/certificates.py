"""Deployed certificates: put in force, watched, taken out of force, listed; never deleted."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import msgspec
import numpy as np
from psycopg.rows import class_row

from monitor.calibration.cells import Int64Array
from monitor.calibration.certificates import Certificate, Side
from monitor.calibration.sketch import merge
from monitor.calibration.watch import Standing, Tally, standing, tally
from monitor.errors import BadInput
from monitor.postgres.arrays import TextArray
from monitor.postgres.audit import note
from monitor.postgres.database import Connection
from monitor.postgres.panes import span_sums
from monitor.rolling.panes import Span, day_of, hour_after, hour_of, start_of
from monitor.rolling.segments import SeriesName, parse_segment
from monitor.rolling.stacks import sketches

DAYS_AT_ONCE: Final = 31
"""Of one certificate, in one transaction: after a long outage the rest waits for the next."""

COLUMNS: Final = """id, model, signal, segment_text, also, parts, side, target, delta, threshold, n, accuracy, bound,
    coverage, deployed_at, deployed_by, retired_at, retired_by, watched_to, seen_n, seen_accuracy, seen_bound,
    shortfall, worst_from, worst_n, worst_accuracy"""
LISTED: Final = f"""
SELECT {COLUMNS} FROM certificate
WHERE (%(model)s::text IS NULL OR model = %(model)s) AND (%(all)s OR retired_at IS NULL)
ORDER BY retired_at IS NOT NULL, id DESC LIMIT %(limit)s
"""
DUE: Final = f"SELECT {COLUMNS} FROM certificate WHERE retired_at IS NULL AND watched_to < %(until)s ORDER BY id"
REPLACED: Final = """
UPDATE certificate SET retired_at = %(deployed_at)s, retired_by = %(deployed_by)s
WHERE (model, signal, segment_text, also, side, target)
    = (%(model)s, %(signal)s, %(segment_text)s, %(also)s, %(side)s, %(target)s) AND retired_at IS NULL RETURNING id
"""
DEPLOYED: Final = """
INSERT INTO certificate (model, signal, segment_text, also, parts, side, target, delta, threshold, n, accuracy, bound,
    coverage, deployed_at, deployed_by, watched_to, seen_n, seen_bound, shortfall)
VALUES (%(model)s, %(signal)s, %(segment_text)s, %(also)s, %(parts)s, %(side)s, %(target)s, %(delta)s, %(threshold)s,
    %(n)s, %(accuracy)s, %(bound)s, %(coverage)s, %(deployed_at)s, %(deployed_by)s, %(watched_to)s, 0, %(seen_bound)s,
    %(shortfall)s)
RETURNING id
"""
COUNTED: Final = """
INSERT INTO certificate_day AS d (certificate, day, n, "right", weight, square)
VALUES (%(certificate)s, %(day)s, %(n)s, %(right)s, %(weight)s, %(square)s)
ON CONFLICT (certificate, day) DO UPDATE SET n = d.n + EXCLUDED.n, "right" = d.right + EXCLUDED.right,
    weight = d.weight + EXCLUDED.weight, square = d.square + EXCLUDED.square
"""
JUDGED: Final = """
UPDATE certificate SET watched_to = %(watched_to)s, seen_n = %(seen_n)s, seen_accuracy = %(seen_accuracy)s,
    seen_bound = %(seen_bound)s, shortfall = %(shortfall)s, worst_from = %(worst_from)s, worst_n = %(worst_n)s,
    worst_accuracy = %(worst_accuracy)s
WHERE id = %(id)s
"""


@dataclass(frozen=True, slots=True)
class Deployed:
    """A certificate in force, or one that was, and how its promise stands."""

    id: int
    model: str
    signal: str
    segment_text: str
    also: list[str]
    parts: list[str]
    side: Side
    target: float
    delta: float
    threshold: float
    n: int
    accuracy: float
    bound: float
    coverage: float | None
    deployed_at: datetime
    deployed_by: str
    retired_at: datetime | None
    retired_by: str | None
    watched_to: datetime
    seen_n: int
    seen_accuracy: float | None
    seen_bound: float | None
    shortfall: float | None
    worst_from: datetime | None
    worst_n: int | None
    worst_accuracy: float | None

    @property
    def segment(self) -> dict[str, str]:
        """The segment as {dimension: value}."""
        return parse_segment(self.segment_text)

    @property
    def verdict(self) -> str:
        """How the promise stands, in a word or two."""
        if self.shortfall is None:
            return "cannot tell"
        if self.shortfall > 0:
            return "broken"
        return "not broken" if self.seen_n else "no labels yet"


def deployed(
    connection: Connection, model: str | None = None, *, past: bool = False, limit: int = 1_000
) -> list[Deployed]:
    """Certificates in force, newest first; with `past` those that were retired after them."""
    with connection.cursor(row_factory=class_row(Deployed)) as cursor:
        return cursor.execute(LISTED, {"model": model, "all": past, "limit": limit}).fetchall()


def deploy(
    connection: Connection, name: SeriesName, found: Certificate, *, parts: Iterable[str], also: Iterable[str] = (),
    by: str, now: datetime,
) -> int:  # fmt: skip
    """Put a certificate in force, in place of the one with this promise that is; returns its number.

    Raises BadInput where nothing was certified. Predictions count from the first full hour after `now` on.
    """
    if found.threshold is None:
        raise BadInput(f"nothing to deploy: {found.reason}", "deploy")
    begin = standing([], found.target, found.side)
    given = {
        "model": name.model,
        "signal": name.signal,
        "segment_text": name.segment,
        "also": TextArray(sorted(also)),
        "parts": TextArray(sorted(parts)),
        "side": found.side,
        "target": found.target,
        "delta": found.delta,
        "threshold": found.threshold,
        "n": found.n,
        "accuracy": found.accuracy,
        "bound": found.bound,
        "coverage": found.coverage,
        "deployed_at": now,
        "deployed_by": by,
        "watched_to": start_of(hour_after(now)),
        "seen_bound": begin.bound,
        "shortfall": begin.shortfall,
    }
    with connection.transaction():
        connection.execute("LOCK TABLE certificate IN SHARE ROW EXCLUSIVE MODE")
        replaced = [int(row[0]) for row in connection.execute(REPLACED, given)]
        row = connection.execute(DEPLOYED, given).fetchone()
        if row is None:
            raise BadInput("the certificate was not stored")
        made = int(row[0])
        named = {"model": name.model, "signal": name.signal, "segment": name.segment}
        promise = {"target": found.target, "threshold": found.threshold, "side": found.side}
        note(connection, by, "certificate deploy", {"certificate": made, "replaces": replaced, **named, **promise})
    return made


def retire(connection: Connection, certificate: int, *, by: str, now: datetime) -> None:
    """Take a certificate out of force. Raises BadInput where none of that number is."""
    with connection.transaction():
        done = connection.execute(
            "UPDATE certificate SET retired_at = %s, retired_by = %s WHERE id = %s AND retired_at IS NULL",
            (now, by, certificate),
        ).rowcount
        if not done:
            raise BadInput(f"no certificate {certificate} is in force: see `caldrift thresholds --deployed`", "retire")
        note(connection, by, "certificate retire", {"certificate": certificate})


def shortfalls(connection: Connection) -> dict[str, float | None]:
    """By model the largest shortfall of its certificates in force; None where nothing can be told of any."""
    rows = connection.execute(
        "SELECT model, max(shortfall) FROM certificate WHERE retired_at IS NULL GROUP BY model"
    ).fetchall()
    return {str(model): None if value is None else float(value) for model, value in rows}


def watch(connection: Connection, now: datetime, maturity: timedelta) -> list[tuple[Deployed, Deployed]]:
    """Count what has become mature for the certificates in force, once, and weigh their promises anew.

    In the caller's transaction. Returns those that were looked at, as they stood before and as they stand now.
    """
    until = hour_of(now - maturity)
    with connection.cursor(row_factory=class_row(Deployed)) as cursor:
        due = cursor.execute(DUE, {"until": start_of(until)}).fetchall()
    found = []
    for each in due:
        reached = _count(connection, each, until)
        days, tallies = _counted(connection, each.id)
        after = _after(each, reached, days, standing(tallies, each.target, each.side))
        connection.execute(JUDGED, {name: getattr(after, name) for name in Deployed.__slots__})
        found.append((each, after))
    return found


def _count(connection: Connection, each: Deployed, until: int) -> datetime:
    """Add the panes of some days; returns up to where."""
    series = _series(connection, each)
    reached = hour_of(each.watched_to)
    for span in _days(Span(reached, until)):
        total = merge(*(sketch for _, sketch in sketches(span_sums(connection, series, span).stack)))
        found = tally(total, each.threshold, each.side)
        if found.n:
            day = start_of(day_of(span.start_hour).start_hour)
            values = {name: getattr(found, name) for name in Tally.__slots__}
            connection.execute(COUNTED, {"certificate": each.id, "day": day, **values})
        reached = span.end_hour
    return start_of(reached)


def _series(connection: Connection, each: Deployed) -> Int64Array:
    rows = connection.execute(
        "SELECT id FROM series WHERE (model, signal, source_group) = (%s, %s, '') AND segment_text = ANY(%s)",
        (each.model, each.signal, TextArray(each.parts)),
    ).fetchall()
    return np.array([number for (number,) in rows], np.int64)


def _days(span: Span) -> Iterator[Span]:
    """The span by UTC days, the first of them."""
    start = span.start_hour
    for _ in range(DAYS_AT_ONCE):
        if start >= span.end_hour:
            return
        end = min(day_of(start).end_hour, span.end_hour)
        yield Span(start, end)
        start = end


def _counted(connection: Connection, certificate: int) -> tuple[list[datetime], list[Tally]]:
    rows = connection.execute(
        'SELECT day, n, "right", weight, square FROM certificate_day WHERE certificate = %s ORDER BY day',
        (certificate,),
    ).fetchall()
    return [row[0] for row in rows], [Tally(*row[1:]) for row in rows]


def _after(each: Deployed, reached: datetime, days: list[datetime], found: Standing) -> Deployed:
    return replace(
        each,
        watched_to=reached,
        seen_n=found.n,
        seen_accuracy=found.accuracy,
        seen_bound=found.bound,
        shortfall=found.shortfall,
        worst_from=None if found.worst_from is None else days[found.worst_from],
        worst_n=found.worst_n,
        worst_accuracy=found.worst_accuracy,
    )


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A deployed certificate as JSON has it."""

    id: int
    model: str
    signal: str
    segment: dict[str, str]
    also: list[str]
    side: Side
    target: float
    delta: float
    threshold: float
    n: int
    accuracy: float
    bound: float
    coverage: float | None
    deployed_at: datetime
    deployed_by: str
    retired_at: datetime | None
    retired_by: str | None
    watched_to: datetime
    verdict: str
    seen_n: int
    seen_accuracy: float | None
    seen_bound: float | None
    shortfall: float | None
    worst_from: datetime | None
    worst_n: int | None
    worst_accuracy: float | None


def document(each: Deployed) -> Document:
    """As JSON has it."""
    return msgspec.convert(each, Document, from_attributes=True)

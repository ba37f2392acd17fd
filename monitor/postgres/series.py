"""Series: their rows, and which of them a stored segment set feeds."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from monitor.errors import Refused
from monitor.postgres.arrays import Int4Array, JsonbArray, TextArray
from monitor.postgres.database import Connection
from monitor.rolling.fanout import Route, route_names
from monitor.rolling.segments import SegmentKey, SeriesName, parse_key


@dataclass(frozen=True, slots=True)
class StoredSeries:
    """A series and its number."""

    id: int
    name: SeriesName


class Routes:
    """The directory of a leader: which series each route feeds. Drop it whole when a transaction fails."""

    __slots__ = ("_main_signal", "_sets", "_sources", "by_route")

    def __init__(self, main_signal: str) -> None:
        self.by_route: dict[Route, list[list[int]]] = {}
        self._main_signal = main_signal
        self._sets: dict[int, SegmentKey] = {}
        self._sources: dict[int, str] = {0: ""}

    def learn(self, connection: Connection, routes: Iterable[Route]) -> list[int]:
        """Look up the series of new routes, creating those that are missing; returns the created ones."""
        new = [route for route in routes if route not in self.by_route]
        if not new:
            return []
        self._read_sets(connection, {segment_set for segment_set, _ in new} - self._sets.keys())
        self._read_sources(connection, {source for _, source in new} - self._sources.keys())
        names = {route: self._names(route) for route in new}
        every = {name for by_signal in names.values() for each in by_signal for name in each}
        ids, created = series_ids(connection, every)
        for route, by_signal in names.items():
            self.by_route[route] = [[ids[name] for name in each] for each in by_signal]
        return created

    def _names(self, route: Route) -> list[list[SeriesName]]:
        segment_set, source = route
        return route_names(self._sets[segment_set], self._main_signal, self._sources[source])

    def _read_sets(self, connection: Connection, ids: set[int]) -> None:
        rows = connection.execute("SELECT id, key FROM segment_set WHERE id = ANY(%s)", (list(ids),)).fetchall()
        self._sets.update((number, parse_key(key)) for number, key in rows)
        if len(rows) < len(ids):
            raise Refused(f"deltas name segment sets that are not stored: {sorted(ids - self._sets.keys())[:5]}")

    def _read_sources(self, connection: Connection, ids: set[int]) -> None:
        rows = connection.execute("SELECT id, name FROM label_source WHERE id = ANY(%s)", (list(ids),)).fetchall()
        self._sources.update((number, name) for number, name in rows)
        if len(rows) < len(ids):
            raise Refused(f"deltas name label sources that are not stored: {sorted(ids - self._sources.keys())[:5]}")


def series_ids(connection: Connection, names: Iterable[SeriesName]) -> tuple[dict[SeriesName, int], list[int]]:
    """The number of each series, and the numbers that had to be made for it."""
    wanted = sorted(set(names))
    columns = {
        "model": TextArray([name.model for name in wanted]),
        "signal": TextArray([name.signal for name in wanted]),
        "segment": JsonbArray([name.segment for name in wanted]),
        "text": TextArray([name.segment for name in wanted]),
        "source": TextArray([name.source_group for name in wanted]),
    }
    created = connection.execute(
        """
        INSERT INTO series (model, signal, segment, segment_text, source_group)
        SELECT k.model, k.signal, k.segment, k.segment_text, k.source_group
        FROM unnest(%(model)s, %(signal)s, %(segment)s, %(text)s, %(source)s)
            AS k (model, signal, segment, segment_text, source_group)
        WHERE NOT EXISTS (
            SELECT FROM series AS s WHERE (s.model, s.signal, s.segment_text, s.source_group)
                = (k.model, k.signal, k.segment_text, k.source_group))
        ON CONFLICT DO NOTHING RETURNING id
        """,
        columns,
    ).fetchall()
    rows = connection.execute(
        """
        SELECT s.id, s.model, s.signal, s.segment_text, s.source_group
        FROM unnest(%(model)s, %(signal)s, %(text)s, %(source)s) AS k (model, signal, segment_text, source_group)
        JOIN series AS s USING (model, signal, segment_text, source_group)
        """,
        {key: value for key, value in columns.items() if key != "segment"},
    ).fetchall()
    return {SeriesName(*name): int(number) for number, *name in rows}, [int(number) for (number,) in created]


def read_series(connection: Connection, ids: Sequence[int] | None = None) -> list[StoredSeries]:
    """All series, or those with the given numbers, in order of their names."""
    given = None if ids is None else Int4Array(np.array(ids, np.int64))
    rows = connection.execute(
        """
        SELECT id, model, signal, segment_text, source_group FROM series
        WHERE %(ids)s::int[] IS NULL OR id = ANY(%(ids)s)
        ORDER BY model, signal, source_group, segment_text
        """,
        {"ids": given},
    ).fetchall()
    return [StoredSeries(int(number), SeriesName(*name)) for number, *name in rows]


def segment_of(name: SeriesName) -> dict[str, str]:
    """The segment of a series as {dimension: value}."""
    segment: dict[str, str] = json.loads(name.segment)
    return segment

"""Rolling windows as the leader keeps them: the sum of the panes that start within the window, for every series.

They change in the same transaction as the panes, so that a new leader goes on from them without reading panes again.
Their keys are `code(series, place of the window in the list of windows)`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from monitor.postgres.arrays import Int4Array, TextArray, TimestamptzArray
from monitor.postgres.database import Connection
from monitor.postgres.panes import HOUR_US, span_sums
from monitor.postgres.sketches import COLUMNS, REPLACED, SLICED, SLICED_AS, SLICES, read_stack, slices
from monitor.rolling.panes import Span
from monitor.rolling.stacks import (
    Ints,
    Stack,
    code,
    negative,
    no_sketches,
    numbers_of,
    pieces,
    plus,
    regrouped,
    series_of,
)
from monitor.rolling.windows import Move, plan

PIECE: Final = 250
"""Windows held in memory at a time."""

Held: TypeAlias = dict[int, Span]
"""The span of each window that is stored, by key: what the leader remembers of them."""

KEY: Final = "w.series::bigint << 32 | (array_position(%(names)s, w.window_name) - 1)"
HELD: Final = f"""
SELECT {KEY}, (extract(epoch FROM start_at) / 3600)::bigint, (extract(epoch FROM end_at) / 3600)::bigint
FROM window_sum AS w WHERE window_name = ANY(%(names)s)
"""
READ: Final = f"""
SELECT {KEY}, {COLUMNS}
FROM unnest(%(series)s, %(name)s) AS k (series, window_name) JOIN window_sum AS w USING (series, window_name)
"""
WRITE: Final = f"""
INSERT INTO window_sum (series, window_name, start_at, end_at, {COLUMNS})
SELECT k.series, k.window_name, k.start_at, k.end_at, {SLICES}
FROM unnest(%(series)s, %(name)s, %(start)s, %(end)s, {SLICED})
    AS k (series, window_name, start_at, end_at, {SLICED_AS})
ON CONFLICT (series, window_name) DO UPDATE SET start_at = EXCLUDED.start_at, end_at = EXCLUDED.end_at, {REPLACED}
"""
MOVE: Final = """
UPDATE window_sum AS w SET start_at = k.start_at, end_at = k.end_at
FROM unnest(%(series)s, %(name)s, %(start)s, %(end)s) AS k (series, window_name, start_at, end_at)
WHERE w.series = k.series AND w.window_name = k.window_name
"""
FIRST: Final = """
SELECT (extract(epoch FROM min(start_at)) / 3600)::bigint FROM window_sum WHERE start_at > '1970-01-01 00:00+00'
"""
FORGET: Final = "DELETE FROM window_sum WHERE window_name <> ALL(%(names)s)"


@dataclass(frozen=True, slots=True)
class Rolled:
    """What rolling or absorbing did: the windows whose sums changed, and what was read for it."""

    changed: Ints
    n_rows: int
    n_bytes: int


def held(connection: Connection, names: Sequence[str]) -> Held:
    """The spans of all stored windows of these names, by key. Windows of other names are forgotten."""
    connection.execute(FORGET, {"names": TextArray(names)})
    rows = connection.execute(HELD, {"names": TextArray(names)}).fetchall()
    return {key: Span(start, end) for key, start, end in rows}


def first_hours(connection: Connection) -> list[int]:
    """The earliest hour that some window still holds and will subtract, if there is any: hours from there on stay."""
    row = connection.execute(FIRST).fetchone()
    return [] if row is None or row[0] is None else [int(row[0])]


def read_windows(connection: Connection, names: Sequence[str], keys: Ints) -> Stack:
    """The sums of windows."""
    return read_stack(connection, READ, {"names": TextArray(names), **_places(names, keys)}).stack


def absorb(connection: Connection, names: Sequence[str], spans: Held, delta: Stack) -> Rolled:
    """Add changes of panes, keyed by `code(series, start hour of the pane)`, to the windows that hold those panes."""
    hours, series = numbers_of(delta.keys), series_of(delta.keys)
    change = no_sketches()
    for place in range(len(names)):
        keys = code(series, place)
        edges = np.array([_edges_of(spans.get(key)) for key in keys.tolist()], np.int64).reshape(-1, 2)
        inside = (hours >= edges[:, 0]) & (hours < edges[:, 1])
        if inside.any():
            change = plus(change, regrouped(delta, inside, keys))
    return _add(connection, names, spans, change)


def roll(connection: Connection, names: Sequence[str], spans: Held, targets: Mapping[int, Span]) -> Rolled:
    """Move windows to their target spans: read what enters and what leaves, write the sums, nothing else.

    A window that is not stored yet is summed afresh. The caller brings `spans` up to date once the transaction has
    been committed.
    """
    moves: dict[tuple[Span | None, Span], list[int]] = defaultdict(list)
    for key, target in targets.items():
        moves[spans.get(key), target].append(key)
    return together(
        _move(connection, names, plan(start, target), np.array(keys[first : first + PIECE], np.int64))
        for (start, target), keys in ((ends, sorted(keys)) for ends, keys in moves.items())
        for first in range(0, len(keys), PIECE)
    )


def together(each: Iterable[Rolled]) -> Rolled:
    """What several steps did."""
    steps = list(each)
    changed = np.unique(np.concatenate([step.changed for step in steps])) if steps else np.empty(0, np.int64)
    return Rolled(changed, sum(step.n_rows for step in steps), sum(step.n_bytes for step in steps))


def _move(connection: Connection, names: Sequence[str], move: Move, keys: Ints) -> Rolled:
    """Move windows that stand at one span to one target."""
    spans = dict.fromkeys(keys.tolist(), move.target)
    change, read = no_sketches(), []
    for panes, leaves in [(span, False) for span in move.entering] + [(span, True) for span in move.leaving]:
        found = span_sums(connection, np.unique(series_of(keys)), panes)
        read.append(Rolled(keys[:0], found.n_rows, found.n_bytes))
        for place in np.unique(numbers_of(keys)).tolist():
            there = code(series_of(found.stack.keys), place)
            moved = regrouped(found.stack, np.isin(there, keys), there)
            change = plus(change, negative(moved) if leaves else moved)
    if move.afresh:
        _write(connection, names, spans, plus(change, no_sketches(keys)))
        return together([*read, Rolled(keys, 0, 0)])
    still = keys[~np.isin(keys, change.keys)]
    if len(still):
        connection.execute(MOVE, {**_places(names, still), **_edges(spans, still)})
    return together([*read, _add(connection, names, spans, change)])


def _add(connection: Connection, names: Sequence[str], spans: Mapping[int, Span], change: Stack) -> Rolled:
    """Add a change to stored windows and give them their spans."""
    steps = []
    for piece in pieces(change, PIECE):
        read = read_stack(connection, READ, {"names": TextArray(names), **_places(names, piece.keys)})
        _write(connection, names, spans, plus(read.stack, piece))
        steps.append(Rolled(piece.keys, read.n_rows, read.n_bytes))
    return together(steps)


def _write(connection: Connection, names: Sequence[str], spans: Mapping[int, Span], stack: Stack) -> None:
    connection.execute(WRITE, {**_places(names, stack.keys), **_edges(spans, stack.keys), **slices(stack)})


def _places(names: Sequence[str], keys: Ints) -> dict[str, Int4Array | TextArray]:
    return {
        "series": Int4Array(series_of(keys)),
        "name": TextArray([names[place] for place in numbers_of(keys).tolist()]),
    }


def _edges(spans: Mapping[int, Span], keys: Ints) -> dict[str, TimestamptzArray]:
    edges = np.array([_edges_of(spans[key]) for key in keys.tolist()], np.int64).reshape(-1, 2)
    return {"start": TimestamptzArray(edges[:, 0] * HOUR_US), "end": TimestamptzArray(edges[:, 1] * HOUR_US)}


def _edges_of(span: Span | None) -> tuple[int, int]:
    return (span.start_hour, span.end_hour) if span else (0, 0)

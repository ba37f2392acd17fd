"""Numbers of segment sets and of label sources, committed before the batch that uses them.

They are given in a transaction of their own, one process at a time, in order: so numbers grow with the order of commit,
and a batch that is rolled back leaves at most a number that nobody uses.
"""

from collections.abc import Callable, Iterable
from typing import Final

import numpy as np

from monitor.postgres.arrays import BoolArray, JsonbArray, TextArray
from monitor.postgres.counts import add_counts
from monitor.postgres.database import Connection
from monitor.rolling.bound import SeriesBound
from monitor.rolling.claims import Derived, DerivedBySet, derived_signals
from monitor.rolling.rows import Int16s, Int32s
from monitor.rolling.segments import OTHER, SegmentKey, classes_of, key_text, parse_key, segment_text

_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('caldrift segment_set', 0))"
_ARRAY_SEPARATOR: Final = "\x1f"

MOST_SOURCES: Final = 1_000
"""Label sources with a number of their own; past it labels count under `__other__`."""
MOST_REMEMBERED: Final = 200_000
"""Keys kept in memory; where nearly every event has values of its own the memory starts again."""


class SegmentSets:
    """The numbers of segment keys, kept in memory. Drop it whole after a reconnect or a lost fence."""

    def __init__(self, bound: SeriesBound) -> None:
        """`bound` is empty; it learns what is stored."""
        self._bound = bound
        self._last = 0
        self._stored: dict[SegmentKey, int] = {}
        self._ids: dict[SegmentKey, int] = {}
        self._derived: dict[int, Derived] = {}

    def derived(self, connection: Connection, numbers: Int32s) -> DerivedBySet:
        """The derived signals of the stored keys that have some; knows every number asked for."""
        if len(numbers) and int(numbers.max()) > self._last:
            self._learn(connection)
        return self._derived

    def number(self, key: SegmentKey) -> int:
        """The number of a key that was in the last call of `resolve`."""
        return self._ids[key]

    def resolve(self, connection: Connection, keys: Iterable[SegmentKey]) -> int:
        """Give every key its number, and commit. Returns how many values had to be folded into `__other__`."""
        if len(self._ids) > MOST_REMEMBERED:
            self._ids.clear()
        new = sorted((key for key in set(keys) if key not in self._ids or classes_of(key)), key=key_text)
        if not new:
            return 0
        folded = 0
        with connection.transaction():
            connection.execute(_LOCK)
            self._learn(connection)
            stored_as: dict[SegmentKey, SegmentKey] = {}
            for key in new:
                if key in self._stored and not classes_of(key):  # with classes there may be a wider one by now
                    stored_as[key] = key
                else:
                    stored_as[key], changes = self._bound.admit(key)
                    folded += changes
            self._insert(connection, [key for key in dict.fromkeys(stored_as.values()) if key not in self._stored])
            if folded:
                add_counts(connection, {"folded_value": folded})
        self._ids.update((key, self._stored[stored]) for key, stored in stored_as.items())
        return folded

    def _learn(self, connection: Connection) -> None:
        rows = connection.execute("SELECT id, key FROM segment_set WHERE id > %s ORDER BY id", (self._last,)).fetchall()
        for number, text in rows:
            key = parse_key(text)
            self._know(key, int(number))
            self._bound.learn(key)

    def _know(self, key: SegmentKey, number: int) -> None:
        self._stored[key] = number
        self._derived.update(derived_signals([(number, key)]))
        self._last = max(self._last, number)

    def _insert(self, connection: Connection, keys: list[SegmentKey]) -> None:
        if not keys:
            return
        rows = connection.execute(
            """
            INSERT INTO segment_set (key, model, model_version, segments, signals)
            SELECT n.key, n.model, n.model_version, n.segments, string_to_array(n.signals, %s)
            FROM unnest(%s, %s, %s, %s, %s) WITH ORDINALITY AS n (key, model, model_version, segments, signals, place)
            ORDER BY n.place RETURNING id, key
            """,
            (
                _ARRAY_SEPARATOR,
                TextArray([key_text(key) for key in keys]),
                TextArray([key.model for key in keys]),
                TextArray([key.model_version for key in keys]),
                JsonbArray([segment_text(dict(key.dims)) for key in keys]),
                TextArray([_ARRAY_SEPARATOR.join(key.signals) for key in keys]),
            ),
        ).fetchall()
        numbers = {str(text): int(number) for number, text in rows}
        for key in keys:
            self._know(key, numbers[key_text(key)])


class LabelSources:
    """The numbers of label sources, kept in memory, and the group of each. Drop it whole after a reconnect."""

    def __init__(self, is_primary: Callable[[str], bool]) -> None:
        self._is_primary = is_primary
        self._ids: dict[str, int] = {}
        self._groups: Int16s = np.zeros(1, np.int16)

    def number(self, name: str) -> int:
        """The number of a source that has been resolved; past MOST_SOURCES that of `__other__`."""
        return self._ids[name] if name in self._ids else self._ids[OTHER]

    def groups(self, connection: Connection, *numbers: Int16s) -> Int16s:
        """By number of the source: 0 where it is primary, else its own number; knows every number asked for."""
        for each in numbers:
            if len(each) and (int(each.max()) >= len(self._groups) or (self._groups[each] < 0).any()):
                self._load(connection)
        return self._groups

    def knows(self, names: Iterable[str]) -> bool:
        """Whether `number` has an answer for each of the sources."""
        return self._full or self._ids.keys() >= set(names)

    @property
    def _full(self) -> bool:
        return len(self._ids) > MOST_SOURCES and OTHER in self._ids

    def resolve(self, connection: Connection, names: Iterable[str]) -> None:
        """Give every source its number, and commit. Whether a stored source is primary stays as it was stored."""
        new = sorted(set(names) - self._ids.keys())
        if not new or self._full:
            return
        with connection.transaction():
            connection.execute(_LOCK)
            self._load(connection)
            missing = [name for name in new if name not in self._ids]
            room = MOST_SOURCES - len(self._ids)
            if len(missing) > room:
                missing = [*missing[: max(room, 0)], OTHER]
            connection.execute(
                "INSERT INTO label_source (name, is_primary) SELECT * FROM unnest(%s, %s) ON CONFLICT DO NOTHING",
                (TextArray(missing), BoolArray(np.array([self._is_primary(name) for name in missing], np.bool_))),
            )
        self._load(connection)

    def _load(self, connection: Connection) -> None:
        rows = connection.execute("SELECT id, name, is_primary FROM label_source").fetchall()
        self._ids = {str(name): int(number) for number, name, _ in rows}
        self._groups = np.full(1 + max(self._ids.values(), default=0), -1, np.int16)
        self._groups[0] = 0
        for number, _, is_primary in rows:
            self._groups[number] = 0 if is_primary else number

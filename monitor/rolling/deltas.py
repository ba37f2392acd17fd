"""Deltas: what a batch of joined rows adds to the statistics, as signed integers by cell, to be added in any order."""

import json
import struct
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from monitor.calibration.cells import cell_index, delay_bucket, fixed
from monitor.calibration.sketch import DELAY_ROWS, ROWS, DelayRow, Row, contributions
from monitor.errors import BadInput
from monitor.events.messages import LabelKind
from monitor.rolling.claims import Claims, DerivedBySet, claims_of
from monitor.rolling.columns import Integers, Part, added_up, from_bytes, to_bytes
from monitor.rolling.rows import NO_LABEL, Floats, Int16s, Int32s, Int64s, JoinedRows, LabelColumns

HOUR_US: Final = 3_600_000_000
VERSION: Final = 2
"""Of the bodies that are written; those of version 1, which may still wait, are read too."""
EVERY_SIGNAL: Final = -1
"""In `Delta.delay_signal`: the delays hold for all signals of the segment set."""

_MAGIC: Final = b"cd"
_SIZES: Final = struct.Struct("<III")
_LEVEL: Final = 1
_LABEL_ROWS: Final = (Row.N, Row.C, Row.C2, Row.Y, Row.CY)
_CELL_KEYS: Final = 5
_DELAY_KEYS: Final = 5
_NO_DERIVED: Final[DerivedBySet] = {}


@dataclass(frozen=True, slots=True, eq=False)
class Delta:
    """Signed sums by (segment set, signal, source group, pane, cell), and label delays; no two rows have one key.

    Signal 0 is the main one, i the i-th extra signal of the segment set. Source 0 is the group of all primary sources,
    any other number one source that is not primary. Predictions are counted in source 0 alone. Rows ascend by key.
    """

    segment_set: Int32s
    """(m,)"""
    signal: Int16s
    source: Int16s
    pane_hour: Int64s
    """(m,) hours since the epoch, of prediction time."""
    cell: Int16s
    sums: Int64s
    """(12, m), rows as in `monitor.calibration.sketch.Row`."""
    delay_segment_set: Int32s
    """(d,)"""
    delay_signal: Int16s
    """(d,) the number of a signal, or EVERY_SIGNAL."""
    delay_source: Int16s
    delay_pane_hour: Int64s
    delay_bucket: Int16s
    delay_sums: Int64s
    """(3, d), rows as in `monitor.calibration.sketch.DelayRow`."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Counters that belong to the batch, by name."""

    def __len__(self) -> int:
        return len(self.cell)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Delta):
            return NotImplemented
        pairs = zip(_columns(self), _columns(other), strict=True)
        return dict(self.counts) == dict(other.counts) and all(np.array_equal(a, b) for a, b in pairs)

    def __hash__(self) -> int:
        return hash((len(self), len(self.delay_bucket)))


def nothing() -> Delta:
    """The delta that changes nothing."""
    return _gathered([], [], {})


def delta_of(rows: JoinedRows, groups: Int16s | None = None, derived: DerivedBySet = _NO_DERIVED) -> Delta:
    """What these rows add: +1 prediction where newly known, minus the replaced label, plus the new one.

    `groups` maps the id of a label source to its group, by index: 0 for a primary source, the id itself for any other;
    by default `source` holds the group itself. `derived` holds the derived signals of the segment sets that have some.
    A correction by another group moves the label from the old group to the new. Counts `label_incomparable`, those of
    replaced labels subtracted. Exact: the order of batches does not matter.
    """
    cells = _Cells(rows, claims_of(rows, derived))
    outcome = cells.claims.outcomes(rows, rows.label)
    counts = {"label_incomparable": cells.incomparable(rows.label, outcome)}
    group = _groups(rows.label, groups)
    parts = [cells.labelled(outcome, rows.label, group, 1)]
    if rows.new_predictions:
        parts.append(cells.predicted())
    delays = [cells.delays(outcome, rows.label, group, 1)]
    if rows.previous is not None:
        replaced = cells.claims.outcomes(rows, rows.previous)
        counts["label_incomparable"] -= cells.incomparable(rows.previous, replaced)
        old_group = _groups(rows.previous, groups)
        parts.append(cells.labelled(replaced, rows.previous, old_group, -1))
        delays.append(cells.delays(replaced, rows.previous, old_group, -1))
    return _gathered(parts, delays, counts)


def merge(*deltas: Delta) -> Delta:
    """The sum of deltas: associative, commutative, exact; `merge()` changes nothing."""
    counts: Counter[str] = Counter()
    for delta in deltas:
        counts.update(delta.counts)
    return _gathered([_cell_part(delta) for delta in deltas], [_delay_part(delta) for delta in deltas], counts)


def without_panes(delta: Delta) -> Delta:
    """The delta with all its panes as one, of hour 0. Its rows are not added up yet: `merge` does that."""
    return replace(
        delta,
        pane_hour=np.zeros_like(delta.pane_hour),
        delay_pane_hour=np.zeros_like(delta.delay_pane_hour),
    )


class _Cells:
    """The cells of every claim of the rows."""

    def __init__(self, rows: JoinedRows, claims: Claims) -> None:
        self.claims = claims
        self._rows = rows
        row = claims.row
        self.keys: list[Int64s] = [
            rows.segment_set[row].astype(np.int64),
            claims.signal,
            rows.predicted_us[row] // HOUR_US,
            cell_index(claims.confidence).astype(np.int64),
        ]
        # Where no outcome is derived all signals share that of the answer: one claim, the main one, counts for all.
        self._delayed = claims.is_derived[row] | (claims.signal == 0)
        self._delay_signal = np.where(claims.is_derived[row], claims.signal, EVERY_SIGNAL)

    def predicted(self) -> Part:
        """One prediction a cell, in the primary group."""
        segment_set, signal, pane, cell = self.keys
        zero = np.zeros(len(cell), np.int64)
        return (segment_set, signal, zero, pane, cell), {Row.N_PRED: zero + 1}

    def labelled(self, outcome: Floats, label: LabelColumns, group: Int16s, sign: int) -> Part:
        """What the labels with an outcome add, or with the sign -1 take away."""
        known = ~np.isnan(outcome)
        kept = slice(None) if known.all() else np.flatnonzero(known)
        row = self.claims.row[kept]
        sums = contributions(
            self.claims.confidence[kept],
            outcome[kept],
            predicted=np.zeros(len(row), np.bool_),
            propensity=None if label.propensity is None else label.propensity[row],
        )
        segment_set, signal, pane, cell = (column[kept] for column in self.keys)
        added = _LABEL_ROWS if label.propensity is None else range(Row.N, ROWS)
        return (segment_set, signal, group[row], pane, cell), {
            place: sums[place] if sign > 0 else -sums[place] for place in added
        }

    def delays(self, outcome: Floats, label: LabelColumns, group: Int16s, sign: int) -> Part:
        """What the delays of the labels with an outcome add, or with the sign -1 take away."""
        kept = np.flatnonzero(self._delayed & ~np.isnan(outcome))
        segment_set, _, pane, _ = (column[kept] for column in self.keys)
        row = self.claims.row[kept]
        bucket = delay_bucket(label.labelled_us[row] - self._rows.predicted_us[row])
        keys = (segment_set, self._delay_signal[kept], group[row], pane, bucket)
        return keys, {DelayRow.N: np.full(len(kept), sign, np.int64), DelayRow.Y: sign * fixed(outcome[kept])}

    def incomparable(self, label: LabelColumns, outcome: Floats) -> int:
        """How many labels say something that can be compared with no claim of their prediction."""
        speaks = (label.kind != NO_LABEL) & (label.kind != LabelKind.RETRACTION)
        speaks[self.claims.row[~np.isnan(outcome)]] = False
        return int(np.count_nonzero(speaks))


def _groups(label: LabelColumns, groups: Int16s | None) -> Int16s:
    return label.source if groups is None else groups[label.source]


def _gathered(cells: Sequence[Part], delays: Sequence[Part], counts: Mapping[str, int]) -> Delta:
    keys, sums = added_up(cells, _CELL_KEYS, ROWS)
    delay_keys, counted = added_up(delays, _DELAY_KEYS, DELAY_ROWS)
    return _delta(keys, sums, delay_keys, counted, {name: n for name, n in sorted(counts.items()) if n})


def _delta(
    keys: Sequence[Int64s], sums: Int64s, delay_keys: Sequence[Int64s], delay_sums: Int64s, counts: Mapping[str, int]
) -> Delta:
    segment_set, signal, source, pane, cell = keys
    delay_set, delay_signal, delay_source, delay_pane, bucket = delay_keys
    return Delta(
        segment_set.astype(np.int32),
        signal.astype(np.int16),
        source.astype(np.int16),
        pane,
        cell.astype(np.int16),
        sums,
        delay_set.astype(np.int32),
        delay_signal.astype(np.int16),
        delay_source.astype(np.int16),
        delay_pane,
        bucket.astype(np.int16),
        delay_sums,
        counts,
    )


def encode(delta: Delta) -> bytes:
    """The body of a delta, for one row a batch; equal deltas have equal bodies.

    The bytes `cd`, the version, then under zlib sizes, the counters in JSON and the columns (`to_bytes`). Version 1 has
    no `delay_signal` and of `delay_sums` the labels alone: they were counted for every signal, without their outcomes.
    """
    counts = json.dumps(dict(delta.counts), sort_keys=True, separators=(",", ":")).encode()
    sizes = _SIZES.pack(len(delta), len(delta.delay_bucket), len(counts))
    payload = b"".join([sizes, counts, *map(to_bytes, _columns(delta))])
    return b"".join([_MAGIC, bytes([VERSION]), zlib.compress(payload, _LEVEL)])


def decode(body: bytes) -> Delta:
    """The delta of a body. Raises BadInput on anything that `encode` did not write, a newer version included."""
    if body[:2] != _MAGIC or len(body) < 3:
        raise BadInput("the body of a delta must start with the bytes cd and its version", "undecodable")
    if not 1 <= body[2] <= VERSION:
        raise BadInput(f"the body of a delta must be of version 1 to {VERSION}, got {body[2]}", "undecodable")
    try:
        return _decoded(zlib.decompress(body[3:]), body[2])
    except (zlib.error, struct.error, ValueError, KeyError) as failure:
        raise BadInput(f"the body of a delta is damaged: {failure}", "undecodable") from failure


def _decoded(payload: bytes, version: int) -> Delta:
    size, delay_size, counts_size = _SIZES.unpack_from(payload)
    at = _SIZES.size + counts_size
    counts = json.loads(payload[_SIZES.size : at])
    columns: list[Int64s] = []
    delay_columns = _DELAY_KEYS + DELAY_ROWS if version > 1 else _DELAY_KEYS
    for length in (size,) * (_CELL_KEYS + ROWS) + (delay_size,) * delay_columns:
        column, at = from_bytes(payload, at, length)
        columns.append(column)
    if at != len(payload):
        raise ValueError("bytes are left over")
    cells, delays = columns[: _CELL_KEYS + ROWS], columns[_CELL_KEYS + ROWS :]
    if version == 1:
        segment_set, source, pane, bucket, n = delays
        every = np.full(delay_size, EVERY_SIGNAL, np.int64)
        delays = [segment_set, every, source, pane, bucket, n, np.zeros_like(n), np.abs(n)]
    sums = np.array(cells[_CELL_KEYS:]).reshape(ROWS, size)
    delay_sums = np.array(delays[_DELAY_KEYS:]).reshape(DELAY_ROWS, delay_size)
    return _delta(cells[:_CELL_KEYS], sums, delays[:_DELAY_KEYS], delay_sums, counts)


def _cell_part(delta: Delta) -> Part:
    return _cell_keys(delta), {row: column for row, column in enumerate(delta.sums) if column.any()}


def _delay_part(delta: Delta) -> Part:
    return _delay_keys(delta), {row: column for row, column in enumerate(delta.delay_sums) if column.any()}


def _cell_keys(delta: Delta) -> tuple[Integers, ...]:
    return delta.segment_set, delta.signal, delta.source, delta.pane_hour, delta.cell


def _delay_keys(delta: Delta) -> tuple[Integers, ...]:
    return delta.delay_segment_set, delta.delay_signal, delta.delay_source, delta.delay_pane_hour, delta.delay_bucket


def _columns(delta: Delta) -> list[Integers]:
    return [*_cell_keys(delta), *delta.sums, *_delay_keys(delta), *delta.delay_sums]

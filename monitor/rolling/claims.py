"""Claims: every confidence that a prediction holds, stated or derived, with the event that it speaks of.

A stated confidence speaks of the answer, the level of an interval of the truth lying inside, the probability of a class
of that class being the right one. Each is compared with its own event and never with another.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from monitor.events.messages import LabelKind
from monitor.rolling.outcomes import answers, inside, outcomes
from monitor.rolling.rows import Floats, Int64s, JoinedRows, LabelColumns
from monitor.rolling.segments import CLASS, INTERVAL, OTHER, TOP_LABEL, SegmentKey
from monitor.rolling.tables import ClassTables

Mask: TypeAlias = npt.NDArray[np.bool_]


class Derived(NamedTuple):
    """What a segment key says of its derived signals."""

    numbers: Mapping[str, int]
    """The number of each, by name."""
    level_is_confidence: bool
    has_classes: bool


DerivedBySet: TypeAlias = Mapping[int, Derived]
"""By the id of the segment set; sets whose key has no derived signals are absent."""


def derived_signals(keys: Iterable[tuple[int, SegmentKey]]) -> dict[int, Derived]:
    """The derived signals of segment sets by their ids."""
    return {
        number: Derived(
            {name: 1 + len(key.signals) + place for place, name in enumerate(key.derived)},
            key.level_is_confidence,
            any(name.startswith(CLASS) for name in key.derived),
        )
        for number, key in keys
        if key.derived is not None
    }


@dataclass(frozen=True, slots=True, eq=False)
class Claims:
    """The m claims of n joined rows: the stated ones, those of intervals, of the most probable classes, of classes."""

    row: Int64s
    """(m,) the place of the row."""
    signal: Int64s
    """(m,) the number of the signal."""
    confidence: Floats
    """(m,)"""
    parts: tuple[int, int, int]
    """How many claims are stated, of intervals, of most probable classes; the rest is of classes."""
    code: Int64s
    """The class that each of the claims behind those of intervals is about, by its code in the tables of the rows."""
    is_derived: Mask
    """(n,) which rows have a key with derived signals: there every claim has an outcome of its own."""
    level_is_confidence: Mask
    """(n,) in which of them the main signal is the level of the interval."""

    def outcomes(self, rows: JoinedRows, label: LabelColumns) -> Floats:
        """The outcome of each claim under a label, (m,) in 0..1; NaN where the label says nothing of its event.

        Stated: as `outcomes` says, but no VALUE; where the level of the interval is the confidence, the main signal is
        another name for it. Interval: VALUE, 1 where it lies inside; CORRECT where the level is the confidence and the
        interval the only answer. Most probable class: LABEL, 1 where it is that class; CORRECT where that class is the
        answer. Class: LABEL, 1 where it is that class. Rows whose key has no derived signals: as `outcomes` says.
        """
        of_answer = outcomes(rows, label)
        if not self.is_derived.any():
            return of_answer[self.row]
        value = label.kind == LabelKind.VALUE
        of_answer = np.where(value & self.is_derived, np.nan, of_answer)
        of_interval = np.where(value, inside(rows, label), np.nan)
        judged = np.flatnonzero((label.kind == LabelKind.CORRECT) & self.level_is_confidence)
        given = answers(rows) if len(judged) else None
        alone = judged if given is None else [row for row in judged.tolist() if given[row] is None]
        of_interval[alone] = label.number[alone]
        stated, intervals, _ = self.parts
        of_stated = self.row[:stated]
        is_level = self.level_is_confidence[of_stated] & (self.signal[:stated] == 0)
        return np.concatenate(
            [
                np.where(is_level, of_interval[of_stated], of_answer[of_stated]),
                of_interval[self.row[stated : stated + intervals]],
                self._of_classes(rows, label, self.row[stated + intervals :]),
            ]
        )

    def _of_classes(self, rows: JoinedRows, label: LabelColumns, row: Int64s) -> Floats:
        tables = rows.classes
        if tables is None:
            return np.zeros(0)
        kind = label.kind[row]
        outcome = np.full(len(row), np.nan)
        named = kind == LabelKind.LABEL
        if named.any():
            said = tables.codes(label.text or [None] * len(rows))
            outcome[named] = (self.code == said[row])[named]
        top = slice(self.parts[2])
        judged = kind[top] == LabelKind.CORRECT
        if judged.any():
            judged &= self._is_answer(rows, tables)[row[top]]
            outcome[top][judged] = label.number[row[top]][judged]
        return outcome

    @staticmethod
    def _is_answer(rows: JoinedRows, tables: ClassTables) -> Mask:
        """(n,) where the most probable class is the answer: where nothing was predicted, or just that class."""
        if rows.predicted is None:
            return np.ones(len(rows), np.bool_)
        silent = np.array([given is None for given in rows.predicted], np.bool_)
        is_answer: Mask = silent | (tables.codes(rows.predicted) == tables.top_code())
        return is_answer


def claims_of(rows: JoinedRows, derived: DerivedBySet) -> Claims:
    """The claims of joined rows, which derived ones there are as the stored segment keys say."""
    every = np.column_stack([rows.confidence, rows.signals]) if rows.signals.shape[1] else rows.confidence[:, None]
    row, signal = np.nonzero(~np.isnan(every))
    none = np.zeros(len(rows), np.bool_)
    if not derived:
        return Claims(row, signal, every[row, signal], (len(row), 0, 0), row[:0], none, none)
    sets, which = np.unique(rows.segment_set, return_inverse=True)
    found = [derived.get(number) for number in sets.tolist()]
    is_derived = np.array([each is not None for each in found])[which]
    stands_in = np.array([each is not None and each.level_is_confidence for each in found])[which]
    with_level, level = _intervals(rows, found, which)
    of_top, of_class = _tops(rows, found, which), _singles(rows, found, which)
    return Claims(
        np.concatenate([row, with_level, of_top.row, of_class.row]),
        np.concatenate([signal, level, of_top.signal, of_class.signal]),
        np.concatenate([every[row, signal], _levels(rows)[with_level], of_top.probability, of_class.probability]),
        (len(row), len(with_level), len(of_top.row)),
        np.concatenate([of_top.code, of_class.code]),
        is_derived,
        stands_in,
    )


def _levels(rows: JoinedRows) -> Floats:
    return np.full(len(rows), np.nan) if rows.interval is None else rows.interval[:, 2]


def _intervals(rows: JoinedRows, found: Sequence[Derived | None], which: Int64s) -> tuple[Int64s, Int64s]:
    """The rows whose interval is a signal, and its numbers."""
    number = np.array([0 if each is None else each.numbers.get(INTERVAL, 0) for each in found], np.int64)[which]
    there = np.flatnonzero((number > 0) & ~np.isnan(_levels(rows)))
    return there, number[there]


class _OfClasses(NamedTuple):
    """Claims that are about classes, each (m,)."""

    row: Int64s
    signal: Int64s
    code: Int64s
    probability: Floats


_OF_NONE: Final = _OfClasses(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))


def _tops(rows: JoinedRows, found: Sequence[Derived | None], which: Int64s) -> _OfClasses:
    """The claims of most probable classes."""
    tables = rows.classes
    if tables is None:
        return _OF_NONE
    number = np.array([0 if each is None else each.numbers.get(TOP_LABEL, 0) for each in found], np.int64)[which]
    row = np.flatnonzero((number > 0) & (tables.size > 0))
    top = tables.top[row]
    return _OfClasses(row, number[row], tables.code[top], tables.probability[top])


def _singles(rows: JoinedRows, found: Sequence[Derived | None], which: Int64s) -> _OfClasses:
    """The claims of single classes: where a class has no number of its own, under that of all others, if the key has
    one."""
    tables = rows.classes
    if tables is None or not any(each is not None and each.has_classes for each in found):
        return _OF_NONE
    row = np.repeat(np.arange(len(rows)), tables.size)
    distinct, place = np.unique(which[row] * len(tables.names) + tables.code, return_inverse=True)
    pairs = zip(*(each.tolist() for each in np.divmod(distinct, len(tables.names))), strict=True)
    number = np.array([_class_number(found[of_set], tables.names[code]) for of_set, code in pairs], np.int64)[place]
    there = np.flatnonzero(number)
    return _OfClasses(row[there], number[there], tables.code[there], tables.probability[there])


def _class_number(of_set: Derived | None, name: str) -> int:
    """0 where the class is left out."""
    if of_set is None or not of_set.has_classes:
        return 0
    return of_set.numbers.get(CLASS + name, of_set.numbers.get(CLASS + OTHER, 0))

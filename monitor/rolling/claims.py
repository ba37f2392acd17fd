"""Claims: every confidence that a prediction holds, stated or derived, with the event that it speaks of.

A stated confidence speaks of the answer, the level of an interval of the truth lying inside, the probability of a class
of that class being the right one. Each is compared with its own event and never with another.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from monitor.events.messages import LabelKind
from monitor.rolling.outcomes import answer, inside, most_probable, outcomes
from monitor.rolling.rows import Floats, Int64s, JoinedRows, LabelColumns
from monitor.rolling.segments import CLASS, INTERVAL, OTHER, TOP_LABEL, SegmentKey

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
    classes: tuple[str, ...]
    """The class that each of the claims behind those of intervals is about."""
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
        for row in np.flatnonzero((label.kind == LabelKind.CORRECT) & self.level_is_confidence).tolist():
            if answer(rows, row) is None:
                of_interval[row] = label.number[row]
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
        outcome = np.full(len(row), np.nan)
        kind, most_probable_ones = label.kind[row], self.parts[2]
        for place in np.flatnonzero(kind == LabelKind.LABEL).tolist():
            said = label.text[row[place]] if label.text is not None else None
            outcome[place] = float(self.classes[place] == (said or ""))
        for place in np.flatnonzero(kind[:most_probable_ones] == LabelKind.CORRECT).tolist():
            if answer(rows, int(row[place])) == self.classes[place]:
                outcome[place] = label.number[row[place]]
        return outcome


def claims_of(rows: JoinedRows, derived: DerivedBySet) -> Claims:
    """The claims of joined rows, which derived ones there are as the stored segment keys say."""
    every = np.column_stack([rows.confidence, rows.signals]) if rows.signals.shape[1] else rows.confidence[:, None]
    row, signal = np.nonzero(~np.isnan(every))
    none = np.zeros(len(rows), np.bool_)
    if not derived:
        return Claims(row, signal, every[row, signal], (len(row), 0, 0), (), none, none)
    sets, which = np.unique(rows.segment_set, return_inverse=True)
    found = [derived.get(number) for number in sets.tolist()]
    is_derived = np.array([each is not None for each in found])[which]
    stands_in = np.array([each is not None and each.level_is_confidence for each in found])[which]
    with_level, level = _intervals(rows, found, which)
    of_top, of_class = _classes(rows, found, which, np.flatnonzero(is_derived).tolist())
    more = [*of_top, *of_class]
    return Claims(
        np.concatenate([row, with_level, np.array([each.row for each in more], np.int64)]),
        np.concatenate([signal, level, np.array([each.signal for each in more], np.int64)]),
        np.concatenate(
            [every[row, signal], _levels(rows)[with_level], np.array([each.probability for each in more], np.float64)]
        ),
        (len(row), len(with_level), len(of_top)),
        tuple(each.name for each in more),
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


class _OfClass(NamedTuple):
    row: int
    signal: int
    name: str
    probability: float


def _classes(
    rows: JoinedRows, found: Sequence[Derived | None], which: Int64s, places: Sequence[int]
) -> tuple[list[_OfClass], list[_OfClass]]:
    """The claims of most probable classes, and those of single ones: where a class has no number of its own, the number
    of all others, if the key has one."""
    top: list[_OfClass] = []
    single: list[_OfClass] = []
    tables = rows.probabilities or ()
    for row in places if tables else ():
        table, of_set = tables[row], found[which[row]]
        if not table or of_set is None:
            continue
        if TOP_LABEL in of_set.numbers:
            name = most_probable(table)
            top.append(_OfClass(row, of_set.numbers[TOP_LABEL], name, table[name]))
        if of_set.has_classes:
            others = of_set.numbers.get(CLASS + OTHER)
            for name, probability in table.items():
                number = of_set.numbers.get(CLASS + name, others)
                if number is not None:
                    single.append(_OfClass(row, number, name, probability))
    return top, single

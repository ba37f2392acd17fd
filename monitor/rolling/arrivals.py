"""Arrivals: everything that came, as columns in order of arrival, and which of it wins."""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from monitor.events.identity import Ids
from monitor.events.messages import LabelKind
from monitor.rolling.batches import LabelBatch, PredictionColumns
from monitor.rolling.rows import NO_LABEL, Floats, Int32s, Int64s, JoinedRows, LabelColumns
from monitor.rolling.segments import OTHER
from monitor.rolling.tables import class_tables

NONE: Final = -1
"""The place of nothing."""

MAX_SOURCES: Final = 1000
"""Most label sources that are not primary and have series of their own; those past it share one, `__other__`."""

Value = TypeVar("Value")
Number = TypeVar("Number", bound=np.generic)
IsPrimary: TypeAlias = Callable[[str | None], bool]


class PredictionArrivals:
    """All predictions, in order of arrival."""

    def __init__(self, parts: Sequence[PredictionColumns], segment_sets: Sequence[Int32s]) -> None:
        lengths = [len(part) for part in parts]
        self.ids = _joined_ids([part.ids for part in parts])
        self.segment_set = np.concatenate([np.empty(0, np.int32), *segment_sets])
        self.predicted_us = np.concatenate([np.empty(0, np.int64), *(part.predicted_us for part in parts)])
        self.confidence = np.concatenate([np.empty(0), *(part.confidence for part in parts)])
        self.signals = _padded([part.signals for part in parts])
        self.predicted = _listed([part.predicted for part in parts], lengths)
        self.probabilities = _listed([part.probabilities for part in parts], lengths)
        self.interval = _floats([part.interval for part in parts], lengths, 3)

    def __len__(self) -> int:
        return len(self.confidence)

    def rows(self, kept: Int64s, label: LabelColumns) -> JoinedRows:
        """The rows at these places, with their labels."""
        return JoinedRows(
            new_predictions=True,
            segment_set=self.segment_set[kept],
            predicted_us=self.predicted_us[kept],
            confidence=self.confidence[kept],
            signals=self.signals[kept],
            label=label,
            predicted=_taken(self.predicted, kept),
            classes=None
            if self.probabilities is None
            else class_tables([self.probabilities[row] for row in kept.tolist()]),
            interval=None if self.interval is None else self.interval[kept],
        )

    def repeated(self, group: Int64s, first: Int64s, alike: Int64s) -> dict[str, int]:
        """How many predictions came again, and how many of those said something else than the first.

        `alike` has for each segment set the number of the first one that differs from it in classes at most.
        """
        again = np.flatnonzero(first[group] != np.arange(len(group)))
        before = first[group[again]]
        same = (
            (alike[self.segment_set[again]] == alike[self.segment_set[before]])
            & (self.predicted_us[again] == self.predicted_us[before])
            & (self.confidence[again] == self.confidence[before])
            & _equal_rows(self.signals, again, before)
            & (True if self.interval is None else _equal_rows(self.interval, again, before))
        )
        for values in (self.predicted, self.probabilities):
            if values is not None:
                pairs = zip(again.tolist(), before.tolist(), strict=True)
                same &= np.fromiter((values[one] == values[other] for one, other in pairs), np.bool_, len(again))
        n_same = int(np.count_nonzero(same))
        return {
            "predictions": len(group),
            "duplicate_prediction": n_same,
            "prediction_conflict": len(again) - n_same,
        }


class LabelArrivals:
    """All labels, in order of arrival."""

    def __init__(self, parts: Sequence[LabelBatch], is_primary: IsPrimary) -> None:
        lengths = [len(part) for part in parts]
        self.ids = _joined_ids([part.ids for part in parts])
        self.version = np.concatenate([np.empty(0, np.int64), *(part.version for part in parts)])
        self.labelled_us = np.concatenate([np.empty(0, np.int64), *(part.labelled_us for part in parts)])
        self.kind = np.concatenate([np.empty(0, np.int16), *(part.kind for part in parts)])
        self.number = np.concatenate([np.empty(0), *(part.number for part in parts)])
        self.text = _listed([part.text for part in parts], lengths)
        self.propensity = _floats([part.propensity for part in parts], lengths, None)
        given = _listed([part.source for part in parts], lengths) or [None] * sum(lengths)
        groups = _source_groups(given, is_primary)
        self.source = np.fromiter((groups[name][0] for name in given), np.int16, len(given))
        self.groups = {0: ""} | dict(groups.values())

    def columns(self, places: Int64s) -> LabelColumns:
        """The labels at these places, NO_LABEL where the place is -1."""
        return LabelColumns(
            kind=np.where(places == NONE, NO_LABEL, self._at(self.kind, places)).astype(np.int16),
            number=self._at(self.number, places),
            source=np.where(places == NONE, 0, self._at(self.source, places)).astype(np.int16),
            labelled_us=self._at(self.labelled_us, places),
            text=_taken(self.text, places),
            propensity=None if self.propensity is None else self._at(self.propensity, places),
        )

    def valid(self, places: Int64s) -> int:
        """How many of the labels at these places are there and no retraction."""
        return int(np.count_nonzero(self.kind[places[places != NONE]] != LabelKind.RETRACTION))

    @staticmethod
    def _at(column: npt.NDArray[Number], places: Int64s) -> npt.NDArray[Number]:
        return column[places] if len(column) else np.zeros(len(places), column.dtype)

    def winners(self, group: Int64s, n_groups: int) -> tuple[Int64s, dict[str, int]]:
        """The place of each group's greatest label, -1 for none; and what the labels did when they came."""
        rank = self._ranks()
        arrival = np.argsort(group, kind="stable")
        ordered, size = group[arrival], int(rank.max(initial=0)) + 1
        key = ordered * size + rank[arrival]
        greatest = np.maximum.accumulate(key)
        is_first = np.ones(len(key), np.bool_)
        is_first[1:] = ordered[1:] != ordered[:-1]
        before = np.concatenate([[NONE], greatest[:-1]]) if len(key) else key
        applied = is_first | (key > before)
        winner = np.full(n_groups, NONE, np.int64)
        winner[ordered[applied]] = arrival[applied]
        retracts = self.kind[arrival] == LabelKind.RETRACTION
        counts = {
            "labels": len(key),
            "correction": int(np.count_nonzero(applied & ~is_first)),
            "retraction": int(np.count_nonzero(applied & retracts)),
            "duplicate_label": int(np.count_nonzero(~applied & (key == before))),
            "stale_label": int(np.count_nonzero(~applied & (key < before))),
        }
        return winner, counts

    def replaced(self, group: Int64s, known_us: Int64s) -> tuple[Int64s, Int64s]:
        """The places of the labels that were the greatest of their group at some time, where each came to be known at
        `known_us`, and the place of the one that each replaced, -1 for none."""
        arrival = np.lexsort([np.arange(len(group)), known_us, group])
        ordered, rank = group[arrival], self._ranks()
        key = ordered * (int(rank.max(initial=0)) + 1) + rank[arrival]
        applied = np.ones(len(key), np.bool_)
        applied[1:] = (ordered[1:] != ordered[:-1]) | (key[1:] > np.maximum.accumulate(key)[:-1])
        taken, of = arrival[applied], ordered[applied]
        before = np.full(len(taken), NONE, np.int64)
        follows = np.flatnonzero(of[1:] == of[:-1]) + 1
        before[follows] = taken[follows - 1]
        return taken, before

    def _ranks(self) -> Int64s:
        """The place of each label in `label_order`, equal for equal ones."""
        columns: list[npt.NDArray[np.generic]] = [self.version, self.labelled_us, self.kind, self.number]
        if self.text is not None:
            texts = {text: place for place, text in enumerate(sorted({text or "" for text in self.text}))}
            columns.append(np.fromiter((texts[text or ""] for text in self.text), np.int64, len(self.text)))
        return dense(columns)


def dense(columns: Sequence[npt.NDArray[np.generic]]) -> Int64s:
    """0.. for each row by the order of the columns, the first deciding first; equal rows get equal numbers."""
    order = np.lexsort(columns[::-1])
    differs = np.zeros(len(order), np.bool_)
    for column in columns:
        differs[1:] |= column[order][1:] != column[order][:-1]
    numbers = np.empty(len(order), np.int64)
    numbers[order] = np.cumsum(differs)
    return numbers


def _joined_ids(parts: Sequence[Ids]) -> Ids:
    return np.frombuffer(b"".join(part.tobytes() for part in parts), "V16")


def _padded(parts: Sequence[Floats]) -> Floats:
    """The parts one below the other, each widened with NaN to the widest."""
    widest = max((part.shape[1] for part in parts), default=0)
    whole = np.full((sum(map(len, parts)), widest), np.nan)
    place = 0
    for part in parts:
        whole[place : place + len(part), : part.shape[1]] = part
        place += len(part)
    return whole


def _listed(parts: Sequence[Sequence[Value | None] | None], lengths: Sequence[int]) -> list[Value | None] | None:
    """All values in one list, None where no part has any."""
    if all(part is None for part in parts):
        return None
    whole: list[Value | None] = []
    for part, length in zip(parts, lengths, strict=True):
        whole.extend([None] * length if part is None else part)
    return whole


def _floats(parts: Sequence[Floats | None], lengths: Sequence[int], width: int | None) -> Floats | None:
    if all(part is None for part in parts):
        return None
    shapes = [(length,) if width is None else (length, width) for length in lengths]
    return np.concatenate(
        [np.full(shape, np.nan) if part is None else part for part, shape in zip(parts, shapes, strict=True)]
    )


def _taken(values: Sequence[Value | None] | None, places: Int64s) -> list[Value | None] | None:
    """The values at these places; None at -1."""
    if values is None:
        return None
    return [None if place < 0 else values[place] for place in places.tolist()]


def _equal_rows(table: Floats, one: Int64s, other: Int64s) -> npt.NDArray[np.bool_]:
    a, b = table[one], table[other]
    equal: npt.NDArray[np.bool_] = ((a == b) | (np.isnan(a) & np.isnan(b))).all(axis=1)
    return equal


def _source_groups(names: Sequence[str | None], is_primary: IsPrimary) -> dict[str | None, tuple[int, str]]:
    """The group of each source, as number and name: 0 and '' for the primary ones."""
    groups: dict[str | None, tuple[int, str]] = {}
    others = 0
    for name in dict.fromkeys(names):
        if name is None or is_primary(name):
            groups[name] = (0, "")
        elif others < MAX_SOURCES:
            others += 1
            groups[name] = (others, name)
        else:
            groups[name] = (MAX_SOURCES + 1, OTHER)
    return groups

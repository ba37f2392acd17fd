"""History: what became known in each hour of the clock, so that any past knowledge can be lived through again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from monitor.rolling.arrivals import NONE, LabelArrivals, PredictionArrivals
from monitor.rolling.claims import DerivedBySet, derived_signals
from monitor.rolling.deltas import HOUR_US, Delta, delta_of, merge
from monitor.rolling.fanout import Directory, Route, by_series, route_names
from monitor.rolling.rows import Int64s
from monitor.rolling.segments import SegmentKey, SeriesName
from monitor.rolling.stacks import Stack

CHUNK: Final = 100_000
"""Rows turned into a delta at once, to bound the memory that takes."""


class Known(NamedTuple):
    """What became known by a full hour, in hours since the epoch, and not by the one before: signed changes to panes,
    keyed by `code(series, pane hour)`."""

    hour: int
    changes: Stack


@dataclass(frozen=True, slots=True)
class Arrived:
    """All that came: `of_label` the group of each label, `first` the place of each group's prediction, -1 for none."""

    predictions: PredictionArrivals
    labels: LabelArrivals
    of_label: Int64s
    first: Int64s


@dataclass(frozen=True, slots=True)
class _Applied:
    """Labels that took effect, by place, with the places of their predictions and of the labels that they replaced."""

    label: Int64s
    prediction: Int64s
    before: Int64s
    known_us: Int64s


@dataclass(frozen=True, slots=True)
class History:
    """Every series that there is, by number, and what became known of them."""

    series: Mapping[int, SeriesName]
    _arrived: Arrived
    _predicted: Int64s
    _applied: _Applied
    _directory: Directory
    _derived: DerivedBySet

    def hours(self) -> Iterator[Known]:
        """What became known in each hour in which anything did, ascending."""
        predicted = self._arrived.predictions.predicted_us[self._predicted]
        new, labelled = _by_hour(predicted), _by_hour(self._applied.known_us)
        for hour in sorted(new.keys() | labelled.keys()):
            parts = [*self._new(new.get(hour, ())), *self._labelled(labelled.get(hour, ()))]
            yield Known(hour, by_series(merge(*parts), self._directory))

    @property
    def hours_between(self) -> tuple[int, int] | None:
        """The first and the last hour by which something became known; None without anything."""
        known = np.concatenate([self._arrived.predictions.predicted_us[self._predicted], self._applied.known_us])
        return None if not len(known) else (_hour(int(known.min())), _hour(int(known.max())))

    def _new(self, rows: Sequence[int] | Int64s) -> Iterator[Delta]:
        """Predictions, without their labels."""
        for some in _chunks(rows):
            kept = self._predicted[some]
            nothing = self._arrived.labels.columns(np.full(len(kept), NONE, np.int64))
            yield delta_of(self._arrived.predictions.rows(kept, nothing), derived=self._derived)

    def _labelled(self, rows: Sequence[int] | Int64s) -> Iterator[Delta]:
        """Labels in place of those before them."""
        for some in _chunks(rows):
            applied, labels = self._applied, self._arrived.labels
            joined = self._arrived.predictions.rows(applied.prediction[some], labels.columns(applied.label[some]))
            before = labels.columns(applied.before[some])
            yield delta_of(joined.relabelled(before), derived=self._derived)


def history_of(arrived: Arrived, keys: Sequence[SegmentKey], main_signal: str) -> History:
    """The history of what came; `keys` by the number of the segment set."""
    applied = _applied(arrived)
    predicted = np.sort(arrived.first[arrived.first != NONE])
    sets, groups = arrived.predictions.segment_set, arrived.labels
    found = {(number, 0) for number in np.unique(sets[predicted]).tolist()}
    sources = groups.source[applied.label].astype(np.int64)
    found |= set(zip(sets[applied.prediction].tolist(), sources.tolist(), strict=True))
    named = {
        (number, group): route_names(keys[number], main_signal, groups.groups[group]) for number, group in sorted(found)
    }
    series = {name: None for by_signal in named.values() for each in by_signal for name in each}
    number_of = {name: number for number, name in enumerate(sorted(series))}
    directory: dict[Route, list[list[int]]] = {
        route: [[number_of[name] for name in each] for each in by_signal] for route, by_signal in named.items()
    }
    by_number = {number: name for name, number in number_of.items()}
    return History(by_number, arrived, predicted, applied, directory, derived_signals(enumerate(keys)))


def _applied(arrived: Arrived) -> _Applied:
    prediction = arrived.first[arrived.of_label]
    met = np.flatnonzero(prediction != NONE)
    known_us = arrived.labels.labelled_us.copy()
    known_us[met] = np.maximum(known_us[met], arrived.predictions.predicted_us[prediction[met]])
    label, before = arrived.labels.replaced(arrived.of_label, known_us)
    kept = prediction[label] != NONE
    return _Applied(label[kept], prediction[label[kept]], before[kept], known_us[label[kept]])


def _hour(at_us: int) -> int:
    """The first full hour that is not before."""
    return -(-at_us // HOUR_US)


def _by_hour(known_us: Int64s) -> dict[int, Int64s]:
    """The places that became known by each hour, in order."""
    hours = -(-known_us // HOUR_US)
    order = np.argsort(hours, kind="stable")
    names, starts = np.unique(hours[order], return_index=True)
    return dict(zip(names.tolist(), np.split(order, starts[1:]), strict=True)) if len(names) else {}


def _chunks(rows: Sequence[int] | Int64s) -> Iterator[Int64s]:
    for first in range(0, len(rows), CHUNK):
        yield np.asarray(rows[first : first + CHUNK], np.int64)

"""Whole files -> one sketch a series, or the history of all, by the service's own decoding, join and sums."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from monitor.events.messages import Label, Prediction
from monitor.events.rules import EventRules
from monitor.files.events import labels, prediction_fields, predictions
from monitor.files.formats import Source
from monitor.files.pairs import PairColumns, add_pairs
from monitor.files.rejections import Rejections
from monitor.files.rows import BadRow, Told
from monitor.files.slices import Slices
from monitor.rolling.arrivals import IsPrimary
from monitor.rolling.bound import SeriesBound
from monitor.rolling.history import History
from monitor.rolling.panes import EVERYTHING
from monitor.rolling.rendezvous import Joined, Rendezvous, WholeSeries, whole_series
from monitor.rolling.segments import SegmentScheme, SeriesName, segment_text, whole_first

InputCounts = dict[str, int | dict[str, int]]

Event = TypeVar("Event", Prediction, Label)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which series to give: slices beside everything; one model, or all."""

    slices: Slices
    model: str | None = None

    def takes(self, name: SeriesName) -> bool:
        """Whether a series is one of them."""
        dimensions = tuple(sorted(json.loads(name.segment)))
        return self.model in {None, name.model} and (not dimensions or dimensions in self.slices.crosses)


@dataclass(frozen=True, slots=True)
class Measured:
    """The series, in order of name, what the input held, and the latest time of any event."""

    series: Mapping[SeriesName, WholeSeries]
    input: InputCounts
    latest_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    """How events are read and grouped: the same values that the service's ingest uses."""

    rules: EventRules
    scheme: SegmentScheme
    bound: SeriesBound
    """Still empty."""
    is_primary: IsPrimary


def measure_events(
    files: tuple[Source, Source], reader: Reader, wanted: Wanted, now: datetime, *, told: Told, rejections: Rejections
) -> Measured:
    """Join a file of predictions with a file of labels. The order of rows decides only between equal ids."""
    meeting, latest = _met(files, reader, wanted.slices, now, told=told, rejections=rejections)
    joined = meeting.join()
    found = whole_series(joined, reader.rules.main_signal)
    return Measured(
        series={name: found[name] for name in sorted(found, key=whole_first) if wanted.takes(name)},
        input=_input(joined, rejections),
        latest_at=_EPOCH + timedelta(microseconds=latest) if latest else None,
    )


def read_history(
    files: tuple[Source, Source], reader: Reader, slices: Slices, now: datetime, *, told: Told, rejections: Rejections
) -> History:
    """What became known when, by the times in a file of predictions and in a file of labels."""
    meeting, _ = _met(files, reader, slices, now, told=told, rejections=rejections)
    return meeting.history()


def _met(
    files: tuple[Source, Source], reader: Reader, slices: Slices, now: datetime, *, told: Told, rejections: Rejections
) -> tuple[Rendezvous, int]:
    """All events of both files, and the latest time among them in microseconds."""
    rules, scheme = reader.rules, _with_crosses(reader.scheme, slices)
    meeting = Rendezvous(scheme, reader.bound, reader.is_primary, rules.id_scope)
    predicted, labelled = files
    latest = 0
    fields = prediction_fields(rules, scheme, slices.dimensions)
    for run in _kept(predicted, predictions(predicted, rules, fields, now, told), rejections):
        meeting.add_predictions(run)
        latest = max(latest, max((each.predicted_at for each in run), default=0))
    for labelled_run in _kept(labelled, labels(labelled, rules, now, told), rejections):
        meeting.add_labels(labelled_run)
        latest = max(latest, max((each.labelled_at for each in labelled_run), default=0))
    return meeting, latest


def _with_crosses(scheme: SegmentScheme, slices: Slices) -> SegmentScheme:
    """The scheme with the crosses that were asked for."""
    declared = {tuple(sorted(cross)) for cross in scheme.crosses}
    more = tuple(cross for cross in slices.crosses if len(cross) > 1 and cross not in declared)
    return replace(scheme, crosses=(*scheme.crosses, *more)) if more else scheme


def _kept(
    file: Source, runs: Iterator[tuple[list[Event], list[BadRow]]], rejections: Rejections
) -> Iterator[list[Event]]:
    for good, bad in runs:
        rejections.add(file.path, bad)
        yield good


def _input(joined: Joined, rejections: Rejections) -> InputCounts:
    counts = joined.counts
    return {
        "predictions": counts["predictions"],
        "labels": counts["labels"],
        "duplicates": counts["duplicate_prediction"] + counts["duplicate_label"],
        "conflicts": counts["prediction_conflict"],
        "corrections": counts["correction"],
        "outdated_labels": counts["stale_label"],
        "retractions": counts["retraction"],
        "orphan_labels": counts["orphan_label"],
        "incomparable_labels": counts["label_incomparable"],
        "folded_values": counts["folded_value"],
        "dead_letters": dict(sorted(rejections.counts.items())),
    }


def measure_pairs(
    file: Source, columns: PairColumns, wanted: Wanted, signal: str, *, told: Told, rejections: Rejections
) -> Measured:
    """Measure a file that holds confidence and outcome in one row."""
    sums = add_pairs(file, columns, told, lambda bad: rejections.add(file.path, bad), wanted.model)
    found = sums.sketches(columns, wanted.slices)
    named = {
        SeriesName(model, signal, segment_text(dict(segment))): WholeSeries(sketch, EVERYTHING)
        for (model, segment), sketch in found.items()
    }
    counts: InputCounts = {
        "predictions": sums.predictions,
        "labels": sums.labels,
        "duplicates": 0,
        "corrections": 0,
        "retractions": 0,
        "orphan_labels": 0,
        "dead_letters": dict(sorted(rejections.counts.items())),
    }
    return Measured({name: named[name] for name in sorted(named, key=whole_first)}, counts)


def unknown_slices(measured: Measured, slices: Slices) -> list[str]:
    """The slices that no event belongs to, as they were asked for."""
    known = {tuple(sorted(json.loads(name.segment))) for name in measured.series}
    return ["*".join(cross) for cross in slices.crosses if cross not in known]

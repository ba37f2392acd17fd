"""The join of files, in memory: the same winners, outcomes and counts as the rows of `pair` in Postgres.

The first prediction of an id wins, by order of arrival; the greatest label wins, by `label_order`. Columns are kept,
not objects: about 100 bytes a prediction and 60 a label, besides the texts they bear.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from monitor.calibration.sketch import Sketch
from monitor.events.identity import Ids
from monitor.events.messages import IdScope, Label, Prediction
from monitor.rolling.arrivals import NONE, IsPrimary, LabelArrivals, PredictionArrivals, dense
from monitor.rolling.batches import LabelBatch, PredictionColumns, label_batch, prediction_columns
from monitor.rolling.bound import SeriesBound
from monitor.rolling.claims import claims_of, derived_signals
from monitor.rolling.deltas import HOUR_US, Delta, delta_of, merge, nothing, without_panes
from monitor.rolling.fanout import by_series, route_names, routes
from monitor.rolling.history import Arrived, History, history_of
from monitor.rolling.panes import Span
from monitor.rolling.recall import Recall
from monitor.rolling.rows import Floats, Int32s, Int64s
from monitor.rolling.segments import SegmentKey, SegmentScheme, SeriesName, without_classes
from monitor.rolling.stacks import regrouped, series_of, sketches

CHUNK: Final = 100_000
"""Rows turned into a delta at once, to bound the memory that takes."""

_REMEMBERED: Final = 100_000


@dataclass(frozen=True, slots=True)
class Joined:
    """What a rendezvous came to."""

    delta: Delta
    keys: tuple[SegmentKey, ...]
    """By the id of the segment set."""
    groups: Mapping[int, str]
    """Names of the source groups that the delta holds; 0 is ''."""
    counts: Mapping[str, int]
    """predictions and labels as they came, pairs (retracted ones left out), duplicate_prediction, prediction_conflict,
    duplicate_label, stale_label, correction, retraction, orphan_label, folded_value, label_incomparable."""
    span_us: tuple[int, int] | None
    """First and last time of prediction, microseconds since the epoch; None without any."""
    spans: Mapping[int, Span]
    """The panes from the first prediction to the last, by the id of the segment set."""


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """Predictions with the outcome of their main signal, in order of arrival; arrays are (n,)."""

    ids: Ids
    confidence: Floats
    outcome: Floats
    """0..1."""
    segment_set: Int32s
    """The place in `keys` of the segments of each."""
    keys: tuple[SegmentKey, ...]


class Rendezvous:
    """Takes predictions and labels in any order of calls; `join` then gives the statistics of everything taken."""

    def __init__(
        self, scheme: SegmentScheme, bound: SeriesBound, is_primary: IsPrimary, id_scope: IdScope = "global"
    ) -> None:
        self._scheme, self._bound, self._is_primary, self._id_scope = scheme, bound, is_primary, id_scope
        self._keys: dict[SegmentKey, int] = {}
        self._recall = Recall(scheme, _REMEMBERED)
        self._folded = 0
        self._predictions: list[PredictionColumns] = []
        self._segment_sets: list[Int32s] = []
        self._labels: list[LabelBatch] = []

    def add_predictions(self, predictions: Sequence[Prediction]) -> None:
        """Take predictions, in their order of arrival."""
        if predictions:
            self._predictions.append(prediction_columns(predictions, self._id_scope))
            self._segment_sets.append(np.fromiter(map(self._segment_set, predictions), np.int32, len(predictions)))

    def add_labels(self, labels: Sequence[Label]) -> None:
        """Take labels, in their order of arrival."""
        if labels:
            self._labels.append(label_batch(labels, self._id_scope))

    def _segment_set(self, prediction: Prediction) -> int:
        raw = [self._scheme.raw_key(prediction)]
        while (number := self._recall.numbers(raw, [prediction])[0]) is None:
            (asked,) = self._recall.unknown(raw, [prediction]).values()
            key, folded = self._bound.admit(self._scheme.segment_key(asked))
            self._folded += folded
            self._recall.learn([(raw[0], asked, self._keys.setdefault(key, len(self._keys)))])
        return number

    def join(self, *, by_pane: bool = False) -> Joined:
        """The statistics of all that was taken, and what there was to count.

        Unless `by_pane`, all panes count as one, of hour 0: that is all a reading over everything needs.
        """
        met = self._met()
        predictions, labels, kept, label_of_row, counts = met.predictions, met.labels, met.kept, met.label, met.counts
        delta, derived = nothing(), derived_signals(enumerate(self._keys))
        for place in range(0, len(kept), CHUNK):
            some = slice(place, place + CHUNK)
            part = delta_of(predictions.rows(kept[some], labels.columns(label_of_row[some])), derived=derived)
            delta = merge(delta, part if by_pane else without_panes(part))
        counts["pairs"] = labels.valid(label_of_row)
        counts["folded_value"] = self._folded
        counts["label_incomparable"] = delta.counts.get("label_incomparable", 0)
        times = predictions.predicted_us[kept]
        span = (int(times.min()), int(times.max())) if len(times) else None
        spans = _spans(predictions.segment_set[kept], times // HOUR_US)
        return Joined(delta, tuple(self._keys), labels.groups, counts, span, spans)

    def answered(self) -> Answered:
        """The predictions of which it is known whether they were right, one by one, by labels of primary sources."""
        met, derived = self._met(), derived_signals(enumerate(self._keys))
        places, outcomes = [np.zeros(0, np.int64)], [np.zeros(0)]
        for place in range(0, len(met.kept), CHUNK):
            some = slice(place, place + CHUNK)
            rows = met.predictions.rows(met.kept[some], met.labels.columns(met.label[some]))
            claims = claims_of(rows, derived)
            main = np.flatnonzero(claims.signal[: claims.parts[0]] == 0)
            outcome = claims.outcomes(rows, rows.label)[main]
            known = ~np.isnan(outcome) & (rows.label.source[claims.row[main]] == 0)
            places.append(met.kept[some][claims.row[main][known]])
            outcomes.append(outcome[known])
        at = np.concatenate(places)
        of = met.predictions
        return Answered(of.ids[at], of.confidence[at], np.concatenate(outcomes), of.segment_set[at], tuple(self._keys))

    def history(self) -> History:
        """What became known when: a prediction at its own time, a label at its own, or with its prediction."""
        predictions, labels, _, of_label, first = self._arrived()
        return history_of(Arrived(predictions, labels, of_label, first), tuple(self._keys), self._scheme.main_signal)

    def _arrived(self) -> tuple[PredictionArrivals, LabelArrivals, Int64s, Int64s, Int64s]:
        """All that came, the number of the group that each prediction and each label is of, and the place of each
        group's first prediction, -1 for none."""
        predictions = PredictionArrivals(self._predictions, self._segment_sets)
        labels = LabelArrivals(self._labels, self._is_primary)
        group = _numbered(predictions.ids, labels.ids)
        of_prediction, of_label = group[: len(predictions)], group[len(predictions) :]
        return predictions, labels, of_prediction, of_label, _first(of_prediction, int(group.max(initial=NONE)) + 1)

    def _met(self) -> "_Met":
        predictions, labels, of_prediction, of_label, first = self._arrived()
        winner, counts = labels.winners(of_label, len(first))
        kept = np.sort(first[first != NONE])
        counts |= predictions.repeated(of_prediction, first, _alike(self._keys))
        counts["orphan_label"] = int(np.count_nonzero((winner != NONE) & (first == NONE)))
        return _Met(predictions, labels, kept, winner[of_prediction[kept]], counts)


@dataclass(frozen=True, slots=True, eq=False)
class _Met:
    """Who met whom."""

    predictions: PredictionArrivals
    labels: LabelArrivals
    kept: Int64s
    """The places of the predictions that count, ascending."""
    label: Int64s
    """The place of the label of each, -1 for none."""
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class WholeSeries:
    """One series over all time: its sums, and the panes from its first prediction to its last."""

    sketch: Sketch
    span: Span


def whole_series(joined: Joined, main_signal: str) -> dict[SeriesName, WholeSeries]:
    """Each series over all time."""
    named = {
        (number, group): route_names(joined.keys[number], main_signal, joined.groups[group])
        for number, group in sorted(routes(joined.delta))
    }
    spans: dict[SeriesName, list[Span]] = {}
    for (number, _), by_signal in named.items():
        for name in dict.fromkeys(name for each in by_signal for name in each):
            spans.setdefault(name, []).append(joined.spans[number])
    every = list(spans)
    ids = {name: number for number, name in enumerate(every)}
    stack = by_series(
        joined.delta,
        {route: [[ids[name] for name in each] for each in by_signal] for route, by_signal in named.items()},
    )
    whole = regrouped(stack, np.ones(len(stack), np.bool_), series_of(stack.keys))
    return {every[number]: WholeSeries(sketch, _around(spans[every[number]])) for number, sketch in sketches(whole)}


def series_sketches(joined: Joined, main_signal: str) -> dict[SeriesName, Sketch]:
    """The sketch of each series over all time."""
    return {name: whole.sketch for name, whole in whole_series(joined, main_signal).items()}


def _alike(keys: Iterable[SegmentKey]) -> Int64s:
    """For each key the place of the first one that differs from it in classes at most."""
    first: dict[SegmentKey, int] = {}
    return np.array([first.setdefault(without_classes(key), place) for place, key in enumerate(keys)], np.int64)


def _spans(segment_set: Int32s, hour: Int64s) -> dict[int, Span]:
    """First hour to last of each segment set."""
    if not len(hour):
        return {}
    first = np.full(int(segment_set.max()) + 1, hour.max())
    last = np.full(len(first), hour.min())
    np.minimum.at(first, segment_set, hour)
    np.maximum.at(last, segment_set, hour)
    return {number: Span(int(first[number]), int(last[number]) + 1) for number in np.unique(segment_set).tolist()}


def _around(spans: Sequence[Span]) -> Span:
    return Span(min(span.start_hour for span in spans), max(span.end_hour for span in spans))


def _numbered(*ids: Ids) -> Int64s:
    """A number for each id, equal for equal ones, 0.. without gaps."""
    halves = np.frombuffer(b"".join(each.tobytes() for each in ids), np.uint64).reshape(-1, 2)
    return dense([halves[:, 0], halves[:, 1]])


def _first(group: Int64s, n_groups: int) -> Int64s:
    """The place of each group's first row, -1 for none."""
    first = np.full(n_groups, NONE, np.int64)
    places = np.arange(len(group))
    first[group[::-1]] = places[::-1]
    return first

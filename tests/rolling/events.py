"""Small worlds of predictions and labels, a join of one row an id, and what the sums must be, in plain Python."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from hypothesis import strategies as st

from monitor.calibration.cells import cell_index
from monitor.events.messages import Interval, Label, LabelKind, Prediction, label_order
from monitor.rolling.batches import label_batch, prediction_columns
from monitor.rolling.deltas import EVERY_SIGNAL, Delta
from monitor.rolling.rows import NO_LABEL, Int16s, JoinedRows, LabelColumns
from monitor.rolling.tables import class_tables

SOURCES: Final = (None, "human", "judge", "complaint", "audit")
GROUPS: Final[Int16s] = np.array([0, 0, 0, 3, 4], np.int16)
"""The group of each source by number: complaints and audits have series of their own."""

IDS: Final = ("a", "b", "c", "d")
DAY_US: Final = 86_400_000_000

shares = st.sampled_from([0.0, 0.1, 0.3, 0.1 + 0.2, 0.5, 0.9, 1 - 1e-9, 1.0]) | st.floats(0, 1)


tables = st.sampled_from([{}, {"cat": 0.5, "dog": 0.5}, {"dog": 0.9, "cat": 0.1}, {"cow": 1 / 3}])


@st.composite
def _predictions(draw: st.DrawFn, name: str) -> Prediction:
    interval = draw(st.none() | st.sampled_from([Interval(0.0, 2.0, 0.9), Interval(-1.0, -1.0, 0.5)]))
    stands_in = interval is not None and draw(st.booleans())
    return Prediction(
        prediction_id=name,
        model=draw(st.sampled_from(["m", "n"])),
        predicted_at=draw(st.integers(0, 3 * DAY_US)),
        confidence=interval.level if interval is not None and stands_in else draw(shares),
        signals=draw(st.dictionaries(st.sampled_from(["x", "y", "interval"]), shares)),
        predicted=draw(st.none() | st.sampled_from(["cat", "dog"])),
        probabilities=draw(st.none() | tables),
        interval=interval,
        segments=draw(st.dictionaries(st.sampled_from(["lang", "tier"]), st.sampled_from(["u", "v"]))),
        level_is_confidence=stands_in,
    )


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Prediction], list[Label]]:
    """At most one prediction an id, and any labels."""
    predictions = [draw(_predictions(name)) for name in sorted(draw(st.sets(st.sampled_from(IDS))))]
    return predictions, draw(st.lists(labels, max_size=8))


@st.composite
def _labels(draw: st.DrawFn) -> Label:
    kind = draw(st.sampled_from(LabelKind))
    number = {LabelKind.CORRECT: st.sampled_from([0.0, 1.0, 1 / 3]), LabelKind.VALUE: st.sampled_from([-1.0, 0.0, 2.0])}
    return Label(
        prediction_id=draw(st.sampled_from(IDS)),
        labelled_at=draw(st.integers(0, 5 * DAY_US)),
        kind=kind,
        number=draw(number.get(kind, st.just(0.0))),
        text=draw(st.sampled_from(["", "cat", "dog"])) if kind is LabelKind.LABEL else "",
        version=draw(st.integers(0, 2)),
        source=draw(st.sampled_from(SOURCES)),
        propensity=draw(st.none() | st.sampled_from([1.0, 0.5, 1e-6, 0.3, 5e-324])),
    )


labels = _labels()


def consistent(found: Iterable[Label]) -> list[Label]:
    """The labels without those that have the key of an earlier one but another source or propensity: producers do not
    send such, and no order could decide between them."""
    kept: dict[tuple[object, ...], Label] = {}
    return [each for each in found if kept.setdefault((each.prediction_id, *label_order(each)), each) == each]


class Pairs:
    """The table `pair` as two upserts see it: the first prediction wins, the greatest label wins."""

    def __init__(self, segment_sets: dict[str, int]) -> None:
        self._segment_sets = segment_sets
        self._predictions: dict[str, Prediction] = {}
        self._labels: dict[str, Label] = {}

    def take_predictions(self, batch: Sequence[Prediction]) -> JoinedRows | None:
        """The rows that are newly known."""
        first = {each.prediction_id: each for each in reversed(batch)}
        new = [each for name, each in first.items() if name not in self._predictions]
        self._predictions.update((each.prediction_id, each) for each in new)
        return self._rows(new, [self._labels.get(each.prediction_id) for each in new], None) if new else None

    def take_labels(self, batch: Sequence[Label]) -> JoinedRows | None:
        """The rows whose label was applied, where the prediction is known."""
        best: dict[str, Label] = {}
        for each in batch:
            if each.prediction_id not in best or label_order(best[each.prediction_id]) < label_order(each):
                best[each.prediction_id] = each
        applied: list[tuple[Prediction, Label, Label | None]] = []
        for name, label in best.items():
            stored = self._labels.get(name)
            if stored is None or label_order(stored) < label_order(label):
                self._labels[name] = label
                if name in self._predictions:
                    applied.append((self._predictions[name], label, stored))
        if not applied:
            return None
        return self._rows(
            [one for one, _, _ in applied], [new for _, new, _ in applied], [old for _, _, old in applied]
        )

    def _rows(
        self, predictions: Sequence[Prediction], new: Sequence[Label | None], old: Sequence[Label | None] | None
    ) -> JoinedRows:
        columns = prediction_columns(predictions)
        return JoinedRows(
            new_predictions=old is None,
            segment_set=np.array([self._segment_sets[each.prediction_id] for each in predictions], np.int32),
            predicted_us=columns.predicted_us,
            confidence=columns.confidence,
            signals=columns.signals,
            label=label_columns(new),
            previous=None if old is None else label_columns(old),
            predicted=columns.predicted,
            classes=class_tables(columns.probabilities or ()),
            interval=columns.interval,
        )


def label_columns(found: Sequence[Label | None]) -> LabelColumns:
    """Labels as a join returns them."""
    blank = Label("none", 0, LabelKind.RETRACTION)
    batch = label_batch([each or blank for each in found])
    return LabelColumns(
        kind=np.where([each is None for each in found], NO_LABEL, batch.kind).astype(np.int16),
        number=batch.number,
        source=np.array([SOURCES.index(each.source) if each else 0 for each in found], np.int16),
        labelled_us=batch.labelled_us,
        text=batch.text,
        propensity=batch.propensity,
    )


Key = tuple[int, int, int, int, int]
Sums = tuple[dict[Key, list[int]], dict[Key, list[int]]]
"""Sums by (set, signal, group, pane, cell), and [labels, outcomes, 0] by (set, signal, group, pane, delay bucket)."""


def expected_sums(predictions: Sequence[Prediction], found: Sequence[Label], segment_sets: dict[str, int]) -> Sums:
    """What the events come to, one at a time."""
    sums: defaultdict[Key, list[int]] = defaultdict(lambda: [0] * 12)
    delays: defaultdict[Key, list[int]] = defaultdict(lambda: [0] * 3)
    for each in predictions:
        mine = [label for label in found if label.prediction_id == each.prediction_id]
        label = max(mine, key=label_order) if mine else None
        y = None if label is None else outcome(each, label)
        where, pane = segment_sets[each.prediction_id], each.predicted_at // 3_600_000_000
        group = 0 if label is None else int(GROUPS[SOURCES.index(label.source)])
        for signal, c in enumerate([each.confidence, *(each.signals[name] for name in sorted(each.signals))]):
            cell = int(cell_index([c])[0])
            sums[where, signal, 0, pane, cell][0] += 1
            if y is not None and label is not None:
                total = sums[where, signal, group, pane, cell]
                for row, n in enumerate(label_sums(c, y, label.propensity), start=1):
                    total[row] += n
        if y is not None and label is not None:
            delay = delays[where, EVERY_SIGNAL, group, pane, delay_bucket(label.labelled_at - each.predicted_at)]
            delay[0] += 1
            delay[1] += math.floor(y * 1e9 + 0.5)
    return dict(sums), dict(delays)


def label_sums(c: float, y: float, propensity: float | None) -> list[int]:
    """What a label adds: the rows of a sketch from n on."""

    def fixed(value: float, unit: float = 1e9) -> int:
        return math.floor(value * unit + 0.5)

    plain = [1, fixed(c), fixed(c * c), fixed(y), fixed(c * y)]
    w = 1.0 if propensity is None else min(1 / propensity, 1e4)
    first = [fixed((w - 1) * factor, 1e6) for factor in (1.0, y, c)]
    return plain + first + [fixed((w * w - 1) * factor, 1e3) for factor in (1.0, y, c)]


Claim = tuple[str, float, float | None]
"""The name of a signal, its confidence, and its outcome."""


def claims(prediction: Prediction, label: Label | None, *, classes: bool = False) -> list[Claim]:
    """Every signal that a prediction feeds once it is stored with its derived signals, with what each came to."""
    interval, table = prediction.interval, prediction.probabilities or {}
    kind = None if label is None else label.kind
    stated = None if label is None or kind is LabelKind.VALUE else outcome(prediction, label)
    inside = None
    if interval is not None and label is not None and kind is LabelKind.VALUE:
        inside = float(interval.low <= label.number <= interval.high)
    elif label is not None and kind is LabelKind.CORRECT and prediction.level_is_confidence:
        inside = label.number if prediction.predicted is None and not table else None
    main = inside if prediction.level_is_confidence else stated
    found: list[Claim] = [("confidence", prediction.confidence, main)]
    found += [(name, c, stated) for name, c in prediction.signals.items()]
    if interval is not None and "interval" not in prediction.signals:
        found.append(("interval", interval.level, inside))
    for name in table if classes else ():
        y = float(label.text == name) if label is not None and kind is LabelKind.LABEL else None
        found.append((f"class:{name}", table[name], y))
    if table:
        top = min(table, key=lambda name: (-table[name], name))
        y = float(label.text == top) if label is not None and kind is LabelKind.LABEL else None
        if label is not None and kind is LabelKind.CORRECT and prediction.predicted in {None, top}:
            y = label.number
        found.append(("top_label", table[top], y))
    return found


def outcome(prediction: Prediction, label: Label) -> float | None:
    """Was the answer right?"""
    match label.kind:
        case LabelKind.RETRACTION:
            return None
        case LabelKind.CORRECT:
            return label.number
        case LabelKind.VALUE:
            interval = prediction.interval
            return None if interval is None else float(interval.low <= label.number <= interval.high)
        case LabelKind.LABEL:
            classes = prediction.probabilities or {}
            best = min(classes, key=lambda name: (-classes[name], name)) if classes else None
            answer = best if prediction.predicted is None else prediction.predicted
            return None if answer is None else float(answer == label.text)


def delay_bucket(delay_us: int) -> int:
    """Bucket 0 below one second, then two an octave of seconds, 63 the last."""
    seconds = delay_us / 1e6
    if seconds < 1:
        return 0
    return min(1 + math.floor(2 * math.log2(seconds)), 63)


def as_dicts(delta: Delta) -> Sums:
    """A delta in the form of `expected_sums`."""
    keys = zip(
        delta.segment_set.tolist(), delta.signal.tolist(), delta.source.tolist(), delta.pane_hour.tolist(),
        delta.cell.tolist(), strict=True,
    )  # fmt: skip
    sums = dict(zip(keys, delta.sums.T.tolist(), strict=True))
    delay_keys = zip(
        delta.delay_segment_set.tolist(), delta.delay_signal.tolist(), delta.delay_source.tolist(),
        delta.delay_pane_hour.tolist(), delta.delay_bucket.tolist(), strict=True,
    )  # fmt: skip
    return sums, dict(zip(delay_keys, delta.delay_sums.T.tolist(), strict=True))

"""Applying a batch: its segment sets, its upserts, its delta and dead letters, in one transaction that happens once."""

import logging
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import numpy as np
import numpy.typing as npt
import psycopg

from monitor.errors import Refused, Unavailable
from monitor.events.checks import microseconds
from monitor.events.identity import Ids
from monitor.events.messages import IdScope, Label, Prediction
from monitor.postgres import joins, partitions
from monitor.postgres.database import Connection, is_conflict
from monitor.postgres.dead_letters import DeadLetter
from monitor.postgres.frozen import end_frozen
from monitor.postgres.joins import Joined, LabelRows, PredictionRows
from monitor.postgres.offsets import Reader
from monitor.postgres.partitions import IdRange
from monitor.postgres.segment_sets import MOST_REMEMBERED, LabelSources, SegmentSets
from monitor.rolling.batches import label_ids, prediction_ids
from monitor.rolling.bound import SeriesBound
from monitor.rolling.deltas import delta_of, encode, merge
from monitor.rolling.recall import Recall
from monitor.rolling.rows import NO_LABEL, Int16s, Int32s, JoinedRows
from monitor.rolling.segments import EVENT_FIELDS, SegmentScheme
from monitor.workers.batch import Batch, Chunk, dead_letter, located
from monitor.workers.staging import (
    Places,
    first_of_each,
    greatest_of_each,
    id_instants,
    label_rows,
    outside_range,
    prediction_rows,
)

log: Final = logging.getLogger("caldrift.ingest")

ATTEMPTS: Final = 10
"""Times that a batch is tried when it deadlocks or the retention floor moves under it. Waiting for a lock is none."""


_WHY: Final = {
    "expired": "the event is older than the retention floor {}",
    "id_out_of_range": "the id is no UUIDv7 or ULID of a time that the store holds; its floor is {}",
}


@dataclass(frozen=True, slots=True)
class JoinRules:
    """What applying depends on, besides what is stored."""

    reader: Reader
    scheme: SegmentScheme
    bound: Callable[[], SeriesBound]
    """Makes an empty bound, to be filled from what is stored."""
    is_primary: Callable[[str], bool]
    id_scope: IdScope = "global"


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a batch."""

    messages: int
    new_predictions: int
    applied_labels: int
    joined: int
    """Pairs that this batch completed."""
    dead_letters: int


@dataclass(frozen=True, slots=True, eq=False)
class Staged:
    """A batch as columns, judged by a retention floor."""

    floor_at: datetime
    letters: list[DeadLetter]
    predictions: Sequence[Prediction]
    labels: Sequence[Label]
    prediction_ids: Ids
    label_ids: Ids
    segment_sets: Int32s
    rows: PredictionRows
    tags: LabelRows
    every_prediction: Places | None
    """All predictions in order of their ids, where some repeat one."""
    every_label: Places | None


class _FloorMoved(Exception):  # noqa: N818 - it is news, not a mistake
    """The retention floor is not the one that the batch was judged by."""


class _NotKnown(Exception):  # noqa: N818 - it is news, not a mistake
    """The batch needs a number that only the database can give."""


class Applier:
    """Applies batches over one connection, and remembers the numbers of segment sets and sources.

    One thread applies; another may `stage` what comes next. After a lost fence or a lost connection it is thrown away,
    with all it remembers.
    """

    def __init__(self, connection: Connection, rules: JoinRules) -> None:
        self.connection = connection
        self._rules = rules
        connection.execute(joins.SESSION)
        self._sets = SegmentSets(rules.bound())
        self._sources = LabelSources(rules.is_primary)
        self._recall = Recall(rules.scheme, MOST_REMEMBERED)
        self._by_whole: dict[Hashable, int] = {}
        of_fields = any(each.source in EVENT_FIELDS for each in rules.scheme.dimensions)
        self._whole_is_enough = not (of_fields or rules.scheme.agreements)
        self._unused_numbers: frozenset[str] = frozenset()
        self._floor_at, self._id_range = self._read_floor()

    def stage(self, batch: Batch, now: datetime) -> Staged | None:
        """Turn a batch into columns without asking the database; None where it must be asked, as `apply` then does."""
        try:
            return self._staged(batch, now, may_ask=False)
        except _NotKnown:
            return None

    def apply(self, batch: Batch, now: datetime, staged: Staged | None = None) -> Applied:
        """Apply a batch once. Raises FenceLost where another process did, psycopg.Error where the server fails."""
        attempt = 1
        while attempt <= ATTEMPTS:
            try:
                if staged is None or staged.floor_at != self._floor_at:
                    staged = self._staged(batch, now, may_ask=True)
                return self._apply(batch, now, staged)
            except _FloorMoved:
                self._floor_at, self._id_range = self._read_floor()
            except psycopg.errors.CheckViolation:  # an id without a partition: one was dropped, or never made
                self._floor_at, self._id_range = self._read_floor()
                staged = None
            except psycopg.errors.LockNotAvailable:
                log.warning("waiting for a lock", extra={"frozen_sessions_ended": end_frozen(self.connection)})
                continue
            except psycopg.Error as failure:
                if not is_conflict(failure):
                    raise
                log.warning("conflict", extra={"attempt": attempt, "sqlstate": failure.sqlstate})
            attempt += 1
        raise Refused(f"a batch of {batch.messages} messages could not be applied in {ATTEMPTS} attempts")

    def _staged(self, batch: Batch, now: datetime, *, may_ask: bool) -> Staged:
        floor_at = self._floor_at
        letters = batch.dead_letters(now)
        predictions, labels = batch.predictions, batch.labels
        ids, keys = prediction_ids(predictions, self._rules.id_scope), label_ids(labels, self._rules.id_scope)
        judge = _Judge(self, floor_at, now, letters, may_ask=may_ask)
        kept = judge.kept([each.predicted_at for each in predictions], ids, batch.prediction_chunks)
        kept_labels = judge.kept([each.labelled_at for each in labels], keys, batch.label_chunks)
        if kept is not None:
            predictions, ids = [predictions[place] for place in kept.tolist()], ids[kept]
        if kept_labels is not None:
            labels, keys = [labels[place] for place in kept_labels.tolist()], keys[kept_labels]
        segment_sets, numbers = self._segment_sets(predictions, may_ask=may_ask)
        self._know_sources(labels, may_ask=may_ask)
        once, every = first_of_each(ids)
        greatest, every_label = greatest_of_each(keys, labels)
        return Staged(
            floor_at,
            letters,
            predictions,
            labels,
            ids,
            keys,
            segment_sets,
            prediction_rows(predictions, ids, segment_sets, once, numbers=numbers),
            label_rows(labels, keys, self._sources.number, greatest),
            every,
            every_label,
        )

    def _apply(self, batch: Batch, now: datetime, staged: Staged) -> Applied:
        with joins.batch_transaction(self.connection):
            joined = joins.join(self.connection, self._rules.reader, batch.advances, now, staged.rows, staged.tags)
            if joined.floor_at != staged.floor_at:
                raise _FloorMoved
            counts = _counts(joined, staged.letters) | self._repeated(joined, staged)
            joins.finish(self.connection, self._delta(joined, counts), staged.letters)
        return Applied(
            batch.messages, joined.new_predictions, joined.applied_labels, counts["joined"], len(staged.letters)
        )

    def _repeated(self, joined: Joined, staged: Staged) -> dict[str, int]:
        """What the events were that changed nothing, by comparing them with what is stored now."""
        counts: dict[str, int] = {}
        predictions, labels = staged.predictions, staged.labels
        if joined.new_predictions < len(predictions):
            rows, places = staged.rows, staged.every_prediction
            if places is not None:
                rows = prediction_rows(predictions, staged.prediction_ids, staged.segment_sets, places)
            conflicts = joins.differing_predictions(self.connection, rows)
            counts["prediction_conflict"] = conflicts
            counts["duplicate_prediction"] = len(predictions) - joined.new_predictions - conflicts
        if joined.applied_labels < len(labels):
            tags, places = staged.tags, staged.every_label
            if places is not None:
                tags = label_rows(labels, staged.label_ids, self._sources.number, places)
            equal = joins.equal_labels(self.connection, tags)
            counts["duplicate_label"] = equal - joined.applied_labels
            counts["stale_label"] = len(labels) - equal
        return counts

    def _delta(self, joined: Joined, counts: dict[str, int]) -> bytes | None:
        both = [rows for rows in (joined.predictions, joined.labels) if rows is not None]
        deltas = [
            delta_of(rows, self._groups(rows), self._sets.derived(self.connection, rows.segment_set)) for rows in both
        ]
        total = deltas[0] if len(deltas) == 1 else merge(*deltas)
        for name, n in total.counts.items():
            counts[name] = counts.get(name, 0) + n
        counts = {name: n for name, n in counts.items() if n}
        if not len(total) and not len(total.delay_bucket) and not counts:
            return None
        return encode(replace(total, counts=counts))

    def _groups(self, rows: JoinedRows) -> Int16s:
        numbers = [rows.label.source] if rows.previous is None else [rows.label.source, rows.previous.source]
        return self._sources.groups(self.connection, *numbers)

    def _segment_sets(self, predictions: Sequence[Prediction], *, may_ask: bool) -> tuple[Int32s, bool]:
        """The number of each prediction's segment set, new ones stored first; and whether values may be numbers."""
        whole = [
            (
                each.model, each.model_version, each.interval is None, each.level_is_confidence, not each.probabilities,
                *each.signals, *each.segments.items(),
            )
            for each in predictions
        ]  # fmt: skip
        numbers = self._recall.fitting(list(map(self._by_whole.get, whole)), predictions)
        if None not in numbers:
            return np.array(numbers, np.int32), False
        raw = list(map(self._rules.scheme.raw_key, predictions))
        while None in (numbers := self._recall.numbers(raw, predictions)):
            if not may_ask:
                raise _NotKnown
            self._learn(self._recall.unknown(raw, predictions))
        if self._whole_is_enough:
            self._remember_whole(predictions, whole, numbers)
        return np.array(numbers, np.int32), True

    def _remember_whole(
        self, predictions: Sequence[Prediction], whole: Sequence[Hashable], numbers: Sequence[int | None]
    ) -> None:
        """Segments without numbers are looked up as they are, at half the cost of their raw key."""
        if len(self._by_whole) > MOST_REMEMBERED:
            self._by_whole.clear()
        for prediction, key, number in zip(predictions, whole, numbers, strict=True):
            if number is not None and float not in map(type, prediction.segments.values()):
                self._by_whole[key] = number

    def _learn(self, predictions: dict[Hashable, Prediction]) -> None:
        scheme = self._rules.scheme
        keys = [scheme.segment_key(each) for each in predictions.values()]
        for each in predictions.values():
            self._say_unused(scheme.unused_numbers(each))
        folded = self._sets.resolve(self.connection, keys)
        if folded:
            log.warning("series bound reached: values folded into __other__", extra={"values": folded})
        numbers = map(self._sets.number, keys)
        self._recall.learn([(*each, number) for each, number in zip(predictions.items(), numbers, strict=True)])

    def _know_sources(self, labels: Sequence[Label], *, may_ask: bool) -> None:
        named = {each.source for each in labels if each.source is not None}
        if named and not self._sources.knows(named):
            if not may_ask:
                raise _NotKnown
            self._sources.resolve(self.connection, named)

    def _say_unused(self, names: frozenset[str]) -> None:
        for name in sorted(names - self._unused_numbers):
            log.warning("numeric dimension without cut points makes no series", extra={"dimension": name})
        self._unused_numbers |= names

    def held_range(self, *, again: bool) -> IdRange | None:
        """The ids that have a partition, as last read; None in the hashed layout."""
        if again:
            self._id_range = partitions.id_range(self.connection)
        return self._id_range

    def _read_floor(self) -> tuple[datetime, IdRange | None]:
        row = self.connection.execute("SELECT floor_at FROM retention_floor").fetchone()
        if row is None:
            raise Unavailable("the database has no retention floor yet: run `caldrift db upgrade`")
        return row[0], partitions.id_range(self.connection)


class _Judge:
    """Tells which events may be stored, and makes dead letters of the others."""

    def __init__(
        self, applier: Applier, floor_at: datetime, now: datetime, letters: list[DeadLetter], *, may_ask: bool
    ) -> None:
        self._applier = applier
        self._floor_at = floor_at
        self._now = now
        self._letters = letters
        self._may_ask = may_ask

    def kept(self, moments: Sequence[int], ids: Ids, chunks: Sequence[Chunk]) -> Places | None:
        """The events that may be stored, None for all of them."""
        floor_us = microseconds(self._floor_at)
        expired = np.array(moments, np.int64) < floor_us
        outside = self._outside(ids)
        expired |= outside & (id_instants(ids) < floor_us) if outside.any() else False
        unwanted = expired | outside
        if not unwanted.any():
            return None
        for event in np.flatnonzero(unwanted).tolist():
            reason = "expired" if expired[event] else "id_out_of_range"
            partition, message = located(chunks, event)
            why = _WHY[reason].format(self._floor_at)
            self._letters.append(dead_letter(partition, message, reason, why, self._now))
        return np.flatnonzero(~unwanted)

    def _outside(self, ids: Ids) -> npt.NDArray[np.bool_]:
        """Which ids have no partition; days may have been added since the range was read."""
        held = self._applier.held_range(again=False)
        if held is None or not len(ids) or not outside_range(ids, held).any():
            return np.zeros(len(ids), np.bool_)
        if not self._may_ask:
            raise _NotKnown
        held = self._applier.held_range(again=True)
        return np.zeros(len(ids), np.bool_) if held is None else outside_range(ids, held)


def _counts(joined: Joined, letters: Sequence[DeadLetter]) -> dict[str, int]:
    """What the batch counts, each event once."""
    completed = joined.applied_labels - joined.labels_without_prediction - joined.corrections_of_known
    first = 0 if joined.predictions is None else int(np.count_nonzero(joined.predictions.label.kind != NO_LABEL))
    return {
        "prediction": joined.new_predictions,
        "label": joined.applied_labels,
        "joined": completed + first,
        "correction": joined.corrections,
        "retraction": joined.retractions,
        "label_first": joined.labels_without_prediction,
        "dead_letter": len(letters),
    }

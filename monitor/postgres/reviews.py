"""What people are asked to look at, and what they said."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from monitor.errors import BadInput
from monitor.events.messages import LabelKind
from monitor.postgres.audit import note as note_audit
from monitor.postgres.database import Connection
from monitor.postgres.labelled import ANSWER, OUTCOME, PLAINLY, Selection, confident_errors, random_answers
from monitor.review.candidates import Candidate, distinct, n_controls, queued
from monitor.review.corrections import Subject, label_of
from monitor.review.reasons import QUEUES, REASONS, Queue, reason_of

ALIKE: Final = 20
"""So many times as many errors are read as are wanted, for those that say the same count once."""

MOST_COUNTED: Final = 10_000
"""Items past which a queue is not counted any further: nobody works it off."""


@dataclass(frozen=True, slots=True)
class Item:
    """A prediction to look at, as the store has it now, with what was said of it. See review_item and review_answer.

    `outcome` is what its label says now, None without one. `settled_at` None and `reason` not None: the label that the
    answer became is not known to have reached the broker.
    """

    id: int
    queue: Queue
    model: str
    prediction: UUID
    predicted_at: datetime
    signal: str
    confidence: float
    segments: Mapping[str, str]
    is_control: bool
    alike: int
    propensity: float | None
    predicted: str | None
    probabilities: Mapping[str, float] | None
    interval: Sequence[float] | None
    numbers: Mapping[str, float] | None
    reference: str | None
    chain_id: str | None
    step: int | None
    label_kind: int | None
    label_number: float | None
    label_text: str | None
    label_version: int | None
    label_source: str | None
    label_propensity: float | None
    outcome: float | None
    reason: str | None
    note: str | None
    label: Mapping[str, object] | None
    given_at: datetime | None
    by: str | None
    settled_at: datetime | None

    @property
    def subject(self) -> Subject:
        """What an answer needs to know of it."""
        return Subject(
            self.prediction,
            self.model,
            self.predicted,
            None if self.label_kind is None else LabelKind(self.label_kind),
            self.outcome,
            self.label_version,
            self.label_source,
            self.label_propensity,
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody says of an item: a reason of its queue, the right answer ("" where none was given), a note."""

    reason: str
    by: str
    truth: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """Answers of one model, queue and reason; `control` is true for those drawn at random."""

    model: str
    queue: Queue
    reason: str
    is_control: bool
    n: int


_ITEMS: Final = f"""
SELECT i.id, i.queue, i.model, i.prediction, i.predicted_at, i.signal, i.confidence, i.segments, i.is_control, i.alike,
    i.propensity, {ANSWER} AS predicted, p.probabilities, p.interval, p.numbers, p.reference, p.chain_id, p.step,
    p.label_kind, p.label_number, p.label_text, p.label_version, s.name AS label_source, p.label_propensity,
    {OUTCOME} AS outcome, a.reason, a.note, a.label, a.given_at, a.by, a.settled_at
FROM review_item AS i LEFT JOIN pair AS p ON p.id = i.prediction LEFT JOIN label_source AS s ON s.id = p.label_source
LEFT JOIN review_answer AS a ON a.item = i.id
"""
_OPEN: Final = f"""(a.item IS NOT NULL OR p.id IS NOT NULL AND CASE i.queue
    WHEN 'spot_check' THEN coalesce(p.label_kind, 0) = 0
    ELSE {OUTCOME} IS NOT NULL AND (i.is_control OR {OUTCOME} < 0.5) END)"""
"""What has been labelled, or put right, or removed by retention, meanwhile needs nobody's look any more."""


def add_errors(
    connection: Connection, selection: Selection, *, limit: int, control_share: float, now: datetime, by: str
) -> int:
    """Look for confident errors and put at most `limit` of them in the queue, with random answers among them.

    `control_share` (0..1, below 1) is the part of the queue that is random. Returns how many are new to it. Repeating
    it adds only what has come since.
    """
    with connection.transaction():
        connection.execute(PLAINLY)
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('caldrift review', 0))")
        forget_closed(connection, selection.model, "errors")
        ranked = distinct(confident_errors(connection, selection, limit * ALIKE))[:limit]
        random = random_answers(connection, selection, n_controls(len(ranked), control_share))
        added = _insert(connection, selection.model, queued(ranked, random), now)
        note_audit(connection, by, "review find", {"model": selection.model, "added": added})
    return added


def _insert(connection: Connection, model: str, found: Sequence[Candidate], now: datetime) -> int:
    added = 0
    for each in found:
        added += connection.execute(
            """
            INSERT INTO review_item (queue, model, prediction, predicted_at, signal, confidence, segments, place,
                is_control, alike, chosen_at)
            VALUES ('errors', %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (queue, prediction) DO NOTHING
            """,
            (
                model,
                each.prediction,
                each.predicted_at,
                each.signal,
                each.confidence,
                Jsonb(dict(each.segments)),
                each.place,
                each.is_control,
                each.alike,
                now,
            ),
        ).rowcount
    return added


def waiting(
    connection: Connection,
    model: str,
    queue: Queue,
    *,
    since: datetime | None = None,
    segment: Mapping[str, str] | None = None,
    limit: int = 50,
) -> list[Item]:
    """Items without a settled answer, in the order of the queue; what was answered but not sent comes first."""
    statement = f"""{_ITEMS} WHERE i.model = %(model)s AND i.queue = %(queue)s AND a.settled_at IS NULL AND {_OPEN}
        AND (%(since)s::timestamptz IS NULL OR i.predicted_at >= %(since)s) AND i.segments @> %(segment)s
        ORDER BY a.item IS NULL, i.place, i.id LIMIT %(limit)s"""
    asked = {"model": model, "queue": queue, "since": since, "segment": Jsonb(dict(segment or {})), "limit": limit}
    with connection.cursor(row_factory=class_row(Item)) as cursor:
        return cursor.execute(statement.encode(), asked).fetchall()


def item(connection: Connection, number: int) -> Item | None:
    """The item of this number; None where there is none."""
    with connection.cursor(row_factory=class_row(Item)) as cursor:
        return cursor.execute(f"{_ITEMS} WHERE i.id = %s".encode(), (number,)).fetchone()


def n_waiting(connection: Connection) -> dict[tuple[str, Queue], int]:
    """How many items wait for an answer, at most MOST_COUNTED, by model and queue; only those that have any."""
    rows = connection.execute(
        f"""
        SELECT m.model, q.queue, w.n
        FROM (SELECT DISTINCT model FROM segment_set) AS m CROSS JOIN unnest(%s::text[]) AS q (queue)
        CROSS JOIN LATERAL (SELECT count(*) AS n FROM (
            SELECT FROM review_item AS i LEFT JOIN pair AS p ON p.id = i.prediction
            LEFT JOIN review_answer AS a ON a.item = i.id
            WHERE i.model = m.model AND i.queue = q.queue AND a.settled_at IS NULL AND {_OPEN} LIMIT {MOST_COUNTED}
        ) AS found) AS w WHERE w.n > 0
        """.encode(),
        (list(QUEUES),),
    ).fetchall()
    return {(str(model), _queue(name)): int(n) for model, name, n in rows}


def tallies(connection: Connection) -> list[Tally]:
    """How often what was answered."""
    with connection.cursor(row_factory=class_row(Tally)) as cursor:
        return cursor.execute(
            """
            SELECT i.model, i.queue, a.reason, i.is_control, count(*)::int AS n
            FROM review_answer AS a JOIN review_item AS i ON i.id = a.item
            GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
            """
        ).fetchall()


def begin_answer(connection: Connection, number: int, answer: Answer, now: datetime) -> Item:
    """Keep an answer, with the label that it becomes, before anybody is told of that label.

    Answering alike once more changes nothing, and the label stays the same one, version and time included; another
    right answer is not alike. Raises BadInput where there is no such item or reason, the right answer is missing, or a
    settled answer says otherwise.
    """
    with connection.transaction():
        connection.execute("SELECT FROM review_item WHERE id = %s FOR UPDATE", (number,))
        found = item(connection, number)
        if found is None:
            raise BadInput(f"there is no item {number} to review", "item")
        if reason_of(found.queue, answer.reason) is None:
            names = ", ".join(each.name for each in REASONS[found.queue])
            raise BadInput(f"reason: must be one of {names}, got {answer.reason[:40]!r}", "reason")
        if found.reason == answer.reason and _is_truth(answer.truth, found.label or {}):
            return found
        if found.settled_at is not None:
            raise BadInput(f"item {number} was answered by {found.by} already: {found.reason}", "item")
        label = label_of(found.subject, found.queue, answer.reason, answer.truth, propensity=found.propensity, at=now)
        if label is not None and found.label is not None:  # the one before it may have been sent after all
            label["version"] = found.label["version"]
        connection.execute(
            """
            INSERT INTO review_answer (item, reason, note, outcome, label, given_at, by, settled_at)
            VALUES (%(item)s, %(reason)s, %(note)s, %(outcome)s, %(label)s, %(now)s, %(by)s, %(settled)s)
            ON CONFLICT (item) DO UPDATE SET reason = EXCLUDED.reason, note = EXCLUDED.note, label = EXCLUDED.label,
                given_at = EXCLUDED.given_at, by = EXCLUDED.by, settled_at = EXCLUDED.settled_at
            """,
            {
                "item": number,
                "reason": answer.reason,
                "note": answer.note,
                "outcome": found.outcome,
                "label": None if label is None else Jsonb(label),
                "now": now,
                "by": answer.by,
                "settled": now if label is None else None,
            },
        )
        detail = {"item": number, "model": found.model, "prediction": str(found.prediction), "reason": answer.reason}
        note_audit(connection, answer.by, "review answer", {**detail, "label": label})
        kept = item(connection, number)
    if kept is None:
        raise BadInput(f"item {number} went away", "item")
    return kept


def _is_truth(truth: str, label: Mapping[str, object]) -> bool:
    """Whether a right answer, as typed, is the one that a label tells; "" is, and any is where the label tells none."""
    said = label.get("label", label.get("value"))
    if not truth or said is None or truth == said:
        return True
    with suppress(ValueError):
        return not isinstance(said, str) and float(truth) == said
    return False


def settle(connection: Connection, number: int, now: datetime) -> None:
    """Note that the broker has the label of the item's answer."""
    connection.execute("UPDATE review_answer SET settled_at = %s WHERE item = %s AND settled_at IS NULL", (now, number))


def forget_closed(connection: Connection, model: str, queue: Queue) -> int:
    """Remove items that need nobody's look any more, so that a queue which nobody works off stays short."""
    return connection.execute(
        f"""
        DELETE FROM review_item AS gone USING (
            SELECT i.id FROM review_item AS i LEFT JOIN pair AS p ON p.id = i.prediction
            LEFT JOIN review_answer AS a ON a.item = i.id
            WHERE i.model = %s AND i.queue = %s AND a.item IS NULL AND {_OPEN} IS NOT TRUE
        ) AS closed WHERE gone.id = closed.id
        """.encode(),
        (model, queue),
    ).rowcount


def forget_gone(connection: Connection, floor_at: datetime) -> int:
    """Remove items under the retention floor that nobody answered. Returns how many."""
    return connection.execute(
        "DELETE FROM review_item AS i WHERE predicted_at < %s"
        " AND NOT EXISTS (SELECT FROM review_answer AS a WHERE a.item = i.id)",
        (floor_at,),
    ).rowcount


def _queue(name: str) -> Queue:
    return next(each for each in QUEUES if each == name)

"""Labelled predictions of one model, read from `pair` itself: the confidently wrong, and a random sample.

`pair` has no index but its id, which keeps joining cheap, so each of these reads the whole table once; they run when a
person asks for them, and what they find is kept in tables of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from monitor.events.messages import LabelKind
from monitor.events.rules import CALIBRATED
from monitor.postgres.database import Connection
from monitor.review.candidates import Candidate
from monitor.rolling.segments import INTERVAL

PLAINLY: Final = "SET LOCAL jit = off"
"""For transactions that look through `pair`: compiling a statement for each partition costs more than it saves."""


ANSWER: Final = """coalesce(p.predicted, (SELECT c.key FROM jsonb_each(p.probabilities) AS c
    ORDER BY (c.value)::float8 DESC, c.key COLLATE "C" LIMIT 1))"""
"""What the model answered, as `monitor.rolling.outcomes.answers` has it."""

OUTCOME: Final = f"""CASE p.label_kind
    WHEN {LabelKind.CORRECT:d} THEN p.label_number
    WHEN {LabelKind.LABEL:d} THEN CASE WHEN p.predicted IS NULL AND p.probabilities IS NULL THEN NULL
        WHEN {ANSWER} = coalesce(p.label_text, '') THEN 1.0 ELSE 0.0 END
    WHEN {LabelKind.VALUE:d} THEN CASE WHEN p.interval IS NULL THEN NULL
        WHEN p.label_number BETWEEN p.interval[1] AND p.interval[2] THEN 1.0 ELSE 0.0 END
    END"""
"""The outcome of the answer under its label, as `monitor.rolling.outcomes.outcomes` has it; NULL without one."""

_CONFIDENCE: Final = f"""CASE WHEN p.label_kind = {LabelKind.VALUE:d}
        THEN CASE WHEN coalesce(%(signal)s, '{INTERVAL}') = '{INTERVAL}' THEN p.interval[3] END
    WHEN %(signal)s::text IS NULL
        THEN coalesce(p.signals[array_position(s.signals, %(calibrated)s)], p.confidence)
    WHEN %(signal)s = %(main)s THEN p.confidence
    ELSE p.signals[array_position(s.signals, %(signal)s)] END"""
"""No confidence is compared with what it does not speak of: a true number says whether the interval held."""

_LABELLED: Final = f"""
SELECT p.id AS prediction, p.predicted_at, {_CONFIDENCE} AS confidence, {OUTCOME} AS outcome, s.segments,
    p.label_kind, {ANSWER} AS predicted, p.label_text, p.reference,
    CASE WHEN %(signal)s::text IS NOT NULL THEN %(signal)s WHEN p.label_kind = {LabelKind.VALUE:d} THEN '{INTERVAL}'
        WHEN p.signals[array_position(s.signals, %(calibrated)s)] IS NOT NULL THEN %(calibrated)s
        ELSE %(main)s END AS signal
FROM pair AS p JOIN segment_set AS s ON s.id = p.segment_set
WHERE p.segment_set = ANY (%(sets)s) AND p.label_kind > 0 AND p.predicted_at >= %(since)s AND p.predicted_at < %(until)s
    AND (p.label_source IS NULL OR p.label_source = ANY (%(sources)s))
"""
"""`segment_set = ANY` and the time come first: they leave out most rows before anything is computed of them."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which predictions: of a model, made since..until (not included), in a segment ({} takes all).

    `signal` None: by the calibrated confidence where there is one, else by the main signal's; where the label is a true
    number, by the level of the interval.
    """

    model: str
    since: datetime
    until: datetime
    segment: Mapping[str, str]
    signal: str | None = None
    main_signal: str = "confidence"


def confident_errors(connection: Connection, selection: Selection, limit: int) -> list[Candidate]:
    """The most confident wrong answers (outcome below a half), by labels of primary sources; with those alike."""
    statement = f"""
        SELECT * FROM ({_LABELLED}) AS l WHERE confidence IS NOT NULL AND outcome < 0.5
        ORDER BY confidence DESC, predicted_at, prediction LIMIT %(limit)s
    """
    return _candidates(connection, statement, {**_parameters(connection, selection), "limit": limit})


def random_answers(connection: Connection, selection: Selection, limit: int) -> list[Candidate]:
    """Answers right and wrong, drawn by a digest of their ids: the same ones whoever asks."""
    statement = f"""
        SELECT * FROM ({_LABELLED}) AS l WHERE confidence IS NOT NULL AND outcome IS NOT NULL
        ORDER BY md5('control ' || prediction), prediction LIMIT %(limit)s
    """
    return _candidates(connection, statement, {**_parameters(connection, selection), "limit": limit})


def segment_sets(connection: Connection, model: str, segment: Mapping[str, str]) -> list[int]:
    """Numbers of the segment sets of the model that lie in the segment."""
    rows = connection.execute(
        "SELECT id FROM segment_set WHERE model = %s AND segments @> %s", (model, Jsonb(dict(segment)))
    ).fetchall()
    return [int(number) for (number,) in rows]


def _parameters(connection: Connection, selection: Selection) -> dict[str, object]:
    sources = connection.execute("SELECT id FROM label_source WHERE is_primary").fetchall()
    return {
        "sets": segment_sets(connection, selection.model, selection.segment),
        "sources": [int(number) for (number,) in sources],
        "since": selection.since,
        "until": selection.until,
        "signal": selection.signal,
        "main": selection.main_signal,
        "calibrated": CALIBRATED,
    }


def _candidates(connection: Connection, statement: str, parameters: Mapping[str, object]) -> list[Candidate]:
    with connection.cursor(row_factory=class_row(Candidate)) as cursor:
        return cursor.execute(statement.encode(), parameters).fetchall()

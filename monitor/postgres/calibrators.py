"""Calibrators: artefacts as they were fitted, runs and what came of them, and what is in force.

What is in force is the last promotion of a model and signal. Each has the number after the one that its author saw, so
of two at once one is refused. The leader settles a promotion afterwards: detectors learn anew, and people are told.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias
from uuid import UUID

import msgspec
import psycopg
from psycopg.rows import class_row, dict_row

from monitor.calibration.calibrators.artefact import Calibrator, decode, encode, fingerprint
from monitor.calibration.gate import Verdict
from monitor.errors import BadInput, Refused
from monitor.postgres.audit import note
from monitor.postgres.database import Connection
from monitor.recalibration.trial import Trial

Cause: TypeAlias = Literal["schedule", "alert", "demand"]
Outcome: TypeAlias = Literal["passed", "kept", "failed"]
Stage: TypeAlias = Literal["active", "shadow"]

STORED: Final = "SELECT id, model, signal, version, fingerprint, body, created_at FROM calibrator"
STORE: Final = """
INSERT INTO calibrator (model, signal, version, fingerprint, body, created_at)
SELECT %(model)s, %(signal)s, 1 + coalesce(max(version), 0), %(fingerprint)s, %(body)s, %(now)s
FROM calibrator WHERE model = %(model)s AND signal = %(signal)s
RETURNING id, model, signal, version, fingerprint, body, created_at
"""
NOTE_RUN: Final = """
INSERT INTO recalibration (model, signal, cause, due_at, alert, at, outcome, sentence, body, calibrator)
VALUES (%(model)s, %(signal)s, %(cause)s, %(due_at)s, %(alert)s, %(at)s, %(outcome)s, %(sentence)s,
    %(body)s, %(calibrator)s)
ON CONFLICT DO NOTHING RETURNING id
"""
RUNS: Final = """
SELECT id, model, signal, cause, due_at, alert, at, outcome, sentence, body::text, calibrator
FROM recalibration WHERE {} ORDER BY at DESC, id DESC LIMIT %(limit)s
"""
PROMOTIONS: Final = """
SELECT p.model, p.signal, p.number, p.stage, p.at, p."by", p.reason, p.checked_at, p.settled_at,
    c.id, c.version, c.fingerprint, c.body, c.created_at
FROM promotion AS p LEFT JOIN calibrator AS c ON c.id = p.calibrator WHERE {}
"""
IN_FORCE: Final = "p.number = (SELECT max(number) FROM promotion AS l WHERE l.model = p.model AND l.signal = p.signal)"
"""The last by number, not by time: two machines promote, and one's clock may be behind."""
PROMOTE: Final = """
INSERT INTO promotion (model, signal, number, calibrator, stage, at, "by", reason)
VALUES (%(model)s, %(signal)s, %(number)s, %(calibrator)s, %(stage)s, %(at)s, %(by)s, %(reason)s)
"""
RUN_COUNTS: Final = """
SELECT model, cause, outcome, count(*) AS n, max(at) AS last_at FROM recalibration
GROUP BY model, cause, outcome ORDER BY model, cause, outcome
"""
LAST: Final = """
SELECT max(due_at) AS due_at FROM recalibration WHERE model = %s AND signal = %s AND cause = 'schedule'
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """An artefact. `version` counts those of the model and signal."""

    id: int
    model: str
    signal: str
    version: int
    fingerprint: str
    body: str
    created_at: datetime

    @property
    def calibrator(self) -> Calibrator:
        """The artefact, checked. Raises Refused for one of another version of caldrift."""
        return decode(self.body)


@dataclass(frozen=True, slots=True)
class InForce:
    """A promotion: what was put in force by whom, and why. `calibrator` None: confidences as stated."""

    model: str
    signal: str
    number: int
    calibrator: Stored | None
    stage: Stage
    at: datetime
    by: str
    reason: str
    checked_at: datetime | None = None
    settled_at: datetime | None = None

    @property
    def version(self) -> int | None:
        """Of the map."""
        return None if self.calibrator is None else self.calibrator.version

    @property
    def words(self) -> str:
        """What is in force."""
        if self.calibrator is None:
            return "as stated"
        return f"version {self.calibrator.version}{' in shadow' if self.stage == 'shadow' else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run and what came of it. `due_at`: when it was, by the schedule or after an `alert`; `trial` None where there
    were no labels to try anything on."""

    model: str
    signal: str
    cause: Cause
    at: datetime
    outcome: Outcome
    sentence: str
    trial: Trial | None = None
    due_at: datetime | None = None
    alert: UUID | None = None
    calibrator_id: int | None = None
    id: int = 0

    @property
    def verdict(self) -> Verdict | None:
        """What the gate said."""
        return None if self.trial is None else self.trial.verdict


@dataclass(frozen=True, slots=True)
class RunCount:
    """Runs of one model, cause and outcome, and when the last of them was."""

    model: str
    cause: Cause
    outcome: Outcome
    n: int
    last_at: datetime


def store(connection: Connection, calibrator: Calibrator, now: datetime) -> Stored:
    """Keep an artefact under the next version of its model and signal."""
    given = {
        "model": calibrator.model,
        "signal": calibrator.signal,
        "fingerprint": fingerprint(calibrator),
        "body": encode(calibrator).decode(),
        "now": now,
    }
    with connection.cursor(row_factory=class_row(Stored)) as cursor:
        return cursor.execute(STORE, given).fetchall()[0]


def stored(connection: Connection, model: str, signal: str | None = None) -> list[Stored]:
    """The artefacts of a model, the newest first."""
    where = f"{STORED} WHERE model = %(model)s AND (%(signal)s::text IS NULL OR signal = %(signal)s) ORDER BY id DESC"
    with connection.cursor(row_factory=class_row(Stored)) as cursor:
        return cursor.execute(where.encode(), {"model": model, "signal": signal}).fetchall()


def version_of(connection: Connection, model: str, signal: str, version: int) -> Stored:
    """One artefact. Raises BadInput that lists the versions there are."""
    every = stored(connection, model, signal)
    for each in every:
        if each.version == version:
            return each
    there = ", ".join(str(each.version) for each in reversed(every)) or "none"
    raise BadInput(f"{model} ({signal}) has no calibrator of version {version}; there is {there}", "version")


def note_run(connection: Connection, run: Run) -> int | None:
    """Write a run down, in the transaction that stores what came of it; None: what was due then has had its run."""
    row = connection.execute(
        NOTE_RUN,
        {
            "model": run.model,
            "signal": run.signal,
            "cause": run.cause,
            "due_at": run.due_at,
            "alert": run.alert,
            "at": run.at,
            "outcome": run.outcome,
            "sentence": run.sentence,
            "body": msgspec.json.encode(run.trial).decode(),
            "calibrator": run.calibrator_id,
        },
    ).fetchone()
    return None if row is None else int(row[0])


def runs(connection: Connection, model: str, limit: int = 100) -> list[Run]:
    """The runs of a model, the newest first."""
    return _runs(connection, "model = %(model)s", {"model": model, "limit": limit})


def untold_runs(connection: Connection) -> list[Run]:
    """Runs that nobody was told of yet, the newest first."""
    return _runs(connection, "told_at IS NULL", {"limit": 100})


def run_counts(connection: Connection) -> list[RunCount]:
    """How many runs there were, by model, cause and outcome."""
    with connection.cursor(row_factory=class_row(RunCount)) as cursor:
        return cursor.execute(RUN_COUNTS).fetchall()


def note_told(connection: Connection, run: int, now: datetime) -> None:
    """Say that people were told of a run."""
    connection.execute("UPDATE recalibration SET told_at = %s WHERE id = %s", (now, run))


def last_due(connection: Connection, model: str, signal: str) -> datetime | None:
    """The last period of the schedule that had its run."""
    row = connection.execute(LAST, (model, signal)).fetchone()
    found: datetime | None = None if row is None else row[0]
    return found


def in_force(connection: Connection, model: str, signal: str | None = None) -> InForce | None:
    """What was put in force last; None: nothing ever was. Without a signal, that of the last promotion."""
    where = f"p.model = %(model)s AND (%(signal)s::text IS NULL OR p.signal = %(signal)s) AND {IN_FORCE}"
    found = _promotions(connection, f"{where} ORDER BY p.at DESC, p.number DESC LIMIT 1", model, signal)
    return found[0] if found else None


def all_in_force(connection: Connection) -> list[InForce]:
    """What was put in force last, of every model and signal that ever had a promotion."""
    return _promotions(connection, f"{IN_FORCE} ORDER BY p.model, p.signal")


def promotions(connection: Connection, model: str) -> list[InForce]:
    """What was in force, the newest first."""
    return _promotions(connection, "p.model = %(model)s ORDER BY p.at DESC, p.number DESC", model)


def unsettled(connection: Connection) -> list[InForce]:
    """Promotions that the leader has not dealt with, the oldest first."""
    return _promotions(connection, "p.settled_at IS NULL ORDER BY p.at, p.number")


def note_settled(connection: Connection, promotion: InForce, now: datetime) -> None:
    """Say that what depends on a promotion began anew, and people were told."""
    _note(connection, "settled_at", promotion, now)


def note_checked(connection: Connection, promotion: InForce, now: datetime) -> None:
    """Say when its losses were held against those as stated."""
    _note(connection, "checked_at", promotion, now)


def promotion_of(
    artefact: Stored, before: InForce | None, at: datetime, by: str, reason: str, *, shadow: bool = False
) -> InForce:
    """The promotion of an artefact after what is in force."""
    number = 1 if before is None else before.number + 1
    stage: Stage = "shadow" if shadow else "active"
    return InForce(artefact.model, artefact.signal, number, artefact, stage, at, by, reason)


def back_to(before: InForce, artefact: Stored | None, at: datetime, by: str, reason: str) -> InForce:
    """The promotion that rolls back to an artefact; None: to confidences as stated."""
    return InForce(before.model, before.signal, before.number + 1, artefact, "active", at, by, reason)


def promote(connection: Connection, promotion: InForce) -> None:
    """Put a calibrator in force, or confidences as stated, and write down who did.

    Its number must be the one after that in force. Raises Refused when somebody else was faster: nothing is changed.
    """
    chosen = promotion.calibrator
    given = {
        "model": promotion.model,
        "signal": promotion.signal,
        "number": promotion.number,
        "calibrator": None if chosen is None else chosen.id,
        "stage": promotion.stage,
        "at": promotion.at,
        "by": promotion.by,
        "reason": promotion.reason,
    }
    try:
        with connection.transaction():
            connection.execute(PROMOTE, given)
            detail = {name: given[name] for name in ("model", "signal", "number", "stage", "reason")}
            note(connection, promotion.by, "promote", {**detail, "version": promotion.version})
    except psycopg.errors.UniqueViolation:
        now = in_force(connection, promotion.model, promotion.signal)
        words = "nothing" if now is None else f"{now.words} (by {now.by}, {now.reason})"
        raise Refused(
            f"somebody else changed what is in force for {promotion.model} ({promotion.signal}) meanwhile: {words}"
        ) from None


def previous(connection: Connection, model: str, signal: str) -> Stored | None:
    """What a roll-back leads to: the calibrator that was in force before the one that is; None: as stated.

    Maps that a roll-back took out of force are passed over.
    """
    back: list[Stored | None] = []
    ours = (each for each in promotions(connection, model) if each.signal == signal)
    for each in sorted(ours, key=lambda each: each.number):
        if each.calibrator is None:
            back = []
        elif each.calibrator in back:
            del back[back.index(each.calibrator) + 1 :]
        else:
            back.append(each.calibrator)
    return back[-2] if len(back) > 1 else None


def _note(connection: Connection, column: str, promotion: InForce, now: datetime) -> None:
    statement = f"UPDATE promotion SET {column} = %s WHERE model = %s AND signal = %s AND number = %s"
    connection.execute(statement.encode(), (now, promotion.model, promotion.signal, promotion.number))


def _runs(connection: Connection, where: str, given: dict[str, object]) -> list[Run]:
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(RUNS.format(where).encode(), given).fetchall()
    return [
        Run(trial=msgspec.json.decode(body, type=Trial | None), calibrator_id=calibrator, **columns)
        for body, calibrator, columns in ((row.pop("body"), row.pop("calibrator"), row) for row in found)
    ]


def _promotions(
    connection: Connection, where: str, model: str | None = None, signal: str | None = None
) -> list[InForce]:
    rows = connection.execute(PROMOTIONS.format(where).encode(), {"model": model, "signal": signal}).fetchall()
    found = []
    for name, of, number, stage, at, by, reason, checked_at, settled_at, *artefact in rows:
        key, version, digest, body, created_at = artefact
        chosen = None if key is None else Stored(key, name, of, version, digest, body, created_at)
        found.append(InForce(name, of, number, chosen, stage, at, by, reason, checked_at, settled_at))
    return found

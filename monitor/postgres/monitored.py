"""What rules about the monitor itself look at: labels, recalibration, intake, dead letters, evaluation,
the outbox.

Durations are of the service's clock, but for what waits to be sent: that is sent by the wall's.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from monitor.postgres.arrays import TextArray
from monitor.postgres.database import Connection

SILENT: Final = timedelta(minutes=1)
"""A process that was not heard of for so long, by the wall, does no work."""
DAY: Final = timedelta(days=1)

_NOW: Final = "(SELECT clock_epoch_at + (clock_timestamp() - clock_started_at) * clock_rate AS at, clock_rate AS rate"
_CLOCK: Final = f"{_NOW} FROM installation) AS now"
LABELS_STALE: Final = f"""
SELECT a.model, greatest(a.predicted_at - coalesce(a.labelled_at, f.at), interval '0')
FROM arrival AS a CROSS JOIN {_CLOCK} CROSS JOIN LATERAL (
    SELECT clock_epoch_at + (min(s.created_at) - clock_started_at) * clock_rate AS at FROM installation, series AS s
    WHERE s.model = a.model GROUP BY clock_epoch_at, clock_started_at, clock_rate) AS f
WHERE a.predicted_at IS NOT NULL ORDER BY a.model
"""
INTAKE_STOPPED: Final = f"""
SELECT greatest(
    (SELECT max(now.at - waits_since) FROM kafka_offset),
    (SELECT min(clock_timestamp() - beat_at) * now.rate FROM role WHERE name = 'ingest'
        HAVING min(clock_timestamp() - beat_at) > %(silent)s),
    (SELECT min(now.at - left_at) FROM kafka_offset WHERE NOT EXISTS (SELECT FROM role WHERE name = 'ingest')),
    interval '0')
FROM {_CLOCK}
"""
CONSUMER_LAG: Final = "SELECT sum(greatest(high_water - next_offset, 0)) FROM kafka_offset"
DEAD_LETTERS: Final = f"SELECT count(*) FROM dead_letter CROSS JOIN {_CLOCK} WHERE received_at > now.at - %(day)s"
EVALUATION_AGE: Final = f"SELECT now.at - evaluated_at FROM evaluation CROSS JOIN {_CLOCK}"
RECALIBRATION_AGES: Final = f"""
SELECT model, greatest(min(now.at - due_at), interval '0') FROM recalibration CROSS JOIN {_CLOCK}
WHERE cause = 'schedule' AND outcome <> 'failed' GROUP BY model ORDER BY model
"""
OUTBOX_STUCK: Final = """
SELECT greatest(max(clock_timestamp() - CASE WHEN d.attempts = 0 THEN d.due_at ELSE n.queued_at END), interval '0')
FROM delivery AS d JOIN notice AS n ON n.id = d.notice WHERE d.state = 'waiting'
"""


def note_arrivals(connection: Connection, predicted: Collection[str], labelled: Collection[str], now: datetime) -> None:
    """Predictions of some models came, and labels of some."""
    models = sorted({*predicted, *labelled})
    if not models:
        return
    connection.execute(
        """
        INSERT INTO arrival AS a (model, predicted_at, labelled_at)
        SELECT m.name, CASE WHEN m.name = ANY (%(predicted)s) THEN %(now)s::timestamptz END,
            CASE WHEN m.name = ANY (%(labelled)s) THEN %(now)s::timestamptz END
        FROM unnest(%(models)s::text[]) AS m (name)
        ON CONFLICT (model) DO UPDATE SET predicted_at = coalesce(EXCLUDED.predicted_at, a.predicted_at),
            labelled_at = coalesce(EXCLUDED.labelled_at, a.labelled_at)
        """,
        {
            "models": TextArray(models),
            "predicted": TextArray(sorted(predicted)),
            "labelled": TextArray(sorted(labelled)),
            "now": now,
        },
    )


def labels_stale(connection: Connection) -> dict[str, timedelta]:
    """For how long predictions of each model have come, and no label of it; as long as none ever came, since its first
    prediction. A model that states nothing any more is not waited for."""
    return {str(model): age for model, age in connection.execute(LABELS_STALE)}


def intake_stopped(connection: Connection) -> timedelta:
    """For how long messages have waited while none was applied, or all that reads them is silent or has ended."""
    return _duration(connection, INTAKE_STOPPED, {"silent": SILENT}) or timedelta(0)


def consumer_lag(connection: Connection) -> int | None:
    """Messages that wait in the topics as the intake last saw them; None while it has seen nothing."""
    row = connection.execute(CONSUMER_LAG).fetchone()
    return None if row is None or row[0] is None else int(row[0])


def dead_letters_of_a_day(connection: Connection) -> int:
    """Messages of the last 24 hours that could not be used, as far as they are kept."""
    row = connection.execute(DEAD_LETTERS, {"day": DAY}).fetchone()
    return int(row[0]) if row else 0


def evaluation_age(connection: Connection) -> timedelta | None:
    """Time since the last evaluation began; None if there never was one."""
    return _duration(connection, EVALUATION_AGE, {})


def recalibration_ages(connection: Connection) -> dict[str, timedelta]:
    """Time since the last period for which each model had its scheduled run, whatever the gate said of
    it; runs that failed count for nothing, and models that never had one are not waited for."""
    return {str(model): age for model, age in connection.execute(RECALIBRATION_AGES.encode())}


def outbox_stuck(connection: Connection) -> timedelta:
    """For how long the oldest notice has waited to be sent, by the wall: since it is due or, once that failed, since it
    was queued."""
    return _duration(connection, OUTBOX_STUCK, {}) or timedelta(0)


def _duration(connection: Connection, statement: str, values: dict[str, object]) -> timedelta | None:
    row = connection.execute(statement.encode(), values).fetchone()
    found: timedelta | None = row[0] if row else None
    return found

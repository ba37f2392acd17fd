"""What the store knows of one model in one month of predictions: sums, errors, certificates, maps and alerts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
from psycopg.rows import class_row

from monitor.calibration.sketch import Sketch
from monitor.events.rules import CALIBRATED
from monitor.postgres.calibrators import InForce, Run, promotions, runs
from monitor.postgres.certificates import Deployed, deployed
from monitor.postgres.database import Connection
from monitor.postgres.labelled import Selection, confident_errors
from monitor.postgres.lookup import find_model
from monitor.postgres.panes import span_sums
from monitor.review.candidates import Candidate, distinct
from monitor.rolling.panes import Span, hour_of
from monitor.rolling.segments import SeriesName
from monitor.rolling.stacks import code, sketches

ERRORS: Final = 10
ALIKE: Final = 20
"""So many times as many errors are read as are shown, for those that say the same count once."""
SERIES: Final = 300
"""Most series that a report reads; the whole model and its parts by fewest dimensions first."""
RUNS: Final = 1_000

CHOSEN: Final = """
SELECT id, model, signal, segment_text, source_group FROM series
WHERE model = %(model)s AND source_group = '' AND signal = ANY(%(signals)s)
ORDER BY (SELECT count(*) FROM jsonb_object_keys(segment)), id LIMIT %(limit)s
"""
FIRED: Final = """
SELECT a.rule, a.severity, a.signal, coalesce(nullif(a.segment_text, '')::jsonb, '{}') AS segment, l.fired_at,
    l.ended_at
FROM alert AS a CROSS JOIN LATERAL (
    SELECT t.fired_at, t.at AS ended_at FROM alert_transition AS t
    WHERE t.alert = a.id AND t.after = 'ok' AND t.fired_at IS NOT NULL AND t.at >= %(start)s
    UNION ALL SELECT a.fired_at, NULL WHERE a.state_name IN ('firing', 'recovering')
) AS l
WHERE a.model = %(model)s AND l.fired_at < %(end)s ORDER BY l.fired_at, a.rule, a.segment_text LIMIT 1000
"""


@dataclass(frozen=True, slots=True)
class Fired:
    """An alert that fired in the month, or before it and was not over; `ended_at` None: it still fires."""

    rule: str
    severity: str
    signal: str
    segment: Mapping[str, str]
    fired_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Month:
    """One model from `start` up to `end`, with what is known at `now`. `sums` are of series with predictions in it."""

    model: str
    start: datetime
    end: datetime
    now: datetime
    maturity: timedelta
    """How long after a prediction its labels count as complete."""
    main_signal: str
    sums: Mapping[SeriesName, Sketch]
    cut_short: bool
    """Whether there are more series than are read."""
    errors: list[Candidate]
    certificates: list[Deployed]
    runs: list[Run]
    promotions: list[InForce]
    alerts: list[Fired]


def month_of(
    connection: Connection,
    model: str,
    start: datetime,
    end: datetime,
    *,
    now: datetime,
    maturity: timedelta,
    main_signal: str,
) -> Month:
    """Read it all. `start` and `end` are UTC midnights. Raises BadInput where there is no such model."""
    find_model(connection, model)
    with connection.cursor(row_factory=class_row(Fired)) as cursor:
        alerts = cursor.execute(FIRED, {"model": model, "start": start, "end": end}).fetchall()
    found, cut_short = _sums(connection, model, (main_signal, CALIBRATED), Span(hour_of(start), hour_of(end)))
    chosen = Selection(model, start, end, {}, main_signal, main_signal)
    return Month(
        model=model,
        start=start,
        end=end,
        now=now,
        maturity=maturity,
        main_signal=main_signal,
        sums=found,
        cut_short=cut_short,
        errors=distinct(confident_errors(connection, chosen, ERRORS * ALIKE))[:ERRORS] if found else [],
        certificates=[
            each
            for each in deployed(connection, model, past=True)
            if each.deployed_at < end and (each.retired_at is None or each.retired_at >= start)
        ],
        runs=[each for each in runs(connection, model, RUNS) if start <= each.at < end],
        promotions=[each for each in promotions(connection, model) if start <= each.at < end],
        alerts=alerts,
    )


def _sums(
    connection: Connection, model: str, signals: tuple[str, ...], span: Span
) -> tuple[dict[SeriesName, Sketch], bool]:
    given = {"model": model, "signals": list(signals), "limit": SERIES + 1}
    rows = connection.execute(CHOSEN, given).fetchall()
    names = {int(row[0]): SeriesName(*row[1:]) for row in rows[:SERIES]}
    numbers = np.array(list(names), np.int64)
    held = dict(sketches(span_sums(connection, numbers, span).stack))
    keys = zip(code(numbers, 0).tolist(), names.values(), strict=True)
    return {name: held[key] for key, name in keys if key in held}, len(rows) > SERIES

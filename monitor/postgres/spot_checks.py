"""Drawing predictions for spot checks: once for each period, with propensities that never change afterwards."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from monitor.errors import BadInput
from monitor.postgres.audit import note
from monitor.postgres.database import Connection
from monitor.postgres.labelled import OUTCOME, PLAINLY, segment_sets
from monitor.postgres.reviews import forget_closed
from monitor.review.strata import EDGES, Allocation, Stratum, allocation

PURPOSE: Final = "spot check"
LAG: Final = timedelta(hours=1)
"""The youngest predictions are left for the next draw: one that is stored after its period was drawn is never drawn."""
FIRST: Final = timedelta(days=1)
"""How far back the first draw of a model reaches."""
LEARNT: Final = timedelta(days=30)
"""How far back labels tell which strata are the less sure ones."""

CHANCE: Final = (
    f"(('x' || substr(md5('{PURPOSE} ' || p.id), 1, 13))::bit(52)::bigint::float8 / 4503599627370496::float8)"
)
"""`monitor.review.candidates.chance_of`, of the same digits."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One draw. See spot_draw; `drawn` of `n` predictions."""

    id: int
    model: str
    since_at: datetime
    until_at: datetime
    share: float
    strata: list[dict[str, float]]
    gain: float
    made_at: datetime
    made_by: str

    @property
    def n(self) -> int:
        """Predictions of the period."""
        return round(sum(each["n"] for each in self.strata))

    @property
    def drawn(self) -> int:
        """Of them, how many are to be looked at."""
        return round(sum(each["drawn"] for each in self.strata))


def draws(connection: Connection, model: str, limit: int = 20) -> list[Draw]:
    """The draws of a model, the newest first."""
    with connection.cursor(row_factory=class_row(Draw)) as cursor:
        return cursor.execute(
            "SELECT * FROM spot_draw WHERE model = %s ORDER BY since_at DESC LIMIT %s", (model, limit)
        ).fetchall()


def draw(connection: Connection, model: str, share: float, *, main_signal: str, now: datetime, by: str) -> Draw:
    """Draw from the predictions made since the last draw, up to an hour ago.

    Each is drawn by itself, by a digest of its id, so that a crash and a repetition draw the same ones. Raises BadInput
    where there is no such model, the share is none, or there is nothing to draw from yet.
    """
    until = (now - LAG).replace(minute=0, second=0, microsecond=0)
    with connection.transaction():
        connection.execute(PLAINLY)
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('caldrift spot check', 0))")
        last = draws(connection, model, 1)
        since = last[0].until_at if last else until - FIRST
        if since >= until:
            raise BadInput(
                f"all predictions up to {since:%Y-%m-%d %H:%M} UTC were drawn from; the next hour is not over"
            )
        asked = {
            "sets": segment_sets(connection, model, {}),
            "since": since,
            "until": until,
            "learnt": min(since, until - LEARNT),
            "edges": list(EDGES),
        }
        if not asked["sets"]:
            raise BadInput(f"there is no model {model!r}", "model")
        forget_closed(connection, model, "spot_check")
        strata = _strata(connection, asked)
        found = allocation(strata, share)
        number = _insert_draw(connection, model, found, asked, share=share, now=now, by=by)
        _insert_items(connection, model, found, {**asked, "main": main_signal, "now": now, "draw": number})
        _describe(connection, number, strata, found)
        made = draws(connection, model, 1)[0]
        note(connection, by, "spot check draw", {"model": model, "draw": number, "share": share, "drawn": made.drawn})
    return made


def _strata(connection: Connection, asked: dict[str, object]) -> list[Stratum]:
    rows = connection.execute(
        f"""
        SELECT stratum, count(*) FILTER (WHERE predicted_at >= %(since)s)::int, count(outcome)::int, sum(outcome)
        FROM (
            SELECT width_bucket(p.confidence, %(edges)s::float8[]) AS stratum, p.predicted_at, {OUTCOME} AS outcome
            FROM pair AS p WHERE p.segment_set = ANY (%(sets)s) AND p.predicted_at >= %(learnt)s
                AND p.predicted_at < %(until)s
        ) AS known GROUP BY 1
        """.encode(),
        asked,
    ).fetchall()
    known = {int(stratum): (int(n), int(labelled), float(right or 0)) for stratum, n, labelled, right in rows}
    bounds = [0.0, *EDGES, 1.0]
    return [Stratum(bounds[k], bounds[k + 1], *known.get(k, (0, 0, 0.0))) for k in range(len(bounds) - 1)]


def _insert_draw(
    connection: Connection,
    model: str,
    found: Allocation,
    asked: dict[str, object],
    *,
    share: float,
    now: datetime,
    by: str,
) -> int:
    row = connection.execute(
        "INSERT INTO spot_draw (model, since_at, until_at, share, strata, gain, made_at, made_by)"
        " VALUES (%s, %s, %s, %s, '[]', %s, %s, %s) RETURNING id",
        (model, asked["since"], asked["until"], share, found.gain, now, by),
    ).fetchone()
    if row is None:
        raise BadInput("the draw was not stored")
    return int(row[0])


def _insert_items(connection: Connection, model: str, found: Allocation, asked: dict[str, object]) -> None:
    """The place in the queue is another digest: who stops half-way has looked at a sample of all of them."""
    connection.execute(
        f"""
        INSERT INTO review_item (queue, model, prediction, predicted_at, signal, confidence, segments, place, draw,
            propensity, chosen_at)
        SELECT 'spot_check', %(model)s, p.id, p.predicted_at, %(main)s, p.confidence, s.segments,
            {CHANCE.replace(PURPOSE, "place")}, %(draw)s, d.propensity, %(now)s
        FROM pair AS p JOIN segment_set AS s ON s.id = p.segment_set
        CROSS JOIN LATERAL (SELECT (%(propensities)s::float8[])[1 + width_bucket(p.confidence, %(edges)s::float8[])]
            AS propensity) AS d
        WHERE p.segment_set = ANY (%(sets)s) AND p.predicted_at >= %(since)s AND p.predicted_at < %(until)s
            AND {CHANCE} < d.propensity
        ON CONFLICT (queue, prediction) DO NOTHING
        """.encode(),
        {**asked, "model": model, "propensities": list(found.propensities)},
    )


def _describe(connection: Connection, number: int, strata: list[Stratum], found: Allocation) -> None:
    rows = connection.execute(
        "SELECT width_bucket(confidence, %s::float8[]), count(*) FROM review_item WHERE draw = %s GROUP BY 1",
        (list(EDGES), number),
    ).fetchall()
    drawn = {int(stratum): int(n) for stratum, n in rows}
    said = [
        {
            "low": each.low,
            "high": each.high,
            "n": each.n,
            "labelled": each.labelled,
            "accuracy": each.accuracy,
            "propensity": propensity,
            "drawn": drawn.get(place, 0),
        }
        for place, (each, propensity) in enumerate(zip(strata, found.propensities, strict=True))
    ]
    connection.execute("UPDATE spot_draw SET strata = %s WHERE id = %s", (Jsonb(said), number))

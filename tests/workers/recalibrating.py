"""A leader whose models are recalibrated: days of labels on a made-up clock, and the rota after them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from monitor.alerting.force import Force
from monitor.calibration.reading import ReadingSettings
from monitor.postgres.calibrators import promotions, runs
from monitor.postgres.database import Connection
from monitor.postgres.installation import StoredClock
from monitor.postgres.leader import take_lead
from monitor.recalibration.plan import Mode, Plan, Plans
from monitor.rolling.panes import hour_of
from monitor.rolling.windows import window_named
from monitor.workers.evaluation import turn
from monitor.workers.recalibration import Recalibrating
from monitor.workers.rota import Office, attend
from monitor.workers.standing import Evaluation, load
from tests.workers.deltas import Events, delta_of_events, some_sets, write_delta

START = datetime(2026, 6, 1, 3, tzinfo=UTC)
EVALUATION = Evaluation(
    windows=(window_named("all"),),
    maturity=timedelta(hours=1),
    every=timedelta(hours=1),
    reading=ReadingSettings(min_labels=1, draws=20),
    main_signal="confidence",
)
WRONG = {"de": 0.3, "en": 0.05}
RIGHT = {"de": 0.0, "en": 0.0}


class Service:
    """A leader and its clock: days of labels, then the rota."""

    def __init__(self, connection: Connection, plan: Plan) -> None:
        self.connection, self.now = connection, START
        self.clock = StoredClock(START, START, 1.0)
        self.rng = np.random.default_rng(1)
        self.sets = dict(zip(("de", "en"), some_sets(connection, "m", ["de", "en"]), strict=True))
        self.how = Recalibrating(Plans(plan), "confidence", EVALUATION.maturity, "test")
        self.force: Force | None = None
        self.lead()
        connection.execute("UPDATE series SET created_at = %s", (START,))

    def lead(self) -> None:
        epoch = take_lead(self.connection)
        assert epoch is not None
        self.epoch = epoch
        self.standing = load(self.connection, epoch, EVALUATION)

    def live(self, days: float, losses: Mapping[str, float], n: int = 20) -> None:
        """So many labels of each language every six hours, right less often than stated by the losses."""
        for _ in range(int(days * 4)):
            for language, loss in losses.items():
                confidence = self.rng.choice([0.5, 0.6, 0.7, 0.8, 0.9, 0.95], n)
                outcome = (self.rng.random(n) < confidence - loss).astype(np.float64)
                hours = np.full(n, hour_of(self.now))
                write_delta(
                    self.connection,
                    delta_of_events(Events(np.full(n, self.sets[language]), hours, confidence, outcome)),
                )
            self.now += timedelta(hours=6)
        for _ in range(4):
            turn(self.connection, self.standing, EVALUATION, lambda: self.now)
        self.connection.execute("UPDATE series SET created_at = %s", (START,))

    def attend(self) -> None:
        attend(Office(self.connection, self.epoch, self.how, self.clock, self.force), self.now)

    def versions(self) -> list[int | None]:
        """What was in force, the oldest first."""
        return [each.version for each in reversed(promotions(self.connection, "m"))]

    def outcomes(self) -> list[tuple[str, str]]:
        return [(run.cause, run.outcome) for run in reversed(runs(self.connection, "m"))]


def plan(mode: Mode = "automatic", **changed: object) -> Plan:
    return replace(Plan(mode=mode), **changed)  # type: ignore[arg-type]


def alert(connection: Connection, state: str, fired_at: datetime) -> None:
    connection.execute(
        "INSERT INTO alert"
        " (id, rule, about, model, severity, state_name, state, judged_at, fired_at, evidence, finding)"
        " VALUES (gen_random_uuid(), 'Drift', 'series', 'm', 'critical', %s, '{}', %s, %s, '{}', 'crossed')",
        (state, fired_at, fired_at),
    )

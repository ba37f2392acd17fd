"""Everything that can happen to a pair, out of order, through the real ingest and the real leader."""

import random
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from monitor.calibration.reading import ReadingSettings
from monitor.events.messages import Interval, Label, LabelKind, Prediction
from monitor.postgres import partitions
from monitor.postgres.database import Connection
from monitor.postgres.leader import take_lead
from monitor.postgres.offsets import Advance, Reader, load
from monitor.rolling.bound import SeriesBound
from monitor.rolling.segments import SegmentScheme
from monitor.rolling.windows import window_named
from monitor.workers.apply import Applier, JoinRules
from monitor.workers.batch import Batch
from monitor.workers.evaluation import turn
from monitor.workers.standing import Evaluation
from monitor.workers.standing import load as load_standing

NOW = datetime(2026, 5, 20, 10, 30, tzinfo=UTC)
READER = Reader("caldrift", "cluster")
HOUR_US = 3_600_000_000
START_US = round((NOW - timedelta(days=6)).timestamp()) * 1_000_000
PLAIN = SegmentScheme()
EVALUATION = Evaluation(
    windows=(window_named("1d"), window_named("all")),
    maturity=timedelta(0),
    every=timedelta(minutes=5),
    reading=ReadingSettings(min_labels=1, draws=20),
    main_signal="confidence",
)


def some_prediction(chance: random.Random, event_id: str) -> Prediction:
    optional = chance.random() < 0.5
    level_is_confidence = optional and chance.random() < 0.3
    return Prediction(
        prediction_id=event_id,
        model=chance.choice(["a", "b"]),
        predicted_at=START_US + chance.randrange(120 * HOUR_US),
        confidence=0.9 if level_is_confidence else chance.choice([0.0, 0.3, 0.9, 1.0, chance.random()]),
        signals={"logprob": chance.random()} if optional else {},
        predicted=chance.choice(["x", "y"]) if chance.random() < 0.8 else None,
        probabilities=some_table(chance) if optional else None,
        interval=Interval(0.0, 1.0, 0.9) if optional else None,
        segments={"lang": chance.choice(["de", "en"])},
        level_is_confidence=level_is_confidence,
    )


def some_table(chance: random.Random) -> dict[str, float]:
    """Some of five classes, two of them often with equal probabilities."""
    return {name: chance.choice([0.2, 0.8]) for name in chance.sample("vwxyz", chance.randint(1, 4))}


def some_label(chance: random.Random, event_id: str) -> Label:
    kind = chance.choice(list(LabelKind))
    numbers = {LabelKind.CORRECT: chance.choice([0.0, 1.0, 1 / 3]), LabelKind.VALUE: chance.uniform(-1, 2)}
    return Label(
        prediction_id=event_id,
        labelled_at=START_US + chance.randrange(144 * HOUR_US),
        kind=kind,
        number=numbers.get(kind, 0.0),
        text=chance.choice(["x", "y"]) if kind is LabelKind.LABEL else "",
        version=chance.randrange(3),
        source=chance.choice([None, "human", "complaint"]),
        propensity=chance.choice([None, 0.25, 1.0]),
    )


def some_id(chance: random.Random) -> str:
    """A UUIDv7 of the days in which the predictions are made."""
    milliseconds = (START_US + chance.randrange(120 * HOUR_US)) // 1000
    return str(uuid.UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62 | chance.getrandbits(62)))


def ingest(
    connection: Connection,
    chance: random.Random,
    n: int = 400,
    *,
    ids: Sequence[str] = (),
    scheme: SegmentScheme = PLAIN,
    max_classes: int = 0,
) -> Sequence[str]:
    """Two batches with everything that can happen to n pairs, or to those of `ids`, none of it in order."""
    ids = ids or [some_id(chance) for _ in range(n)]
    predictions = [some_prediction(chance, each) for each in ids if chance.random() < 0.9]
    labels = [some_label(chance, each) for each in chance.choices(ids, k=2 * len(ids))]
    topics = [("labels", 0), ("predictions", 0)]
    bound = partial(SeriesBound, 1000, max_classes=max_classes)
    rules = JoinRules(READER, scheme, bound, lambda name: name != "complaint")
    applier = Applier(connection, rules)
    for half in range(2):
        low = load(connection, READER, topics)
        batch = Batch(
            [Advance(topic, part, low[topic, part], low[topic, part] + 1) for topic, part in topics],
            predictions[half::2],
            labels[half::2],
        )
        applier.apply(batch, NOW)
    return ids


def apply_labels(connection: Connection, labels: Sequence[Label]) -> None:
    """One batch of labels alone, as ingest applies it."""
    low = load(connection, READER, [("labels", 0)])["labels", 0]
    rules = JoinRules(READER, PLAIN, partial(SeriesBound, 1000), lambda name: name != "complaint")
    Applier(connection, rules).apply(Batch([Advance("labels", 0, low, low + 1)], [], list(labels)), NOW)


def evaluate(leader: Connection) -> None:
    """Apply the deltas that wait now; the connection leads until it ends."""
    epoch = take_lead(leader)
    assert epoch is not None
    standing = load_standing(leader, epoch, EVALUATION)
    while turn(leader, standing, EVALUATION, lambda: NOW).more:
        continue


def make_room(connection: Connection) -> None:
    """Partitions for the days of the test, where there are any."""
    present = partitions.days(connection)
    if present:
        first = datetime.fromtimestamp(START_US // 1_000_000, UTC).date()
        partitions.add_days(connection, first, max(present[-1], NOW.date()))

"""The events of the ingest benchmark: UUIDv7 ids, one signal, three segment dimensions, no optional field.

Or those of a classifier: the same, with the probabilities of four classes each, and labels that name the right class.

Predictions are in the order of time; a label comes a random while after its prediction, as it does in life.
"""

import json
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from monitor.kafka.access import KafkaAccess
from monitor.kafka.publisher import Publisher
from monitor.kafka.topics import create_topics

PARTITIONS = 4
PREDICTIONS = "bench-p-"
START_MS = 1_795_000_000_000
DELAY = 30_000
"""Mean number of predictions between a prediction and its label."""
VALUES = {"domain": ("law", "medicine", "finance", "code"), "channel": ("web", "app"), "lang": ("de", "en", "fr")}
CLASSES = ("complaint", "order", "praise", "question")


@dataclass(frozen=True, slots=True)
class Filled:
    """Topics that hold a known number of messages."""

    predictions: str
    labels: str
    corrections: str
    pairs: int


def prediction_ids(pairs: int, seed: int) -> list[str]:
    """UUIDv7 texts in the order of time, four to a millisecond."""
    rng = random.Random(seed)
    ids = []
    for number in range(pairs):
        at = START_MS + number // 4
        ids.append(str(uuid.UUID(int=at << 80 | 7 << 76 | rng.getrandbits(12) << 64 | 2 << 62 | rng.getrandbits(62))))
    return ids


def predictions(ids: list[str], seed: int, *, classes: bool = False) -> Iterator[bytes]:
    rng = random.Random(seed)
    for number, name in enumerate(ids):
        segments = {dimension: rng.choice(values) for dimension, values in VALUES.items()}
        event = {
            "prediction_id": name, "model": f"model-{number % 2}", "model_version": "2026-11",
            "predicted_at": START_MS + number // 4, "confidence": round(rng.random(), 4), "segments": segments,
        }  # fmt: skip
        if classes:
            weights = [rng.expovariate(1) for _ in CLASSES]
            event["probabilities"] = {
                name: weight / sum(weights) for name, weight in zip(CLASSES, weights, strict=True)
            }
        yield json.dumps(event).encode()


def labels(ids: list[str], seed: int, version: int, *, classes: bool = False) -> Iterator[bytes]:
    rng = random.Random(seed + version)
    for number, name in enumerate(ids):
        event = {
            "prediction_id": name, "labelled_at": START_MS + number // 4 + 3_600_000 * version,
            "version": version, **({"label": rng.choice(CLASSES)} if classes else {"correct": rng.random() < 0.7}),
        }  # fmt: skip
        yield json.dumps(event).encode()


def fill(address: str, pairs: int, seed: int = 1, *, classes: bool = False) -> Filled:
    """Fill new topics: every prediction, its label, and a correction of each label."""
    mark = uuid.uuid4().hex[:8]
    filled = Filled(f"{PREDICTIONS}{mark}", f"bench-l-{mark}", f"bench-c-{mark}", pairs)
    access = KafkaAccess((address,))
    create_topics(access, (filled.predictions, filled.labels, filled.corrections), PARTITIONS)
    ids = prediction_ids(pairs, seed)
    topics = {
        filled.predictions: (range(pairs), predictions(ids, seed, classes=classes)),
        filled.labels: (delayed(pairs, seed + 1), labels(ids, seed, 1, classes=classes)),
        filled.corrections: (delayed(pairs, seed + 2), labels(ids, seed, 2, classes=classes)),
    }
    with Publisher(access) as publisher:
        for topic, (order, bodies) in topics.items():
            every = list(bodies)
            for place in order:
                publisher.send(topic, ids[place].encode(), every[place], hash_partition(ids[place]))
        publisher.flush()
    return filled


def delayed(pairs: int, seed: int) -> list[int]:
    """The order in which labels come: each an exponential while behind its prediction."""
    rng = random.Random(seed)
    due = [place + rng.expovariate(1 / DELAY) for place in range(pairs)]
    return sorted(range(pairs), key=due.__getitem__)


def hash_partition(name: str) -> int:
    """The partition of an id, the same in every topic."""
    return int(name[-4:], 16) % PARTITIONS

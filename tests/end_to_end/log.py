"""A log of predictions and labels with everything that goes wrong in production. Imports nothing of the service."""

import json
import random
import uuid
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

PREDICTIONS, LABELS = "predictions", "labels"
STARTED_AT = datetime(2026, 3, 1, tzinfo=UTC)
BAD_BODIES = (
    b"\xff\xfe\x00 not json",
    b"[]",
    b'{"prediction_id": "x"}',
    b'{"prediction_id": "x", "model": "m1", "predicted_at": 1772323200000, "confidence": "high"}',
    b'{"prediction_id": "x", "model": "m1", "predicted_at": 1772323200000, "confidence": 1.2}',
    b'{"prediction_id": "", "model": "m1", "predicted_at": 1772323200000, "confidence": 0.2}',
    b'{"prediction_id": "x", "labelled_at": "2999-01-01T00:00:00Z", "correct": true}',
    b'{"prediction_id": "x", "labelled_at": "2026-03-02T00:00:00Z"}',
)


@dataclass(frozen=True, slots=True)
class Message:
    """One record of a topic, in the order in which it is to be published."""

    topic: str
    part: int
    key: bytes
    value: bytes


def write_log(seed: int, predictions: int, parts: int = 4) -> list[Message]:
    """About 2.6 messages a prediction: duplicates, conflicts, corrections, retractions, labels first, bad bodies.

    Both topics are keyed alike. Within one id the order is shuffled: half of the labels come first.
    """
    rng = random.Random(seed)
    messages: list[Message] = []
    for number in range(predictions):
        name = _name(rng, number)
        part = zlib.crc32(name.encode()) % parts
        story = [(PREDICTIONS, body) for body in _predictions(rng, name)] + [
            (LABELS, body) for body in _labels(rng, name)
        ]
        rng.shuffle(story)
        messages += [Message(topic, part, name.encode(), json.dumps(body).encode()) for topic, body in story]
        if rng.random() < 0.02:
            messages.append(Message(rng.choice((PREDICTIONS, LABELS)), part, b"bad", rng.choice(BAD_BODIES)))
    return _spread(rng, messages)


def _name(rng: random.Random, number: int) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4)) if number % 3 else f"order-{number}-ü"


def _confidence(rng: random.Random) -> float:
    kind = rng.random()
    if kind < 0.5:
        return rng.randrange(0, 11) / 10
    if kind < 0.6:
        return rng.choice((0.0, 1.0, 0.30000000000000004, 0.1 + 0.2, 1 - 1e-9, 1e-9, 1 - 3e-7, 2e-6))
    return rng.random() if kind < 0.8 else 1 - 10 ** -rng.uniform(0, 8)


def _at(rng: random.Random, start: datetime, days: float) -> datetime:
    return start + timedelta(microseconds=rng.randrange(int(days * 86_400e6)))


def _time(rng: random.Random, at: datetime) -> str | int:
    return at.isoformat().replace("+00:00", "Z") if rng.random() < 0.7 else int(at.timestamp() * 1000)


def _predictions(rng: random.Random, name: str) -> list[dict[str, Any]]:
    if rng.random() < 0.03:
        return []
    event: dict[str, Any] = {
        "prediction_id": name,
        "model": rng.choice(("m1", "m2")),
        "predicted_at": _time(rng, _at(rng, STARTED_AT, 4)),
        "confidence": _confidence(rng),
        "segments": {
            "lang": rng.choice(("de", "en", "fr")),
            "prompt_tokens": rng.choice((50, 200, 201, 999.5, 1000, 4000)),
        },
        "unknown_field": [1, 2],
    }
    if rng.random() < 0.3:
        event["signals"] = {"stated": _confidence(rng), "logprob": _confidence(rng)}
    if rng.random() < 0.3:
        event["model_version"] = rng.choice(("1", "2"))
    if rng.random() < 0.5:
        event["predicted"] = rng.choice(("yes", "no"))
    elif rng.random() < 0.5:
        event["probabilities"] = rng.choice(({"yes": 0.7, "no": 0.3}, {"yes": 0.5, "no": 0.5}, {"maybe": 1 / 3}, {}))
    if rng.random() < 0.2:
        event["interval"] = {"low": -1.5, "high": 2.0, "level": rng.choice((0.9, 0.5))}
        if rng.random() < 0.4:
            del event["confidence"]
    copies = [event] * (2 if rng.random() < 0.1 else 1)
    if rng.random() < 0.03:
        copies = [*copies, event | {"confidence": 0.123}]
    return copies


def _labels(rng: random.Random, name: str) -> list[dict[str, Any]]:
    if rng.random() < 0.15:
        return []
    labels = []
    for version in range(rng.choice((1, 1, 1, 2, 3))):
        label: dict[str, Any] = {
            "prediction_id": name,
            "labelled_at": _time(rng, _at(rng, STARTED_AT + timedelta(days=2), 20)),
        }
        kind = rng.random()
        if kind < 0.6:
            label["correct"] = rng.choice((True, False, 0, 1, 0.5, 2 / 3))
        elif kind < 0.8:
            label["label"] = rng.choice(("yes", "no"))
        elif kind < 0.9:
            label["value"] = rng.choice((-1.5, 0.25, 2.5))
        else:
            label["retract"] = True
        if rng.random() < 0.3:
            label["version"] = version
        if rng.random() < 0.4:
            label["source"] = rng.choice(("human", "judge", "complaint"))
        if rng.random() < 0.2:
            label["propensity"] = rng.choice((0.1, 0.25, 1 / 3, 1e-6, 1.0))
        labels += [label] * (2 if rng.random() < 0.1 else 1)
    return labels


def _spread(rng: random.Random, messages: list[Message]) -> list[Message]:
    """The same messages, each moved by up to 3,000 places: those of one id fall into different batches."""
    order = sorted((index + rng.random() * 3000, index) for index in range(len(messages)))
    return [messages[index] for _, index in order]

"""Simulated answers as messages: the predictions, their labels hours later, corrections, and a few broken ones."""

import uuid
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.demo.models import Answers

HOUR_US: Final = 3_600_000_000

LABELLED: Final = 0.93
CORRECTED: Final = 0.015
RETRACTED: Final = 0.003
BROKEN: Final = 0.001
MEDIAN_DELAY_HOURS: Final = 2.5
LATE: Final = 0.03
"""Share of labels that come one to three days after their prediction instead of within some hours."""

PREDICTION: Final = 0
LABEL: Final = 1


class Due(NamedTuple):
    """A message and the instant, in microseconds since the epoch, at which its producer sends it."""

    at_us: int
    kind: int
    key: bytes
    body: bytes


Mapped: TypeAlias = Callable[[float, dict[str, str | int]], tuple[float, int] | None]
"""What a service makes of a confidence and its segments before it acts: the calibrated value, and the version of the
map; None without one."""


def _encode(document: dict[str, object]) -> bytes:
    return msgspec.json.encode(document)


def messages(
    answers: Answers, at_us: NDArray[np.int64], rng: np.random.Generator, mapped: Mapped | None = None
) -> Iterator[Due]:
    """The messages of answers given at the instants: one prediction each, and what the labellers make of it."""
    n = at_us.size
    delay = np.minimum(np.exp(rng.normal(np.log(MEDIAN_DELAY_HOURS), 0.6, n)), 11.0)
    delay = np.where(rng.random(n) < LATE, rng.uniform(24.0, 72.0, n), delay)
    labelled_us = at_us + (delay * HOUR_US).astype(np.int64)
    luck = rng.random((4, n))
    raw_ids = rng.bytes(16 * n)
    for i in range(n):
        key = str(uuid.UUID(bytes=raw_ids[16 * i : 16 * i + 16], version=4)).encode()
        yield _prediction(answers, i, key, int(at_us[i]), mapped)
        if luck[3, i] < BROKEN:
            yield _broken(key, int(at_us[i]), int(luck[3, i] / BROKEN * 4))
        if luck[0, i] < LABELLED:
            right = bool(answers.outcome[i])
            mistaken = bool(luck[1, i] < CORRECTED)
            yield _label(key, int(labelled_us[i]), {"correct": right != mistaken, "source": "human"})
            second_us = int(labelled_us[i]) + int((0.5 + 6.0 * luck[2, i]) * HOUR_US)
            if mistaken:
                yield _label(key, second_us, {"correct": right, "source": "human"})
            elif luck[1, i] > 1.0 - RETRACTED:
                yield _label(key, second_us, {"retract": True, "source": "human"})


def _prediction(answers: Answers, i: int, key: bytes, at_us: int, mapped: Mapped | None) -> Due:
    confidence = float(answers.confidence[i])
    segments: dict[str, str | int] = {
        "lang": str(answers.language[i]),
        "prompt_tokens": int(answers.prompt_tokens[i]),
    }
    signals = {name: float(values[i]) for name, values in answers.signals.items()}
    found = None if mapped is None else mapped(confidence, segments)
    if found is not None:
        signals["calibrated"] = found[0]
        segments["calibrator"] = str(found[1])
    document: dict[str, object] = {
        "prediction_id": key.decode(),
        "model": answers.model.name,
        "model_version": answers.model.version,
        "predicted_at": at_us // 1000,
        "confidence": confidence,
        "segments": segments,
    }
    if signals:
        document["signals"] = signals
    return Due(at_us, PREDICTION, key, _encode(document))


def _label(key: bytes, at_us: int, judgement: dict[str, object]) -> Due:
    return Due(at_us, LABEL, key, _encode({"prediction_id": key.decode(), "labelled_at": at_us // 1000, **judgement}))


def _broken(key: bytes, at_us: int, which: int) -> Due:
    """A message as a careless producer sends it: every kind ends as a dead letter with its own reason."""
    sound: dict[str, object] = {
        "prediction_id": f"x{key.decode()}",
        "model": "support-agent",
        "predicted_at": at_us // 1000,
    }
    bodies = (
        _encode({**sound, "confidence": 1.2}),
        _encode({**sound, "confidence": "high"}),
        _encode({"model": "support-agent", "predicted_at": at_us // 1000, "confidence": 0.8}),
        b'{"prediction_id": "cut off in the mid',
    )
    return Due(at_us, PREDICTION, key, bodies[min(which, 3)])

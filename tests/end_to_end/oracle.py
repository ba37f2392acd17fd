"""What the store must hold after a log: a sequential pass in plain Python. Imports nothing of the service.

Written from the published format (docs/measures.md, docs/events.md), not from the code.
"""

import json
import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from tests.end_to_end.log import PREDICTIONS, Message

HOUR_US = 3_600_000_000
CUTS = ((200, "easy"), (1000, "medium"), (math.inf, "hard"))
SUMS = (
    *("n_pred", "n", "sum_c", "sum_c2", "sum_y", "sum_cy"),
    *("excess_w", "excess_wy", "excess_wc", "excess_w2", "excess_w2y", "excess_w2c"),
)
RETRACTION, CORRECT, LABEL, VALUE = range(4)

KINDS = {"retract": RETRACTION, "correct": CORRECT, "label": LABEL, "value": VALUE}

DELAYS = ("delays", "right_delays", "unsplit_delays")
DELAY = 10_000
"""Buckets of label delays are counted as cells from here on, with the sums DELAYS."""

Key = tuple[str, str, str, str, int, int]  # model, signal, segment, source group, hour, cell or delay bucket
Cells = dict[Key, tuple[int, ...]]


def expected_cells(log: Iterable[Message]) -> Cells:
    """The integer sums of every cell and delay bucket of every pane of every series, without those all zero."""
    predictions: dict[str, dict[str, Any]] = {}
    labels: dict[str, tuple[Any, ...]] = {}
    for name, prediction, label in filter(None, map(_read, log)):
        if prediction is not None:
            predictions.setdefault(name, prediction)
        if label is not None:
            labels[name] = max(labels.get(name, label), label)
    cells = _Counts()
    for name, prediction in predictions.items():
        _count(cells, prediction, labels.get(name))
    return {key: tuple(sums) for key, sums in cells.items() if any(sums)}


def accepted(log: Iterable[Message]) -> dict[str, int]:
    """How many messages are good predictions, good labels and dead letters."""
    read = [_read(message) for message in log]
    return {
        "predictions": sum(each is not None and each[1] is not None for each in read),
        "labels": sum(each is not None and each[2] is not None for each in read),
        "dead_letters": sum(each is None for each in read),
    }


def _read(message: Message) -> tuple[str, dict[str, Any] | None, tuple[Any, ...] | None] | None:
    """The id, and the prediction or the label; nothing for a message that must be rejected."""
    try:
        body = json.loads(message.value)
        name = _id(body)
        return (name, _prediction(body), None) if message.topic == PREDICTIONS else (name, None, _label(body))
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def _id(body: Any) -> str:
    name = body["prediction_id"]
    if not isinstance(name, str) or not 1 <= len(name) <= 256:
        raise ValueError(name)
    return name


def _us(value: str | int) -> int:
    if isinstance(value, int):
        return value * 1000
    at = datetime.fromisoformat(value)
    if at.year > 2900:
        raise ValueError(value)
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _share(value: Any) -> float:
    if isinstance(value, str) or not 0 <= value <= 1:
        raise ValueError(value)
    return float(value)


def _prediction(body: dict[str, Any]) -> dict[str, Any]:
    alone = "confidence" not in body and "interval" in body
    return body | {
        "at": _us(body["predicted_at"]),
        "confidence": body["interval"]["level"] if alone else _share(body["confidence"]),
        "alone": alone,
        "model": str(body["model"]),
    }


def _label(body: dict[str, Any]) -> tuple[Any, ...]:
    """Version, instant, kind, number, text: these five order the labels. Then source and propensity."""
    kind = [kind for field, kind in KINDS.items() if field in body][0]  # noqa: RUF015 - IndexError is a rejection here
    number = _share(body["correct"]) if kind == CORRECT else float(body["value"]) if kind == VALUE else 0.0
    text = body["label"] if kind == LABEL else ""
    order = (body.get("version", 0), _us(body["labelled_at"]), kind, number, text.encode())
    return (*order, body.get("source"), body.get("propensity"))


def _outcome(prediction: dict[str, Any], label: tuple[Any, ...]) -> float | None:
    kind, number, text = label[2], label[3], label[4].decode()
    if kind == CORRECT:
        return float(number)
    if kind == LABEL:
        chosen = prediction.get("predicted")
        if chosen is None and prediction.get("probabilities"):
            chosen = _top(prediction["probabilities"])
        return None if chosen is None else float(chosen == text)
    return None


def _top(classes: dict[str, float]) -> str:
    return min(classes, key=lambda name: (-classes[name], name))


def _claims(prediction: dict[str, Any], label: tuple[Any, ...] | None) -> list[tuple[str, float, float | None]]:
    """Every signal, its confidence and its outcome: each compared with its own event."""
    kind, number, text = (None, 0.0, "") if label is None else (label[2], label[3], label[4].decode())
    answered = None if label is None else _outcome(prediction, label)
    interval, classes = prediction.get("interval"), prediction.get("probabilities")
    inside = float(interval["low"] <= number <= interval["high"]) if interval and kind == VALUE else None
    if kind == CORRECT and prediction["alone"] and not classes and "predicted" not in prediction:
        inside = number
    claims = [("confidence", prediction["confidence"], inside if prediction["alone"] else answered)]
    claims += [(name, c, answered) for name, c in prediction.get("signals", {}).items()]
    if interval:
        claims.append(("interval", interval["level"], inside))
    if classes:
        top = _top(classes)
        said = number if kind == CORRECT and prediction.get("predicted", top) == top else None
        claims.append(("top_label", classes[top], float(text == top) if kind == LABEL else said))
        claims += [(f"class:{name}", p, float(text == name) if kind == LABEL else None) for name, p in classes.items()]
    return claims


def _segments(prediction: dict[str, Any]) -> list[str]:
    raw = prediction.get("segments", {})
    lang = {"lang": raw["lang"]}
    difficulty = {"difficulty": next(name for cut, name in CUTS if raw["prompt_tokens"] < cut)}
    parts = [{}, lang, difficulty, lang | difficulty]
    if "stated" in prediction.get("signals", {}):
        sure, stated = prediction["confidence"] >= 0.9 - 1e-9, prediction["signals"]["stated"] >= 0.5 - 1e-9
        quadrant = {(True, True): "both_high", (True, False): "first_only", (False, True): "second_only"}
        parts.append({"agreement:confidence~stated": quadrant.get((sure, stated), "both_low")})
    return [json.dumps(part, sort_keys=True, separators=(",", ":")) for part in parts]


def fixed(value: float, unit: float = 1e9) -> int:
    """Fixed point: floor(value * unit + 0.5)."""
    return math.floor(value * unit + 0.5)


def cell_of(c: float) -> int:
    """Index of a confidence in version 1 of the cells."""
    x = 600 * c
    r = math.floor(x + 0.5)
    if abs(x - r) <= 600e-9:
        return 2 * r
    if x > 599:
        return 1201 + _tail(1 - c)
    if x < 1:
        return 1425 + _tail(c)
    return 2 * math.floor(x) + 1


def bucket_of(delay_us: int) -> int:
    """Index of a label delay: 0 below a second, then two buckets an octave of seconds, bounds rounded to 1e-6 s."""
    return sum(delay_us >= round(1e6 * 2 ** (j / 2)) for j in range(63))


class _Counts(dict[Key, list[int]]):
    def __missing__(self, key: Key) -> list[int]:
        return self.setdefault(key, [0] * len(DELAYS if key[-1] >= DELAY else SUMS))


def _tail(distance: float) -> int:
    for k in range(223):
        if distance > 10 ** (-(k + 1) / 32) / 600:
            return k
    return 223


def _count(cells: _Counts, prediction: dict[str, Any], label: tuple[Any, ...] | None) -> None:
    source = "complaint" if label is not None and label[5] == "complaint" else ""
    for signal, confidence, outcome in _claims(prediction, label):
        for segment in _segments(prediction):
            at = (prediction["at"] // HOUR_US, cell_of(confidence))
            cells[prediction["model"], signal, segment, "", *at][0] += 1
            if outcome is not None and label is not None:
                sums = cells[prediction["model"], signal, segment, source, *at]
                for place, value in enumerate(_label_sums(confidence, outcome, label[6]), 1):
                    sums[place] += value
                bucket = DELAY + bucket_of(label[1] - prediction["at"])
                delays = cells[prediction["model"], signal, segment, source, at[0], bucket]
                delays[0] += 1
                delays[1] += fixed(outcome)


def _label_sums(c: float, y: float, propensity: float | None) -> list[int]:
    plain = [1, fixed(c), fixed(c * c), fixed(y), fixed(c * y)]
    if propensity is None:
        return [*plain, 0, 0, 0, 0, 0, 0]
    w = min(1 / propensity, 1e4)
    weighted = [fixed((w - 1.0) * v, 1e6) for v in (1.0, y, c)]
    squared = [fixed((w * w - 1.0) * v, 1e3) for v in (1.0, y, c)]
    return plain + weighted + squared

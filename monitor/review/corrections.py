"""The label events that answers become: what they say, and how they are written in this installation's words."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from monitor.errors import BadInput
from monitor.events.identity import key_text
from monitor.events.mapping import FieldMapping
from monitor.events.messages import TEXT_LENGTH, LabelKind
from monitor.events.rules import EventRules
from monitor.review.reasons import LABEL_WRONG, RIGHT, SPOT_CHECK, WRONG, Queue

_HALF: Final = 0.5


@dataclass(frozen=True, slots=True)
class Subject:
    """The prediction that an answer is about, with the label that it has now (`kind` None or RETRACTION: none)."""

    prediction: UUID
    model: str
    predicted: str | None
    kind: LabelKind | None = None
    outcome: float | None = None
    version: int | None = None
    source: str | None = None
    propensity: float | None = None


def label_of(
    subject: Subject, queue: Queue, reason: str, truth: str, *, propensity: float | None, at: datetime
) -> dict[str, object] | None:
    """The label that the answer becomes, by our field names; None where it becomes none.

    `truth` is the right answer, as typed; "" where nothing was. A correction keeps kind, source and propensity of the
    label it corrects and has the next version. Raises BadInput where the right answer is needed and was not given.
    """
    if queue == "spot_check":
        if reason not in {RIGHT, WRONG}:
            return None
        said: dict[str, object] = {"correct": reason == RIGHT}
        if reason == WRONG and truth and subject.predicted is not None:
            said = {"label": _text(truth, subject)}
        source: str | None = SPOT_CHECK
        weight = propensity
    else:
        if reason != LABEL_WRONG:
            return None
        said, source, weight = _corrected(subject, truth), subject.source, subject.propensity
    label: dict[str, object] = {"prediction_id": str(subject.prediction), "labelled_at": at.isoformat(), **said}
    label["version"] = (subject.version or 0) + 1
    return label | ({} if source is None else {"source": source}) | ({} if weight is None else {"propensity": weight})


def _corrected(subject: Subject, truth: str) -> dict[str, object]:
    was_right = subject.outcome is not None and subject.outcome >= _HALF
    match subject.kind:
        case LabelKind.CORRECT:
            return {"correct": not was_right}
        case LabelKind.LABEL:
            if truth:
                return {"label": _text(truth, None)}
            if was_right or subject.predicted is None:
                raise BadInput("say what the right answer is: the model's is not, and the label was wrong", "truth")
            return {"label": subject.predicted}
        case LabelKind.VALUE:
            return {"value": _number(truth)}
        case _:
            raise BadInput("the prediction has no label any more, so there is none to correct", "reason")


def _number(truth: str) -> float:
    try:
        number = float(truth)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise BadInput(f"say what the true number is, got {truth[:40]!r}", "truth")
    return number


def _text(truth: str, subject: Subject | None) -> str:
    if len(truth) > TEXT_LENGTH:
        raise BadInput(f"the right answer must have at most {TEXT_LENGTH} characters, got {len(truth)}", "truth")
    if subject is not None and truth == subject.predicted:
        raise BadInput("the right answer is the model's, but the model is said to be wrong", "truth")
    return truth


def message_of(label: Mapping[str, object], model: str, rules: EventRules) -> tuple[bytes, bytes]:
    """Key and body of the message: in the words of the installation's mapping, and of its scope of ids."""
    said = dict(label)
    if rules.id_scope == "model":
        said["model"] = model
        said["prediction_id"] = key_text(UUID(str(label["prediction_id"])).bytes)
    body = json.dumps(written(said, rules.labels), ensure_ascii=False).encode()
    return str(said["prediction_id"]).encode(), body


def written(record: Mapping[str, object], mapping: FieldMapping) -> dict[str, object]:
    """The record under the user's names, a dotted one as objects within objects: what the mapping reads back."""
    found: dict[str, object] = {}
    for ours, value in record.items():
        *outer, last = mapping.theirs(ours).split(".")
        place = found
        for name in outer:
            inner = place.setdefault(name, {})
            if not isinstance(inner, dict):
                raise BadInput(f"{ours} cannot be written at {mapping.theirs(ours)}: {name} holds a value already")
            place = inner
        place[last] = value
    return found

"""Which of the user's fields holds which of ours."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, Literal

from monitor.errors import BadSettings

MessageKind = Literal["prediction", "label"]

FIELDS: Final[dict[MessageKind, tuple[str, ...]]] = {
    "prediction": (
        "prediction_id",
        "model",
        "predicted_at",
        "confidence",
        "model_version",
        "signals",
        "predicted",
        "probabilities",
        "interval",
        "segments",
        "reference",
        "chain_id",
        "step",
    ),
    "label": (
        "prediction_id",
        "labelled_at",
        "correct",
        "label",
        "value",
        "retract",
        "version",
        "source",
        "propensity",
        "model",
    ),
}
"""The fields of each kind of message, by our names."""

CONTAINERS: Final = ("signals", "probabilities", "interval", "segments")
"""Fields that hold named values; a mapping may fill one of them from elsewhere: `segments.lang`."""


@dataclass(frozen=True, slots=True)
class FieldMapping:
    """Pairs (our field, path of the user's field); a field that is not named keeps its own name.

    Ours may be one value of a container (`segments.lang`, `signals.logprob`); theirs may be nested (`meta.lang`).
    """

    names: tuple[tuple[str, str], ...] = ()

    @property
    def is_identity(self) -> bool:
        """Whether every field keeps its name."""
        return not self.names

    @property
    def is_flat(self) -> bool:
        """Whether the mapping only renames whole fields."""
        return not any("." in ours or "." in theirs for ours, theirs in self.names)

    def apply(self, record: Mapping[str, object]) -> dict[str, object]:
        """The record under our names. A mapped field that the record lacks stays absent, other fields are kept."""
        mapped: dict[str, object] = {}
        claimed = {ours for ours, _ in self.names}
        for name, value in record.items():
            if name not in claimed:
                mapped[name] = dict(value) if name in CONTAINERS and isinstance(value, dict) else value
        for ours, theirs in self.names:
            value = look_up(record, theirs)
            if value is not None:
                put(mapped, ours, value)
        return mapped

    def theirs(self, ours: str) -> str:
        """The user's name of our field."""
        return dict(self.names).get(ours, ours)


IDENTITY: Final = FieldMapping()


def field_mapping(kind: MessageKind, names: Mapping[str, str]) -> FieldMapping:
    """A mapping of our fields to the user's, checked. Raises BadSettings that names every unknown field."""
    mistakes = []
    for ours in names:
        head, _, rest = ours.partition(".")
        if head not in FIELDS[kind] or (rest and head not in CONTAINERS):
            near = get_close_matches(ours, FIELDS[kind], n=1)
            hint = f", did you mean {near[0]}?" if near else ""
            mistakes.append(f"{ours} is no field of a {kind}; allowed are {', '.join(FIELDS[kind])}{hint}")
        elif not names[ours].strip("."):
            mistakes.append(f"{ours} needs the name of the field that holds it, got {names[ours]!r}")
    if mistakes:
        raise BadSettings(mistakes)
    return FieldMapping(tuple(sorted((ours, theirs) for ours, theirs in names.items() if ours != theirs)))


def look_up(record: Mapping[str, object], path: str) -> object:
    """The value at a dotted path, None where there is none. A field whose own name holds the dots comes first."""
    if path in record:
        return record[path]
    head, dot, rest = path.partition(".")
    inner = record.get(head) if dot else None
    return look_up(inner, rest) if isinstance(inner, dict) else None


def put(record: dict[str, object], path: str, value: object) -> None:
    """Set the value at our path, one level deep at most (`signals.logprob`); what is no container is replaced."""
    head, dot, rest = path.partition(".")
    if not dot:
        record[head] = value
        return
    inner = record.get(head)
    if not isinstance(inner, dict):
        inner = record[head] = {}
    inner[rest] = value

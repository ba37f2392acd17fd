"""Answers that may be worth a look: which of them are the same one, and how random ones are mixed in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import md5
from typing import Final
from uuid import UUID

from monitor.events.messages import LabelKind

_PLACES: Final = 1 << 52
"""13 hexadecimal digits: as many as a float holds exactly."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A labelled prediction as the store has it. `confidence` (0..1) is that of the signal by which it is ranked.

    `outcome` (0..1) is what its label says of it; `alike` counts the others that say the same, `is_control` marks one
    that was drawn at random and not for its confidence; `place` orders the queue, the least first.
    """

    prediction: UUID
    predicted_at: datetime
    signal: str
    confidence: float
    outcome: float
    segments: Mapping[str, str]
    label_kind: LabelKind
    predicted: str | None = None
    label_text: str | None = None
    reference: str | None = None
    alike: int = 0
    is_control: bool = False
    place: float = 0.0


def chance_of(prediction: UUID, purpose: str) -> float:
    """A number in [0, 1) that depends on the prediction and the purpose alone: uniform over ids, the same for ever.

    The first 13 hexadecimal digits of the MD5 digest of purpose, a blank and the id; Postgres computes it alike.
    """
    digest = md5(f"{purpose} {prediction}".encode(), usedforsecurity=False).hexdigest()
    return int(digest[:13], 16) / _PLACES


def distinct(found: Sequence[Candidate]) -> list[Candidate]:
    """The most confident first, one of each sort that says the same; `alike` counts the ones left out.

    Two say the same if they share a reference, or answer, label text and segments where both texts are known.
    """
    ranked = sorted(found, key=lambda each: (-each.confidence, each.predicted_at, each.prediction))
    first: dict[object, int] = {}
    kept: list[Candidate] = []
    for each in ranked:
        keys = _sameness(each)
        known = next((first[key] for key in keys if key in first), None)
        if known is None:
            known = len(kept)
            kept.append(each)
        else:
            kept[known] = replace(kept[known], alike=kept[known].alike + 1)
        for key in keys:
            first.setdefault(key, known)
    return kept


def _sameness(each: Candidate) -> list[object]:
    keys: list[object] = [("reference", each.reference)] if each.reference else []
    if each.predicted is not None and each.label_text is not None:
        keys.append((each.predicted, each.label_text, tuple(sorted(each.segments.items()))))
    return keys


def n_controls(n_ranked: int, share: float) -> int:
    """How many random ones make up `share` (0..1, below 1) of a queue with so many ranked ones."""
    return round(n_ranked * share / (1 - share))


def queued(ranked: Sequence[Candidate], random: Sequence[Candidate]) -> list[Candidate]:
    """One queue: the ranked by confidence, the random ones at places that follow from their ids alone.

    A random one that is ranked too stands once, where its confidence puts it, as a control: the two samples overlap.
    """
    drawn = {each.prediction for each in random}
    places = sorted(-each.confidence for each in ranked)
    kept = [replace(each, place=-each.confidence, is_control=each.prediction in drawn) for each in ranked]
    among = {each.prediction for each in ranked}
    for each in random:
        if each.prediction not in among:
            at = int(chance_of(each.prediction, "place") * len(places)) if places else None
            kept.append(replace(each, place=places[at] if at is not None else -each.confidence, is_control=True))
    return sorted(kept, key=lambda each: each.place)

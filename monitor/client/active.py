"""The map in force as a client holds it: replaced as a whole, never changed, so that threads need no lock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from monitor.calibration.calibrators.lookup import Lookup
from monitor.calibration.calibrators.served import DeclaredDimension, Stage, decode_served
from monitor.calibration.cells import FloatArray
from monitor.errors import BadInput
from monitor.rolling.chosen import RawSegments, choosing
from monitor.rolling.segments import EVENT_FIELDS, Dimension


@dataclass(frozen=True, slots=True)
class ActiveMap:
    """The map of one promotion; without a lookup, confidences are taken as stated."""

    version: int | None = None
    stage: Stage = "active"
    lookup: Lookup | None = None
    dimensions: tuple[Dimension, ...] = ()
    label: str = field(init=False)
    """The version as the value of the segment `calibrator`."""
    event_fields: tuple[str, ...] = field(init=False)
    """Fields of the event itself that choose the map."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", str(self.version))
        sources = {each.source for each in self.dimensions}
        object.__setattr__(self, "event_fields", tuple(name for name in EVENT_FIELDS if name in sources))

    def apply(self, lookup: Lookup, confidence: float, segments: RawSegments) -> float:
        """The calibrated value of a confidence in 0..1. Raises TypeError or ValueError for a value of no kind."""
        if not segments:
            return lookup.apply(confidence)
        return lookup.apply(confidence, *choosing(segments, self.dimensions))

    def apply_all(self, lookup: Lookup, confidence: FloatArray, segments: RawSegments) -> FloatArray:
        """Those of an array of confidences in 0..1 that share their segments."""
        return lookup.apply_all(confidence, *choosing(segments, self.dimensions))


AS_STATED: Final = ActiveMap()


def active_map(body: bytes, model: str, signal: str) -> ActiveMap:
    """The map that a server's answer brings.

    Raises BadInput when the answer is something else, damaged, or about another model; Refused when it is of a version
    that this client cannot read.
    """
    served, calibrator = decode_served(body)
    if (served.model, served.signal) != (model, signal):
        raise BadInput(f"the answer is about {served.model}/{served.signal}, asked for {model}/{signal}", "calibrator")
    return ActiveMap(
        served.version,
        served.stage,
        None if calibrator is None else Lookup(calibrator),
        tuple(map(_dimension, served.dimensions)),
    )


def _dimension(declared: DeclaredDimension) -> Dimension:
    return Dimension(declared.name, declared.field, declared.cuts, declared.names)

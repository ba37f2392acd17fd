"""Which map of an artefact holds for a prediction."""

from collections.abc import Mapping
from typing import Final

from monitor.calibration.calibrators.artefact import Calibrator, SegmentMap
from monitor.calibration.calibrators.curves import NO_FIELDS, apply, apply_all
from monitor.calibration.cells import FloatArray

EVERYTHING: Final[Mapping[str, str]] = {}


class Lookup:
    """The maps of an artefact by segment: built once, asked for every prediction; threads may share it."""

    __slots__ = ("_by_values", "_everything", "clip")

    def __init__(self, calibrator: Calibrator) -> None:
        self.clip = calibrator.clip
        self._everything = calibrator.maps[-1]
        by_values: dict[tuple[str, ...], dict[tuple[str, ...], SegmentMap]] = {}
        for each in calibrator.maps[:-1]:
            dimensions = tuple(sorted(each.segment))
            by_values.setdefault(dimensions, {})[tuple(each.segment[name] for name in dimensions)] = each
        self._by_values = sorted(by_values.items(), key=lambda item: (-len(item[0]), item[0]))

    def map_of(self, segment: Mapping[str, str]) -> SegmentMap:
        """The map whose segment names the most of a prediction's values, and no other; without one, that of {}.

        Of maps that name equally many, the one whose dimensions come first in the alphabet.
        """
        for dimensions, by_values in self._by_values:
            found = by_values.get(tuple([segment.get(name, "") for name in dimensions]))
            if found is not None:
                return found
        return self._everything

    def apply(
        self,
        confidence: float,
        segment: Mapping[str, str] = EVERYTHING,
        fields: Mapping[str, float] = NO_FIELDS,
    ) -> float:
        """The calibrated confidence of one prediction: confidence in 0..1 in, clip..1-clip out."""
        return apply(self.map_of(segment).curve, confidence, self.clip, fields)

    def apply_all(
        self,
        confidence: FloatArray,
        segment: Mapping[str, str] = EVERYTHING,
        fields: Mapping[str, float] = NO_FIELDS,
    ) -> FloatArray:
        """Those of an array of predictions that share their segment and fields."""
        return apply_all(self.map_of(segment).curve, confidence, self.clip, fields)

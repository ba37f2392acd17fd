"""Cuts: ways to divide a model's labels into disjoint parts, and the stretches of time that a trial goes by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import accumulate

from monitor.calibration.calibrators.artefact import Calibrator
from monitor.calibration.calibrators.curves import Adaptive
from monitor.calibration.calibrators.fitting import Part
from monitor.calibration.sketch import Sketch, merge, subtract


@dataclass(frozen=True, slots=True)
class Stretches:
    """The predictions of a trial by time, UTC: maps are chosen on since..choice_from..holdout_from, the one that is
    chosen is fitted on since..holdout_from, and judged on holdout_from..until."""

    since: datetime
    choice_from: datetime
    holdout_from: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Cut:
    """A way to divide: by the values of a dimension, "" for not at all. The parts of a stretch are disjoint.

    `early` and `late` are what a map is fitted on, `holdout` what it is judged on. `is_numeric`: the values stand for
    numbers, `Part.fields`, on which one adaptive temperature depends.
    """

    dimension: str
    early: tuple[Part, ...]
    late: tuple[Part, ...]
    holdout: tuple[Part, ...]
    is_numeric: bool = False

    @property
    def fitted(self) -> tuple[Part, ...]:
        """The parts of the two stretches before the hold-out, put together."""
        parts = {_name(part): part for part in self.early}
        for part in self.late:
            known = parts.get(_name(part))
            parts[_name(part)] = part if known is None else replace(known, sketch=merge(known.sketch, part.sketch))
        return tuple(parts.values())


def parts_of(
    whole: Sketch, by_value: Mapping[str, Sketch], dimension: str, numbers: Mapping[str, float] | None = None
) -> tuple[Part, ...]:
    """A part for each value of a dimension, and {} for the predictions that have none.

    `numbers`: what the values stand for, where the dimension is numeric.
    """
    rest, parts = whole, []
    for value, sketch in sorted(by_value.items()):
        fields = {} if numbers is None or value not in numbers else {dimension: numbers[value]}
        parts.append(Part({dimension: value}, sketch, fields))
        rest = subtract(rest, sketch)
    return (*parts, Part({}, rest, {}))


def divided(labels: Sequence[int], choice: float, holdout: float) -> tuple[int, int] | None:
    """Where hours of labels, ascending in time, are cut so that the last ones hold about the share `holdout` of all
    labels, and those between the two places about the share `choice` of those before; None where one would be empty."""
    total = sum(labels)
    so_far = list(accumulate(labels, initial=0))
    second = _place(so_far, total * (1 - holdout))
    first = _place(so_far, so_far[second] * (1 - choice))
    empty = not 0 < so_far[first] < so_far[second] < total
    return None if empty else (first, second)


def _place(so_far: Sequence[int], wanted: float) -> int:
    """The place whose sum of all before it comes nearest."""
    return min(range(len(so_far)), key=lambda place: abs(so_far[place] - wanted))


def dimensions_of(calibrator: Calibrator) -> frozenset[str]:
    """The dimensions whose values a calibrator tells apart, by maps of their own or as numbers."""
    named = {name for each in calibrator.maps for name in each.segment}
    fields = {field.name for each in calibrator.maps if isinstance(each.curve, Adaptive) for field in each.curve.fields}
    return frozenset(named | fields)


def _name(part: Part) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(part.segment.items()))

"""Figures of one sketch, as a test asks for them: the measure by name, its value, its interval."""

import math

from monitor.calibration.cells import Edges
from monitor.calibration.estimates import Estimates
from monitor.calibration.figures import Figures, figures
from monitor.calibration.measures import Sums, estimates
from monitor.calibration.panel import Panel, panel_of
from monitor.calibration.sketch import Row, Sketch
from monitor.calibration.uncertainty import Interval
from monitor.errors import NotEnoughData


def _panel(sketch: Sketch) -> Panel:
    """Of this sketch alone. Raises NotEnoughData without labels."""
    if not sketch.total(Row.N):
        raise NotEnoughData("no labels")
    return panel_of([sketch])


def of(sketch: Sketch, count: int = 10, edges: Edges = "right_closed", level: float = 0.95) -> Figures:
    """All figures. Raises NotEnoughData without labels."""
    return figures(_panel(sketch), count, edges, level)


def _estimates(
    name: str, sketch: Sketch, count: int = 10, edges: Edges = "right_closed", level: float = 0.95
) -> Estimates:
    """One measure alone, to the same digits as among all."""
    return estimates(Sums(_panel(sketch), count, edges, level), [name])[name]


def value(name: str, sketch: Sketch, count: int = 10, edges: Edges = "right_closed") -> float:
    """The value of a measure. Raises NotEnoughData with its reason where it is unknown."""
    found = _estimates(name, sketch, count, edges)
    number = float(found.value[0])
    if math.isnan(number):
        raise NotEnoughData(found.reason)
    return number


def interval(name: str, sketch: Sketch, level: float = 0.95) -> Interval:
    """The interval of a measure that is known."""
    found = _estimates(name, sketch, level=level)
    return float(found.low[0]), float(found.high[0])


def ece(sketch: Sketch, count: int = 10, edges: Edges = "right_closed") -> float:
    """Its ECE."""
    return value("ece", sketch, count, edges)

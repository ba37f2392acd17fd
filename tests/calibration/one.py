"""Figures of one sketch, as a test asks for them: the measure by name, its value, its interval."""

import math

from monitor.calibration.cells import Edges
from monitor.calibration.figures import Figures, figures
from monitor.calibration.panel import panel_of
from monitor.calibration.sketch import Row, Sketch
from monitor.calibration.uncertainty import Interval
from monitor.errors import NotEnoughData


def of(sketch: Sketch, count: int = 10, edges: Edges = "right_closed", level: float = 0.95) -> Figures:
    """All figures. Raises NotEnoughData without labels."""
    if not sketch.total(Row.N):
        raise NotEnoughData("no labels")
    return figures(panel_of([sketch]), count, edges, level)


def value(name: str, sketch: Sketch, count: int = 10, edges: Edges = "right_closed") -> float:
    """The value of a measure. Raises NotEnoughData with its reason where it is unknown."""
    found = of(sketch, count, edges).estimates[name]
    number = float(found.value[0])
    if math.isnan(number):
        raise NotEnoughData(found.reason)
    return number


def interval(name: str, sketch: Sketch, level: float = 0.95) -> Interval:
    """The interval of a measure that is known."""
    found = of(sketch, level=level).estimates[name]
    return float(found.low[0]), float(found.high[0])


def ece(sketch: Sketch, count: int = 10, edges: Edges = "right_closed") -> float:
    """Its ECE."""
    return value("ece", sketch, count, edges)

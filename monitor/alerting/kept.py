"""What the settings keep: rules can only ask for that."""

from dataclasses import dataclass

from monitor.calibration.cells import Edges


@dataclass(frozen=True, slots=True)
class Kept:
    """Names of the windows that are kept, how readings are binned, and the budget of the detectors' pages a year."""

    windows: tuple[str, ...]
    bins: int
    edges: Edges
    false_pages_per_year: float

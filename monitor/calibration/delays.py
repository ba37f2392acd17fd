"""Label delays: how long after a prediction its label comes."""

from typing import Final

import numpy as np

from monitor.calibration.cells import delay_bounds
from monitor.calibration.sketch import Sketch
from monitor.errors import NotEnoughData

NO_DELAYS: Final = "no label times"


def median_delay(sketch: Sketch) -> float:
    """Median seconds from prediction to label; labels that came first count as 0.

    Known to its bucket (a factor of 1.42) and interpolated inside it. Raises NotEnoughData without label times.
    """
    n = int(sketch.delays.sum())
    if n <= 0:
        raise NotEnoughData(NO_DELAYS)
    reached = np.cumsum(sketch.delays)
    at = int(np.searchsorted(reached, n / 2))
    low, high = delay_bounds(int(sketch.delay_buckets[at]))
    inside = (n / 2 - int(reached[at] - sketch.delays[at])) / int(sketch.delays[at])
    return low + (high - low) * inside

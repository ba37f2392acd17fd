"""When a pane may be fed, and how many labels changed."""

import numpy as np
import pytest

from monitor.calibration.sketch import sketch_of, subtract
from monitor.rolling.maturity import PATIENCE_HOURS, is_settled, labels_changed
from monitor.rolling.stacks import stacked


@pytest.mark.parametrize(
    ("held", "came", "known_for", "settled"),
    [
        (100, 0, 0, True),
        (100, 2, 0, True),
        (100, 3, 0, False),
        (10, 1, 0, True),
        (10, 2, 0, False),
        (10, 10, PATIENCE_HOURS - 1, False),
        (10, 10, PATIENCE_HOURS, True),
        (0, 0, -1, False),
    ],
)
def test_a_pane_has_settled_when_little_came_in_the_last_hour_or_after_a_day(
    held: int, came: int, known_for: int, settled: bool
) -> None:
    assert is_settled(*(np.array([each]) for each in (held, came, known_for))).tolist() == [settled]


def test_labels_that_come_go_or_change_are_counted_and_predictions_are_not() -> None:
    none, half, whole = [np.nan] * 4, [1.0, np.nan, 0.0, np.nan], [1.0, 0.0, 0.0, 1.0]
    confidence = [0.1, 0.2, 0.3, 0.4]
    before, turned = sketch_of(confidence, half), sketch_of(confidence, [0.0, np.nan, 1.0, np.nan])
    changes = {
        1: subtract(sketch_of(confidence, whole), before),
        2: subtract(turned, before),
        3: subtract(sketch_of(confidence, none), before),
        4: sketch_of(confidence, none),
        5: subtract(sketch_of(confidence, [0.75, np.nan, 0.0, np.nan]), before),
    }
    assert labels_changed(stacked(changes)).tolist() == [2, 2, 2, 0, 1]

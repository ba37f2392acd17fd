"""Temperature that depends on difficulty: the story that it is there for, and its arithmetic."""

import numpy as np
import pytest

from monitor.calibration.calibrators.adaptive import adaptive_temperature
from monitor.calibration.calibrators.curves import Adaptive, Curve, LogOdds, apply, slope
from monitor.calibration.calibrators.fitting import Part
from monitor.calibration.calibrators.logistic import temperature
from monitor.calibration.calibrators.sample import sample_of
from monitor.calibration.calibrators.scoring import applied, mean_loss
from monitor.calibration.odds import CLIP
from monitor.calibration.sketch import sketch_of
from monitor.errors import BadInput, NotEnoughData
from tests.calibration.calibrators.making import fitted, pairs

LEVELS = (-1.0, -0.5, 0.0, 0.5, 1.0)
"""Of difficulty: at -1 the right slope is e^.8, at 1 it is e^-.8."""


def levels(n: int) -> list[Part]:
    rng = np.random.default_rng(1)
    return [
        Part({"level": str(at)}, sketch_of(*pairs(n, np.exp(-0.8 * at), 0.0, rng)), {"difficulty": at}) for at in LEVELS
    ]


def test_one_map_mends_hard_and_easy_questions_where_one_temperature_mends_neither() -> None:
    parts = levels(4000)
    sample, fields = sample_of([part.sketch for part in parts], CLIP), [part.fields for part in parts]
    adaptive: Curve = adaptive_temperature(sample, fields)
    single = temperature(sample.pooled())[0]
    assert isinstance(single, LogOdds)
    stated = mean_loss(sample, sample.confidence)
    by_one = mean_loss(sample, applied([single] * len(parts), sample, CLIP))
    by_field = mean_loss(sample, applied([adaptive] * len(parts), sample, CLIP, fields))
    for hardest in (0, -1):
        assert by_field[hardest] < stated[hardest] - 0.01
        assert by_field[hardest] < by_one[hardest] - 0.01


def test_the_slopes_are_those_that_made_the_answers() -> None:
    parts = levels(40_000)
    found = adaptive_temperature(sample_of([part.sketch for part in parts], CLIP), [part.fields for part in parts])
    for at in LEVELS:
        assert slope(found, {"difficulty": at}) == pytest.approx(np.exp(-0.8 * at), rel=0.05)


def test_beyond_the_levels_it_was_fitted_on_it_stays_as_it_is() -> None:
    found = fitted(levels(500), "adaptive_temperature").maps[-1].curve
    assert isinstance(found, Adaptive)
    assert slope(found, {"difficulty": 50.0}) == slope(found, {"difficulty": 1.0})
    assert slope(found, {"difficulty": -50.0}) == slope(found, {"difficulty": -1.0})


def test_a_prediction_without_the_field_counts_as_one_of_mean_difficulty() -> None:
    found = fitted(levels(500), "adaptive_temperature").maps[-1].curve
    assert apply(found, 0.9, CLIP) == apply(found, 0.9, CLIP, {"difficulty": 0.0})


def test_a_field_that_is_no_number_is_bad_input() -> None:
    found = fitted(levels(500), "adaptive_temperature").maps[-1].curve
    with pytest.raises(BadInput, match="difficulty is not a number"):
        apply(found, 0.9, CLIP, {"difficulty": float("nan")})


@pytest.mark.parametrize("fields", [{}, {"difficulty": 1.0}])
def test_without_a_field_that_differs_there_is_no_such_map(fields: dict[str, float]) -> None:
    parts = [Part(part.segment, part.sketch, fields) for part in levels(100)]
    with pytest.raises(NotEnoughData, match="numeric field"):
        fitted(parts, "adaptive_temperature")

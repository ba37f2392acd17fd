"""The closed list of metrics is what readings have, with their ranges and intervals."""

import numpy as np
import pytest

from monitor.alerting.calibrated import BIASED
from monitor.alerting.metrics import METRICS, NAMES, READING, Metric
from monitor.calibration.figures import MEASURES
from monitor.calibration.reading import Reading, ReadingSettings, Subject
from monitor.calibration.readout import read
from monitor.calibration.sketch import sketch_of

BY_NAME = pytest.mark.parametrize("metric", READING, ids=lambda metric: metric.name)


@pytest.fixture(scope="module")
def reading() -> Reading:
    rng = np.random.default_rng(7)
    confidence = rng.uniform(0.3, 1.0, 4000)
    outcome = rng.random(4000) < confidence**1.5
    sketch = sketch_of(confidence, outcome, delay_us=rng.integers(1, 10**10, 4000))
    return read(sketch, ReadingSettings(), Subject(model="m"))


def test_every_measure_of_a_reading_can_be_watched() -> None:
    assert set(MEASURES) <= set(METRICS)


@BY_NAME
def test_what_can_be_watched_is_a_measure_that_a_reading_has_within_its_range(metric: Metric, reading: Reading) -> None:
    value = getattr(reading, metric.name)
    assert value is not None
    assert metric.low is None or value >= metric.low
    assert metric.high is None or value <= metric.high


@BY_NAME
def test_a_metric_has_an_interval_where_a_reading_has_one(metric: Metric, reading: Reading) -> None:
    assert metric.interval == (metric.name in reading.intervals)


def test_the_metrics_that_chance_alone_moves_are_those_with_a_null_band(reading: Reading) -> None:
    assert set(BIASED) == set(reading.null_band)


def test_no_two_metrics_have_one_name() -> None:
    assert len(set(NAMES)) == len(NAMES)

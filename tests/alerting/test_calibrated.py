"""What a calibrated model reads by chance, against simulated calibrated models."""

import numpy as np
import pytest

from monitor.alerting.calibrated import BIASED, by_chance, labels_for
from monitor.calibration.figures import figures
from monitor.calibration.panel import panel_of
from monitor.calibration.sketch import sketch_of


@pytest.mark.parametrize("metric", BIASED)
@pytest.mark.parametrize("labels", [100, 1000])
def test_half_of_simulated_calibrated_models_read_less_than_the_median_and_few_more_than_high(
    metric: str, labels: int
) -> None:
    rng = np.random.default_rng(labels)
    drawn = rng.uniform(0.5, 1.0, (400, labels))
    panel = panel_of([sketch_of(each, rng.random(labels) < each) for each in drawn])
    read = figures(panel, 10, "right_closed", 0.95).estimates[metric].value
    chance = by_chance(metric, labels, 10, "right_closed")
    assert np.median(read) == pytest.approx(chance.median, rel=0.1)
    assert (read > chance.high).mean() <= 0.07


@pytest.mark.parametrize("metric", BIASED)
def test_a_calibrated_model_reads_less_with_the_proposed_labels_and_more_with_half_of_them(
    metric: str,
) -> None:
    labels = labels_for(metric, 0.03, 10, "right_closed")
    assert labels is not None
    assert by_chance(metric, labels, 10, "right_closed").median < 0.03
    assert by_chance(metric, labels // 2, 10, "right_closed").median > 0.03


def test_no_number_of_labels_makes_a_limit_of_nothing_right() -> None:
    assert labels_for("ece", 0.0, 10, "right_closed") is None


def test_chance_does_less_the_more_labels_there_are() -> None:
    medians = [by_chance("ece", labels, 10, "right_closed").median for labels in (30, 100, 1000, 50_000)]
    assert medians == sorted(medians, reverse=True)

"""Scores and curves by another route: losses and their parts, ranking, slope, smooth ECE."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from monitor.calibration.figures import figures
from monitor.calibration.losses import recalibrated
from monitor.calibration.odds import CLIP
from monitor.calibration.panel import panel_of
from monitor.calibration.sketch import Sketch, sketch_of
from monitor.calibration.smooth import smooth_ece
from monitor.errors import NotEnoughData
from tests.calibration import one
from tests.calibration.one import value
from tests.calibration.streams import KINDS, STATED, Floats, Pair, columns, sketched, some_pairs, stream
from tests.oracles import pairs as raw
from tests.oracles.smooth import smooth_ece as smooth_ece_of_pairs

EXACT = 2e-9


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "gap"), [(300, 0.0), (300, 0.1), (1200, 0.03), (1200, 0.2)])
def test_smooth_ece_is_the_fixed_point_of_a_plain_kernel(kind: str, n: int, gap: float) -> None:
    c, y = stream(kind, n, np.random.default_rng(n), gap)
    assert value("smooth_ece", sketch_of(c, y)) == pytest.approx(smooth_ece_of_pairs(raw.snap(c), y), abs=1e-4)


@given(some_pairs)
def test_smooth_ece_lies_between_the_gap_and_1_and_in_its_interval(pairs: list[Pair]) -> None:
    found = smooth_ece(panel_of([sketched(pairs)]), 0.95)
    gap = abs(value("signed_gap", sketched(pairs)))
    assert gap - 1e-5 <= found.estimates.value[0] <= 1
    assert found.estimates.low[0] <= found.estimates.value[0] + 1e-9
    assert found.estimates.value[0] <= found.estimates.high[0] + 1e-9
    assert 0 <= found.null_low[0] <= found.null_high[0] <= 1


@pytest.mark.parametrize(
    ("n", "kind"), [(200, "logit"), (400, "stated"), (10_000, "stated"), (2000, "beta"), (20_000, "mixed")]
)
def test_the_null_band_of_smooth_ece_is_that_of_a_simulation(n: int, kind: str) -> None:
    rng = np.random.default_rng(n)
    c, _ = stream(kind, n, rng)
    drawn = smooth_ece(panel_of([sketch_of(c, (rng.random(n) < c).astype(float)) for _ in range(400)]), 0.9)
    low, high = np.quantile(drawn.estimates.value, [0.05, 0.95])
    assert drawn.null_low[0] == pytest.approx(low, rel=0.1)
    assert drawn.null_high[0] == pytest.approx(high, rel=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_slope_and_intercept_are_those_of_a_logistic_regression(kind: str) -> None:
    rng = np.random.default_rng(5)
    c, y = stream(kind, 3000, rng, gap=0.1)
    c = np.round(c * 600) / 600
    p = np.clip(c, CLIP, 1 - CLIP)
    fitted = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(np.log(p / (1 - p))[:, None], y)
    assert value("calibration_slope", sketch_of(c, y)) == pytest.approx(fitted.coef_[0, 0], abs=1e-6)
    assert value("calibration_intercept", sketch_of(c, y)) == pytest.approx(fitted.intercept_[0], abs=1e-6)


@pytest.mark.parametrize(
    ("c", "y"),
    [([0.7] * 9, [1] * 6 + [0] * 3), ([0.2, 0.3, 0.8, 0.9], [0, 0, 1, 1]), ([0.2, 0.6, 0.9], [1, 1, 1]), ([0.5], [1])],
    ids=["one confidence", "separated", "one class", "one label"],
)
def test_without_a_fit_there_is_no_slope(c: list[float], y: list[int]) -> None:
    for name in ("calibration_slope", "calibration_intercept"):
        with pytest.raises(NotEnoughData, match="no slope"):
            value(name, sketch_of(c, y))


def test_too_extreme_confidences_have_a_slope_below_1_and_timid_ones_above() -> None:
    rng = np.random.default_rng(6)
    logit = rng.normal(0.5, 0.9, 20_000)
    y = (rng.random(20_000) < 1 / (1 + np.exp(-logit))).astype(float)
    for factor in (0.5, 1.5):
        stated = sketch_of(1 / (1 + np.exp(-factor * logit)), y)
        low, high = one.interval("calibration_slope", stated)
        assert low < 1 / factor < high
        assert not low < 1 < high


@given(st.lists(st.tuples(st.sampled_from(STATED.tolist()), st.sampled_from((0.0, 1.0))), min_size=1, max_size=60))
def test_the_brier_score_is_miscalibration_less_discrimination_plus_uncertainty(pairs: list[Pair]) -> None:
    c, y = columns(pairs)
    best = IsotonicRegression().fit(c, y).predict(c)
    expected = {
        "brier_miscalibration": ((c - y) ** 2).mean() - ((best - y) ** 2).mean(),
        "brier_discrimination": ((y.mean() - y) ** 2).mean() - ((best - y) ** 2).mean(),
        "brier_uncertainty": ((y.mean() - y) ** 2).mean(),
    }
    for name, number in expected.items():
        assert value(name, sketched(pairs)) == pytest.approx(number, abs=1e-8)


@given(st.lists(some_pairs, min_size=1, max_size=5))
def test_one_isotonic_regression_of_many_series_is_that_of_each(series: list[list[Pair]]) -> None:
    each = [sketched(pairs) for pairs in series]
    together = recalibrated(panel_of(each))
    assert together.tolist() == [p for sketch in each for p in recalibrated(panel_of([sketch])).tolist()]
    panel = panel_of(each)
    rising = np.diff(together) >= -1e-12
    assert (rising | (np.diff(panel.series) > 0)).all()


@given(some_pairs)
def test_reliability_and_resolution_are_spreads_of_the_bins(pairs: list[Pair]) -> None:
    c, y = columns(pairs)
    bins = raw.bins_of(raw.snap(c), 10, "right_closed")
    reliability = resolution = 0.0
    for number in np.unique(bins):
        inside = bins == number
        reliability += inside.mean() * (c[inside].mean() - y[inside].mean()) ** 2
        resolution += inside.mean() * (y[inside].mean() - y.mean()) ** 2
    assert value("reliability", sketched(pairs)) == pytest.approx(reliability, abs=1e-8)
    assert value("resolution", sketched(pairs)) == pytest.approx(resolution, abs=1e-8)


def risk_coverage_area(c: Floats, y: Floats, rng: np.random.Generator, orders: int = 4000) -> float:
    """The mean over random orders of equal confidences, by drawing them."""
    areas = []
    for _ in range(orders):
        order = np.lexsort((rng.random(len(c)), -c))
        areas.append((np.cumsum(1 - y[order]) / np.arange(1, len(c) + 1)).mean())
    return float(np.mean(areas))


def test_aurc_is_the_mean_risk_over_random_orders_of_ties() -> None:
    rng = np.random.default_rng(8)
    c, y = stream("stated", 60, rng, gap=0.2)
    assert value("aurc", sketch_of(c, y)) == pytest.approx(risk_coverage_area(c, y, rng), abs=2e-3)


@pytest.mark.parametrize("n", [1, 7, 300, 3000])
def test_aurc_of_distinct_confidences_is_the_mean_of_the_running_risk(n: int) -> None:
    rng = np.random.default_rng(n)
    c, y = rng.permutation(n) % 599 / 600 + 1 / 600, (rng.random(n) < 0.7).astype(float)
    c = np.unique(c) if n > 599 else c
    y = y[: len(c)]
    risk = np.cumsum(1 - y[np.argsort(-c)]) / np.arange(1, len(c) + 1)
    assert value("aurc", sketch_of(c, y)) == pytest.approx(risk.mean(), abs=1e-9)


@given(some_pairs)
def test_z_and_sharpness_are_those_of_the_raw_pairs(pairs: list[Pair]) -> None:
    c, y = columns(pairs)
    assert value("sharpness", sketched(pairs)) == pytest.approx(c.var(), abs=1e-8)
    variance = ((1 - 2 * c) ** 2 * c * (1 - c)).sum()
    if variance > 1e-3:
        z = ((y - c) * (1 - 2 * c)).sum() / np.sqrt(variance)
        assert value("spiegelhalter_z", sketched(pairs)) == pytest.approx(z, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_z_of_a_calibrated_stream_is_standard_normal(kind: str) -> None:
    rng = np.random.default_rng(9)
    drawn = panel_of([sketch_of(*stream(kind, 400, rng)) for _ in range(400)])
    z = figures(drawn, 10, "right_closed", 0.95).estimates["spiegelhalter_z"].value
    assert abs(z.mean()) < 0.2
    assert z.std() == pytest.approx(1, abs=0.12)


@given(st.lists(some_pairs, min_size=2, max_size=6))
def test_neighbours_in_a_panel_change_no_digit(series: list[list[Pair]]) -> None:
    each = [sketched(pairs) for pairs in series]
    together = figures(panel_of(each), 10, "right_closed", 0.95)
    for place, sketch in enumerate(each):
        alone = one.of(sketch)
        for name, found in alone.estimates.items():
            many = together.estimates[name]
            for column in ("value", "low", "high"):
                np.testing.assert_array_equal(getattr(found, column)[0], getattr(many, column)[place], err_msg=name)
        for name, band in alone.null_bands.items():
            assert [end[0] for end in band] == [end[place] for end in together.null_bands[name]], name


def test_a_calibrated_map_brings_every_gap_to_0() -> None:
    """Outcomes that are the confidences themselves, as fractions: nothing is miscalibrated."""
    c = np.concatenate([STATED, np.arange(1, 600) / 600])
    sketch: Sketch = sketch_of(c, c)
    for name in ("ece", "signed_gap", "smooth_ece", "mce", "brier_miscalibration", "reliability"):
        assert value(name, sketch) == pytest.approx(0, abs=3e-3 if name == "smooth_ece" else 1e-8)
    assert value("calibration_slope", sketch_of(np.clip(c, 0.01, 0.99), np.clip(c, 0.01, 0.99))) == pytest.approx(1)


@pytest.mark.parametrize("name", ["ece", "smooth_ece", "signed_gap", "over_confident_part", "brier_miscalibration"])
def test_a_larger_gap_is_a_larger_error(name: str) -> None:
    c = np.tile(np.arange(300, 600) / 600, 20)
    errors = [value(name, sketch_of(c, np.clip(c - gap, 0, 1))) for gap in (0.0, 0.02, 0.05, 0.1, 0.2)]
    assert all(smaller < larger for smaller, larger in pairwise(errors))

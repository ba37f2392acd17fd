"""The same measures by libraries of the field, on raw pairs."""

import calibration
import calibstats
import numpy as np
import pytest
import relplot
import statsmodels.api as sm
from model_diagnostics.scoring import SquaredError, decompose

from monitor.calibration.odds import CLIP
from monitor.calibration.sketch import sketch_of
from monitor.calibration.uncertainty import z_of
from tests.calibration.one import interval, value
from tests.libraries.cases import CASES, off_edges, pairs


@CASES
def test_smooth_ece_is_that_of_relplot(kind: str, n: int, gap: float) -> None:
    c, y = pairs(kind, n, gap)
    inside = (c > 0.005) & (c < 0.995)  # relplot counts a mass at either end by half
    c, y = c[inside], y[inside]
    assert value("smooth_ece", sketch_of(c, y)) == pytest.approx(relplot.smECE(c, y), abs=1e-3)


@CASES
def test_ece_is_that_of_calibstats(kind: str, n: int, gap: float) -> None:
    c, y = pairs(kind, n, gap)
    inside = off_edges(c, 10)  # its convention of edges is another
    c, y = c[inside], y[inside]
    assert value("ece", sketch_of(c, y)) == pytest.approx(calibstats.ece(c, y.astype(int), n_bins=10), abs=1e-8)


@CASES
def test_the_parts_of_the_brier_score_are_those_of_model_diagnostics(kind: str, n: int, gap: float) -> None:
    c, y = pairs(kind, n, gap)
    found = decompose(y_obs=y, y_pred=c, scoring_function=SquaredError())
    off = 1e-8 if kind == "stated" else 2e-3 if n == 600 else 3e-4  # cells that hold several confidences are one step
    for name in ("miscalibration", "discrimination", "uncertainty"):
        assert value(f"brier_{name}", sketch_of(c, y)) == pytest.approx(float(found[name][0]), abs=off)


@pytest.mark.parametrize("gap", [0.0, 0.1])
@pytest.mark.parametrize("kind", ["logit", "mixed"])  # it refuses bins without labels
def test_debiased_ece_is_near_that_of_uncertainty_calibration(kind: str, gap: float) -> None:
    c, y = pairs(kind, 20_000, gap)
    theirs = calibration.get_ece(c, y.astype(int), num_bins=10, debias=True, mode="marginal")
    assert value("ece_debiased", sketch_of(c, y)) == pytest.approx(theirs, abs=6e-3)


@CASES
def test_slope_intercept_and_their_intervals_are_those_of_statsmodels(kind: str, n: int, gap: float) -> None:
    c, y = pairs(kind, n, gap)
    p = np.clip(c, CLIP, 1 - CLIP)
    fitted = sm.Logit(y, sm.add_constant(np.log(p / (1 - p)))).fit(disp=0)
    sketch, off = sketch_of(c, y), 2e-3 if n == 600 else 1e-3
    for place, name in enumerate(("calibration_intercept", "calibration_slope")):
        assert value(name, sketch) == pytest.approx(fitted.params[place], abs=off)
        low, high = interval(name, sketch)
        assert high - low == pytest.approx(2 * z_of(0.95) * fitted.bse[place], rel=0.01)

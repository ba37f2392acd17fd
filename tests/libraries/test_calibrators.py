"""Recalibration maps by libraries of the field, on raw pairs."""

import numpy as np
import pytest
import statsmodels.api as sm
from betacal import BetaCalibration

from monitor.calibration.calibrators.curves import LogOdds, apply_all
from monitor.calibration.calibrators.logistic import beta, platt
from monitor.calibration.calibrators.sample import sample_of
from monitor.calibration.odds import CLIP
from monitor.calibration.sketch import sketch_of
from tests.libraries.cases import CASES, pairs


@CASES
def test_a_beta_map_is_that_of_betacal(kind: str, n: int, gap: float) -> None:
    c, y = pairs(kind, n, gap)
    p = np.clip(c, CLIP, 1 - CLIP)
    theirs = BetaCalibration("abm").fit(p[:, None], y).predict(p[:, None])
    ours = beta(sample_of([sketch_of(c, y)], CLIP))[0]
    assert isinstance(ours, LogOdds)
    said, theirs = apply_all(ours, c, CLIP), np.clip(theirs, CLIP, 1 - CLIP)
    # Its search stops short of the optimum, up to .03 away where confidences are few: scores and means agree.
    assert np.abs(said - theirs).mean() < 2.3e-3
    losses = [-np.mean(y * np.log(each) + (1 - y) * np.log1p(-each)) for each in (said, theirs)]
    assert losses[0] == pytest.approx(losses[1], abs=2e-5)


@CASES
def test_platts_map_is_the_regression_of_statsmodels(kind: str, n: int, gap: float) -> None:
    c, y = pairs(kind, n, gap)
    p = np.clip(c, CLIP, 1 - CLIP)
    design = sm.add_constant(np.log(p / (1 - p)))
    theirs = sm.Logit(y, design).fit(disp=0).predict(design)
    ours = platt(sample_of([sketch_of(c, y)], CLIP))[0]
    assert isinstance(ours, LogOdds)
    off = np.abs(apply_all(ours, c, CLIP) - np.clip(theirs, CLIP, 1 - CLIP))
    assert off.max() < (2.3e-3 if n == 600 else 4e-4)

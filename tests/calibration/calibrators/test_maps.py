"""What every method promises of the maps that it fits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from monitor.calibration.calibrators.adaptive import adaptive_temperature
from monitor.calibration.calibrators.artefact import Method
from monitor.calibration.calibrators.curves import Curve, LogOdds, Steps, apply, apply_all, mistake
from monitor.calibration.calibrators.fitting import METHODS
from monitor.calibration.calibrators.isotonic import isotonic
from monitor.calibration.calibrators.logistic import beta, platt, temperature
from monitor.calibration.calibrators.sample import sample_of
from monitor.calibration.odds import CLIP
from monitor.calibration.sketch import sketch_of
from tests.calibration.streams import KINDS, Floats, Pair, columns, confidences, some_pairs, stream

CLIPS = (CLIP, 1e-7)
EVERY = pytest.mark.parametrize("method", METHODS)
STREAMS = pytest.mark.parametrize(("kind", "n"), [(kind, n) for kind in KINDS for n in (600, 20_000)])
GRID = np.unique(np.concatenate([np.linspace(0, 1, 601), 10.0 ** -np.arange(1, 9), 1 - 10.0 ** -np.arange(1, 9)]))


def overconfident(kind: str, n: int) -> tuple[Floats, Floats]:
    return stream(kind, n, np.random.default_rng(n), gap=0.1)


def curve_of(method: Method, c: Floats, y: Floats, clip: float = CLIP) -> Curve:
    found = METHODS[method](sample_of([sketch_of(c, y)], clip))[0]
    assert not isinstance(found, str), found
    return found


@EVERY
@given(pairs=some_pairs, clip=st.sampled_from(CLIPS))
def test_a_map_never_falls_and_stays_within_its_clip(method: Method, pairs: list[Pair], clip: float) -> None:
    found = METHODS[method](sample_of([sketch_of(*columns(pairs))], clip))[0]
    if isinstance(found, str):
        return
    assert mistake(found) is None
    values = apply_all(found, GRID, clip)
    assert np.diff(values).min() >= -1e-12
    assert clip <= values.min() <= values.max() <= 1 - clip


@given(
    pairs=st.lists(some_pairs, min_size=1, max_size=4),
    difficulty=st.lists(st.floats(-5, 5), min_size=4, max_size=4, unique=True),
    asked=st.floats(-10, 10),
)
def test_an_adaptive_map_never_falls_whatever_the_field(
    pairs: list[list[Pair]], difficulty: list[float], asked: float
) -> None:
    right = [outcome for some in pairs for _, outcome in some]
    if len(pairs) < 2 or not 0 < sum(right) < len(right):
        return
    sample = sample_of([sketch_of(*columns(some)) for some in pairs], CLIP)
    found = adaptive_temperature(sample, [{"difficulty": value} for value in difficulty[: len(pairs)]])
    values = apply_all(found, GRID, CLIP, {"difficulty": asked})
    assert np.diff(values).min() >= -1e-12
    assert CLIP <= values.min() <= values.max() <= 1 - CLIP


@EVERY
@given(pairs=some_pairs, clip=st.sampled_from(CLIPS), asked=st.lists(confidences, min_size=1, max_size=9))
def test_one_confidence_is_mapped_as_in_an_array(
    method: Method, pairs: list[Pair], clip: float, asked: list[float]
) -> None:
    found = METHODS[method](sample_of([sketch_of(*columns(pairs))], clip))[0]
    if not isinstance(found, str):
        expected = [apply(found, c, clip) for c in asked]
        assert apply_all(found, np.array(asked), clip) == pytest.approx(expected, abs=1e-9)


@EVERY
@given(many=st.lists(some_pairs, min_size=1, max_size=4))
def test_neighbours_change_no_map_that_is_not_shrunk(method: Method, many: list[list[Pair]]) -> None:
    if method == "shrunk_platt":
        return
    sketches = [sketch_of(*columns(pairs)) for pairs in many]
    together = METHODS[method](sample_of(sketches, CLIP))
    for sketch, found in zip(sketches, together, strict=True):
        alone = METHODS[method](sample_of([sketch], CLIP))[0]
        if isinstance(alone, str) or isinstance(found, str):
            assert found == alone
        else:
            assert apply_all(found, GRID, CLIP) == pytest.approx(apply_all(alone, GRID, CLIP), abs=1e-6)


@EVERY
@pytest.mark.parametrize("kind", KINDS)
def test_calibrated_confidences_are_left_as_they_are(method: Method, kind: str) -> None:
    c, y = stream(kind, 200_000, np.random.default_rng(3))
    found = curve_of(method, c, y)
    off = np.abs(apply_all(found, c, CLIP) - np.clip(c, CLIP, 1 - CLIP))
    # Ten steps cannot follow the diagonal: half the width of a bin is lost.
    assert off.mean() < (0.03 if isinstance(found, Steps) else 0.005)


@STREAMS
@pytest.mark.parametrize("clip", CLIPS)
def test_slope_and_intercept_are_those_of_scikit_learn_on_the_raw_pairs(kind: str, n: int, clip: float) -> None:
    c, y = overconfident(kind, n)
    p = np.clip(c, clip, 1 - clip)
    odds = np.log(p / (1 - p))[:, None]
    for method, intercept in ((platt, True), (temperature, False)):
        theirs = LogisticRegression(C=1e9, fit_intercept=intercept, tol=1e-9, max_iter=1000).fit(odds, y)
        ours = method(sample_of([sketch_of(c, y)], clip))[0]
        assert isinstance(ours, LogOdds)
        off = np.abs(apply_all(ours, c, clip) - np.clip(theirs.predict_proba(odds)[:, 1], clip, 1 - clip))
        assert off.max() < (2.3e-3 if n == 600 else 4e-4)


@STREAMS
def test_a_beta_map_is_that_of_scikit_learn_on_the_raw_pairs(kind: str, n: int) -> None:
    c, y = overconfident(kind, n)
    p = np.clip(c, CLIP, 1 - CLIP)
    features = np.column_stack([np.log(p), -np.log1p(-p)])
    theirs = LogisticRegression(C=1e9, tol=1e-9, max_iter=10_000).fit(features, y)
    if theirs.coef_.min() < 0:
        features = features[:, [theirs.coef_.argmax()]]
        theirs = LogisticRegression(C=1e9, tol=1e-9, max_iter=10_000).fit(features, y)
    expected = np.clip(theirs.predict_proba(features)[:, 1], CLIP, 1 - CLIP)
    off = np.abs(apply_all(curve_of("beta", c, y), c, CLIP) - expected)
    assert off.max() < (2.3e-3 if n == 600 else 6e-4)


@STREAMS
def test_an_isotonic_map_agrees_with_that_of_scikit_learn(kind: str, n: int) -> None:
    c, y = overconfident(kind, n)
    p = np.clip(c, CLIP, 1 - CLIP)
    theirs = np.clip(IsotonicRegression().fit(p, y).predict(p), CLIP, 1 - CLIP)
    ours = apply_all(curve_of("isotonic", c, y), c, CLIP)
    if kind == "stated":
        assert ours == pytest.approx(theirs, abs=1e-9)
    # Where a cell holds several confidences only the mean and the score agree.
    loss = [-np.mean(y * np.log(said) + (1 - y) * np.log1p(-said)) for said in (ours, theirs)]
    assert loss[0] == pytest.approx(loss[1], abs=0.02 if n == 600 else 2e-3)
    assert np.abs(ours - theirs).mean() < (0.02 if n == 600 else 4e-3)


@STREAMS
def test_the_bins_of_a_histogram_hold_the_labels_that_they_speak_of(kind: str, n: int) -> None:
    c, y = overconfident(kind, n)
    found = curve_of("histogram", c, y)
    assert isinstance(found, Steps)
    step = np.searchsorted(found.upto, np.clip(c, CLIP, 1 - CLIP), side="left")
    count, right = np.bincount(step, minlength=len(found.y)), np.bincount(step, y, len(found.y))
    whole_bins = np.arange(1, 11)  # a pooled step has half an answer more of each for every bin in it
    distance = np.abs((right + whole_bins[:, None] / 2) / (count + whole_bins[:, None]) - found.y).min(axis=0)
    assert distance.max() < 1e-9


@pytest.mark.parametrize("kind", KINDS)
def test_scaling_binning_says_the_mean_of_platts_map_in_each_step(kind: str) -> None:
    c, y = overconfident(kind, 20_000)
    found, line = curve_of("scaling_binning", c, y), curve_of("platt", c, y)
    assert isinstance(found, Steps)
    step = np.searchsorted(found.upto, np.clip(c, CLIP, 1 - CLIP), side="left")
    mean = np.bincount(step, apply_all(line, c, CLIP)) / np.bincount(step)
    assert np.asarray(found.y) == pytest.approx(mean, abs=1e-3)


def test_weights_undo_a_sample_that_prefers_errors() -> None:
    rng = np.random.default_rng(11)
    c, y = stream("stated", 40_000, rng, gap=0.1)
    propensity = np.where(y > 0, 0.2, 0.8)  # errors are labelled four times as often
    drawn = rng.random(len(c)) < propensity
    curves = [
        platt(sample_of([sketch], CLIP))[0]
        for sketch in (
            sketch_of(c, y),
            sketch_of(c[drawn], y[drawn], propensity=propensity[drawn]),
            sketch_of(c[drawn], y[drawn]),
        )
    ]
    values = [apply_all(curve, GRID, CLIP) for curve in curves if not isinstance(curve, str)]
    assert np.abs(values[1] - values[0]).max() < 0.03
    assert np.abs(values[2] - values[0]).max() > 0.2


def test_fractions_count_as_so_many_right_and_wrong_answers() -> None:
    c = np.repeat([0.6, 0.8, 0.9], 4)
    fractions = np.repeat([0.5, 0.5, 0.75], 4)
    whole = np.concatenate([[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0]])
    for method in (temperature, platt, beta, isotonic):
        by_fractions, by_answers = (method(sample_of([sketch_of(c, y)], CLIP))[0] for y in (fractions, whole))
        assert not isinstance(by_fractions, str)
        assert not isinstance(by_answers, str)
        assert apply_all(by_fractions, c, CLIP) == pytest.approx(apply_all(by_answers, c, CLIP), abs=1e-6)

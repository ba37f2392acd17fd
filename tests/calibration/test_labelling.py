"""Labelling that depends on confidence: that it is seen, and that the corrected estimates find the truth."""

from collections.abc import Callable

import numpy as np
import pytest

from monitor.calibration import labelling
from monitor.calibration.labelling import MIN_LABELS, Overall, labelling_trend
from monitor.calibration.sketch import Sketch, empty, merge, sketch_of
from monitor.errors import NotEnoughData
from tests.calibration import one
from tests.calibration.streams import KINDS, Floats, stream

STATED = np.array([0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.92, 0.95, 0.97, 0.98, 0.99, 1.0])
SHARES = np.array([2, 2, 5, 6, 8, 8, 12, 14, 16, 8, 14, 7, 5, 6, 6]) / 119
RIGHT = np.clip(STATED - np.where(STATED > 0.84, 0.25, 0.02), 0.02, 0.98)
"""A model that is right as often as it says below .85 and far over-confident from there on."""
TRUE_GAP = 0.167
ALIKE = 1 / 1001
"""Its weight exceeds 1 by 1000, so the weighted sums are as fine as the others."""


def post_stratified(sketch: Sketch) -> Overall:
    return labelling.post_stratified(sketch, 10, "right_closed", 0.95)


def weighted(sketch: Sketch) -> Overall:
    return labelling.weighted(sketch, 10, "right_closed", 0.95)


ESTIMATES: tuple[Callable[[Sketch], Overall], ...] = (post_stratified, weighted)


def over_confident(rng: np.random.Generator, n: int, below: float, above: float, *, known: bool = False) -> Sketch:
    """The model's answers, labelled with one chance below .85 and another above; `known` puts it beside the label."""
    stated = rng.choice(len(STATED), n, p=SHARES)
    confidence = STATED[stated]
    outcome = (rng.random(n) < RIGHT[stated]).astype(np.float64)
    chance = np.where(confidence < 0.85, below, above)
    outcome[rng.random(n) >= chance] = np.nan
    return sketch_of(confidence, outcome, propensity=chance if known else None)


def means(found: list[Overall]) -> tuple[float, float, float]:
    return (
        float(np.mean([each.accuracy.value for each in found])),
        float(np.mean([each.signed_gap.value for each in found])),
        float(np.mean([each.ece.value for each in found])),
    )


@pytest.fixture(scope="module")
def streams() -> list[Sketch]:
    """20,000 predictions each; one in four labelled below .85, one in fifty above."""
    return [over_confident(np.random.default_rng([11, seed]), 20_000, 0.25, 0.02, known=True) for seed in range(60)]


def test_an_ece_of_17_reads_5_in_the_labels_and_17_when_corrected(streams: list[Sketch]) -> None:
    truth = float((SHARES * (STATED - RIGHT)).sum())
    assert truth == pytest.approx(TRUE_GAP, abs=0.005)
    plain = [np.mean([one.value(name, each) for each in streams]) for name in ("signed_gap", "ece")]
    strata = means([post_stratified(each) for each in streams])
    hajek = means([weighted(each) for each in streams])
    assert plain == pytest.approx([0.05, 0.054], abs=0.012)
    assert strata[1:] == pytest.approx((truth, 0.169), abs=0.006)
    assert hajek[1:] == pytest.approx((truth, 0.169), abs=0.006)
    for corrected in (strata, hajek):
        assert corrected[0] == pytest.approx(float((SHARES * RIGHT).sum()), abs=0.006)


@pytest.mark.parametrize("estimate", [post_stratified, weighted])
def test_corrected_intervals_cover_the_truth_and_those_of_the_reading_do_not(
    streams: list[Sketch], estimate: Callable[[Sketch], Overall]
) -> None:
    truth = {"accuracy": (SHARES * RIGHT).sum(), "signed_gap": (SHARES * (STATED - RIGHT)).sum()}
    truth["ece"] = truth["signed_gap"]  # every bin is over-confident
    truth["brier"] = (SHARES * (STATED**2 - 2 * STATED * RIGHT + RIGHT)).sum()
    for name, value in truth.items():
        intervals = [getattr(estimate(each), name).interval for each in streams]
        assert np.mean([low <= value <= high for low, high in intervals]) >= 0.87
        if name != "accuracy":  # the confident are right as often as the others here: their labels are not missed
            plain = [one.interval(name, each) for each in streams]
            assert np.mean([low <= value <= high for low, high in plain]) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_with_every_label_there_and_all_propensities_equal_both_are_the_reading(kind: str) -> None:
    confidence, outcome = stream(kind, 2_000, np.random.default_rng(12), gap=0.1)
    sketch = sketch_of(confidence, outcome, propensity=np.full(2_000, ALIKE))
    found = weighted(sketch)
    strata = post_stratified(sketch)
    for name in ("accuracy", "signed_gap", "ece", "brier"):
        assert getattr(found, name).value == pytest.approx(one.value(name, sketch), abs=1e-9)
        assert getattr(strata, name).value == pytest.approx(one.value(name, sketch), abs=1e-9)
        assert getattr(found, name).interval == pytest.approx(one.interval(name, sketch), abs=0.004)
    assert found.n_effective == pytest.approx(2_000)
    assert strata.n_effective == pytest.approx(2_000)


def test_a_stratum_stands_for_its_predictions() -> None:
    sketch = merge(
        sketch_of([0.5] * 20, [1.0] * 10 + [0.0] * 10),
        sketch_of([0.5] * 80, [np.nan] * 80),
        sketch_of([0.9] * 300, [1.0] * 270 + [0.0] * 30),
    )
    found = post_stratified(sketch)
    assert one.value("accuracy", sketch) == pytest.approx(280 / 320)
    assert found.accuracy.value == pytest.approx(0.25 * 0.5 + 0.75 * 0.9)
    assert found.signed_gap.value == pytest.approx(0)
    assert found.n_effective == pytest.approx(400**2 / (20 * 25 + 300))


def test_predictions_without_a_label_join_their_neighbours_and_are_never_taken_for_calibrated() -> None:
    wrong = sketch_of([0.8] * 40, [0.0] * 40)
    sketch = merge(wrong, sketch_of([0.95] * 1000, [np.nan] * 1000), sketch_of([0.3] * 9, [1.0] * 9))
    assert post_stratified(sketch).accuracy.value == pytest.approx(9 / 49)
    assert post_stratified(sketch).ece.value > 0.7


def test_weights_count_as_many_times_as_they_say() -> None:
    heavy = sketch_of([0.5, 0.5], [1.0, 0.0], propensity=[0.25, 1.0])
    sketch = merge(heavy, sketch_of([0.5] * 20, [0.0, 1.0] * 10))
    found = weighted(sketch)
    assert found.accuracy.value == pytest.approx((4 + 10) / (4 + 1 + 20))
    assert found.signed_gap.value == pytest.approx(0.5 - 14 / 25)
    assert found.brier.value == pytest.approx(0.25)
    assert found.n_effective == pytest.approx(25**2 / (16 + 21))


def test_weighted_variance_is_that_of_drawing_the_weighted_labels() -> None:
    rng = np.random.default_rng(13)
    confidence, propensity = np.array([0.4, 0.9]), np.array([0.9, 0.05])
    chosen = rng.integers(0, 2, (400, 500))
    values = []
    for picks in chosen:
        outcome = (rng.random(500) < confidence[picks]).astype(np.float64)
        values.append(weighted(sketch_of(confidence[picks], outcome, propensity=propensity[picks])))
    half = np.mean([each.accuracy.interval[1] - each.accuracy.value for each in values])
    assert half == pytest.approx(1.96 * np.std([each.accuracy.value for each in values]), rel=0.12)
    gap_half = np.mean([each.signed_gap.interval[1] - each.signed_gap.value for each in values])
    assert gap_half == pytest.approx(1.96 * np.std([each.signed_gap.value for each in values]), rel=0.12)


def test_the_interval_of_ece_knows_that_the_labels_of_a_bin_are_a_matter_of_chance() -> None:
    rng = np.random.default_rng(17)
    found = []
    for _ in range(300):
        far = rng.random(200) < 0.5
        outcome = (rng.random(200) < 0.05).astype(np.float64)
        found.append(weighted(sketch_of(np.where(far, 0.95, 0.05), outcome, propensity=np.full(200, ALIKE))).ece)
    half = np.mean([each.interval[1] - each.value for each in found])
    assert half == pytest.approx(1.96 * np.std([each.value for each in found]), rel=0.15)


def correlation(score: Floats, labelled: Floats) -> float:
    return float(np.corrcoef(score, labelled)[0, 1])


@pytest.mark.parametrize("seed", range(4))
def test_the_trend_is_n_times_the_squared_correlation_of_labels_with_the_scores(seed: int) -> None:
    rng = np.random.default_rng([14, seed])
    level = rng.integers(0, 6, 500)
    confidence = np.array([0.1, 0.2, 0.5, 0.6, 0.9, 1.0])[level]
    labelled = (rng.random(500) < 0.6 - 0.1 * seed * confidence).astype(np.float64)
    found = labelling_trend(sketch_of(confidence, np.where(labelled > 0, 1.0, np.nan)), bands=600)
    assert found.chi_square == pytest.approx(500 * correlation(confidence, labelled) ** 2)
    assert found.slope == pytest.approx(np.polyfit(confidence, labelled, 1)[0])
    assert [(band.n_predictions, band.n) for band in found.bands] == [
        (int((level == one).sum()), int(labelled[level == one].sum())) for one in range(6)
    ]
    assert [band.low for band in found.bands] == [band.high for band in found.bands]


def test_labelling_by_confidence_is_seen_and_labelling_by_chance_is_not() -> None:
    rng = np.random.default_rng(15)
    assert labelling_trend(over_confident(rng, 1_000, 0.25, 0.02)).p_value < 1e-6
    assert labelling_trend(over_confident(rng, 1_000, 0.25, 0.02)).slope < -0.2
    by_chance = [labelling_trend(over_confident(rng, 1_000, 0.2, 0.2)).p_value for _ in range(300)]
    assert 0.02 <= np.mean([p < 0.05 for p in by_chance]) <= 0.085


def test_bands_hold_nearly_equal_numbers_and_every_prediction() -> None:
    confidence, outcome = stream("beta", 5_000, np.random.default_rng(16))
    outcome[::3] = np.nan
    found = labelling_trend(sketch_of(confidence, outcome))
    assert len(found.bands) == 10
    assert sum(band.n_predictions for band in found.bands) == 5_000
    assert sum(band.n for band in found.bands) == int(np.count_nonzero(~np.isnan(outcome)))
    assert all(400 <= band.n_predictions <= 600 for band in found.bands)
    assert all(a.high < b.low for a, b in zip(found.bands, found.bands[1:], strict=False))


@pytest.mark.parametrize(
    ("sketch", "message"),
    [
        (empty(), "no predictions"),
        (sketch_of([0.5, 0.7], [1.0, 0.0]), "all predictions are labelled, or none is"),
        (sketch_of([0.5, 0.7], [np.nan, np.nan]), "all predictions are labelled, or none is"),
        (sketch_of([0.5, 0.5], [1.0, np.nan]), "all confidences lie together"),
    ],
)
def test_a_trend_that_cannot_be_is_said_to_be_none(sketch: Sketch, message: str) -> None:
    with pytest.raises(NotEnoughData, match=message):
        labelling_trend(sketch)


def test_too_few_labels_are_no_estimate() -> None:
    few = sketch_of([0.5] * 9, [1.0] * 9, propensity=[0.5] * 9)
    with pytest.raises(NotEnoughData, match="10 labels are needed, 1 more"):
        post_stratified(few)
    with pytest.raises(NotEnoughData, match="10 labels are needed"):
        weighted(merge(few, sketch_of([0.5], [1.0], propensity=[1e-4])))
    with pytest.raises(NotEnoughData, match="no label came with a propensity"):
        weighted(sketch_of([0.5] * 50, [1.0] * 50))
    with pytest.raises(NotEnoughData, match="no predictions"):
        post_stratified(sketch_of([0.5] * 50, [1.0] * 50, predicted=[False] * 50))


def test_only_right_and_only_wrong_answers_are_not_certain() -> None:
    sketch = sketch_of([1.0] * MIN_LABELS, [1.0] * MIN_LABELS, propensity=[0.5] * MIN_LABELS)
    for estimate in ESTIMATES:
        found = estimate(sketch)
        assert found.accuracy.value == 1
        assert 0.6 < found.accuracy.interval[0] < 0.95
        assert found.signed_gap.interval[1] > 0.05
        assert found.ece.interval[1] > 0.02
        wrong = estimate(sketch_of([0.0] * MIN_LABELS, [0.0] * MIN_LABELS, propensity=[0.5] * MIN_LABELS))
        assert wrong.accuracy.value == 0
        assert 0.05 < wrong.accuracy.interval[1] < 0.4
        assert wrong.signed_gap.interval[0] < -0.05

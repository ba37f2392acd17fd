"""Measures of a sketch against the same measures by another route on the raw pairs, and the laws that tie them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.metrics import log_loss as sklearn_log_loss

from monitor.calibration.cells import BIN_COUNTS, EDGES, Edges
from monitor.calibration.delays import median_delay
from monitor.calibration.figures import MEASURES
from monitor.calibration.losses import LOG_LOSS_CLIP
from monitor.calibration.measures import THRESHOLDS
from monitor.calibration.reading import ReadingSettings, Subject
from monitor.calibration.readout import read
from monitor.calibration.sketch import Sketch, empty, sketch_of
from monitor.errors import NotEnoughData
from tests.calibration import one
from tests.calibration.one import value
from tests.calibration.streams import KINDS, Pair, columns, sketched, some_pairs, stream
from tests.oracles import pairs as raw

EXACT = 2e-9  # the unit of the stored sums, twice
counts = st.sampled_from(BIN_COUNTS)
conventions = st.sampled_from(EDGES)


@given(some_pairs, counts, conventions)
def test_ece_and_mce_equal_a_recount_of_the_raw_pairs(pairs: list[Pair], count: int, edges: Edges) -> None:
    c, y = columns(pairs)
    sketch = sketched(pairs)
    assert value("ece", sketch, count, edges) == pytest.approx(raw.ece(raw.snap(c), y, count, edges), abs=EXACT)
    assert value("mce", sketch, count, edges) == pytest.approx(raw.mce(raw.snap(c), y, count, edges), abs=EXACT)


@given(some_pairs, counts, conventions)
def test_the_two_parts_of_ece_equal_a_recount(pairs: list[Pair], count: int, edges: Edges) -> None:
    c, y = columns(pairs)
    for sign, part in ((1, "over_confident_part"), (-1, "under_confident_part")):
        expected = raw.one_sided(raw.snap(c), y, sign, count, edges)
        assert value(part, sketched(pairs), count, edges) == pytest.approx(expected, abs=EXACT)


@given(some_pairs, counts, conventions)
def test_the_parts_add_up_to_ece_and_differ_by_the_signed_gap(pairs: list[Pair], count: int, edges: Edges) -> None:
    sketch = sketched(pairs)
    over = value("over_confident_part", sketch, count, edges)
    under = value("under_confident_part", sketch, count, edges)
    assert over + under == pytest.approx(value("ece", sketch, count, edges), abs=1e-12)
    assert over - under == pytest.approx(value("signed_gap", sketch), abs=1e-12)
    assert abs(value("signed_gap", sketch)) <= value("ece", sketch, count, edges) + 1e-12
    assert value("ece", sketch, count, edges) <= value("mce", sketch, count, edges) + 1e-12


@given(some_pairs)
def test_means_and_brier_equal_those_of_the_raw_pairs(pairs: list[Pair]) -> None:
    c, y = columns(pairs)
    sketch = sketched(pairs)
    assert value("accuracy", sketch) == pytest.approx(y.mean(), abs=EXACT)
    assert value("mean_confidence", sketch) == pytest.approx(c.mean(), abs=EXACT)
    assert value("signed_gap", sketch) == pytest.approx(c.mean() - y.mean(), abs=EXACT)
    assert value("brier", sketch) == pytest.approx(raw.brier(c, y), abs=2 * EXACT)


@given(some_pairs)
def test_turning_right_into_wrong_and_confidence_into_doubt_turns_the_sign(pairs: list[Pair]) -> None:
    """Seen as confidence 1 - c in the opposite outcome, over-confidence is under-confidence, with the other edges."""
    there = sketched([(round(c * 600) / 600, y) for c, y in pairs])
    back = sketched([(1 - round(c * 600) / 600, 1 - y) for c, y in pairs])
    assert value("signed_gap", back) == pytest.approx(-value("signed_gap", there), abs=EXACT)
    over = value("over_confident_part", there, 10, "left_closed")
    under = value("under_confident_part", back, 10, "right_closed")
    assert over == pytest.approx(under, abs=EXACT)


@given(st.lists(st.sampled_from((0.1, 0.5, 0.5 + 1 / 600, 0.9, 1.0)), min_size=2, max_size=40), st.data())
def test_auroc_of_atoms_is_the_share_of_ordered_pairs(values: list[float], data: st.DataObject) -> None:
    y = np.array(data.draw(st.lists(st.sampled_from((0.0, 1.0)), min_size=len(values), max_size=len(values))))
    sketch = sketch_of(values, y)
    if 0 < y.sum() < len(y):
        assert value("auroc", sketch) == pytest.approx(raw.auroc(raw.snap(values), y), abs=1e-12)
    else:
        with pytest.raises(NotEnoughData, match="one class only"):
            value("auroc", sketch)


@given(some_pairs, counts)
def test_equal_mass_ece_lies_between_gap_and_largest_error(pairs: list[Pair], count: int) -> None:
    sketch = sketched(pairs)
    assert abs(value("signed_gap", sketch)) - 1e-12 <= value("ece_equal_mass", sketch, count) <= 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("gap", [0.0, 0.1])
@pytest.mark.parametrize("n", [600, 50_000])
def test_streams_like_those_of_models_agree_with_scikit_learn(kind: str, gap: float, n: int) -> None:
    log_loss, auroc, equal_mass = {600: (3e-4, 1.3e-3, 6e-3), 50_000: (4e-5, 2e-4, 1e-3)}[n]
    c, y = stream(kind, n, np.random.default_rng(n + int(100 * gap)), gap)
    sketch, snapped = sketch_of(c, y), raw.snap(c)
    clipped = np.clip(c, LOG_LOSS_CLIP, 1 - LOG_LOSS_CLIP)
    for count in (5, 10, 15, 20):
        for edges in EDGES:
            assert value("ece", sketch, count, edges) == pytest.approx(raw.ece(snapped, y, count, edges), abs=EXACT)
    assert value("brier", sketch) == pytest.approx(brier_score_loss(y, c), abs=EXACT)
    assert value("log_loss", sketch) == pytest.approx(sklearn_log_loss(y, clipped), abs=log_loss)
    assert value("log_loss", sketch) == pytest.approx(raw.log_loss(c, y), abs=log_loss)
    assert value("auroc", sketch) == pytest.approx(roc_auc_score(y, c), abs=auroc)
    for count in (10, 15):
        assert value("ece_equal_mass", sketch, count) == pytest.approx(
            raw.ece_equal_mass(snapped, y, count), abs=equal_mass
        )


def test_outcomes_that_are_fractions_count_as_drawn_with_that_chance() -> None:
    c, y = np.array([0.9, 0.9, 0.6]), np.array([2 / 3, 1.0, 1 / 3])
    sketch = sketch_of(c, y)
    assert value("accuracy", sketch) == pytest.approx(2 / 3, abs=EXACT)
    assert value("brier", sketch) == pytest.approx(np.mean(y * (1 - c) ** 2 + (1 - y) * c**2), abs=EXACT)
    assert value("log_loss", sketch) == pytest.approx(raw.log_loss(c, y), abs=EXACT)
    right, wrong = np.array([1 / 3, 5 / 3]), np.array([2 / 3, 1 / 3])
    expected = (right[1] * wrong[0] + 0.5 * (right * wrong).sum()) / (right.sum() * wrong.sum())
    assert value("auroc", sketch) == pytest.approx(expected, abs=EXACT)


@given(some_pairs)
def test_above_a_threshold_is_what_a_filter_keeps(pairs: list[Pair]) -> None:
    c, y = columns(pairs)
    above = one.of(sketched(pairs)).above
    for place, threshold in enumerate(THRESHOLDS):
        kept = raw.snap(c) >= threshold - 1e-12
        assert above.n[0, place] == kept.sum()
        assert above.coverage[0, place] == pytest.approx(kept.mean())
        if kept.any():
            assert above.accuracy.value[0, place] == pytest.approx(y[kept].mean(), abs=EXACT)


@given(some_pairs)
def test_confident_errors_are_wrong_answers_from_nine_tenths_on(pairs: list[Pair]) -> None:
    c, y = columns(pairs)
    expected = ((raw.snap(c) >= 0.9) * (1 - y)).mean()
    assert value("confident_error_share", sketched(pairs)) == pytest.approx(expected, abs=EXACT)


def reading(sketch: Sketch) -> dict[str, object]:
    """Every value of a reading by name."""
    return structs.asdict(read(sketch, ReadingSettings(draws=20), Subject(model="m")))


def test_coverage_and_abstentions_count_predictions_without_labels() -> None:
    found = reading(sketch_of([0.5, 0.9, 0.7, 0.7], [1, np.nan, np.nan, 0]))
    assert found["coverage"] == 0.5
    assert found["abstention_rate"] == 0.75
    assert found["n"] == 2


def test_the_median_delay_lies_in_its_bucket() -> None:
    seconds = np.array([0.1, 5.0, 100.0, 100.0, 3000.0])
    sketch = sketch_of(np.full(5, 0.5), np.ones(5), delay_us=(seconds * 1e6).astype(np.int64))
    assert 100 / 1.42 <= median_delay(sketch) <= 100 * 1.42


def test_labels_that_all_came_first_have_no_delay() -> None:
    sketch = sketch_of([0.5], [1], delay_us=[-5])
    assert 0 <= median_delay(sketch) < 1


def test_nothing_is_known_without_labels() -> None:
    for sketch in (empty(), sketch_of([0.5, 0.9], [np.nan, np.nan])):
        found = reading(sketch)
        assert all(found[name] is None for name in MEASURES)
        assert found["missing"] == {**dict.fromkeys(MEASURES, "no labels"), **found["missing"]}  # type: ignore[dict-item]


def test_coverage_and_delay_say_what_they_lack() -> None:
    found = read(empty(), ReadingSettings(draws=20), Subject(model="m")).missing
    assert found["coverage"] == found["abstention_rate"] == "no predictions"
    assert found["label_delay_seconds"] == "no label times"

"""Shrinking segments towards each other, on simulated segments and on real answers."""

import numpy as np
import pytest

from monitor.calibration.calibrators.curves import Curve, LogOdds
from monitor.calibration.calibrators.logistic import platt
from monitor.calibration.calibrators.sample import Sample, sample_of
from monitor.calibration.calibrators.scoring import applied, mean_loss
from monitor.calibration.calibrators.shrunk import prior_of, shrunk_platt
from monitor.calibration.odds import CLIP
from monitor.calibration.sketch import sketch_of
from tests.calibration.calibrators.making import pairs
from tests.calibration.streams import Floats

Segments = dict[str, Floats]


def drawn(count: int, n: int, rng: np.random.Generator) -> tuple[Sample, Floats]:
    """Segments whose slopes and intercepts are normal about .7 and -.4; the sample, and what each has."""
    lines = np.column_stack([rng.normal(0.7, 0.2, count), rng.normal(-0.4, 0.5, count)])
    return sample_of([sketch_of(*pairs(n, slope, intercept, rng)) for slope, intercept in lines.tolist()], CLIP), lines


def lines_of(found: list[Curve | str]) -> Floats:
    return np.array([(curve.a, curve.m) for curve in found if isinstance(curve, LogOdds)])


def test_the_distribution_over_segments_is_recovered() -> None:
    sample, _ = drawn(400, 400, np.random.default_rng(1))
    prior = prior_of(sample)
    assert prior.centre == pytest.approx([0.7, -0.4], abs=0.06)
    assert np.sqrt(np.diag(np.linalg.inv(prior.precision))) == pytest.approx([0.2, 0.5], abs=0.05)


def test_shrunk_lines_are_nearer_to_the_truth_than_lines_of_their_own() -> None:
    sample, lines = drawn(200, 100, np.random.default_rng(2))
    errors = [((lines_of(found) - lines) ** 2).mean() for found in (shrunk_platt(sample), platt(sample))]
    assert errors[0] < 0.6 * errors[1]


def test_a_segment_with_many_labels_keeps_its_own_line() -> None:
    rng = np.random.default_rng(3)
    usual = [sketch_of(*pairs(200, 0.7, -0.4, rng)) for _ in range(30)]
    odd = [sketch_of(*pairs(n, 1.4, 0.5, rng)) for n in (30, 50_000)]
    few, many = lines_of(shrunk_platt(sample_of([*usual, *odd], CLIP)))[-2:]
    assert np.abs(many - (1.4, 0.5)).max() < 0.05
    assert np.abs(few - (1.4, 0.5)).max() > 0.3


def test_a_segment_alone_is_shrunk_towards_what_it_states() -> None:
    sample = sample_of([sketch_of(*pairs(40, 0.2, -1.0, np.random.default_rng(4)))], CLIP)
    shrunk, own = (applied(curves(method(sample)), sample, CLIP) for method in (shrunk_platt, platt))
    moved = [np.average(np.abs(said - sample.confidence), weights=sample.n) for said in (shrunk, own)]
    assert moved[0] < 0.95 * moved[1]


@pytest.mark.parametrize("outcome", [0.0, 1.0])
def test_answers_that_are_all_alike_have_a_finite_map(outcome: float) -> None:
    alike = sketch_of(np.full(50, 0.9), np.full(50, outcome))
    others = [sketch_of(*pairs(300, 0.7, -0.4, np.random.default_rng(seed))) for seed in range(20)]
    slope, intercept = lines_of(shrunk_platt(sample_of([*others, alike], CLIP)))[-1]
    assert 0 <= slope < 3
    assert abs(intercept) < 3


@pytest.mark.parametrize("confidence", [0.05, 0.9, 1.0])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.9, 1.0])
def test_a_segment_that_always_states_one_confidence_leaves_the_others_their_lines(
    confidence: float, share: float
) -> None:
    right = np.arange(200) < 200 * share
    constant = sketch_of(np.full(200, confidence), right.astype(np.float64))
    others = [sketch_of(*pairs(300, 0.7, -0.4, np.random.default_rng(seed))) for seed in range(3)]
    alone = lines_of(shrunk_platt(sample_of(others, CLIP)))
    beside = lines_of(shrunk_platt(sample_of([*others, constant], CLIP)))
    assert np.isfinite(beside).all()
    assert np.abs(beside[:3] - alone).max() < 0.5


@pytest.mark.parametrize("n", [30, 100, 300, 1000])
def test_no_real_segment_is_worse_than_as_stated_beyond_chance(lifeeval_segments: Segments, n: int) -> None:
    """The first n answers of each segment fit its map, the later ones judge it; chance is which come first."""
    rng, gains = np.random.default_rng(n), []
    for _ in range(8):
        shuffled = [rng.permutation(each) for each in lifeeval_segments.values() if len(each) >= n + 200]
        later = sample_of([sketch_of(each[n:, 0], each[n:, 1]) for each in shuffled], CLIP)
        fits = sample_of([sketch_of(each[:n, 0], each[:n, 1]) for each in shuffled], CLIP)
        said = applied(curves(shrunk_platt(fits)), later, CLIP)
        gains.append(mean_loss(later, later.confidence) - mean_loss(later, said))
    mean, spread = np.mean(gains, axis=0), np.std(gains, axis=0, ddof=1)
    assert len(mean) >= 20
    assert (mean + 2 * spread).min() > 0
    assert mean.mean() > 0.1


def curves(found: list[Curve | str]) -> list[Curve]:
    return [curve for curve in found if not isinstance(curve, str)]

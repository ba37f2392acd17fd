"""Scoring many series at once, against one at a time and against the raw pairs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.calibration.calibrators.curves import IDENTITY, Curve, LogOdds, Points, Steps, apply
from monitor.calibration.calibrators.sample import Sum, folds, sample_of
from monitor.calibration.calibrators.scoring import applied, mean_loss, mean_square
from monitor.calibration.odds import CLIP
from monitor.calibration.sketch import sketch_of
from tests.calibration.streams import KINDS, Pair, columns, some_pairs, stream

levels = st.lists(st.integers(0, 600).map(lambda j: j / 600), min_size=1, max_size=5, unique=True).map(sorted)


@st.composite
def tables(draw: st.DrawFn) -> Curve:
    """Points or steps that rise; steps lie between the multiples of 1/600."""
    x = draw(levels)
    y = sorted(draw(st.lists(st.floats(0, 1), min_size=len(x) + 1, max_size=len(x) + 1)))
    if draw(st.booleans()):
        return Points(tuple(x), tuple(y[1:]))
    return Steps(tuple(min(each + 1 / 1200, 1.0) for each in x), tuple(y))


curves = st.one_of(tables(), st.builds(LogOdds, st.floats(0, 3), st.floats(0, 3), st.floats(-3, 3)))


@given(st.lists(st.tuples(some_pairs, curves), min_size=1, max_size=6))
def test_many_curves_at_once_say_what_each_says_alone(given_curves: list[tuple[list[Pair], Curve]]) -> None:
    sample = sample_of([sketch_of(*columns(pairs)) for pairs, _ in given_curves], CLIP)
    together = applied([curve for _, curve in given_curves], sample, CLIP)
    alone = [
        apply(given_curves[series][1], c, CLIP)
        for series, c in zip(sample.series.tolist(), sample.confidence.tolist(), strict=True)
    ]
    assert together == pytest.approx(alone, abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_the_losses_are_those_of_the_raw_pairs(kind: str) -> None:
    c, y = stream(kind, 20_000, np.random.default_rng(1), gap=0.1)
    sample = sample_of([sketch_of(c, y)], CLIP)
    said, p = applied([IDENTITY], sample, CLIP), np.clip(c, CLIP, 1 - CLIP)
    assert mean_loss(sample, said)[0] == pytest.approx(-np.mean(y * np.log(p) + (1 - y) * np.log1p(-p)), abs=1e-4)
    assert mean_square(sample, said)[0] == pytest.approx(np.mean((p - y) ** 2), abs=1e-4)


@given(pairs=st.lists(some_pairs, min_size=1, max_size=3), seed=st.integers(0, 9))
def test_folds_deal_every_label_once(pairs: list[list[Pair]], seed: int) -> None:
    sample = sample_of([sketch_of(*columns(some)) for some in pairs], CLIP)
    dealt = list(folds(sample, 5, np.random.default_rng(seed)))
    assert sum(alone.sums for _, alone in dealt) == pytest.approx(sample.sums, abs=1e-6)
    for rest, alone in dealt:
        assert rest.sums[Sum.N].sum() == pytest.approx((sample.sums - alone.sums)[Sum.N].sum(), abs=1e-4)
        assert (alone.sums >= 0).all()


def test_a_weighted_label_counts_by_its_weight_and_as_its_effective_number() -> None:
    propensity = np.repeat([1.0, 0.25], 50)
    sample = sample_of([sketch_of(np.full(100, 0.8), np.repeat([1.0, 0.0], 50), propensity=propensity)], CLIP)
    assert sample.rate[0] == pytest.approx(0.2, abs=1e-6)  # 50 right ones against 200
    assert sample.labels[0] == pytest.approx(250**2 / 850, abs=1e-3)

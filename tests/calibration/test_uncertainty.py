"""Intervals hold what they promise, null bands say what chance alone would give, and chance repeats itself."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.calibration.binned import mce_null_band
from monitor.calibration.bins import Bins, equal_width, labelled
from monitor.calibration.cells import UNIT, bin_of_cells
from monitor.calibration.closed_form import bands_of_many, eces
from monitor.calibration.figures import MEASURES, figures
from monitor.calibration.means import share
from monitor.calibration.panel import bins_of_panel, panel_of
from monitor.calibration.sketch import Sketch, empty, merge, sketch_of, subtract
from monitor.calibration.uncertainty import (
    Interval,
    bootstrap_gaps,
    ece_bands,
    equal_mass_bands,
    null_gaps,
    seeded,
    z_of,
)
from tests.calibration import one
from tests.calibration.one import ece, interval, value
from tests.calibration.streams import KINDS, STATED, Pair, sketched, some_pairs, stream


def wilson(right: float, n: int, level: float) -> Interval:
    """The interval of one share."""
    found = share(np.array([right]), np.array([float(n)]), level)
    return float(found.low[0]), float(found.high[0])


def test_wilson_equals_the_published_example() -> None:
    """Newcombe 1998, table I: 81 of 263 and 0 of 20, at 95 %."""
    assert wilson(81, 263, 0.95) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20, 0.95) == pytest.approx((0.0, 0.1611), abs=5e-5)


@given(st.integers(1, 10**6), st.floats(0, 1), st.sampled_from((0.8, 0.9, 0.95, 0.99)))
def test_wilson_holds_the_share_and_stays_within_0_and_1(n: int, part: float, level: float) -> None:
    low, high = wilson(part * n, n, level)
    assert 0 <= low <= part * n / n <= high <= 1
    mirrored = wilson((1 - part) * n, n, level)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_z_is_the_two_sided_normal_quantile() -> None:
    assert z_of(0.95) == pytest.approx(1.959964, abs=1e-6)
    assert z_of(0.9) == pytest.approx(1.644854, abs=1e-6)


@given(some_pairs)
def test_chance_depends_on_the_labelled_cells_only(pairs: list[Pair]) -> None:
    sketch = sketched(pairs)
    detour = subtract(merge(sketch, sketched([(0.123, 1.0)])), sketched([(0.123, 1.0)]))
    unlabelled = merge(sketch, sketch_of([0.7], [np.nan]))
    assert seeded(sketch).random() == seeded(detour).random() == seeded(unlabelled).random()
    assert seeded(sketch).random() != seeded(merge(sketch, sketched([(0.5, 1.0)]))).random()


def bands(sketch: Sketch, level: float = 0.95, draws: int = 600) -> tuple[Interval, Interval]:
    found = ece_bands(sketch, 10, "right_closed", level, rng=seeded(sketch), draws=draws)
    assert found.ece == ece(sketch)
    return found.interval, found.null_band


@given(some_pairs)
def test_the_interval_of_ece_holds_ece_and_stays_within_0_and_1(pairs: list[Pair]) -> None:
    (low, high), (null_low, null_high) = bands(sketched(pairs), draws=100)
    assert 0 <= low <= ece(sketched(pairs)) <= high <= 1
    assert 0 <= null_low <= null_high <= 1


@pytest.mark.parametrize(
    ("n", "gap", "kind"),
    [(30, 0.0, "stated"), (30, 0.15, "stated"), (300, 0.0, "logit"), (300, 0.03, "stated"), (300, 0.1, "beta"),
     (3000, 0.02, "stated"), (3000, 0.1, "stated")],
)  # fmt: skip
def test_the_interval_of_ece_covers_the_truth_nine_times_in_ten(n: int, gap: float, kind: str) -> None:
    rng = np.random.default_rng(n)
    c, _ = stream(kind, 200_000, rng)
    chance = np.clip(c - gap, 0.01, 0.99) if gap else c
    truth = ece(sketch_of(c, chance))
    covered = 0
    for _ in range(100):
        pick = rng.integers(0, len(c), n)
        (low, high), _ = bands(sketch_of(c[pick], (rng.random(n) < chance[pick]).astype(float)), draws=300)
        covered += low <= truth <= high
    assert covered >= 87


@pytest.mark.parametrize("kind", KINDS)
def test_a_calibrated_stream_lies_in_its_null_band_and_a_gap_leaves_it(kind: str) -> None:
    rng = np.random.default_rng(7)
    inside = 0
    for _ in range(100):
        sketch = sketch_of(*stream(kind, 500, rng))
        interval, (null_low, null_high) = bands(sketch, draws=300)
        inside += null_low <= ece(sketch) <= null_high
        if ece(sketch) <= null_high:
            assert interval[0] == 0
    assert inside >= 88
    drifted = sketch_of(*stream(kind, 2000, rng, gap=0.2))
    assert ece(drifted) > bands(drifted)[1][1]
    assert bands(drifted)[0][0] > 0


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_null_band_equals_a_simulation_of_every_answer(mirrored: bool) -> None:
    rng = np.random.default_rng(3)
    c, y = stream("mixed", 400, rng)
    c = 1 - c if mirrored else c
    simulated = [ece(sketch_of(c, (rng.random(400) < c).astype(float))) for _ in range(1500)]
    _, null_band = bands(sketch_of(c, y), level=0.9, draws=4000)
    assert null_band == pytest.approx(np.quantile(simulated, [0.05, 0.95]), rel=0.06)


@pytest.mark.parametrize("mirrored", [False, True])
def test_rare_outcomes_at_either_end_have_the_null_band_of_a_simulation(mirrored: bool) -> None:
    rng = np.random.default_rng(6)
    c = rng.uniform(1e-6, 1 / 601, 12_000)
    c = 1 - c if mirrored else c
    expected = np.abs(c.sum() - (rng.random((1500, 12_000)) < c).sum(axis=1)) / 12_000
    _, null_band = bands(sketch_of(c, np.zeros(12_000)), level=0.9, draws=4000)
    assert null_band == pytest.approx(np.quantile(expected, [0.05, 0.95]), rel=0.06, abs=0.3 / 12_000)


def test_the_bootstrap_equals_resampling_the_rows() -> None:
    rng = np.random.default_rng(4)
    c, y = stream("stated", 600, rng, gap=0.1)
    picks = [rng.integers(0, 600, 600) for _ in range(1500)]
    rows = [ece(sketch_of(c[pick], y[pick])) for pick in picks]
    drawn = np.abs(bootstrap_gaps(equal_width(sketch_of(c, y), 10, "right_closed"), rng=rng, draws=4000)).sum(1) / 600
    assert np.quantile(drawn, [0.05, 0.5, 0.95]) == pytest.approx(np.quantile(rows, [0.05, 0.5, 0.95]), rel=0.05)


def test_only_right_answers_are_not_certain() -> None:
    sketch = sketch_of(np.ones(40), np.ones(40))
    (low, high), null_band = bands(sketch)
    assert low == 0
    assert 0.01 < high < 0.2
    assert null_band == (0.0, 0.0)
    assert interval("signed_gap", sketch)[1] > 0.01
    assert interval("brier", sketch)[1] > 0.01
    assert interval("log_loss", sketch)[1] > 0.01


def test_equal_mass_bands_are_those_of_bins_of_equal_mass() -> None:
    c, y = stream("beta", 2000, np.random.default_rng(5), gap=0.1)
    sketch = sketch_of(c, y)
    found = equal_mass_bands(sketch, 10, 0.95, rng=seeded(sketch), draws=500)
    assert found.ece == value("ece_equal_mass", sketch)
    assert found.interval[0] < found.ece < found.interval[1]
    assert found.null_band[1] < found.ece
    assert found.debiased == pytest.approx(found.ece, abs=0.01)


@pytest.mark.parametrize("kind", ["stated", "beta"])
@pytest.mark.parametrize("n", [100, 1000])
def test_intervals_cover_the_truth_nine_times_in_ten(n: int, kind: str) -> None:
    """MCE excepted at n = 100, where its bins are too small for a normal gap. Z is no parameter: it grows with n."""
    rng = np.random.default_rng(n)
    c, _ = stream(kind, 300_000, rng)
    chance = np.clip(c - 0.05, 0.01, 0.99)
    truth = one.of(sketch_of(c, chance)).estimates
    drawn = []
    for _ in range(200):
        pick = rng.integers(0, len(c), n)
        drawn.append(sketch_of(c[pick], (rng.random(n) < chance[pick]).astype(float)))
    found = figures(panel_of(drawn), 10, "right_closed", 0.95).estimates
    for name in set(MEASURES) - ({"spiegelhalter_z", "mce"} if n == 100 else {"spiegelhalter_z"}):
        low, high, true = found[name].low, found[name].high, truth[name].value[0]
        covered = ((low <= true) & (true <= high)).sum()
        assert covered >= (150 if name == "log_loss" and n == 100 else 174), (name, covered)


@given(some_pairs)
def test_intervals_hold_their_value(pairs: list[Pair]) -> None:
    for name, found in one.of(sketched(pairs)).estimates.items():
        known = ~np.isnan(found.value)
        assert ((found.low <= found.value + 1e-9) & (found.value <= found.high + 1e-9) | ~known).all(), name


def half(interval: Interval) -> float:
    return (interval[1] - interval[0]) / 2


def test_the_interval_of_the_gap_is_that_of_the_raw_differences() -> None:
    c, y = stream("logit", 5000, np.random.default_rng(12))
    expected = z_of(0.95) * (c - y).std() / np.sqrt(5000)
    assert half(interval("signed_gap", sketch_of(c, y))) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("name", ["auroc", "aurc", "brier_discrimination", "sharpness", "smooth_ece", "brier"])
@pytest.mark.parametrize("kind", ["stated", "logit"])
def test_intervals_are_as_wide_as_resampling_the_rows_says(kind: str, name: str) -> None:
    rng = np.random.default_rng(13)
    c, y = stream(kind, 900, rng, gap=0.15)
    c = np.round(c * 8) / 8 if kind == "stated" else c
    picks = [rng.integers(0, 900, 900) for _ in range(500)]
    drawn = figures(panel_of([sketch_of(c[pick], y[pick]) for pick in picks]), 10, "right_closed", 0.95)
    high, middle = interval(name, sketch_of(c, y))[1], value(name, sketch_of(c, y))
    spread = drawn.estimates[name].value.std()
    assert high - middle == pytest.approx(z_of(0.95) * spread, rel=0.12)


def test_one_label_is_averaged_with_a_half_right_and_a_half_wrong_one() -> None:
    """Losses of one right answer at confidence 1, beside it a half each of 0 and 1: variance 0.5 / 2 - (0.5 / 2)^2."""
    low, high = interval("brier", sketch_of([1.0], [1.0]))
    assert (low, high) == pytest.approx((0.0, z_of(0.95) * np.sqrt(0.1875)))


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
@pytest.mark.parametrize("count", [2, 20, 100])
def test_the_null_band_of_mce_holds_the_largest_of_independent_gaps_with_its_chance(count: int, level: float) -> None:
    rng = np.random.default_rng(15)
    sketches = [sketch_of(*stream(kind, n, rng)) for kind in KINDS for n in (3, 40, 1000)]
    middles = np.arange(0.005, 1, 0.01)
    alike = np.repeat(middles, np.rint(4_000 * middles * (1 - middles)).astype(int))
    sketches.append(sketch_of(alike, np.zeros(len(alike))))
    bins = bins_of_panel(panel_of(sketches), count, "right_closed")
    deviation = np.sqrt(np.maximum(bins.sum_c - bins.sum_c2, 0) / UNIT) / np.maximum(bins.n, 1)
    for end, chance in zip(mce_null_band(bins, level), ((1 - level) / 2, (1 + level) / 2), strict=True):
        for largest, each in zip(end, deviation, strict=True):
            below = np.prod([math.erf(largest / gap / math.sqrt(2)) for gap in each[each > 0]])
            assert below == pytest.approx(chance, rel=1e-4) or largest == 1


def test_the_null_band_of_mce_has_no_width_where_no_outcome_can_differ() -> None:
    low, high = mce_null_band(bins_of_panel(panel_of([sketch_of([0.0, 1.0], [1.0, 1.0])]), 10, "right_closed"), 0.95)
    assert (low.tolist(), high.tolist()) == ([0.0], [0.0])


def test_bins_that_err_alike_vary_together_in_closed_form_too() -> None:
    sketch = sketch_of(*stream("beta", 3000, np.random.default_rng(14), gap=0.4))
    closed = bands_of_many(bins_of_panel(panel_of([sketch]), 10, "right_closed"), 0.95)
    drawn = ece_bands(sketch, 10, "right_closed", 0.95, rng=seeded(sketch), draws=20_000).interval
    assert closed.high[0] - closed.low[0] == pytest.approx(drawn[1] - drawn[0], rel=0.04)


@pytest.mark.parametrize("n", [10**5, 10**6, 10**8])
def test_millions_of_equal_answers_have_the_interval_of_one_normal_gap(n: int) -> None:
    bins = Bins(*(np.array([[sum_of]]) for sum_of in (n, n * 750_000_000, n * 562_500_000, n * 10**9)))
    closed, chance = bands_of_many(bins, 0.95), (n + 0.5) / (n + 1)
    half_width = z_of(0.95) * np.sqrt(chance * (1 - chance) / n)
    assert closed.debiased[0] == pytest.approx(0.25, abs=1e-9)
    assert [closed.low[0] - 0.25, closed.high[0] - 0.25] == pytest.approx([-half_width, half_width], rel=0.01)


def test_auroc_of_fully_separated_answers_is_not_certain() -> None:
    low, high = interval("auroc", sketch_of([0.2] * 5 + [0.9] * 5, [0] * 5 + [1] * 5))
    assert high == 1
    assert 0.5 < low < 0.95


@given(st.lists(some_pairs, min_size=1, max_size=6))
def test_many_series_at_once_have_the_same_bins_and_values(series: list[list[Pair]]) -> None:
    each = [sketched(pairs) for pairs in series]
    together = bins_of_panel(panel_of(each), 15, "left_closed")
    assert together.n.shape == (len(each), 15)
    for place, sketch in enumerate(each):
        alone = equal_width(sketch, 15, "left_closed")
        assert (together.n[place] == alone.n).all()
        assert (together.sum_c[place] == alone.sum_c).all()
        assert (together.sum_y[place] == alone.sum_y).all()
        assert (together.sum_c2[place] == alone.sum_c2).all()
        assert eces(together)[place] == pytest.approx(ece(sketch, 15, "left_closed"), abs=1e-15)
        gap = together.gap[place].sum() / together.total[place]
        assert gap == pytest.approx(value("signed_gap", sketch), abs=1e-15)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("gap", [0.0, 0.03, 0.1])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_closed_form_quantiles_are_within_2_5_percent_of_resampling(kind: str, gap: float, level: float) -> None:
    rng = np.random.default_rng(11)
    tails = [(1 - level) / 2, (1 + level) / 2]
    sketch = sketch_of(*stream(kind, 2000, rng, gap))
    bins, view = equal_width(sketch, 10, "right_closed"), labelled(sketch)
    one = Bins(bins.n[None], bins.sum_c[None], bins.sum_c2[None], bins.sum_y[None])
    closed = bands_of_many(one, level)
    null = null_gaps(view, bin_of_cells(10, "right_closed")[view.cells], 10, rng=rng, draws=40_000)
    expected = np.quantile(np.abs(null).sum(axis=1) / 2000, tails)
    assert [closed.null_low[0], closed.null_high[0]] == pytest.approx(expected, rel=0.025)
    again = np.abs(bootstrap_gaps(bins, rng=rng, draws=40_000)).sum(axis=1) / 2000
    low, high = np.quantile(again, tails)
    plain, mean = ece(sketch), again.mean()
    inside = plain <= expected[1]
    start = 0.0 if inside else 2 * plain - high
    end = max(plain + max(mean - low, high - mean), high if inside else 0.0)
    width = end - start
    assert closed.low[0] == pytest.approx(start, abs=0.025 * max(width, high))
    assert closed.high[0] == pytest.approx(end, rel=0.025)


def test_closed_form_bands_of_no_series_are_empty() -> None:
    assert len(bands_of_many(Bins(*np.zeros((4, 0, 10), np.int64)), 0.95).ece) == 0


def test_one_label_has_finite_bands() -> None:
    for c in (0.0, *STATED, 1e-12):
        for y in (0.0, 0.5, 1.0):
            many = bands_of_many(bins_of_panel(panel_of([sketch_of([c], [y])]), 10, "right_closed"), 0.95)
            for found in (many.ece, many.low, many.high, many.null_low, many.null_high):
                assert np.isfinite(found).all()
            assert 0 <= many.low[0] <= many.high[0] <= 1
    assert empty() == merge()

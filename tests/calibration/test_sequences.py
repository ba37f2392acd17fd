"""Confidence sequences hold the truth at every look at once, whatever drifts, and are no wider than that takes."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.calibration import means, sequences
from monitor.calibration.cells import cell_index
from monitor.calibration.estimates import Estimates
from monitor.calibration.panel import Panel, panel_of
from monitor.calibration.sequences import STAKES, half_width, log_mixture, log_products
from monitor.calibration.sketch import Sketch, merge, sketch_of
from tests.calibration.one import value
from tests.calibration.streams import KINDS, Floats, Pair, columns, sketched, some_pairs, stream
from tests.oracles import pairs as raw

levels = st.sampled_from((0.5, 0.9, 0.95, 0.99))


def first(found: Estimates) -> tuple[float, float, float]:
    return float(found.value[0]), float(found.low[0]), float(found.high[0])


def gap(sketch: Sketch, level: float = 0.95) -> tuple[float, float, float]:
    return first(sequences.signed_gap(panel_of([sketch]), level))


def ece(sketch: Sketch, level: float = 0.95, count: int = 10) -> tuple[float, float, float]:
    return first(sequences.ece(panel_of([sketch]), count, "right_closed", level))


def of_patterns(panel: Panel, count: int) -> list[Floats]:
    """A sign for each cell by its bin, in every pattern of signs."""
    bins = (np.ceil(panel.position * count) - 1).clip(0).astype(np.int64)
    return [np.array(signs)[bins] for signs in product((1.0, -1.0), repeat=count)]


# --- Laws


@given(some_pairs, levels)
def test_a_sequence_holds_its_value_and_stays_within_its_range(pairs: list[Pair], level: float) -> None:
    centre, low, high = gap(sketched(pairs), level)
    assert centre == pytest.approx(value("signed_gap", sketched(pairs)), abs=1e-12)
    assert -1 <= low <= centre <= high <= 1
    centre, low, high = ece(sketched(pairs), level)
    assert centre == pytest.approx(value("ece", sketched(pairs)), abs=1e-12)
    assert 0 <= low <= centre <= high <= 1


@given(st.lists(st.tuples(st.integers(0, 600), st.sampled_from((0.0, 1.0))), min_size=1, max_size=60))
def test_at_an_end_the_products_of_the_raw_labels_reach_what_the_level_asks(answers: list[tuple[int, float]]) -> None:
    grid, y = np.array(answers).T
    d = grid / 600 - y
    _, low, high = gap(sketch_of(grid / 600, y), 0.9)
    for end in (low, high):
        mixture = np.mean([np.prod((1 + stake * d) / (1 + stake * end)) for stake in STAKES])
        if abs(end) < 1:
            assert mixture == pytest.approx(10, rel=1e-6)
        else:
            assert mixture < 10


@given(some_pairs)
def test_confidences_within_cells_move_the_ends_no_further_than_the_cells_are_wide(pairs: list[Pair]) -> None:
    c, y = columns(pairs)
    atoms = np.round(c * 600) / 600
    assert gap(sketch_of(c, y))[1:] == pytest.approx(gap(sketch_of(atoms, y))[1:], abs=0.01)


@given(some_pairs)
def test_a_fraction_counts_no_more_than_the_product_of_the_fraction_itself(pairs: list[Pair]) -> None:
    c, y = columns([(raw.snap(np.array([c]))[0], y) for c, y in pairs])
    c = np.round(c * 600) / 600
    products = log_products(panel_of([sketch_of(c, y)]), np.ones(len(np.unique(cell_index(c)))))[0]
    exact = np.array([np.log1p(stake * (c - y)).sum() for stake in STAKES])
    assert (products <= exact + 1e-6).all()


@given(some_pairs)
def test_seen_from_the_other_side_the_sequence_is_mirrored(pairs: list[Pair]) -> None:
    there = [(round(c * 600) / 600, y) for c, y in pairs]
    _, low, high = gap(sketched(there))
    _, mirrored_low, mirrored_high = gap(sketched([(1 - c, 1 - y) for c, y in there]))
    assert (-mirrored_high, -mirrored_low) == pytest.approx((low, high), abs=1e-7)


@given(st.lists(some_pairs, min_size=2, max_size=4))
def test_neighbours_in_a_panel_change_nothing(series: list[list[Pair]]) -> None:
    panel = panel_of([sketched(pairs) for pairs in series])
    for found, alone in (
        (sequences.signed_gap(panel, 0.9), gap),
        (sequences.ece(panel, 10, "right_closed", 0.9), ece),
    ):
        for place, pairs in enumerate(series):
            together = found.value[place], found.low[place], found.high[place]
            assert together == pytest.approx(alone(sketched(pairs), 0.9), abs=1e-9)


@given(some_pairs, levels)
def test_a_surer_sequence_is_wider(pairs: list[Pair], level: float) -> None:
    for measure in (gap, ece):
        _, low, high = measure(sketched(pairs), level)
        _, surer_low, surer_high = measure(sketched(pairs), (1 + level) / 2)
        assert surer_low <= low <= high <= surer_high


@given(some_pairs, st.sampled_from((2, 3)))
def test_no_pattern_of_signs_reaches_beyond_the_upper_end_of_ece(pairs: list[Pair], count: int) -> None:
    """Where ECE is just above its upper end, the bets on each pattern have reached their share of alpha."""
    pairs = [(round(c * 600) / 600, y) for c, y in pairs] * 20
    panel = panel_of([sketched(pairs)])
    _, _, high = ece(sketched(pairs), 0.9, count)
    for sign in of_patterns(panel, count):
        evidence, slope = log_mixture(log_products(panel, sign), panel.labels, np.array([min(high + 1e-9, 1.0)]))
        assert high == 1 or (slope[0] > 0 and evidence[0] >= np.log(20 * 2 ** (count - 1)) - 1e-6)


# --- Chances, exactly: every history of outcomes


def every_history(confidences: Floats) -> tuple[Floats, Floats, Floats]:
    """Outcomes (2^n, n), chances of being right that depend on what came before, and the chance of each history."""
    n = len(confidences)
    outcome = np.array(list(product((0.0, 1.0), repeat=n)))
    so_far = np.cumsum(outcome, axis=1) - outcome
    chance = np.where(so_far % 2 == 0, 0.95, np.clip(confidences - 0.3, 0.05, 0.9))
    return outcome, chance, np.where(outcome > 0, chance, 1 - chance).prod(axis=1)


@pytest.mark.parametrize("level", [0.5, 0.7])
def test_over_all_histories_the_chance_of_ever_missing_is_below_alpha(level: float) -> None:
    c = np.array([0.9, 0.6, 0.95, 0.8, 1.0, 0.7, 0.9, 0.3, 0.9, 0.95])
    outcome, chance, probability = every_history(c)
    assert probability.sum() == pytest.approx(1)
    missed_gap, missed_ece = np.zeros(len(outcome), bool), np.zeros(len(outcome), bool)
    for n in range(1, len(c) + 1):
        panel = panel_of([sketch_of(c[:n], y) for y in outcome[:, :n]])
        m = c[:n] - chance[:, :n]
        found, binned = sequences.signed_gap(panel, level), sequences.ece(panel, 2, "right_closed", level)
        missed_gap |= (m.mean(axis=1) < found.low) | (m.mean(axis=1) > found.high)
        above = c[:n] > 0.5
        truth = (np.abs(m[:, above].sum(axis=1)) + np.abs(m[:, ~above].sum(axis=1))) / n
        missed_ece |= (truth < binned.low) | (truth > binned.high)
    assert 0 < probability[missed_gap].sum() <= 1 - level
    assert probability[missed_ece].sum() <= 1 - level


def test_over_all_histories_the_mixture_at_the_truth_has_a_mean_of_at_most_1() -> None:
    c = np.array([0.9, 0.6, 0.95, 0.8, 1.0, 0.7, 0.9, 0.3])
    outcome, chance, probability = every_history(c)
    panel = panel_of([sketch_of(c, y) for y in outcome])
    truth = (c - chance).mean(axis=1)
    mixture = np.exp(log_mixture(log_products(panel, np.ones(len(panel.n))), panel.labels, truth)[0])
    assert 0.8 < probability @ mixture <= 1


# --- Stories


def cumulative(kind: str, histories: int, panes: int, rng: np.random.Generator) -> list[tuple[Panel, Floats, Floats]]:
    """At each pane of 100 labels the histories so far, the truth of their gap and of their ECE in 10 bins.

    From the middle on, answers are right less often by .1.
    """
    c = np.stack([stream(kind, panes * 100, rng)[0] for _ in range(histories)])
    c = np.round(c * 200) / 200
    chance = c.copy()
    chance[:, panes * 50 :] = np.clip(c[:, panes * 50 :] - 0.1, 0, 1)
    y = (rng.random(c.shape) < chance).astype(np.float64)
    sketches = [sketch_of([], []) for _ in range(histories)]
    of_bins, found = np.zeros((histories, 10)), []
    bins = (np.ceil(c * 10) - 1).clip(0).astype(np.int64)
    for pane in range(panes):
        at = slice(pane * 100, pane * 100 + 100)
        sketches = [merge(old, sketch_of(*new)) for old, *new in zip(sketches, c[:, at], y[:, at], strict=True)]
        for row in range(histories):
            of_bins[row] += np.bincount(bins[row, at], (c - chance)[row, at], 10)
        n = (pane + 1) * 100
        found.append((panel_of(sketches), of_bins.sum(axis=1) / n, np.abs(of_bins).sum(axis=1) / n))
    return found


def ever_missed(looks: list[tuple[Estimates, Floats]]) -> float:
    """The share of histories in which any look missed the truth."""
    return float(np.mean(np.any([(truth < each.low) | (truth > each.high) for each, truth in looks], axis=0)))


@pytest.mark.parametrize("kind", ["stated", "beta"])
def test_watched_all_day_a_sequence_misses_as_rarely_as_it_says_and_an_interval_does_not(kind: str) -> None:
    looks = cumulative(kind, 100, 40, np.random.default_rng(2))
    assert ever_missed([(sequences.signed_gap(panel, 0.9), truth) for panel, truth, _ in looks]) <= 0.1
    assert ever_missed([(sequences.ece(panel, 10, "right_closed", 0.9), truth) for panel, _, truth in looks]) <= 0.1
    assert ever_missed([(means.signed_gap(panel, 0.9), truth) for panel, truth, _ in looks]) >= 0.35


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [500, 5_000, 50_000])
def test_a_sequence_is_less_than_twice_as_wide_as_an_interval_of_one_look(kind: str, n: int) -> None:
    panel = panel_of([sketch_of(*stream(kind, n, np.random.default_rng(n), gap=0.05))])
    every, one = sequences.signed_gap(panel, 0.95), means.signed_gap(panel, 0.95)
    assert 1.5 < float((every.high - every.low)[0] / (one.high - one.low)[0]) < 1.85
    plain = half_width(panel, np.log(20))[0]
    assert (every.high - every.low)[0] < 2 * plain < 2.5 * (one.high - one.low)[0]


@pytest.mark.parametrize("side", [1, -1])
def test_a_gap_that_all_bins_share_costs_ece_half_of_alpha_and_no_more(side: int) -> None:
    rng = np.random.default_rng(1)
    c = stream("beta", 700, rng)[0] * 0.8
    sketch = sketch_of(c, (rng.random(700) < c - side * 0.12).astype(np.float64))
    _, low, high = gap(sketch, 0.975)
    assert ece(sketch, count=100)[1] == pytest.approx(max(low, -high), abs=1e-9)
    assert max(low, -high) > 0.02


def test_gaps_that_cancel_keep_ece_from_0_and_not_the_signed_gap() -> None:
    c, _ = stream("stated", 3_000, np.random.default_rng(1))
    chance = np.where(c > 0.8, c - 0.15, np.minimum(c + 0.15, 1))
    sketch = sketch_of(c, (np.random.default_rng(2).random(3_000) < chance).astype(np.float64))
    assert gap(sketch)[1] < 0 < gap(sketch)[2]
    assert ece(sketch)[1] > 0.05

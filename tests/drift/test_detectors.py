"""Stories of series that drift, and the laws of a step: one pane each, in order, whoever the neighbours are."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.calibration.sketch import sketch_of
from monitor.drift.baseline import Baseline, fit, known, stacked
from monitor.drift.betting import BAND_SHARES, MOST, SHIFTS
from monitor.drift.detectors import Limits, step
from monitor.drift.state import NOTHING_FED, WIDTH, State, begun, joined, numbers, state_of, taken
from monitor.errors import Refused
from tests.calibration.streams import some_pairs
from tests.drift.feeding import VALUES, Floats, Pairs, drawn, fed, labels_of, limits

ODDS = np.log(VALUES / (1 - VALUES))
HIGH = VALUES >= 0.9


def accepted(rng: np.random.Generator, chance: Floats = VALUES, n: int = 1500) -> Baseline:
    c, y = np.array(drawn(rng, n, chance)).T
    return fit(sketch_of(c, y))


def panes(rng: np.random.Generator, count: int, chance: Floats = VALUES, n: int = 20) -> list[Pairs]:
    return [drawn(rng, n, chance) for _ in range(count)]


def flatter(slope: float) -> Floats:
    """Chances with flatter log odds and the same mean."""
    low, high = -3.0, 3.0
    for _ in range(60):
        middle = (low + high) / 2
        chance = 1 / (1 + np.exp(-(slope * ODDS + middle)))
        low, high = (middle, high) if chance.mean() < VALUES.mean() else (low, middle)
    return np.asarray(chance)


# --- Stories


@pytest.mark.parametrize(("sign", "seed"), [(1, 1), (-1, 2), (1, 3), (-1, 4)])
def test_a_gap_pages_with_its_side_and_its_onset(sign: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    chance = np.clip(VALUES * 0.8, 0, 1)
    drifted = np.clip(chance - sign * 0.15, 0.01, 0.99)
    stream = [*panes(rng, 60, chance), *panes(rng, 40, drifted)]
    _, alarms = fed(accepted(rng, chance), stream, limits(1, page=1e-4), first=500_000)
    first = next(alarm for alarm in alarms if alarm.tier == "page")
    assert (first.sign, first.band) == (sign, "all")
    assert 500_060 <= first.pane < 500_090
    assert first.onset_interval[0] <= 500_060 <= first.onset_interval[1] <= first.pane
    assert abs(first.onset - 500_060) <= 4
    assert first.size_interval[0] <= sign * 0.15 <= first.size_interval[1]
    assert first.value >= 1e4
    assert first.labels == 20 * (first.pane - 500_000 + 1)


@pytest.mark.parametrize(
    ("band", "inside"), [("low", VALUES < 0.75), ("middle", (VALUES >= 0.75) & ~HIGH), ("high", HIGH)]
)
def test_a_gap_in_one_band_pages_with_that_band(band: str, inside: Floats) -> None:
    rng = np.random.default_rng(9)
    stream = [*panes(rng, 50), *panes(rng, 150, np.where(inside, VALUES - 0.25, VALUES))]
    _, alarms = fed(accepted(rng), stream, limits(1, page=1e-4))
    first = next(alarm for alarm in alarms if alarm.tier == "page")
    assert (first.band, first.sign) == (band, 1)
    assert first.onset_interval[0] <= 50 <= first.onset_interval[1]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_slope_that_drifts_with_zero_mean_gap_warns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    stream = [*panes(rng, 50), *panes(rng, 100, flatter(0.4))]
    _, alarms = fed(accepted(rng), stream, limits(1, warn=1e-4))
    first = alarms[0]
    assert (first.tier, first.sign) == ("warn", 1)
    assert first.slope < 1
    assert 50 <= first.pane < 85
    assert first.onset_interval[0] <= 50 <= first.onset_interval[1]
    low, high = first.size_interval
    assert low <= 0 <= high


def test_under_confidence_warns_with_its_sign() -> None:
    rng = np.random.default_rng(3)
    low = VALUES * 0.7
    _, alarms = fed(accepted(rng, low), [*panes(rng, 20, low), *panes(rng, 40)], limits(1, warn=1e-4))
    assert (alarms[0].tier, alarms[0].sign) == ("warn", -1)


def test_the_sign_of_a_warning_is_that_of_the_mean_gap_where_that_has_moved() -> None:
    """Low confidences became under-confident: a flatter line, which alone would say over-confident at .9."""
    rng = np.random.default_rng(6)
    stream = [*panes(rng, 20), *panes(rng, 80, np.where(VALUES < 0.6, VALUES + 0.3, VALUES))]
    first = fed(accepted(rng), stream, limits(1, page=0.0, warn=1e-6))[1][0]
    assert (first.slope, first.intercept, first.sign) == (0.6, 0.4, -1)
    assert first.size_interval[1] < 0


@pytest.mark.parametrize("chance", [VALUES * 0.7, np.where(HIGH, 0.6, VALUES), np.full(len(VALUES), 0.5)])
def test_a_stable_map_that_is_no_line_in_log_odds_stays_silent(chance: Floats) -> None:
    rng = np.random.default_rng(11)
    _, alarms = fed(accepted(rng, chance), panes(rng, 365, chance), limits(1, page=1e-4, warn=1e-4))
    assert alarms == []


def test_a_calibrated_series_stays_silent_for_a_year_of_days() -> None:
    rng = np.random.default_rng(7)
    _, alarms = fed(accepted(rng), panes(rng, 365), limits(1, page=1e-5, warn=1e-5))
    assert alarms == []


def test_a_size_is_measured_from_what_was_before_the_drift() -> None:
    """Not from a baseline that has grown with drifted panes."""
    rng = np.random.default_rng(21)
    chance = VALUES * 0.8
    baseline, stream = accepted(rng, chance, n=400), panes(rng, 60, chance - 0.15)
    first = fed(baseline, stream, limits(1, page=1e-6, warn=0.0))[1][0]
    state, _ = fed(baseline, stream[: first.pane + 1], limits(1, page=0.0))
    labels, residual = state.grown[0, 0]
    assert (first.band, first.onset) == ("all", 0)
    assert labels > 200
    assert first.size == pytest.approx(residual / labels, rel=0.1)


def test_a_gap_within_the_tolerance_never_pages_a_known_baseline() -> None:
    rng = np.random.default_rng(8)
    _, alarms = fed(known(), panes(rng, 400, VALUES - 0.01, n=50), limits(1, page=1e-3, tolerance=0.02))
    assert alarms == []
    _, strict = fed(known(), panes(rng, 400, VALUES - 0.03, n=50), limits(1, page=1e-3, tolerance=0.0))
    assert strict != []


def test_a_tier_is_reset_by_its_alarm_and_only_that_tier() -> None:
    rng = np.random.default_rng(5)
    baselines = stacked([accepted(rng)])
    state = begun(baselines)
    for number, pane in enumerate(panes(rng, 200, VALUES - 0.2)):
        done = step(state, baselines, labels_of(pane), np.array([number]), limits(1, page=1e-4, warn=0.0))
        state = done.state
        if done.alarms:
            break
    assert [alarm.tier for alarm in done.alarms] == ["page"]
    assert not state.page.any()
    assert state.warn.max() > 5
    again = step(state, baselines, labels_of(panes(rng, 1)[0]), np.array([999]), limits(1))
    assert again.state.page_onset[:, 0] == pytest.approx(999)
    assert again.state.page_onset[0, 2, 0, 0] == pytest.approx(20)


def test_a_rate_of_zero_switches_a_tier_off() -> None:
    rng = np.random.default_rng(5)
    stream = panes(rng, 120, VALUES - 0.25)
    assert fed(accepted(rng), stream, limits(1, page=0.0, warn=0.0))[1] == []


def test_a_baseline_grows_with_what_is_fed() -> None:
    rng = np.random.default_rng(5)
    baseline, stream = accepted(rng), panes(rng, 30)
    state, _ = fed(baseline, stream, limits(1))
    every = [pair for pane in stream for pair in pane]
    labels = labels_of(every)
    assert state.grown[0, :, 0].tolist() == [600, *labels.by_part(labels.n)[0]]
    both = stacked([baseline])
    residual = labels.n * both.expected(labels.position, labels.series, labels.part) - labels.right
    assert state.grown[0, :, 1] == pytest.approx([residual.sum(), *labels.by_part(residual)[0]], abs=1e-9)


# --- The step


def test_m_equals_that_of_a_plain_loop_over_labels() -> None:
    """Shiryaev-Roberts written down for single labels of a known baseline, a pane's labels sharing one + 1."""
    rng = np.random.default_rng(12)
    variance = (0.1, 0.2, 0.15, 0.05)
    stream = panes(rng, 25, VALUES - 0.05, n=7)
    state, _ = fed(known(variance=variance), stream, limits(1, tolerance=0.01))
    bounds = {1: (0.005, 0.75), 2: (0.75, 0.9), 3: (0.9, 0.995)}
    m = {(band, sign, bet): 0.0 for band in range(4) for sign in (1, -1) for bet in range(4)}
    for pane in stream:
        m = {key: held + 1 for key, held in m.items()}
        for c, y in pane:
            own = 1 if c < 0.75 else 2 if c < 0.9 else 3
            for (band, sign, bet), held in m.items():
                if band in {0, own}:
                    worst = 0.01 + (1 - bounds[own][0] if sign > 0 else bounds[own][1])
                    stake = min(SHIFTS[bet] / variance[own], MOST / worst)
                    m[band, sign, bet] = held * (1 + stake * (sign * (c - y) - 0.01))
    for (band, sign, bet), held in m.items():
        assert math.expm1(state.page[0, band, 0 if sign > 0 else 1, bet]) == pytest.approx(held, rel=1e-4)


def test_the_tier_alarms_as_soon_as_its_weighted_m_reaches_one_over_alpha() -> None:
    rng = np.random.default_rng(3)
    pane = drawn(rng, 30, VALUES - 0.3)
    state, _ = fed(known(), [pane], limits(1, page=0.0))
    by_band = np.expm1(state.page[0]).mean(axis=(1, 2))
    reached = float(by_band @ BAND_SHARES)
    assert fed(known(), [pane], limits(1, page=1 / (reached * 1.0001)))[1] == []
    assert len(fed(known(), [pane], limits(1, page=1 / (reached * 0.9999)))[1]) == 1
    ratios = float(np.expm1(state.warn[0]).mean())
    assert len(fed(known(), [pane], limits(1, page=0.0, warn=1 / (ratios * 0.9999)))[1]) == 1
    assert fed(known(), [pane], limits(1, page=0.0, warn=1 / (ratios * 1.0001)))[1] == []


@given(st.lists(some_pairs, min_size=2, max_size=5), st.integers(0, 4), st.integers(0, 99))
def test_neighbours_change_no_digit(series: list[Pairs], which: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    some = [accepted(rng, n=150) if place % 2 else known() for place in range(len(series))]
    which %= len(series)
    together, alone = begun(stacked(some)), begun(stacked([some[which]]))
    for number in (10, 11, 15):
        order = series[number % len(series) :] + series[: number % len(series)]
        every = step(
            together, stacked(some), labels_of(*order), np.full(len(some), number), limits(len(some), 0.02, 0.02)
        )
        one = step(alone, stacked([some[which]]), labels_of(order[which]), np.array([number]), limits(1, 0.02, 0.02))
        together, alone = every.state, one.state
        assert np.array_equal(numbers(taken(together, np.array([which]))), numbers(alone))
        assert every.residual[which] == one.residual[0]
        same = [alarm for alarm in every.alarms if alarm.series == which]
        assert [(a.tier, a.onset, a.size, a.value) for a in same] == [
            (a.tier, a.onset, a.size, a.value) for a in one.alarms
        ]


def test_hundreds_of_neighbours_change_no_digit() -> None:
    rng = np.random.default_rng(4)
    some = [accepted(rng, n=200) for _ in range(300)]
    series = [drawn(rng, int(n), VALUES) for n in rng.integers(1, 60, 300)]
    every = step(begun(stacked(some)), stacked(some), labels_of(*series), np.full(300, 3), limits(300))
    for which in range(0, 300, 23):
        one = step(
            begun(stacked([some[which]])), stacked([some[which]]), labels_of(series[which]), np.array([3]), limits(1)
        )
        assert np.array_equal(numbers(taken(every.state, np.array([which]))), numbers(one.state))


@given(some_pairs)
def test_a_step_reports_what_it_fed(pairs: Pairs) -> None:
    baselines = stacked([known()])
    done = step(begun(baselines), baselines, labels_of(pairs), np.array([77]), limits(1))
    labels = labels_of(pairs)
    residual = float((labels.n * baselines.expected(labels.position, labels.series, labels.part) - labels.right).sum())
    assert (done.panes.tolist(), done.labels.tolist()) == ([77], [len(pairs)])
    assert done.residual[0] == pytest.approx(residual / len(pairs), abs=1e-9)
    assert done.state.fed_until.tolist() == [77]


@pytest.mark.parametrize("pane", [9, 10])
def test_a_pane_is_fed_once_and_in_order(pane: int) -> None:
    baselines = stacked([known()] * 2)
    rates, labels = limits(2), labels_of([(0.5, 1.0)], [(0.5, 0.0)])
    state = step(begun(baselines), baselines, labels, np.array([3, 10]), rates).state
    with pytest.raises(Refused, match=f"pane {pane} of series 1 is not after pane 10"):
        step(state, baselines, labels, np.array([4, pane]), rates)
    assert step(state, baselines, labels, np.array([4, 11]), rates).state.fed_until.tolist() == [4, 11]


def test_panes_start_at_the_epoch() -> None:
    baselines = stacked([known()])
    assert begun(baselines).fed_until.tolist() == [NOTHING_FED]
    assert step(begun(baselines), baselines, labels_of([(0.5, 1.0)]), np.array([0]), limits(1)).state.fed_until[0] == 0


def test_a_pane_of_a_million_labels_leaves_finite_numbers_and_an_alarm() -> None:
    rng = np.random.default_rng(2)
    baseline, n = accepted(rng), 100_000
    sure = [pair for c in VALUES.tolist() for pair in [(c, 1.0)] * round(c * n) + [(c, 0.0)] * (n - round(c * n))]
    state, _ = fed(baseline, [sure], limits(1))
    assert np.isfinite(numbers(state)).all()
    state, alarms = fed(known(), [sure, [(c, 0.0) for c, _ in sure]], limits(1))
    assert np.isfinite(numbers(state)).all()
    assert {alarm.tier for alarm in alarms} == {"page", "warn"}
    assert all(math.isfinite(alarm.value) and alarm.value > 1e9 for alarm in alarms)


@pytest.mark.parametrize("pane", [[(0.0, 1.0)], [(1.0, 0.0)], [(0.0, 0.0), (1.0, 1.0)], [(1.0, 0.0)] * 50])
def test_confidences_of_0_and_1_leave_finite_numbers(pane: Pairs) -> None:
    certain = fit(sketch_of([1.0] * 200, [1.0] * 200))
    for baseline in (known(), certain):
        state, _ = fed(baseline, [pane] * 5, limits(1, 1e-3, 1e-3))
        assert np.isfinite(numbers(state)).all()


# --- The state


def some_state(seed: int) -> State:
    rng = np.random.default_rng(seed)
    return fed(accepted(rng), panes(rng, 4), limits(1))[0]


@given(st.lists(st.integers(0, 50), min_size=1, max_size=4))
def test_a_stored_state_comes_back_digit_for_digit_and_goes_on_alike(seeds: Sequence[int]) -> None:
    state = joined([some_state(seed) for seed in seeds])
    assert numbers(state).shape == (len(seeds), WIDTH)
    back = state_of(np.frombuffer(numbers(state).tobytes()).reshape(len(seeds), -1), state.fed_until)
    assert np.array_equal(numbers(back), numbers(state))
    baselines = stacked([known()] * len(seeds))
    pane = labels_of(*[[(0.8, 0.0), (0.9, 1.0)]] * len(seeds))
    ones = [step(each, baselines, pane, np.full(len(seeds), 99), limits(len(seeds))) for each in (state, back)]
    assert np.array_equal(numbers(ones[0].state), numbers(ones[1].state))


def test_joining_and_taking_are_inverse() -> None:
    parts = [some_state(seed) for seed in (1, 2, 3)]
    whole = joined(parts)
    assert np.array_equal(numbers(taken(whole, np.array([2, 0]))), numbers(joined([parts[2], parts[0]])))


def test_a_state_of_another_width_is_refused() -> None:
    with pytest.raises(Refused, match=f"must have {WIDTH} numbers, got {WIDTH - 1}"):
        state_of(np.zeros((2, WIDTH - 1)), np.zeros(2, np.int64))


# --- Run lengths


def false_alarms(baselines: list[Baseline], rng: np.random.Generator, count: int, alpha: float) -> dict[str, int]:
    """Alarms of both tiers over `count` panes of 20 calibrated labels of each series."""
    size, both, found = len(baselines), stacked(baselines), {"page": 0, "warn": 0}
    state = begun(both)
    for number in range(count):
        labels = labels_of(*[drawn(rng, 20, VALUES) for _ in range(size)])
        done = step(state, both, labels, np.full(size, number), Limits(np.full(size, alpha), np.full(size, alpha)))
        state = done.state
        for alarm in done.alarms:
            found[alarm.tier] += 1
    return found


@pytest.mark.parametrize("fitted_on", [None, 300, 1000])
def test_alarms_without_drift_number_at_most_alpha_times_the_panes(fitted_on: int | None) -> None:
    """60 series x 120 panes at alpha = 1/100: 72 are promised at most; a baseline of 300 labels keeps it too."""
    rng = np.random.default_rng(fitted_on or 1)
    baselines = [accepted(rng, n=fitted_on) if fitted_on else known() for _ in range(60)]
    found = false_alarms(baselines, rng, 120, 0.01)
    assert 3 <= found["page"] <= 72
    assert 3 <= found["warn"] <= 72

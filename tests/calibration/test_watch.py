"""The watch over a deployed certificate: rarely wrong, at all looks together, and quick to see what it is for."""

from collections.abc import Callable
from itertools import product
from math import comb, exp, prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.calibration.certificates import Side
from monitor.calibration.ladder import exact_threshold
from monitor.calibration.sketch import merge, sketch_of
from monitor.calibration.watch import FALSE_ALARM, Tally, is_broken, log_capital, standing, tally

counts = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 60)), min_size=1, max_size=12).map(
    lambda days: [even(n, min(n, right)) for n, right in days]
)


def even(n: int, right: float) -> Tally:
    """Labels of which each stands for itself."""
    return Tally(n, right, n, n)


def looks(rng: np.random.Generator, right: Callable[[int], float], days: int, target: float, side: Side) -> int | None:
    """The first day on whose evening the promise is called broken, when somebody looks every evening."""
    tallies: list[Tally] = []
    for day in range(days):
        n = int(rng.integers(1, 40))
        tallies.append(even(n, int(rng.binomial(n, right(day)))))
        if is_broken(tallies, target, side):
            return day
    return None


@pytest.mark.parametrize(("target", "side"), [(0.5, "accept"), (0.95, "accept"), (0.3, "reject")])
def test_a_promise_that_is_just_kept_is_hardly_ever_called_broken_by_somebody_who_looks_every_day(
    target: float, side: Side
) -> None:
    rng, streams = np.random.default_rng(17), 200
    false = sum(looks(rng, lambda _: target, 60, target, side) is not None for _ in range(streams))
    assert false <= streams * FALSE_ALARM + 3 * np.sqrt(streams * FALSE_ALARM)


@pytest.mark.parametrize(("target", "side", "now"), [(0.95, "accept", 0.90), (0.3, "reject", 0.35)])
def test_a_fall_by_five_points_is_found_within_weeks_even_after_months_of_better_than_promised(
    target: float, side: Side, now: float
) -> None:
    rng, better = np.random.default_rng(18), 0.98 if side == "accept" else 0.2
    found = [looks(rng, lambda day: better if day < 90 else now, 300, target, side) for _ in range(20)]
    after = [300 if day is None else day - 90 for day in found]
    assert min(after) >= 0
    assert np.median(after) <= (45 if side == "accept" else 130)


@given(counts, st.floats(0.05, 0.95), st.sampled_from(["accept", "reject"]))
@settings(max_examples=50)
def test_a_promise_is_broken_where_the_bound_misses_it(tallies: list[Tally], target: float, side: Side) -> None:
    assert is_broken(tallies, target, side) == standing(tallies, target, side).broken


@given(
    st.lists(st.integers(1, 3), min_size=1, max_size=3), st.floats(0.05, 0.95), st.sampled_from(["accept", "reject"])
)
def test_whoever_bets_against_a_promise_that_is_just_kept_gains_nothing_on_average(
    days: list[int], target: float, side: Side
) -> None:
    mean = 0.0
    for rights in product(*(range(n + 1) for n in days)):
        pairs = list(zip(days, rights, strict=True))
        chance = prod(comb(n, right) * target**right * (1 - target) ** (n - right) for n, right in pairs)
        mean += chance * exp(log_capital([even(n, right) for n, right in pairs], target, side))
    assert mean == pytest.approx(1)


def test_what_broke_is_dated_to_about_the_day() -> None:
    tallies = [even(40, 40)] * 50 + [even(40, 30)] * 10
    found = standing(tallies, 0.95, "accept")
    assert found.broken
    assert (found.worst_from, found.worst_n, found.worst_accuracy) == (50, 400, 0.75)
    assert found.accuracy == pytest.approx((50 * 40 + 300) / 2400)


@given(counts, st.floats(0.05, 0.95))
def test_to_reject_what_is_right_is_to_accept_what_is_wrong(tallies: list[Tally], target: float) -> None:
    mirrored = [even(each.n, each.n - each.right) for each in tallies]
    accept, reject = standing(tallies, target, "accept"), standing(mirrored, 1 - target, "reject")
    assert accept.bound is not None
    assert reject.bound is not None
    assert reject.bound == pytest.approx(1 - accept.bound, abs=1e-9)
    assert reject.shortfall == pytest.approx(accept.shortfall, abs=1e-9)


@given(counts, st.floats(0.05, 0.95))
def test_the_bound_lies_above_what_was_measured_unless_some_days_were_worse(
    tallies: list[Tally], target: float
) -> None:
    found = standing(tallies[:1], target, "accept")
    assert found.bound is not None
    assert found.accuracy is not None
    assert found.bound > found.accuracy or found.bound == 1


def test_without_labels_nothing_is_broken_and_uneven_sampling_is_said_to_be_unknown() -> None:
    for side in ("accept", "reject"):
        assert not standing([], 0.9, side).broken
    uneven = standing([Tally(100, 0, 550, 5050)], 0.9, "accept")
    assert (uneven.bound, uneven.shortfall, uneven.accuracy) == (None, None, 0)


@given(st.lists(st.tuples(st.integers(0, 600), st.booleans()), max_size=80), st.integers(0, 600))
def test_a_tally_is_a_count_of_what_lies_on_the_side(events: list[tuple[int, bool]], at: int) -> None:
    threshold = exact_threshold(at / 600)
    sketches = [sketch_of([c / 600], [float(y)]) for c, y in events]
    for side in ("accept", "reject"):
        inside = [y for c, y in events if (c / 600 >= threshold - 1e-12) == (side == "accept")]
        found = tally(merge(*sketches), threshold, side)
        assert (found.n, found.right) == (len(inside), sum(inside))
        assert (found.weight, found.square) == (len(inside), len(inside))

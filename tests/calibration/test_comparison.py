"""Comparing two releases: the interval holds the truth, and no verdict is given that the labels do not bear."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.calibration.comparison import Answers, Comparison, Sides, compare, ece_interval, sides_of, verdict
from monitor.calibration.reading import ReadingSettings
from monitor.calibration.sketch import empty, sketch_of
from monitor.errors import BadInput
from tests.calibration.comparing import Case, verdicts
from tests.calibration.streams import KINDS, Pair, columns, some_pairs, stream
from tests.oracles import pairs as raw

QUICK = ReadingSettings(draws=300)


def side(name: str, pairs: list[Pair], *, named: bool = False) -> tuple[str, Answers]:
    c, y = columns(pairs)
    return name, Answers(c, y, np.arange(len(c)) if named else None)


def drawn(kind: str, n: int, gap: float, seed: int, *, named: bool = False) -> tuple[str, Answers]:
    c, y = stream(kind, n, np.random.default_rng(seed), gap)
    return f"{kind} {gap}", Answers(c, y, np.arange(n) if named else None)


def compared(before: tuple[str, Answers], after: tuple[str, Answers], limit: float = 0.03) -> Comparison:
    return compare(sides_of(before, after), limit, QUICK)


@settings(max_examples=40)
@given(some_pairs, some_pairs)
def test_the_change_is_the_plain_difference_of_the_measures_and_its_interval_holds_it(
    one: list[Pair], other: list[Pair]
) -> None:
    found = compared(side("a", one), side("b", other))
    ece = [raw.ece(raw.snap(columns(each)[0]), columns(each)[1], 10) for each in (one, other)]
    assert found.difference["ece"] == pytest.approx(ece[1] - ece[0], abs=1e-6)
    for name, each in found.differences.items():
        assert each.interval[0] <= each.value <= each.interval[1], name
        assert each.value == pytest.approx(each.after - each.before)


@settings(max_examples=30)
@given(st.sampled_from(KINDS), st.integers(30, 400), st.sampled_from((0.0, 0.1)), st.integers(0, 99))
def test_a_release_against_itself_is_the_same_whatever_it_is_worth(kind: str, n: int, gap: float, seed: int) -> None:
    one = drawn(kind, n, gap, seed, named=True)
    found = compared(one, one)
    assert found.verdict == "same"
    assert found.paired
    assert found.interval == pytest.approx((0, 0), abs=0.03)
    assert set(found.difference.values()) == {0}


@pytest.mark.parametrize("kind", ["stated", "beta"])
@pytest.mark.parametrize(("before", "after"), [(0.0, 0.0), (0.1, 0.1), (0.0, 0.1), ("waves", 0.0)])
def test_the_interval_holds_the_true_difference(kind: str, before: float, after: float) -> None:
    rng = np.random.default_rng(8)
    for paired in (False, True):
        found = verdicts(Case(kind, before, after, 1000, paired), 60, QUICK, 0.03, rng)
        assert found.held >= 0.85  # docs/compare.md has them all, from many more draws
        wrong = [name for name, sign in (("better", 1), ("worse", -1)) if sign * found.truth >= 0]
        share = sum(each for name, each in found.shares.items() if name in wrong)
        assert share <= 0.05 + 2 * (0.05 * 0.95 / 60) ** 0.5


def test_pairing_makes_the_interval_narrower() -> None:
    rng = np.random.default_rng(9)
    width = [verdicts(Case("stated", 0.1, 0.1, 800, paired), 20, QUICK, 0.03, rng).width for paired in (False, True)]
    assert width[1] < 0.75 * width[0]


def test_a_worse_release_is_found_and_a_better_one_is() -> None:
    good, bad = drawn("stated", 2000, 0.0, 1), drawn("stated", 2000, 0.15, 2)
    assert compared(good, bad).verdict == "worse"
    assert compared(bad, good).verdict == "better"


def test_seen_from_the_other_side_the_interval_is_mirrored() -> None:
    one, other = drawn("mixed", 600, 0.0, 1, named=True), drawn("mixed", 600, 0.08, 2, named=True)
    many = replace(QUICK, draws=20_000)
    there, back = (ece_interval(sides_of(*order), many) for order in ((one, other), (other, one)))
    assert there == pytest.approx((-back[1], -back[0]), abs=0.002)


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        ((-0.02, 0.01), "same"),
        ((0.005, 0.02), "same"),
        ((-0.03, 0.03), "same"),
        ((0.001, 0.04), "worse"),
        ((0.1, 0.2), "worse"),
        ((-0.04, -0.001), "better"),
        ((-0.01, 0.04), "cannot tell"),
        ((-0.05, 0.01), "cannot tell"),
        ((0.0, 0.04), "cannot tell"),
    ],
)
def test_the_verdict_follows_from_the_interval_and_the_limit(interval: tuple[float, float], said: str) -> None:
    assert verdict(interval, 0.03) == said


def test_questions_that_only_one_side_answered_are_left_out() -> None:
    name, one = drawn("stated", 300, 0.0, 1, named=True)
    _, other = drawn("stated", 300, 0.0, 2, named=True)
    shifted = Answers(other.confidence, other.outcome, np.arange(300) + 50)
    found = compared((name, one), ("later", shifted))
    assert (found.paired, found.n_both, found.n_before, found.n_after) == (True, 250, 250, 250)
    assert "100 answers to questions that only one side answered are left out" in found.notes


@pytest.mark.parametrize(("offset", "said"), [(300, "no question is on both"), (200, "only 100 questions are on both")])
def test_ids_that_do_not_match_make_two_samples_and_it_is_said(offset: int, said: str) -> None:
    one = drawn("stated", 300, 0.0, 1, named=True)
    _, other = drawn("stated", 300, 0.0, 2)
    found = compared(one, ("other", Answers(other.confidence, other.outcome, np.arange(300) + offset)))
    assert not found.paired
    assert (found.n_before, found.n_after) == (300, 300)
    assert any(said in note for note in found.notes)


@pytest.mark.parametrize("n", [0, 1, 29])
def test_with_too_few_labels_it_cannot_be_told_and_the_reason_says_how_many(n: int) -> None:
    few, many = drawn("stated", n, 0.3, 1), drawn("stated", 500, 0.0, 2)
    found = compared(few, many)
    assert found.verdict == "cannot tell"
    assert f"has {n} labels, 30 are needed" in found.reason
    assert (found.interval is None) == (n == 0)


def test_one_class_and_one_confidence_get_a_verdict_like_any_other() -> None:
    right = "all right", Answers(np.full(200, 0.9), np.ones(200))
    wrong = "all wrong", Answers(np.full(200, 0.9), np.zeros(200))
    assert compared(right, wrong).verdict == "worse"
    assert compared(right, right).verdict in {"same", "cannot tell"}


def test_a_constant_confidence_with_the_better_ece_is_said_to_be_worse_otherwise() -> None:
    rng = np.random.default_rng(7)
    c = rng.choice([0.05, 0.95], 3000)
    y = (rng.random(3000) < np.where(c > 0.5, 0.85, 0.15)).astype(np.float64)
    sharp, flat = Answers(c, y, np.arange(3000)), Answers(np.full(3000, 0.5), y, np.arange(3000))
    found = compared(("sharp", sharp), ("flat", flat))
    assert found.verdict == "better"
    assert any(note.startswith("brier is surely worse") for note in found.notes)


@pytest.mark.parametrize("limit", [0.0, -0.1, 1.5, float("nan")])
def test_a_limit_out_of_range_is_refused(limit: float) -> None:
    with pytest.raises(BadInput, match="limit must be above 0"):
        compare(Sides("a", "b", (empty(), empty())), limit, QUICK)


def test_sketches_of_the_store_give_what_their_answers_give() -> None:
    one, other = drawn("mixed", 500, 0.0, 1), drawn("mixed", 500, 0.1, 2)
    sketches = tuple(sketch_of(each.confidence, each.outcome) for _, each in (one, other))
    stored = compare(Sides(one[0], other[0], (sketches[0], sketches[1])), 0.03, QUICK)
    assert stored == compared(one, other)

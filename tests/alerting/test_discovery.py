"""Which of many to believe at one look: Benjamini and Hochberg's rule."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from monitor.alerting.discovery import believed, false_discovery, p_value
from monitor.alerting.judgement import Limits, finding_of
from monitor.alerting.verdict import Compare, Estimate, Finding, Measured, Proof, Verdict, sign_of
from tests.alerting.making import START, verdict


def test_the_example_of_the_paper_rejects_the_first_four() -> None:
    """Benjamini and Hochberg 1995, section 4: fifteen p-values of a trial, at .05."""
    p = [1, 4, 19, 95, 201, 278, 298, 344, 459, 3240, 4262, 5719, 6528, 7590, 10000]
    assert false_discovery(np.array(p) / 10000, 0.05).tolist() == [True] * 4 + [False] * 11


@given(st.lists(st.integers(0, 20), max_size=12), st.integers(0, 20))
def test_those_rejected_are_the_most_that_may_be(twentieths: list[int], q: int) -> None:
    """By trying every number of rejections with exact fractions; equal p-values are treated alike."""
    m = len(twentieths)
    most = max(k for k in range(m + 1) if k == 0 or sorted(twentieths)[k - 1] * m <= q * k)
    limit = sorted(twentieths)[most - 1] if most else -1
    wanted = [each <= limit for each in twentieths]
    assert false_discovery(np.array([each / 32 for each in twentieths]), float(Fraction(q, 32))).tolist() == wanted


def test_the_share_of_false_discoveries_is_kept_at_one_look() -> None:
    """200 looks at 80 true and 20 false hypotheses: at .1, some 8 in 100 of those rejected are true."""
    rng = np.random.default_rng(4)
    shares, found = [], []
    for _ in range(200):
        p = rng.uniform(size=100)
        p[80:] = p[80:] ** 8
        mask = false_discovery(p, 0.1)
        shares.append(mask[:80].sum() / max(mask.sum(), 1))
        found.append(mask[80:].sum())
    assert 0.05 < np.mean(shares) < 0.1
    assert np.mean(found) > 8


@pytest.mark.parametrize(("p", "q"), [([1.1], 0.1), ([-0.1], 0.1), ([np.nan], 0.1), ([0.5], 1.1), ([0.5], -0.1)])
def test_what_is_no_probability_is_refused(p: list[float], q: float) -> None:
    with pytest.raises(ValueError, match=r"must lie in 0\.\.1"):
        false_discovery(np.array(p), q)


def test_without_hypotheses_there_is_nothing_to_reject() -> None:
    assert false_discovery(np.array([]), 0.1).tolist() == []


def measured(value: float, half: float | None, compare: Compare = "above", proof: Proof = "confident") -> Verdict:
    leave = 0.1 - 0.02 * sign_of(compare)
    limits = Limits(compare=compare, enter=0.1, exit=leave, proof=proof)
    judged = Estimate(value, None if half is None else (value - half, value + half), 1000)
    evidence = Measured(
        as_of=START,
        measure="ece",
        estimate=Estimate(0.7, None, 1000),
        judged=judged,
        compare=compare,
        proof=proof,
        enter=0.1,
        exit=leave,
        confidence_level=0.95,
    )
    return Verdict(finding_of(judged, limits), evidence)


def p_of(found: Verdict) -> float:
    assert isinstance(found.evidence, Measured)
    return p_value(found.evidence)


@given(st.integers(-30, 30), st.integers(0, 10), st.sampled_from(["above", "below", "change_above", "change_below"]))
def test_a_p_value_below_a_fortieth_is_a_crossing_at_95_percent(value: int, half: int, compare: Compare) -> None:
    found = measured(value / 99, half / 99 or None, compare)
    assert (p_of(found) < 0.025) == (found.finding == "crossed")


@pytest.mark.parametrize(("compare", "value", "ends"), [("above", 0.12, (0.1, 0.18)), ("below", 0.08, (0.02, 0.1))])
def test_the_end_that_is_nearer_to_the_limit_tells_the_spread(
    compare: Compare, value: float, ends: tuple[float, float]
) -> None:
    evidence = measured(value, 0.0, compare).evidence
    assert isinstance(evidence, Measured)
    assert p_value(structs.replace(evidence, judged=Estimate(value, ends, 1000))) == pytest.approx(0.025)


def test_p_values_are_those_of_the_normal_distribution() -> None:
    assert p_of(measured(0.1, 0.02)) == pytest.approx(0.5)
    assert p_of(measured(0.1 + 0.02 / 1.959964, 0.02)) == pytest.approx(0.158655, abs=1e-6)
    assert p_of(measured(0.1 + 0.02 / 1.959964, 0.02, "below")) == pytest.approx(1 - 0.158655, abs=1e-6)
    assert [p_of(measured(value, half)) for value in (0.1, 0.11) for half in (0.0, None)] == [1, 1, 0, 0]


def test_crossings_that_chance_explains_are_between_and_everything_else_stays() -> None:
    """One of forty just over the limit is chance; twenty of forty are not, nor is one far beyond."""
    quiet = [measured(0.05, 0.02)] * 38
    near, far, told = measured(0.121, 0.02), measured(0.2, 0.02), verdict("crossed", 0)
    assert [each.finding for each in (near, far, told)] == ["crossed"] * 3
    assert kept([near, told, far, *quiet]) == ["between", "crossed", "crossed"] + ["below"] * 38
    assert kept([near] * 20 + quiet[:20]) == ["crossed"] * 20 + ["below"] * 20
    assert kept([measured(0.101, 0.02, proof="point"), far]) == ["between", "crossed"]
    assert believed([near, *quiet], 0.05)[0].evidence == near.evidence
    assert kept([]) == []


def test_series_of_which_nothing_is_the_matter_count_as_looks_too() -> None:
    near, far = measured(0.121, 0.02), measured(0.2, 0.02)
    alone, among = (believed([near, far], 0.05, known) for known in (0, 40))
    assert [each.finding for each in alone] == ["crossed", "crossed"]
    assert [each.finding for each in among] == ["between", "crossed"]


def kept(verdicts: list[Verdict]) -> list[Finding]:
    return [each.finding for each in believed(verdicts, 0.05)]

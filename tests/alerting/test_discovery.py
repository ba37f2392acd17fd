"""Which of many to believe at one look: Benjamini and Hochberg's rule."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.alerting.discovery import false_discovery


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

"""ADWIN as a second opinion: it says what river says, and says the same after it was stored."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from river.drift import ADWIN

from monitor.drift.adwin import SecondOpinion, restored
from monitor.errors import Refused


def residuals(rng: np.random.Generator, n: int, gap: float) -> list[float]:
    return [float(each) for each in np.clip(rng.normal(gap, 0.08, n), -1, 1)]


def test_a_shift_is_found_with_its_size_and_sign() -> None:
    rng = np.random.default_rng(1)
    opinion = SecondOpinion()
    said = [opinion.feed(each) for each in [*residuals(rng, 300, 0.0), *residuals(rng, 200, 0.1)]]
    assert all(each.size is None for each in said[:300])
    found = [each for each in said[300:] if each.size is not None]
    assert 0.03 < max(each.size or 0.0 for each in found) < 0.14
    assert said[-1].mean == pytest.approx(0.1, abs=0.04)
    assert said[-1].panes < 300


def test_an_opinion_is_that_of_river() -> None:
    """Up to the drift: after it river's own wrapper starts anew."""
    rng = np.random.default_rng(2)
    opinion, window = SecondOpinion(25, 0.01), ADWIN(delta=0.01, clock=1)
    for each in [*residuals(rng, 100, 0.0), *residuals(rng, 100, -0.2)]:
        said = opinion.feed(each)
        window.update(each * 5)
        assert (said.size is not None) == window.drift_detected
        assert said.mean == pytest.approx(window.estimation / 5, abs=1e-12)
        if window.drift_detected:
            break
    assert window.drift_detected


@given(st.integers(0, 200), st.integers(0, 1000))
def test_a_stored_window_gives_the_same_answers(before: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    opinion = SecondOpinion()
    for each in residuals(rng, before, 0.0):
        opinion.feed(each)
    back = restored(opinion.stored())
    for each in residuals(rng, 40, 0.3):
        assert back.feed(each) == opinion.feed(each)
    assert back.stored() == opinion.stored()


def test_a_window_takes_little_room() -> None:
    rng = np.random.default_rng(3)
    opinion = SecondOpinion()
    for each in residuals(rng, 2000, 0.0):
        opinion.feed(each)
    assert len(opinion.stored()) < 1500


def test_a_window_of_another_version_is_refused() -> None:
    with pytest.raises(Refused, match=r"must be of river .*, got 'river 0.1'"):
        restored(b"river 0.1\n" + SecondOpinion().stored().partition(b"\n")[2])

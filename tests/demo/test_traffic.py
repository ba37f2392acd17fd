"""The simulated models behave as the demo says they do, and the same seed tells the same story."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.demo.events import HOUR_US, LABEL, PREDICTION, messages
from monitor.demo.models import DRIFT_LOSS, MODELS, Answers, SimulatedModel, answers
from monitor.demo.traffic import Simulation, TrafficSettings

EPOCH = datetime(2026, 11, 1, tzinfo=UTC)
EPOCH_US = int(EPOCH.timestamp()) * 1_000_000
AGENT, ROUTER, SCORER = MODELS


def drawn(model: SimulatedModel, *, drifted: bool = False, n: int = 60_000) -> Answers:
    return answers(model, np.random.default_rng(5), n, drifted=drifted)


def gap(found: Answers, chosen: NDArray[np.bool_] | slice = slice(None)) -> float:
    """Mean confidence minus share of right answers."""
    return float((found.confidence - found.outcome)[chosen].mean())


def settings(seed: int = 1) -> TrafficSettings:
    return TrafficSettings("nowhere:1", "predictions", "labels", EPOCH, EPOCH, 3600.0, seed=seed, history=3000)


def test_stated_confidence_crowds_on_few_values_and_is_over_confident_on_long_prompts() -> None:
    found = drawn(AGENT)
    assert len(np.unique(found.confidence)) <= 10
    assert (found.confidence == 1.0).mean() > 0.05
    assert gap(found, found.prompt_tokens >= 1000) > 0.15
    assert abs(gap(found, found.prompt_tokens < 200)) < 0.03


def test_token_probabilities_crowd_against_one() -> None:
    found = drawn(ROUTER)
    assert (found.confidence > 0.99).mean() > 0.3
    assert found.confidence.max() < 1.0
    assert gap(found) > 0.02


def test_the_honest_model_is_calibrated_until_its_french_traffic_drifts() -> None:
    before, after = drawn(SCORER), drawn(SCORER, drifted=True)
    for language in ("de", "en", "fr"):
        assert abs(gap(before, before.language == language)) < 0.015
    assert gap(after, after.language == "fr") > DRIFT_LOSS - 0.06
    assert abs(gap(after, after.language == "en")) < 0.015


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_only_one_segment_of_one_model_can_drift(model: SimulatedModel) -> None:
    assert (model.drifting_language is not None) == (model is SCORER)


def test_the_drift_lasts_as_long_as_told_and_no_longer() -> None:
    story = replace(settings(), drift_after_seconds=30.0, drift_seconds=180.0)
    assert [story.drifts(seconds) for seconds in (0.0, 29.9, 30.0, 209.9, 210.0, 9e9)] == [
        False, False, True, True, False, False,
    ]  # fmt: skip
    assert not any(replace(story, drift_seconds=0.0).drifts(seconds) for seconds in (29.9, 30.0, 30.1))


def test_the_same_seed_makes_the_same_messages() -> None:
    first, second = Simulation(settings()), Simulation(settings())
    other = Simulation(settings(seed=2))
    for simulation in (first, second, other):
        simulation.put_history(EPOCH_US)
        simulation.put_live(EPOCH_US, EPOCH_US + HOUR_US, drifted=True)
    assert sorted(first.waiting) == sorted(second.waiting) != sorted(other.waiting)


def test_history_lies_in_the_month_before_and_labels_wait_for_their_hour() -> None:
    simulation = Simulation(settings())
    simulation.put_history(EPOCH_US)
    sent = list(simulation.due(EPOCH_US))
    assert [each.at_us for each in sent] == sorted(each.at_us for each in sent)
    assert all(EPOCH_US - 31 * 24 * HOUR_US < each.at_us <= EPOCH_US for each in sent)
    assert simulation.waiting
    assert all(each.at_us > EPOCH_US for each in simulation.waiting)
    assert {each.kind for each in simulation.waiting} == {LABEL}


def test_most_predictions_are_labelled_some_labels_are_corrected_and_a_few_messages_are_broken() -> None:
    rng = np.random.default_rng(3)
    n = 20_000
    at_us = np.sort(rng.integers(EPOCH_US - HOUR_US, EPOCH_US, n))
    sent = list(messages(answers(SCORER, rng, n), at_us, rng))
    labels = [msgspec.json.decode(each.body) for each in sent if each.kind == LABEL]
    of_one = Counter(label["prediction_id"] for label in labels)
    assert 0.9 < len(of_one) / n < 0.96
    assert 0.005 < sum(count > 1 for count in of_one.values()) / n < 0.03
    assert any(label.get("retract") for label in labels)
    assert 0 < sum(each.kind == PREDICTION for each in sent) - n < n * 0.005


def test_the_scaled_clock_shows_an_hour_after_a_second() -> None:
    later = EPOCH.replace(second=1)
    assert settings().now_us(later) - settings().now_us(EPOCH) == HOUR_US

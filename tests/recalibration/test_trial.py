"""Trials: the dimension that tells most, the gate's word, and what is kept of it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest

from monitor.calibration.calibrators.artefact import Calibrator
from monitor.calibration.calibrators.lookup import Lookup
from monitor.calibration.sketch import Sketch, merge, sketch_of
from monitor.recalibration.cuts import Cut, Stretches, parts_of
from monitor.recalibration.regret import Regret, live_gain
from monitor.recalibration.trial import Subject, Terms, Trial, Tried, tried

START = datetime(2026, 6, 1, tzinfo=UTC)
STRETCHES = Stretches(START, START + timedelta(days=20), START + timedelta(days=30), START + timedelta(days=40))
SUBJECT = Subject("m", "confidence", "1")
Truth = Callable[[np.ndarray], np.ndarray]


def shift(by: float) -> Truth:
    return lambda confidence: 1 / (1 + np.exp(-(np.log(confidence / (1 - confidence)) - by)))


def steep(by: float) -> Truth:
    return lambda confidence: 1 / (1 + np.exp(-by * np.log(confidence / (1 - confidence))))


def drawn(truth: Truth, n: int, rng: np.random.Generator) -> Sketch:
    confidence = np.round(np.clip(rng.beta(4, 1.5, n), 0.02, 0.98), 2)
    return sketch_of(confidence, (rng.random(n) < truth(confidence)).astype(np.float64))


def cuts(
    truths: Mapping[str, Truth],
    n: int = 600,
    seed: int = 1,
    dimension: str = "lang",
    numbers: Mapping[str, float] | None = None,
) -> list[Cut]:
    """Two ways to divide answers that are right as `truths` say of each value: not at all, and by the dimension."""
    rng = np.random.default_rng(seed)
    stretches = [{value: drawn(truth, n, rng) for value, truth in truths.items()} for _ in range(3)]
    whole = [merge(*each.values()) for each in stretches]
    parts = [parts_of(all_of, each, dimension, numbers) for all_of, each in zip(whole, stretches, strict=True)]
    undivided = [parts_of(all_of, {}, "") for all_of in whole]
    return [
        Cut("", undivided[0], undivided[1], undivided[2]),
        Cut(dimension, parts[0], parts[1], parts[2], is_numeric=numbers is not None),
    ]


def trial(made: list[Cut], incumbent: Calibrator | None = None, terms: Terms | None = None) -> Tried:
    return tried(SUBJECT, made, STRETCHES, incumbent, terms or Terms())


def test_where_segments_differ_each_gets_its_own_map_and_the_gate_lets_it_pass() -> None:
    found = trial(cuts({"de": shift(1.5), "en": shift(-0.5)}))
    assert found.trial.by == "lang"
    assert found.trial.verdict.passed
    assert found.candidate is not None
    lookup = Lookup(found.candidate)
    assert lookup.apply(0.9, {"lang": "de"}) == pytest.approx(float(shift(1.5)(np.array(0.9))), abs=0.05)
    assert lookup.apply(0.9, {"lang": "en"}) == pytest.approx(float(shift(-0.5)(np.array(0.9))), abs=0.05)
    assert (found.candidate.since, found.candidate.until) == (START, STRETCHES.holdout_from)


def test_where_a_temperature_depends_on_a_number_one_adaptive_map_mends_both_ends() -> None:
    truths = {"easy": steep(1.8), "middle": steep(1.0), "hard": steep(0.3)}
    numbers = {"easy": 0.1, "middle": 0.5, "hard": 0.9}
    found = trial(cuts(truths, dimension="difficulty", numbers=numbers))
    assert found.candidate is not None
    assert found.trial.by == "difficulty"
    lookup = Lookup(found.candidate)
    for value, number in numbers.items():
        wanted = float(truths[value](np.array(0.9)))
        assert lookup.apply(0.9, {}, {"difficulty": number}) == pytest.approx(wanted, abs=0.06)


def test_before_and_after_are_the_reliability_of_the_holdout() -> None:
    found = trial(cuts({"de": shift(1.5), "en": shift(1.5)})).trial
    n = sum(each.n for each in found.before)
    assert n == pytest.approx(found.holdout_labels) == pytest.approx(sum(each.n for each in found.after))
    before, after = (
        sum(each.n * abs(each.mean_confidence - each.accuracy) for each in bins) / n
        for bins in (found.before, found.after)
    )
    assert before > 0.15
    assert after < 0.06


def test_what_is_calibrated_keeps_its_old_map() -> None:
    found = trial(cuts({"de": shift(0), "en": shift(0)}))
    assert not found.trial.verdict.passed
    assert found.trial.verdict.sentence.startswith("kept the old map: ")


@pytest.mark.parametrize("n", [0, 1, 7, 30])
def test_of_few_labels_it_says_so(n: int) -> None:
    found = trial(cuts({"de": shift(1), "en": shift(1)}, n=n))
    assert not found.trial.verdict.passed
    assert "labels" in found.trial.verdict.sentence


def test_labels_of_one_class_give_no_map() -> None:
    found = trial(cuts({"de": np.ones_like}))
    assert found.candidate is None
    assert not found.trial.verdict.passed


def test_a_successor_tells_apart_what_the_map_in_force_does() -> None:
    made = cuts({"de": shift(1.5), "en": shift(-0.5)})
    first = trial(made).candidate
    assert first is not None
    later = cuts({"de": shift(0.2), "en": shift(2.0)}, seed=2)
    again = tried(SUBJECT, later, _later(), first, Terms())
    assert again.trial.by == "lang"
    assert again.trial.verdict.passed
    other = tried(SUBJECT, later, _later(), first, Terms(by=""))
    assert other.candidate is None
    assert "roll back" in other.trial.verdict.sentence


def test_a_dimension_that_nothing_has_is_named() -> None:
    found = trial(cuts({"de": shift(1)}), terms=Terms(by="colour"))
    assert found.trial.verdict.sentence == "kept the old map: no prediction has a value of colour"


def test_a_trial_survives_its_json() -> None:
    found = trial(cuts({"de": shift(1.5), "en": shift(-0.5)})).trial
    assert msgspec.json.decode(msgspec.json.encode(found), type=Trial) == found


def test_a_map_that_helped_and_does_not_any_longer_is_harmful_and_one_that_helps_is_not() -> None:
    fitted = trial(cuts({"de": shift(1.5)})).candidate
    assert fitted is not None
    rng = np.random.default_rng(3)
    for truth, harmful in ((shift(1.5), False), (shift(0.0), True)):
        parts = parts_of(drawn(truth, 2_000, rng), {}, "")
        gain = live_gain(fitted, parts)
        assert gain is not None
        assert Regret(gain, 2_000, START).is_harm(200) is harmful
        assert not Regret(gain, 199, START).is_harm(200)
    assert live_gain(fitted, parts_of(sketch_of(np.zeros(0), np.zeros(0)), {}, "")) is None


def _later() -> Stretches:
    days = timedelta(days=60)
    return replace(
        STRETCHES,
        since=STRETCHES.since + days,
        choice_from=STRETCHES.choice_from + days,
        holdout_from=STRETCHES.holdout_from + days,
        until=STRETCHES.until + days,
    )

"""The gate: what passes, and everything that must not."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta

import msgspec
import numpy as np
import pytest

from monitor.calibration.calibrators.artefact import Calibrator
from monitor.calibration.calibrators.curves import IDENTITY, Curve, LogOdds, Steps
from monitor.calibration.calibrators.fitting import Origin, Part
from monitor.calibration.calibrators.sample import sample_of
from monitor.calibration.gate import Gate, Verdict, judge, paired_gains
from monitor.calibration.odds import CLIP
from monitor.calibration.sketch import sketch_of
from monitor.calibration.uncertainty import z_of
from monitor.errors import NotEnoughData
from tests.calibration.calibrators.making import BEGIN, LATER, MIDDLE, fitted, pairs, part, segments
from tests.calibration.one import ece
from tests.calibration.streams import Floats

GATE = Gate()


def labels(n: int, seed: int, slope: float = 0.6, intercept: float = -0.3) -> list[Part]:
    return [part(n, slope, intercept, np.random.default_rng(seed))]


def verdict(
    candidate: Calibrator, holdout: Sequence[Part], incumbent: Calibrator | None = None, origin: Origin = LATER
) -> Verdict:
    return judge(candidate, incumbent, holdout, origin, GATE)


def with_curve(curve: Curve, segment: Mapping[str, str] | None = None) -> Calibrator:
    """A candidate with this map: of everything, or of one segment beside a good map of everything."""
    found = fitted(labels(5000, 1), "platt")
    of = msgspec.structs.replace(found.maps[-1], curve=curve, segment=dict(segment or {}))
    return msgspec.structs.replace(found, maps=(of, found.maps[-1]) if segment else (of,))


def test_a_map_that_helps_later_labels_passes() -> None:
    found = verdict(fitted(labels(1000, 1)), labels(1000, 2))
    assert found.passed
    assert found.reasons == ()
    assert found.gains["in force"].low > 0
    assert found.sentence.startswith("the candidate passed: on 1000 later labels its log loss is lower by 0.")


def test_a_second_map_must_better_the_first() -> None:
    first = fitted(labels(5000, 1), "platt")
    again = verdict(fitted(labels(5000, 3), "platt"), labels(2000, 2), first)
    assert not again.passed
    assert again.reasons[0].startswith("no sure gain over the map in force")
    moved = verdict(fitted(labels(5000, 3, 0.3, 0.4), "platt"), labels(2000, 2, 0.3, 0.4), first)
    assert moved.passed


def test_a_map_in_force_that_was_worse_than_what_is_stated_is_no_excuse() -> None:
    calibrated = labels(2000, 2, 1.0, 0.0)
    wrong = with_curve(LogOdds(0.2, 0.2, -2.0))
    found = verdict(with_curve(LogOdds(0.8, 0.8, -0.2)), calibrated, wrong)
    assert found.gains["in force"].low > 0
    assert [reason.partition(":")[0] for reason in found.reasons] == ["no sure gain over the confidences as stated"]


# A model whose confidences say little and whose errors are many: here a constant beats what it states.
POOR = (0.3, -1.0)


@pytest.mark.parametrize("line", [(0.6, -0.3), POOR])
def test_a_constant_map_is_kept_out(line: tuple[float, float]) -> None:
    holdout = labels(2000, 2, *line)
    rate = float(sample_of([holdout[0].sketch], CLIP).rate[0])
    for curve in (Steps((), (rate,)), LogOdds(0.0, 0.0, np.log(rate / (1 - rate)))):
        found = verdict(with_curve(curve), holdout)
        assert not found.passed
        assert "no more than a constant" in found.sentence
    assert (found.gains["as stated"].low > 0) == (line == POOR)


def of_shuffled_labels(seed: int, line: tuple[float, float]) -> Calibrator | None:
    """A map fitted to the outcomes of other predictions; none where they do not rise with confidence."""
    rng = np.random.default_rng(seed)
    c, y = pairs(2000, *line, rng)
    try:
        return fitted([Part({}, sketch_of(c, rng.permutation(y)), {})], "platt")
    except NotEnoughData:
        return None


@pytest.mark.parametrize("line", [(0.6, -0.3), POOR])
def test_maps_of_shuffled_labels_are_kept_out(line: tuple[float, float]) -> None:
    offered = [found for seed in range(24) if (found := of_shuffled_labels(seed, line)) is not None]
    assert len(offered) >= 5
    holdout = labels(2000, 100, *line)
    assert [found.sentence for found in (verdict(each, holdout) for each in offered) if found.passed] == []


def test_a_map_fitted_on_another_model_is_kept_out_by_its_name() -> None:
    other = fitted(labels(5000, 1), origin=Origin("m2", "confidence", BEGIN, MIDDLE))
    found = verdict(other, labels(1000, 2))
    assert found.reasons == ("the candidate is of m2 (confidence), the labels are of m1 (confidence)",)
    signal = fitted(labels(5000, 1), origin=Origin("m1", "logprob", BEGIN, MIDDLE))
    assert "is of m1 (logprob)" in verdict(signal, labels(1000, 2)).sentence
    assert "the map in force is of m2" in verdict(fitted(labels(1000, 1)), labels(1000, 2), other).sentence


def test_a_map_fitted_on_another_model_is_kept_out_by_its_losses() -> None:
    of_another = fitted(labels(5000, 1, 0.5, -1.5))
    found = verdict(of_another, labels(2000, 2, 1.0, 0.3))
    said = r"no sure gain over the confidences as stated: log loss changes by \+0\.\d{4} \(\+0\.\d{4} to \+0\.\d{4}\)"
    assert re.fullmatch(said, found.reasons[0])


def test_what_leaves_calibrated_confidences_nothing_to_gain_is_kept_out() -> None:
    passed = [
        verdict(fitted(labels(500, seed, 1.0, 0.0)), labels(500, 1000 + seed, 1.0, 0.0)).passed for seed in range(60)
    ]
    assert sum(passed) <= 4  # .025 of 60, and three standard errors


def test_a_lower_ece_does_not_pass_where_log_loss_is_no_lower() -> None:
    c, y = pairs(4000, 0.6, -0.3, np.random.default_rng(2))
    constant = np.full(len(c), y.mean())
    assert ece(sketch_of(constant, y)) < 0.01 < ece(sketch_of(c, y))
    assert not verdict(with_curve(Steps((), (float(y.mean()),))), [Part({}, sketch_of(c, y), {})]).passed


def test_clipping_alone_does_not_pass() -> None:
    """A wrong 1.0 costs as stated what it costs with the clip of the candidate."""
    c, y = pairs(1000, 1.0, 0.0, np.random.default_rng(3))
    c, y = np.append(c, np.ones(20)), np.append(y, np.zeros(20))
    found = verdict(with_curve(IDENTITY), [Part({}, sketch_of(c, y), {})])
    assert found.gains["as stated"].value == pytest.approx(0, abs=1e-12)
    assert not found.passed


def test_a_gain_for_all_does_not_outweigh_the_harm_to_a_large_segment() -> None:
    rng = np.random.default_rng(4)
    holdout = [part(5000, 0.6, -0.3, rng, "de"), part(1000, 1.0, 0.0, rng, "fr")]
    candidate = fitted(segments(1, 5000, np.random.default_rng(1)), "platt")
    found = verdict(candidate, holdout)
    assert found.gains["in force"].low > 0
    assert len(found.reasons) == 1
    assert found.reasons[0].startswith("worse by 0.")
    assert found.reasons[0].endswith("in lang=fr: the limit is 0.02")
    assert [each.segment for each in found.segments] == [{"lang": "fr"}, {"lang": "de"}]
    small = [holdout[0], part(150, 1.0, 0.0, rng, "fr")]
    assert verdict(candidate, small).passed


def test_labels_from_before_the_end_of_the_fit_judge_nothing() -> None:
    early = Origin("m1", "confidence", MIDDLE - timedelta(hours=1), MIDDLE + timedelta(days=9))
    found = verdict(fitted(labels(1000, 1)), labels(1000, 2), origin=early)
    begins, ends = "begins at 2026-01-31 23:00", "end at 2026-02-01 00:00"
    assert found.reasons == (f"the hold-out {begins}, before the labels of the fit {ends}: it must be later",)
    assert found.gains == {}


@pytest.mark.parametrize(
    ("holdout", "reason"),
    [
        ([], "the hold-out has no labels"),
        (labels(199, 2), "the hold-out has 199 labels, it takes 200"),
        (
            [Part({}, sketch_of([0.9] * 300, [1.0] * 291 + [0.0] * 9), {})],
            "the hold-out has 9 wrong answers, it takes 10",
        ),
        ([Part({}, sketch_of([0.2] * 300, [0.0] * 300), {})], "the hold-out has 0 right answers, it takes 10"),
    ],
)
def test_too_few_labels_keep_the_old_map(holdout: list[Part], reason: str) -> None:
    found = verdict(fitted(labels(1000, 1)), holdout)
    assert found.sentence == f"kept the old map: {reason}"


def test_thirty_labels_never_change_a_map() -> None:
    assert verdict(fitted(labels(30, 1)), labels(30, 2)).sentence == (
        "kept the old map: the hold-out has 30 labels, it takes 200"
    )


def raw_gain(c: Floats, y: Floats, w: Floats, curve: LogOdds) -> tuple[float, float]:
    """Mean and standard error from the pairs, by weight."""
    p = np.clip(c, CLIP, 1 - CLIP)
    said = 1 / (1 + np.exp(-(curve.a * np.log(p) - curve.b * np.log1p(-p) + curve.m)))
    gain = y * np.log(said / p) + (1 - y) * np.log((1 - said) / (1 - p))
    mean = float(np.average(gain, weights=w))
    return mean, float(np.sqrt((w**2 * (gain - mean) ** 2).sum()) / w.sum())


@pytest.mark.parametrize("weighted", [False, True])
def test_the_gain_and_its_interval_are_those_of_the_raw_pairs(weighted: bool) -> None:
    rng, curve = np.random.default_rng(6), LogOdds(0.7, 0.7, -0.1)
    c, y = pairs(5000, 0.6, -0.3, rng)
    propensity = np.where(c > 0.8, 0.25, 1.0) if weighted else None
    sample = sample_of([sketch_of(c, y, propensity=propensity)], CLIP)
    p = sample.confidence
    said = 1 / (1 + np.exp(-(0.7 * np.log(p / (1 - p)) - 0.1)))
    gain = paired_gains(sample, p, said, 0.95)[0]
    mean, error = raw_gain(c, y, np.ones(len(c)) if propensity is None else 1 / propensity, curve)
    assert gain.value == pytest.approx(mean, abs=1e-6)
    assert gain.high - gain.low == pytest.approx(2 * z_of(0.95) * error, rel=0.01)


def test_a_verdict_can_be_stored() -> None:
    found = verdict(fitted(labels(1000, 1)), labels(1000, 2))
    assert msgspec.json.decode(msgspec.json.encode(found), type=Verdict) == found

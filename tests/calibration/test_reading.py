"""Readings keep their contract: every key, every reason, no nan, the same digits by every route."""

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.calibration.cells import BIN_COUNTS, CELLS, EDGES, Edges
from monitor.calibration.figures import MEASURES, figures
from monitor.calibration.measures import HISTOGRAM_BINS, THRESHOLDS
from monitor.calibration.panel import CELLS_AT_ONCE, LABELLED, panel_of, parts_of
from monitor.calibration.reading import (
    Reading,
    ReadingSettings,
    Subject,
    from_json,
    reading_from_json,
    reading_to_json,
    to_json,
)
from monitor.calibration.readout import read, read_many
from monitor.calibration.sketch import Sketch, empty, merge, sketch_of, subtract
from monitor.errors import BadInput
from tests.calibration.one import ece
from tests.calibration.streams import KINDS, Pair, sketched, some_pairs, stream
from tests.oracles import pairs as raw

QUICK = ReadingSettings(draws=50)
M1 = Subject(model="m1", segment={"lang": "de"}, window="7d", as_of=datetime(2026, 11, 1, tzinfo=UTC))
ESTIMATES = (*MEASURES, "coverage", "abstention_rate", "label_delay_seconds")
WITH_INTERVAL = (*MEASURES, "coverage", "abstention_rate")


def as_json(reading: Reading) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} in a reading")

    document = json.loads(to_json([reading]), parse_constant=refuse)
    assert document["schema"] == 1
    found: dict[str, Any] = document["readings"][0]
    return found


def test_a_reading_has_every_key_of_the_contract() -> None:
    c, y = stream("stated", 1000, np.random.default_rng(1), gap=0.1)
    sketch = merge(sketch_of(c, y, delay_us=np.full(1000, 3_600_000_000)), sketch_of([0.5] * 200, [np.nan] * 200))
    found = as_json(read(sketch, QUICK, M1))
    assert {key: found[key] for key in ("model", "signal", "segment", "window", "as_of", "source")} == {
        "model": "m1", "signal": "confidence", "segment": {"lang": "de"}, "window": "7d",
        "as_of": "2026-11-01T00:00:00Z", "source": "",
    }  # fmt: skip
    assert found["bins_setting"] == {"count": 10, "edges": "right_closed"}
    assert (found["n_predictions"], found["n"], found["coverage"]) == (1200, 1000, pytest.approx(1000 / 1200))
    assert not found["not_enough_labels"]
    assert found["missing"] == {}
    assert found["ece"] == pytest.approx(raw.ece(c, y), abs=2e-9)
    for name in WITH_INTERVAL:
        low, high = found["intervals"][name]
        assert low <= found[name] <= high
    for name in ("ece", "ece_equal_mass", "mce"):
        assert found["null_band"][name][0] <= found["null_band"][name][1]
    assert {"ece", "brier", "log_loss"} <= found["methods"].keys()
    assert [above["threshold"] for above in found["above"]] == [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99]
    assert [above["coverage"] for above in found["above"]] == [
        pytest.approx((c >= threshold).mean()) for threshold in THRESHOLDS
    ]
    assert found["label_delay_seconds"] == pytest.approx(3600, rel=0.42)


def test_bins_and_histogram_hold_every_label_once() -> None:
    c, y = stream("mixed", 1000, np.random.default_rng(2))
    found = as_json(read(sketch_of(c, y), QUICK, M1))
    assert sum(each["n"] for each in found["bins"]) == 1000
    assert sum(each["n"] * each["accuracy"] for each in found["bins"]) == pytest.approx(y.sum())
    assert sum(each["n"] * each["mean_confidence"] for each in found["bins"]) == pytest.approx(c.sum(), abs=1e-5)
    by_hand = sum(each["n"] * abs(each["mean_confidence"] - each["accuracy"]) for each in found["bins"]) / 1000
    assert found["ece"] == pytest.approx(by_hand, abs=1e-12)
    for each in found["bins"]:
        assert each["low"] - 1e-9 <= each["mean_confidence"] <= each["high"] + 1e-9
        assert each["interval"][0] <= each["accuracy"] <= each["interval"][1]
    assert len(found["histogram"]) == HISTOGRAM_BINS
    assert sum(each["right"] for each in found["histogram"]) == pytest.approx(y.sum())
    assert sum(each["wrong"] for each in found["histogram"]) == pytest.approx(1000 - y.sum())


@given(some_pairs, st.sampled_from(BIN_COUNTS), st.sampled_from(EDGES))
def test_no_reading_holds_a_bare_nan_or_lacks_a_reason(pairs: list[Pair], count: int, edges: Edges) -> None:
    found = as_json(read(sketched(pairs), ReadingSettings(bins=count, edges=edges, draws=20), M1))
    for name in ESTIMATES:
        assert (found[name] is None) == (name in found["missing"])
    assert found["not_enough_labels"] == (len(pairs) < 30)
    assert found["n"] == len(pairs)
    for low, high in [*found["intervals"].values(), *found["null_band"].values()]:
        assert math.isfinite(low)
        assert low <= high


@pytest.mark.parametrize("sketch", [empty(), sketch_of([0.5], [np.nan])])
def test_without_labels_every_estimate_is_null_with_its_reason(sketch: Sketch) -> None:
    for reading in (read(sketch, QUICK, M1), read_many([sketch], QUICK, [M1])[0]):
        found = as_json(reading)
        assert found["not_enough_labels"]
        assert all(found[name] is None for name in ESTIMATES if name not in {"coverage", "abstention_rate"})
        assert found["missing"]["ece"] == "no labels"
        assert found["null_band"] == found["methods"] == {}
        assert not set(found["intervals"]) - {"coverage", "abstention_rate"}
        assert found["bins"] == []
        assert found["above"][0] == {"threshold": 0.5, "n": 0, "accuracy": None, "coverage": None, "interval": None}
    assert ("coverage" in found["missing"]) == (found["n_predictions"] == 0)


def test_a_threshold_that_nothing_reaches_covers_nothing() -> None:
    above = read(sketch_of([0.3], [1]), QUICK, M1).above[-1]
    assert (above.n, above.accuracy, above.coverage, above.interval) == (0, None, 0.0, None)


@given(some_pairs, some_pairs)
def test_equal_cells_read_the_same_digits_by_any_route(pairs: list[Pair], detour: list[Pair]) -> None:
    straight = sketched(pairs)
    about = subtract(merge(sketched(pairs[::-1]), sketched(detour)), sketched(detour))
    assert reading_to_json(read(straight, QUICK, M1)) == reading_to_json(read(about, QUICK, M1))


def test_a_series_has_the_same_digits_alone_and_among_others() -> None:
    rng = np.random.default_rng(10)
    drawn = [(kind, n, gap) for kind in KINDS for n in (1, 3, 30, 600, 20_000) for gap in (0.0, 0.02, 0.2)]
    sketches = [sketch_of(*stream(kind, n, rng, gap)) for kind, n, gap in drawn]
    together = figures(panel_of(sketches), 10, "right_closed", 0.95)
    for place, sketch in enumerate(sketches):
        alone = figures(panel_of([sketch]), 10, "right_closed", 0.95)
        for name, found in alone.estimates.items():
            every = together.estimates[name]
            np.testing.assert_array_equal(
                (found.value[0], found.low[0], found.high[0]), (every.value[place], every.low[place], every.high[place])
            )
        for name, band in alone.null_bands.items():
            np.testing.assert_array_equal(np.array(band)[:, 0], np.array(together.null_bands[name])[:, place])


def test_sums_of_a_series_are_exact_where_those_over_the_whole_panel_overflow() -> None:
    few = sketch_of([0.7, 0.8, 0.9, 0.9, 1.0], [0, 1, 1, 1, 1])
    many = replace(few, sums=few.sums * 10**9)
    panel = panel_of([many, many, many])
    for place in range(3):
        assert panel.sums_of_series[:, place].tolist() == many.sums[LABELLED].sum(axis=1).tolist()
        assert panel.n_up_to[4 * place : 4 * place + 4].tolist() == [10**9, 2 * 10**9, 4 * 10**9, 5 * 10**9]


def test_panels_of_many_series_hold_each_once_and_about_so_many_cells() -> None:
    rng = np.random.default_rng(11)
    sketches = [sketch_of(rng.random(size), np.zeros(size)) for size in rng.integers(0, 400, 2_000)]
    parts = parts_of(sketches)
    assert [place for some in parts for place in range(len(sketches))[some]] == list(range(len(sketches)))
    cells = [sum(len(sketch.cells) for sketch in sketches[some]) for some in parts]
    assert max(cells) < CELLS_AT_ONCE + CELLS
    assert min(cells[:-1]) > CELLS_AT_ONCE - CELLS
    assert parts_of([]) == []


@pytest.mark.parametrize("kind", KINDS)
def test_many_readings_at_once_differ_from_single_ones_in_their_bands_only(kind: str) -> None:
    rng = np.random.default_rng(9)
    sketches = [sketch_of(*stream(kind, n, rng, gap=0.05)) for n in (1, 40, 2000)] + [empty()]
    settings = ReadingSettings(bins=15, edges="left_closed")
    subjects = [Subject(model=f"m{number}") for number in range(len(sketches))]
    for sketch, subject, together in zip(sketches, subjects, read_many(sketches, settings, subjects), strict=True):
        alone = as_json(read(sketch, settings, subject))
        found = as_json(together)
        drawn = {"ece", "ece_debiased", "ece_equal_mass", "mce"}
        for key, value in alone.items():
            if key in ("intervals", "null_band", "methods"):
                assert {k: v for k, v in value.items() if k not in drawn} == {
                    k: v for k, v in found[key].items() if k not in drawn
                }
            elif key not in {"ece_debiased", "labelling", "every_look"}:
                assert found[key] == value
        if found["n"] >= 2000:
            assert found["intervals"]["ece"] == pytest.approx(alone["intervals"]["ece"], rel=0.1)
            assert found["null_band"]["ece"] == pytest.approx(alone["null_band"]["ece"], rel=0.1)


def test_readings_survive_being_written_and_read() -> None:
    c, y = stream("logit", 300, np.random.default_rng(3))
    readings = [read(sketch_of(c, y), QUICK, M1), read(empty(), QUICK, Subject(model="m2"))]
    assert from_json(to_json(readings)) == readings
    assert reading_from_json(reading_to_json(readings[0])) == readings[0]


def test_what_became_of_the_input_is_told_beside_the_readings() -> None:
    counts: dict[str, int | dict[str, int]] = {"predictions": 3, "dead_letters": {"schema": 1}}
    assert json.loads(to_json([], counts)) == {"schema": 1, "readings": [], "input": counts}
    assert from_json(to_json([], counts)) == []
    assert json.loads(to_json([])) == {"schema": 1, "readings": []}


@pytest.mark.parametrize("body", ["", "[]", '{"schema": 1}', '{"schema": 1, "readings": [{"model": 3}]}'])
def test_other_json_is_refused(body: str) -> None:
    with pytest.raises(BadInput, match="not a list of readings"):
        from_json(body)
    with pytest.raises(BadInput, match="not a reading"):
        reading_from_json(body)


def test_another_schema_is_refused() -> None:
    with pytest.raises(BadInput, match="schema 2; this version reads schema 1"):
        from_json('{"schema": 2, "readings": []}')


def test_settings_name_every_mistake_at_once() -> None:
    with pytest.raises(BadInput) as refused:
        ReadingSettings(bins=7, confidence_level=1.5)
    assert "bins must be one of 2, 3" in str(refused.value)
    assert "confidence level must be in 0.5..1, got 1.5" in str(refused.value)


def test_too_few_labels_are_said_and_their_values_still_shown() -> None:
    reading = read(sketch_of([0.9] * 29, [1] * 29), QUICK, M1)
    assert reading.not_enough_labels
    assert reading.ece == pytest.approx(0.1)
    assert not read(sketch_of([0.9] * 30, [1] * 30), QUICK, M1).not_enough_labels


def test_a_reading_says_that_sampling_propensities_do_not_count_in_it() -> None:
    assert "counts once" in read(sketch_of([0.5, 0.6], [1, 0], propensity=[0.1, np.nan]), QUICK, M1).methods["sampling"]
    assert "sampling" not in read(sketch_of([0.5, 0.6], [1, 0]), QUICK, M1).methods


def test_the_level_widens_the_intervals() -> None:
    sketch = sketch_of(*stream("stated", 500, np.random.default_rng(8), gap=0.1))
    narrow, wide = (read(sketch, ReadingSettings(confidence_level=level, draws=400), M1) for level in (0.8, 0.99))
    assert narrow.confidence_level == 0.8
    for name in WITH_INTERVAL:
        assert wide.intervals[name][0] <= narrow.intervals[name][0]
        assert wide.intervals[name][1] >= narrow.intervals[name][1]
        assert wide.intervals[name] != narrow.intervals[name]
    assert wide.null_band["ece"][1] > narrow.null_band["ece"][1]
    assert ece(sketch) == narrow.ece == wide.ece


def test_only_a_reading_of_everything_has_sequences_that_hold_at_every_look() -> None:
    sketch, settings = sketch_of(*stream("stated", 3000, np.random.default_rng(4), gap=0.1)), ReadingSettings()
    whole = read(sketch, settings, Subject(model="m"))
    assert read(sketch, settings, Subject(model="m", window="7d")).every_look == {}
    assert read(empty(), settings, Subject(model="m")).every_look == {}
    for name, value in (("signed_gap", whole.signed_gap), ("ece", whole.ece)):
        assert value is not None
        (low, high), (one_low, one_high) = whole.every_look[name], whole.intervals[name]
        assert low <= one_low <= value <= one_high <= high
    assert whole.every_look["signed_gap"][0] > 0


def test_confidences_are_compared_with_those_of_a_reference_where_there_is_one() -> None:
    before = sketch_of([0.5] * 300 + [0.9] * 300, [np.nan] * 600)
    after = sketch_of([0.5] * 200 + [0.8] * 200, [np.nan] * 400)
    found = read(after, ReadingSettings(), Subject(model="m"), before).confidence_shift
    assert found is not None
    assert found.distance == pytest.approx(0.05)
    assert found.mean_change == pytest.approx(-0.05)
    assert found.n_reference == 600
    assert found.interval[0] <= found.distance <= found.interval[1]
    assert read(after, ReadingSettings(), Subject(model="m")).confidence_shift is None
    assert read(after, ReadingSettings(), Subject(model="m"), empty()).confidence_shift is None
    assert read(empty(), ReadingSettings(), Subject(model="m"), before).confidence_shift is None

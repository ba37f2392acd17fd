"""Laws that every measure keeps whatever was predicted: sums, order, mirrors, drift, and numbers that are numbers."""

import math
from collections.abc import Callable, Iterable
from itertools import product
from random import Random

import msgspec
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.calibration.cells import BIN_COUNTS, EDGES, Edges
from monitor.calibration.figures import MEASURES, Figures
from monitor.calibration.labelling import Overall
from monitor.calibration.reading import Reading, ReadingSettings, Subject, reading_to_json
from monitor.calibration.readout import read, read_many
from monitor.calibration.sketch import Sketch, merge, sketch_of
from tests.calibration import one
from tests.calibration.one import value
from tests.calibration.streams import Pair, confidences, outcomes, sketched, some_pairs

Event = tuple[float, float, float, int]
"""Confidence, outcome (nan: no label yet), propensity (nan: none given), microseconds until the label."""

HOUR_US = 3_600_000_000
ROUNDING = 1e-12
M = Subject(model="m")
LEVELS = (0.5, 0.8, 0.95, 0.999)
MIRROR: dict[Edges, Edges] = {"right_closed": "left_closed", "left_closed": "right_closed"}

propensities = st.sampled_from((math.nan, math.nan, 1.0, 0.5, 0.01, 1e-4, 1e-9, 5e-324))
event_parts = st.tuples(st.one_of(st.just(math.nan), outcomes), propensities, st.sampled_from((-1, 0, 10**6, HOUR_US)))
scattered = st.tuples(confidences, event_parts).map(lambda parts: (parts[0], *parts[1]))
events = st.lists(scattered, max_size=30)
alike = st.tuples(scattered, st.integers(1, 40)).map(lambda parts: [parts[0]] * parts[1])
of_one_confidence = st.tuples(confidences, st.lists(event_parts, max_size=30)).map(
    lambda parts: [(parts[0], *event) for event in parts[1]]
)
of_one_outcome = st.tuples(st.lists(confidences, max_size=30), event_parts).map(
    lambda parts: [(c, *parts[1]) for c in parts[0]]
)
any_events = st.one_of(events, st.lists(scattered, max_size=2), alike, of_one_confidence, of_one_outcome)
times = st.sampled_from((1, 1, 1, 30, 10_000, 1_000_000))
settings = st.builds(
    ReadingSettings,
    bins=st.sampled_from(BIN_COUNTS),
    edges=st.sampled_from(EDGES),
    confidence_level=st.sampled_from(LEVELS),
    draws=st.sampled_from((1, 20, 100)),
)
finely = st.lists(
    st.tuples(st.integers(0, 200).map(lambda k: k / 200), st.sampled_from((0.0, 0.25, 0.5, 1.0))),
    min_size=1,
    max_size=40,
)
"""Pairs that the unit of the stored sums holds without rounding, and so do their mirror images."""


def corners(test: Callable[..., None]) -> Callable[..., None]:
    """Always tried: no label, one, two; all right or all wrong, of one confidence or two; at either end; a million."""
    stated: tuple[list[float], ...] = ([], [0.7], [1.0], [0.0, 1.0], [0.6, 0.9], [0.8, 0.8])
    for outcome, given_confidences, repeated in product((0.0, 0.5, 1.0, math.nan), stated, (1, 1_000_000)):
        given_events = [(c, outcome, math.nan, HOUR_US) for c in given_confidences]
        test = example(given_events, repeated, ReadingSettings(draws=20))(test)
    return test


def sketch_of_events(given_events: list[Event], repeated: int = 1) -> Sketch:
    """The sketch of events, each so many times."""
    c, y, p, delay = (np.array([event[place] for event in given_events], np.float64) for place in range(4))
    found = sketch_of(c, y, propensity=p, delay_us=delay.astype(np.int64))
    return Sketch(found.cells, repeated * found.sums, found.delay_buckets, repeated * found.delay_sums)


def numbers(found: object) -> Iterable[float]:
    """Every float inside a reading, however deep."""
    match found:
        case float():
            yield found
        case dict():
            for each in found.values():
                yield from numbers(each)
        case list() | tuple():
            for each in found:
                yield from numbers(each)
        case str() | int() | None:
            pass
        case _:
            yield from numbers(msgspec.to_builtins(found, builtin_types=(float,)))


@given(st.lists(events, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_parts_merged_in_any_order_read_the_digits_of_all_events_at_once(
    parts: list[list[Event]], chance: Random
) -> None:
    every = [event for part in parts for event in part]
    chance.shuffle(every)
    sketches = [sketch_of_events(part) for part in parts]
    chance.shuffle(sketches)
    quick = ReadingSettings(draws=10)
    together, apart = read(sketch_of_events(every), quick, M), read(merge(*sketches), quick, M)
    assert reading_to_json(together) == reading_to_json(apart)


@given(some_pairs, some_pairs)
def test_a_mean_over_labels_is_that_of_its_parts_by_their_number(early: list[Pair], late: list[Pair]) -> None:
    both = merge(sketched(early), sketched(late))
    for name in ("accuracy", "mean_confidence", "signed_gap", "brier", "confident_error_share"):
        parts = len(early) * value(name, sketched(early)) + len(late) * value(name, sketched(late))
        assert value(name, both) == pytest.approx(parts / (len(early) + len(late)), abs=ROUNDING), name


@given(some_pairs, some_pairs, st.sampled_from(BIN_COUNTS), st.sampled_from(EDGES))
def test_errors_of_two_parts_cancel_when_they_are_pooled_and_never_add_up(
    early: list[Pair], late: list[Pair], count: int, edges: Edges
) -> None:
    both = merge(sketched(early), sketched(late))
    for name in ("ece", "over_confident_part", "under_confident_part", "brier_miscalibration", "reliability"):
        parts = len(early) * value(name, sketched(early), count, edges)
        parts += len(late) * value(name, sketched(late), count, edges)
        assert (len(early) + len(late)) * value(name, both, count, edges) <= parts + 1e-7, name


@given(finely, st.sampled_from(BIN_COUNTS), st.sampled_from(EDGES))
def test_doubt_in_the_opposite_outcome_is_the_same_model_in_a_mirror(
    pairs: list[Pair], count: int, edges: Edges
) -> None:
    """Confidence 1 - c in outcome 1 - y. Equal-mass bins are left out: a middle rank on their edge goes up in both."""
    there = one.of(sketched(pairs), count, edges)
    back = one.of(sketched([(1 - c, 1 - y) for c, y in pairs]), count, MIRROR[edges])
    for name, mirrored in {
        "over_confident_part": "under_confident_part",
        "under_confident_part": "over_confident_part",
        **{name: name for name in ("ece", "ece_debiased", "mce", "brier", "brier_miscalibration")},
        **{name: name for name in ("brier_discrimination", "brier_uncertainty", "reliability", "resolution")},
        **{name: name for name in ("log_loss", "spiegelhalter_z", "auroc", "sharpness", "calibration_slope")},
    }.items():
        assert triple(back, mirrored) == pytest.approx(triple(there, name), rel=1e-6, abs=1e-6, nan_ok=True), name
    for name, whole in (("signed_gap", 0), ("calibration_intercept", 0), ("accuracy", 1), ("mean_confidence", 1)):
        number, low, high = triple(there, name)
        expected = (whole - number, whole - high, whole - low)
        assert triple(back, name) == pytest.approx(expected, rel=1e-6, abs=1e-6, nan_ok=True), name
    assert triple(back, "smooth_ece")[0] == pytest.approx(triple(there, "smooth_ece")[0], abs=1e-5)
    for name, off in (("ece", 1e-9), ("mce", 1e-4), ("smooth_ece", 5e-4)):
        ends, others = (np.ravel(found.null_bands[name]) for found in (there, back))
        assert others == pytest.approx(ends, abs=off), name


def triple(found: Figures, name: str) -> tuple[float, float, float]:
    """The only series' value and the ends of its interval."""
    each = found.estimates[name]
    return float(each.value[0]), float(each.low[0]), float(each.high[0])


@given(st.lists(confidences, min_size=1, max_size=40), st.sampled_from(BIN_COUNTS), st.sampled_from(EDGES))
def test_outcomes_that_are_the_confidences_leave_no_gap_in_any_bin(
    stated: list[float], count: int, edges: Edges
) -> None:
    calibrated = sketch_of(stated, stated)
    for name in (
        "signed_gap", "ece", "ece_equal_mass", "ece_debiased", "mce", "over_confident_part", "under_confident_part",
        "reliability", "smooth_ece",
    ):  # fmt: skip
        assert value(name, calibrated, count, edges) == 0, name
    assert value("brier_miscalibration", calibrated) == pytest.approx(0, abs=1e-8)


@given(st.lists(st.tuples(confidences, outcomes, st.sampled_from((0.0, 0.5, 1.0, 1.0))), min_size=1, max_size=40))
def test_worse_outcomes_never_lower_the_gap_and_never_raise_what_is_under_confident(
    drifting: list[tuple[float, float, float]],
) -> None:
    before = sketched([(c, y) for c, y, _ in drifting])
    after = sketched([(c, y * kept) for c, y, kept in drifting])
    fell = any(y * kept < y for _, y, kept in drifting)
    assert (value("signed_gap", after) > value("signed_gap", before)) == fell
    assert (value("accuracy", after) < value("accuracy", before)) == fell
    for name, sign in (("over_confident_part", 1), ("under_confident_part", -1), ("confident_error_share", 1)):
        assert sign * value(name, after) >= sign * value(name, before) - ROUNDING, name


@corners
@given(any_events, times, settings)
def test_every_interval_holds_the_estimate_it_stands_beside(
    given_events: list[Event], repeated: int, how: ReadingSettings
) -> None:
    sketch = sketch_of_events(given_events, repeated)
    for reading in (read(sketch, how, M), *read_many([sketch], how, [M])):
        for name, interval in reading.intervals.items():
            assert_held(getattr(reading, name), interval, name)
        for each in reading.bins:
            assert_held(each.accuracy, each.interval, "a bin's accuracy")
        for above in reading.above:
            if above.accuracy is not None and above.interval is not None:
                assert_held(above.accuracy, above.interval, "accuracy above a threshold")
        assert set(MEASURES) <= reading.intervals.keys() | reading.missing.keys()
        for corrected in corrections(reading):
            for name in ("accuracy", "signed_gap", "ece"):
                assert_held(getattr(corrected, name).value, getattr(corrected, name).interval, f"corrected {name}")


def corrections(reading: Reading) -> list[Overall]:
    """The estimates corrected for how labels came, as far as they are known."""
    if reading.labelling is None:
        return []
    return [found for found in (reading.labelling.post_stratified, reading.labelling.weighted) if found is not None]


def assert_held(estimate: float, interval: tuple[float, float], name: str) -> None:
    assert interval[0] - ROUNDING <= estimate <= interval[1] + ROUNDING, (name, estimate, interval)


@corners
@given(any_events, times, settings)
def test_no_number_of_a_reading_is_infinite_or_none_at_all(
    given_events: list[Event], repeated: int, how: ReadingSettings
) -> None:
    sketch = sketch_of_events(given_events, repeated)
    for reading in (read(sketch, how, M), *read_many([sketch], how, [M])):
        assert all(math.isfinite(number) for number in numbers(reading)), reading
        for name in MEASURES:
            assert (getattr(reading, name) is None) == (name in reading.missing), name

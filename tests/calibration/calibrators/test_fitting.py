"""Which method a segment gets, and what input gets that no map can be fitted to."""

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest

from monitor.calibration.calibrators.artefact import Calibrator, Method, SegmentMap
from monitor.calibration.calibrators.curves import apply_all
from monitor.calibration.calibrators.fitting import CHOICE, METHODS, Part, Policy
from monitor.calibration.calibrators.lookup import Lookup
from monitor.calibration.odds import CLIP, logit, sigmoid
from monitor.calibration.sketch import merge, sketch_of
from monitor.errors import NotEnoughData
from tests.calibration.calibrators.making import fitted, pairs, part, segments
from tests.calibration.streams import Floats, columns

GRID = np.linspace(0, 1, 101)


def map_of(calibrator: Calibrator, name: str) -> SegmentMap:
    return Lookup(calibrator).map_of({"lang": name})


def alike(outcome: float) -> tuple[Floats, Floats]:
    c, _ = pairs(300, 1.0, 0.0, np.random.default_rng(1))
    return c, np.full(300, outcome)


HOPELESS: dict[str, tuple[Callable[[], tuple[Floats, Floats]], str]] = {
    "29 labels": (lambda: pairs(29, 1.0, 0.0, np.random.default_rng(1)), "29 labels: a map takes at least 30"),
    "no labels": (lambda: (np.zeros(0), np.zeros(0)), "0 labels"),
    "only right answers": (lambda: alike(1.0), "one class only"),
    "only wrong answers": (lambda: alike(0.0), "one class only"),
    "one confidence": (lambda: columns([(0.9, 1.0), (0.9, 0.0)] * 150), "one confidence only"),
    "labels that contradict": (
        lambda: columns([(0.1, 1.0), (0.9, 0.0)] * 450 + [(0.1, 0.0), (0.9, 1.0)] * 50),
        "higher confidence was not more often right",
    ),
}


@pytest.mark.parametrize("method", ["by_labels", *METHODS])
@pytest.mark.parametrize("case", HOPELESS)
def test_what_no_map_can_be_fitted_to_is_told(case: str, method: Method | Policy) -> None:
    pairs_of, words = HOPELESS[case]
    with pytest.raises(NotEnoughData, match=words):
        fitted([Part({}, sketch_of(*pairs_of()), {})], method)


def test_thirty_labels_have_a_map_near_to_what_is_stated() -> None:
    only = fitted([part(30, 1.0, 0.0, np.random.default_rng(1))]).maps[0]
    assert only.method == "shrunk_platt"
    assert np.abs(apply_all(only.curve, GRID, CLIP) - GRID).max() < 0.2


def test_a_segment_below_thirty_labels_takes_the_map_of_everything() -> None:
    rng = np.random.default_rng(2)
    found = fitted([*segments(3, 300, rng), part(29, 1.0, 0.0, rng, "few")])
    assert map_of(found, "few") is found.maps[-1]
    assert [(each.segment, each.labels, each.reason) for each in found.left_out] == [
        ({"lang": "few"}, 29.0, "fewer than 30 labels")
    ]


def test_up_to_two_hundred_labels_a_segment_is_shrunk() -> None:
    rng = np.random.default_rng(3)
    found = fitted([part(n, 0.6, -0.3, rng, str(n)) for n in (30, 100, 199)])
    assert {map_of(found, name).method for name in ("30", "100", "199")} == {"shrunk_platt"}


def test_only_segments_with_a_thousand_labels_get_maps_without_a_formula() -> None:
    rng = np.random.default_rng(4)

    def bent(n: int, name: str) -> Part:
        """Right with chance .55 up to a confidence of .8, and .95 above: no line on the log odds."""
        c, _ = pairs(n, 1.0, 0.0, rng)
        return Part({"lang": name}, sketch_of(c, (rng.random(n) < np.where(c > 0.8, 0.95, 0.55)) * 1.0), {})

    found = fitted([bent(900, "some"), bent(20_000, "many")])
    assert map_of(found, "some").method in {"shrunk_platt", "platt", "beta"}
    assert map_of(found, "many").method == "isotonic"


def test_cross_validation_prefers_the_family_that_made_the_answers() -> None:
    rng = np.random.default_rng(5)
    c = rng.beta(2, 2, 60_000)
    y = (rng.random(len(c)) < sigmoid(2.5 * np.log(c) - 0.4 * np.log1p(-c) + 0.3)).astype(float)
    assert fitted([Part({}, sketch_of(c, y), {})]).maps[0].method == "beta"


def test_a_segment_with_answers_of_one_kind_is_shrunk_or_left_to_the_map_of_everything() -> None:
    parts = [*segments(3, 300, np.random.default_rng(6)), Part({"lang": "sure"}, sketch_of(*alike(1.0)), {})]
    assert map_of(fitted(parts), "sure").method == "shrunk_platt"
    by_platt = fitted(parts, "platt")
    assert map_of(by_platt, "sure") is by_platt.maps[-1]
    assert by_platt.left_out[0].reason == "platt: one class only: it takes right and wrong answers"


@pytest.mark.parametrize("method", ["by_labels", *METHODS])
def test_neither_the_order_of_parts_nor_that_of_panes_changes_a_map(method: Method | Policy) -> None:
    rng = np.random.default_rng(7)
    panes = [sketch_of(*pairs(400, 0.6, -0.3, rng)) for _ in range(3)]
    parts = segments(2, 250, rng)
    expected, *others = (
        fitted([*some, Part({"lang": "panes"}, merge(*order), {})], method)
        for order, some in zip(permutations(panes), [parts, parts[::-1]] * 3, strict=True)
    )
    for other in others:
        for name in ("l0", "l1", "panes", "none"):
            values = (apply_all(map_of(each, name).curve, GRID, CLIP) for each in (expected, other))
            assert next(values) == pytest.approx(next(values), abs=1e-6)


def test_the_scores_are_those_of_the_raw_pairs() -> None:
    c, y = pairs(2000, 0.6, -0.3, np.random.default_rng(8))
    only = fitted([Part({}, sketch_of(c, y), {})], "platt").maps[0]
    before, after = np.clip(c, CLIP, 1 - CLIP), apply_all(only.curve, c, CLIP)
    losses = [-np.mean(y * np.log(p) + (1 - y) * np.log1p(-p)) for p in (before, after)]
    squares = [np.mean((p - y) ** 2) for p in (before, after)]
    scores = only.scores
    assert [scores.log_loss_before, scores.log_loss] == pytest.approx(losses, abs=1e-9)
    assert [scores.brier_before, scores.brier] == pytest.approx(squares, abs=1e-9)


def test_every_segment_knows_its_labels_and_the_range_of_its_confidences() -> None:
    c, y = pairs(2000, 0.6, -0.3, np.random.default_rng(8))
    only = fitted([Part({}, sketch_of(c, y), {})], "platt").maps[0]
    assert (only.labels, only.lowest, only.highest) == (2000.0, CLIP, 1 - CLIP)
    narrow = fitted([Part({}, sketch_of(np.clip(c, 0.4, 0.9), y), {})], "platt").maps[0]
    assert (narrow.lowest, narrow.highest) == (0.4, 0.9)


def test_every_method_of_the_choice_is_offered() -> None:
    assert set(CHOICE) <= set(METHODS)


def test_pairs_follow_the_line_they_are_made_from() -> None:
    c, y = pairs(100_000, 0.6, -0.3, np.random.default_rng(9))
    assert y.mean() == pytest.approx(sigmoid(0.6 * logit(c) - 0.3).mean(), abs=0.005)

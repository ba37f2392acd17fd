"""How labels are divided by value and by time."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.calibration.calibrators.fitting import Part
from monitor.calibration.sketch import Row, Sketch, merge, sketch_of
from monitor.recalibration.cuts import Cut, divided, parts_of


def sketch(n: int, seed: int = 1) -> Sketch:
    rng = np.random.default_rng(seed)
    confidence = rng.random(n)
    return sketch_of(confidence, (rng.random(n) < confidence).astype(np.float64))


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=60),
    st.floats(0.05, 0.95),
    st.floats(0.05, 0.95),
)
def test_the_places_are_those_nearest_to_the_wanted_shares(labels: list[int], choice: float, holdout: float) -> None:
    places, total = divided(labels, choice, holdout), sum(labels)
    if places is None:
        assert total < 3 or max(labels) > total * min(holdout, 1 - holdout) * min(choice, 1 - choice) / 2
        return
    first, second = places
    assert 0 < sum(labels[:first]) < sum(labels[:second]) < total
    off = abs(sum(labels[second:]) - holdout * total)
    assert all(off <= abs(sum(labels[place:]) - holdout * total) + 1e-9 for place in range(len(labels) + 1))


def test_the_parts_by_a_dimension_are_everything_once() -> None:
    en, de, none = sketch(50), sketch(40, 2), sketch(30, 3)
    parts = parts_of(merge(en, de, none), {"en": en, "de": de}, "lang")
    assert [(dict(part.segment), part.labels) for part in parts] == [
        ({"lang": "de"}, 40),
        ({"lang": "en"}, 50),
        ({}, 30),
    ]
    assert parts[-1].sketch.sums.tolist() == none.sums.tolist()


def test_what_is_fitted_is_both_stretches_before_the_holdout() -> None:
    early = Part({"lang": "en"}, sketch(20), {}), Part({}, sketch(10, 2), {})
    late = Part({"lang": "en"}, sketch(5, 3), {}), Part({"lang": "de"}, sketch(7, 4), {})
    cut = Cut("lang", early, late, (Part({}, sketch(9), {}),))
    assert {tuple(part.segment.values()): part.sketch.total(Row.N) for part in cut.fitted} == {
        ("en",): 25,
        (): 10,
        ("de",): 7,
    }


def test_numbers_stand_for_the_values_of_a_numeric_dimension() -> None:
    parts = parts_of(sketch(30), {"easy": sketch(30)}, "difficulty", {"easy": 0.2})
    assert [dict(part.fields) for part in parts] == [{"difficulty": 0.2}, {}]

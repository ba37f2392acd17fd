"""Agreement of two signals: which quadrant, frozen with the prediction, and its share and accuracy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.events.messages import Label, LabelKind, Prediction
from monitor.rolling.agreement import Agreement
from monitor.rolling.bound import SeriesBound
from monitor.rolling.rendezvous import Rendezvous, series_sketches
from monitor.rolling.segments import SegmentKey, SegmentScheme, SeriesName
from tests.rolling.events import worlds

HIGH = Agreement("confidence", 0.9, "consistency", 0.5)


@pytest.mark.parametrize(
    ("stated", "consistency", "quadrant"),
    [
        (0.9, 0.5, "both_high"),
        (0.95, 0.49, "first_only"),
        (0.89, 0.5, "second_only"),
        (0.89, 0.49, "both_low"),
        (0.9 - 1e-10, 0.5 - 1e-10, "both_high"),
        (0.9 - 1e-8, 0.5 - 1e-8, "both_low"),
    ],
)
def test_a_threshold_begins_what_is_high(stated: float, consistency: float, quadrant: str) -> None:
    assert HIGH.quadrant({"confidence": stated, "consistency": consistency}) == quadrant


def test_a_prediction_without_one_of_the_two_has_no_quadrant() -> None:
    assert HIGH.quadrant({"confidence": 0.9}) is None
    assert HIGH.quadrant({"consistency": 0.9}) is None
    assert SegmentScheme(agreements=(HIGH,)).segment_key(Prediction("a", "m", 0, 0.9)).dims == ()


def test_share_and_accuracy_of_stated_high_while_consistency_is_low_can_be_read() -> None:
    scheme = SegmentScheme(agreements=(HIGH,))
    rendezvous = Rendezvous(scheme, SeriesBound(), lambda _: True)
    signals = [(0.95, 0.2, 0.0), (0.95, 0.3, 1.0), (0.92, 0.1, 0.0), (0.95, 0.8, 1.0), (0.4, 0.8, 1.0), (0.4, 0.1, 0.0)]
    rendezvous.add_predictions(
        [Prediction(str(i), "m", 0, c, signals={"consistency": s}) for i, (c, s, _) in enumerate(signals)]
    )
    rendezvous.add_labels([Label(str(i), 1, LabelKind.CORRECT, y) for i, (_, _, y) in enumerate(signals)])
    found = series_sketches(rendezvous.join(), "confidence")
    quadrant = found[SeriesName("m", "confidence", '{"agreement:confidence~consistency":"first_only"}')]
    whole = found[SeriesName("m", "confidence", "{}")]
    assert [int(quadrant.sums[row].sum()) for row in (0, 1, 4)] == [3, 3, 10**9]
    assert int(whole.sums[0].sum()) == 6


def test_the_main_signal_goes_by_its_name_and_an_agreement_may_be_crossed() -> None:
    scheme = SegmentScheme(
        crosses=(("agreement:stated~x", "lang"),),
        main_signal="stated",
        agreements=(Agreement("stated", 0.5, "x", 0.5),),
    )
    key = scheme.segment_key(Prediction("a", "m", 0, 0.7, signals={"x": 0.1}, segments={"lang": "de"}))
    pairs = (("agreement:stated~x", "first_only"), ("lang", "de"))
    assert (key.dims, key.crosses) == (pairs, (pairs,))


def test_a_segment_of_the_users_by_that_name_is_no_quadrant() -> None:
    prediction = Prediction("a", "m", 0, 0.9, segments={HIGH.dimension: "mine"})
    assert SegmentScheme(agreements=(HIGH,)).segment_key(prediction).dims == ()


@given(worlds(), st.floats(0, 1))
def test_equal_raw_keys_mean_equal_segment_keys(world: tuple[list[Prediction], list[Label]], limit: float) -> None:
    scheme = SegmentScheme(agreements=(Agreement("confidence", limit, "x", 0.5), Agreement("y", 0.1, "x", limit)))
    by_raw: dict[object, SegmentKey] = {}
    for each in world[0]:
        key = scheme.segment_key(each)
        assert by_raw.setdefault(scheme.raw_key(each), key) == key

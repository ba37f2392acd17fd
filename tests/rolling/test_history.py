"""The history of files: what was known at any hour is what a join of the events of that hour and before it gives."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from monitor.calibration.cells import UNIT
from monitor.calibration.sketch import Row, Sketch, merge
from monitor.events.messages import Label, LabelKind, Prediction
from monitor.rolling.bound import SeriesBound
from monitor.rolling.deltas import HOUR_US
from monitor.rolling.history import History
from monitor.rolling.rendezvous import Rendezvous, whole_series
from monitor.rolling.segments import SegmentScheme, SeriesName
from monitor.rolling.stacks import sketches
from tests.rolling.events import DAY_US, consistent, worlds


def met(predictions: Sequence[Prediction], labels: Sequence[Label]) -> Rendezvous:
    rendezvous = Rendezvous(SegmentScheme(), SeriesBound(), lambda source: source != "complaint")
    rendezvous.add_predictions(predictions)
    rendezvous.add_labels(labels)
    return rendezvous


def known_by(history: History, hour: int) -> dict[SeriesName, Sketch]:
    """The sketch of each series over all panes, as it was known at an hour; series of nothing are left out."""
    found: dict[SeriesName, Sketch] = {}
    for known in history.hours():
        if known.hour <= hour:
            for key, sketch in sketches(known.changes):
                name = history.series[key >> 32]
                found[name] = merge(found.get(name, merge()), sketch)
    return {name: sketch for name, sketch in found.items() if sketch != merge()}


@given(worlds(), st.integers(0, 4 * DAY_US))
def test_what_was_known_at_an_hour_is_the_join_of_what_had_come_by_then(
    world: tuple[list[Prediction], list[Label]], at_us: int
) -> None:
    predictions, labels = world[0], consistent(world[1])
    hour = at_us // HOUR_US
    until = hour * HOUR_US
    then = met(
        [each for each in predictions if each.predicted_at <= until],
        [each for each in labels if each.labelled_at <= until],
    )
    expected = whole_series(then.join(), "confidence")
    found = known_by(met(predictions, labels).history(), hour)
    assert found == {name: each.sketch for name, each in expected.items() if each.sketch != merge()}


@given(worlds())
def test_hours_ascend_and_every_change_is_of_a_named_series(world: tuple[list[Prediction], list[Label]]) -> None:
    history = met(world[0], consistent(world[1])).history()
    hours = list(history.hours())
    assert [known.hour for known in hours] == sorted({known.hour for known in hours})
    assert all(key >> 32 in history.series for known in hours for key in known.changes.keys.tolist())
    if hours:
        assert history.hours_between == (hours[0].hour, hours[-1].hour)


def test_a_correction_is_known_from_its_own_time_on() -> None:
    prediction = Prediction("a", "m", 10 * HOUR_US + 1, 0.9)
    said = [
        Label("a", at * HOUR_US, LabelKind.CORRECT, right, "", version, None, None)
        for at, right, version in ((12, 1.0, 0), (40, 0.0, 1))
    ]
    history = met([prediction], said).history()
    assert history.hours_between == (11, 40)
    rights = [known_by(history, hour)[SeriesName("m", "confidence", "{}")].total(Row.Y) for hour in (11, 12, 39, 40)]
    assert rights == [0, UNIT, UNIT, 0]

"""Fan-out: each series gets just what sketching its own events gives."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.calibration.sketch import Row, Sketch, empty, sketch_of
from monitor.events.messages import Label, Prediction, label_order
from monitor.rolling.bound import SeriesBound
from monitor.rolling.deltas import decode, encode, nothing
from monitor.rolling.fanout import by_series, route_names, routes
from monitor.rolling.rendezvous import Rendezvous, series_sketches
from monitor.rolling.segments import SegmentKey, SegmentScheme, SeriesName, segment_text, segments_of
from monitor.rolling.stacks import code, sketches
from tests.rolling.events import GROUPS, SOURCES, claims, consistent, worlds

SCHEME = SegmentScheme(crosses=(("lang", "tier"),))
NAN = float("nan")


def is_primary(source: str | None) -> bool:
    return int(GROUPS[SOURCES.index(source)]) == 0


def expected(
    predictions: list[Prediction], labels: list[Label], pane: bool, scheme: SegmentScheme = SCHEME
) -> dict[tuple[SeriesName, int], Sketch]:
    """A sketch for each series (and pane) from its own events, one list of events a series."""
    rows: defaultdict[tuple[SeriesName, int], list[tuple[float, float, bool, float, int]]] = defaultdict(list)
    for each in predictions:
        mine = [label for label in labels if label.prediction_id == each.prediction_id]
        label = max(mine, key=label_order) if mine else None
        group = "" if label is None or is_primary(label.source) else str(label.source)
        for signal, c, y in claims(each, label, classes=scheme.classes):
            for segment in segments_of(scheme.segment_key(each)):
                hour = each.predicted_at // 3_600_000_000 if pane else 0
                place = SeriesName(each.model, signal, segment_text(segment)), hour
                here = NAN if y is None or group else y
                propensity = NAN if label is None or label.propensity is None else label.propensity
                delay = 0 if label is None else label.labelled_at - each.predicted_at
                rows[place].append((c, here, True, propensity, delay))
                if group and y is not None:
                    rows[place[0]._replace(source_group=group), hour].append((c, y, False, propensity, delay))
    return {
        place: sketch_of(
            [row[0] for row in mine], [row[1] for row in mine], predicted=[row[2] for row in mine],
            propensity=[row[3] for row in mine], delay_us=[row[4] for row in mine],
        )
        for place, mine in rows.items()
    }  # fmt: skip


def joined(predictions: list[Prediction], labels: list[Label], scheme: SegmentScheme = SCHEME) -> Rendezvous:
    rendezvous = Rendezvous(scheme, SeriesBound(max_classes=9), is_primary)
    rendezvous.add_labels(labels)
    rendezvous.add_predictions(predictions)
    return rendezvous


@given(worlds(), st.sampled_from([SCHEME, SegmentScheme(classes=True)]))
def test_each_series_gets_what_sketching_its_own_events_gives(
    world: tuple[list[Prediction], list[Label]], scheme: SegmentScheme
) -> None:
    predictions, labels = world[0], consistent(world[1])
    found = series_sketches(joined(predictions, labels, scheme).join(), "confidence")
    assert found == {name: sketch for (name, _), sketch in expected(predictions, labels, False, scheme).items()}


@given(worlds())
def test_by_series_keeps_the_panes_apart(world: tuple[list[Prediction], list[Label]]) -> None:
    predictions, labels = world[0], consistent(world[1])
    result = joined(predictions, labels).join(by_pane=True)
    named = {
        route: route_names(result.keys[route[0]], "confidence", result.groups[route[1]])
        for route in routes(result.delta)
    }
    ids: dict[SeriesName, int] = {}
    directory = {
        route: [[ids.setdefault(name, len(ids)) for name in names] for names in by_signal]
        for route, by_signal in named.items()
    }
    stack = by_series(decode(encode(result.delta)), directory)
    wanted = expected(predictions, labels, pane=True)
    assert dict(sketches(stack)) == {
        int(code(ids[name], hour)): sketch for (name, hour), sketch in wanted.items() if sketch != empty()
    }


def test_a_series_that_two_signals_were_folded_into_gets_both() -> None:
    prediction = Prediction("a", "m", 0, 0.5, signals={"x": 0.2, "y": 0.7})
    delta = joined([prediction], []).join().delta
    stack = by_series(delta, {(0, 0): [[1], [2], [2]]})
    assert {key >> 32: sketch.total(Row.N_PRED) for key, sketch in sketches(stack)} == {1: 1, 2: 2}


def test_nothing_feeds_nothing() -> None:
    assert routes(nothing()) == set()
    assert len(by_series(nothing(), {})) == 0


def test_a_directory_that_lacks_a_route_is_refused() -> None:
    delta = joined([Prediction("a", "m", 0, 0.5)], []).join().delta
    with pytest.raises(KeyError):
        by_series(delta, {})


def test_route_names_follow_the_signals_of_the_key() -> None:
    key = SegmentKey("m", None, (("lang", "de"),), ("x",))
    texts = ["{}", '{"lang":"de"}']
    assert route_names(key) == [[SeriesName("m", signal, text) for text in texts] for signal in ("confidence", "x")]
    assert np.shape(route_names(key, source_group="complaint")) == (2, 2, 4)

"""Tallies tell what the whole sketch tells, to the last digit."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.calibration.cells import BIN_COUNTS, EDGES, Edges
from monitor.calibration.reading import ReadingSettings, Subject
from monitor.calibration.readout import read_many
from monitor.calibration.sketch import Sketch, sketch_of
from monitor.calibration.tallies import TALLIED, Layout, Tallies, add

confidences = st.one_of(st.integers(0, 600).map(lambda j: j / 600), st.floats(0, 1))
answers = st.lists(st.tuples(confidences, st.sampled_from([0.0, 1.0, 1 / 3, np.nan])), max_size=30)


def sketched(rows: list[tuple[float, float]]) -> Sketch:
    return sketch_of([c for c, _ in rows], [y for _, y in rows])


def tallied(sketches: list[Sketch], layout: Layout, sign: int = 1) -> Tallies:
    table = np.zeros((len(sketches), layout.width), np.int64)
    for row, sketch in enumerate(sketches):
        add(table, layout, np.full(len(sketch.cells), row, np.int64), sketch.cells, sign * sketch.sums)
    return Tallies(table, layout)


@given(st.lists(answers, min_size=1, max_size=4), st.sampled_from(BIN_COUNTS), st.sampled_from(EDGES))
def test_tallies_read_what_the_whole_sketch_reads(
    series: list[list[tuple[float, float]]], count: int, edges: Edges
) -> None:
    sketches = [sketched(rows) for rows in series]
    settings = ReadingSettings(bins=count, edges=edges)
    readings = read_many(sketches, settings, [Subject(model="m")] * len(sketches))
    tallies = tallied(sketches, Layout(count, edges))
    measured = tallies.measured(TALLIED, settings.confidence_level)
    assert tallies.n_predictions.tolist() == [reading.n_predictions for reading in readings]
    assert tallies.shown_bins(settings.confidence_level) == [reading.bins for reading in readings]
    for row, reading in enumerate(readings):
        for name, found in measured.items():
            value = getattr(reading, name)
            assert (value is None) == bool(np.isnan(found.value[row])), name
            if value is not None:
                assert (found.value[row], (found.low[row], found.high[row])) == (value, reading.intervals[name]), name


@given(answers, answers)
def test_what_leaves_is_taken_out_without_a_trace(
    stays: list[tuple[float, float]], leaves: list[tuple[float, float]]
) -> None:
    layout = Layout(10, "right_closed")
    kept, gone = sketched(stays), sketched(leaves)
    table = tallied([kept], layout).table + tallied([gone], layout).table
    add(table, layout, np.zeros(len(gone.cells), np.int64), gone.cells, -gone.sums)
    assert np.array_equal(table, tallied([kept], layout).table)


def test_a_series_without_labels_is_unknown_beside_one_that_has_some() -> None:
    sketches = [sketched([(0.8, np.nan)]), sketched([(0.8, 1.0)])]
    measured = tallied(sketches, Layout(10, "right_closed")).measured(["ece", "coverage"], 0.95)
    assert np.isnan(measured["ece"].value).tolist() == [True, False]
    assert measured["coverage"].value.tolist() == [0.0, 1.0]

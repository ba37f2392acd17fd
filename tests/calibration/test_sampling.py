"""A reading says when its labels are no fair sample, and what all predictions would read."""

import numpy as np
import pytest

from monitor.calibration.reading import Labelling, Reading, ReadingSettings, Subject, reading_from_json, reading_to_json
from monitor.calibration.readout import read, read_many
from monitor.calibration.sketch import empty, sketch_of
from tests.calibration.streams import Floats

N = 8000


def answers(seed: int = 1) -> tuple[Floats, Floats, Floats]:
    """Confidences, outcomes of a model that is over-confident above .7 only, and delays that depend on neither."""
    rng = np.random.default_rng(seed)
    c = rng.random(N)
    y = (rng.random(N) < np.where(c > 0.7, c - 0.3, c)).astype(np.float64)
    return c, y, rng.exponential(3.6e9, N)


def said(c: Floats, y: Floats, delay: Floats) -> Reading:
    return read(sketch_of(c, y, delay_us=delay.astype(np.int64)), ReadingSettings(draws=100), Subject(model="m"))


def labelling(reading: Reading) -> Labelling:
    assert reading.labelling is not None
    return reading.labelling


def test_a_fair_sample_is_not_warned_of() -> None:
    c, y, delay = answers()
    y[np.random.default_rng(2).random(N) < 0.5] = np.nan
    found = labelling(said(c, y, delay))
    assert found.warnings == []
    assert found.missing == {"weighted": "no label came with a propensity"}


def test_labels_that_shun_the_confident_are_warned_of_and_corrected() -> None:
    c, y, delay = answers()
    truth = said(c, y, delay)
    y[np.random.default_rng(3).random(N) < np.where(c > 0.7, 0.95, 0.2)] = np.nan
    reading = said(c, y, delay)
    found = labelling(reading)
    assert len(found.warnings) == 1
    assert "labelled less often" in found.warnings[0]
    assert reading.ece is not None
    assert truth.ece is not None
    assert found.post_stratified is not None
    assert reading.ece < truth.ece - 0.05
    assert found.post_stratified.ece.value == pytest.approx(truth.ece, abs=0.03)


@pytest.mark.parametrize(("factor", "first"), [(0.1, "Labels of errors come sooner"), (10, "Labels of right answers")])
def test_outcomes_that_are_labelled_sooner_are_warned_of(factor: float, first: str) -> None:
    c, y, delay = answers()
    found = labelling(said(c, y, np.where(y == 0, factor * delay, delay)))
    assert [words.startswith(first) for words in found.warnings] == [True]


def test_without_labels_every_part_has_its_reason() -> None:
    found = labelling(read(empty(), ReadingSettings(), Subject(model="m")))
    assert (found.trend, found.errors_sooner, found.post_stratified, found.weighted) == (None, None, None, None)
    assert set(found.missing) == {"trend", "errors_sooner", "post_stratified", "weighted"}


def test_a_reading_with_its_labelling_survives_being_written_and_read() -> None:
    reading = said(*answers())
    assert reading_from_json(reading_to_json(reading)) == reading


def test_readings_made_by_the_thousand_leave_it_out() -> None:
    c, y, _ = answers()
    [reading] = read_many([sketch_of(c, y)], ReadingSettings(), [Subject(model="m")])
    assert reading.labelling is None

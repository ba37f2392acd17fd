"""The promise on answers of real models in random order: baselines fitted on 1,500 labels keep it."""

import numpy as np
import pytest

from monitor.calibration.sketch import sketch_of
from monitor.drift.baseline import fit, stacked
from monitor.drift.detectors import Limits, step
from monitor.drift.state import begun
from tests.drift.feeding import labels_of
from tests.embedded import missing
from tests.oracles import lifeeval


def test_shuffled_real_answers_raise_no_more_alarms_than_promised() -> None:
    if not lifeeval.found():
        missing("LifeEval: set CALDRIFT_LIFEEVAL to its folder")
    rng = np.random.default_rng(1)
    by_model: dict[str, list[tuple[float, float]]] = {}
    for answer in lifeeval.answers():
        by_model.setdefault(answer.model, []).append((answer.stated, answer.outcome))
    rows = [np.array(given)[rng.permutation(len(given))[:5500]] for given in by_model.values() for _ in range(3)]
    both = stacked([fit(sketch_of(row[:1500, 0], row[:1500, 1])) for row in rows])
    state, found, size = begun(both), {"page": 0, "warn": 0}, len(rows)
    rates = Limits(np.full(size, 0.005), np.full(size, 0.005))
    for number in range(100):
        start = 1500 + 40 * number
        pane = labels_of(*[list(map(tuple, row[start : start + 40].tolist())) for row in rows])
        done = step(state, both, pane, np.full(size, number), rates)
        state = done.state
        for alarm in done.alarms:
            found[alarm.tier] += 1
    promised = 0.005 * size * 100
    assert promised == pytest.approx(16.5)
    assert found["page"] <= promised
    assert found["warn"] <= promised

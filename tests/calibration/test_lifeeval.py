"""Real answers of eleven language models: every cell of the study's Table 1, read from sketches."""

import os
from collections import defaultdict

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from monitor.calibration.sketch import sketch_of
from tests.calibration.one import ece, value
from tests.calibration.streams import Floats
from tests.oracles import lifeeval
from tests.oracles import pairs as raw

Columns = tuple[Floats, Floats]


@pytest.fixture(scope="module")
def every_answer() -> list[lifeeval.Answer]:
    if not lifeeval.found():
        why = f"the LifeEval study's data are not in {lifeeval.FOLDER}; CALDRIFT_LIFEEVAL names their folder"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    return lifeeval.answers()


@pytest.fixture(scope="module")
def table(every_answer: list[lifeeval.Answer]) -> dict[tuple[str, str], Columns]:
    """Stated confidences and outcomes by (question set, model), of questions that all models answered."""
    rows = defaultdict[tuple[str, str], list[tuple[float, float]]](list)
    for answer in lifeeval.answered_by_all(every_answer):
        rows[answer.question_set, answer.model].append((answer.stated, answer.outcome))
    return {key: (np.array(pairs)[:, 0], np.array(pairs)[:, 1]) for key, pairs in rows.items()}


def test_all_answers_are_there(every_answer: list[lifeeval.Answer]) -> None:
    assert len(every_answer) == 72_185 + 8_831
    assert sum(answer.token is not None for answer in every_answer) == 9_245


def test_the_sketch_reads_the_ece_of_a_plain_recount_in_all_66_cells(
    table: dict[tuple[str, str], Columns],
) -> None:
    assert len(table) == 66
    for c, y in table.values():
        for edges in ("right_closed", "left_closed"):
            expected = raw.ece(raw.snap(c), y, 10, edges)
            assert ece(sketch_of(c, y), 10, edges) == pytest.approx(expected, abs=1e-9)


def test_the_sketch_reads_the_table_that_the_study_published(table: dict[tuple[str, str], Columns]) -> None:
    published = lifeeval.published_ece()
    assert published.keys() == table.keys()
    off = np.array([abs(ece(sketch_of(*table[key])) - published[key]) for key in published])
    assert (off <= 1e-9).sum() == 44
    assert off.max() < 0.00775  # the published counts of SciQ and LSAT have one question fewer


@pytest.mark.parametrize("signal", ["stated", "token"])
def test_measures_of_real_answers_agree_with_the_raw_pairs(every_answer: list[lifeeval.Answer], signal: str) -> None:
    rows = defaultdict[str, list[tuple[float, float]]](list)
    for answer in every_answer:
        confidence = answer.stated if signal == "stated" else answer.token
        if confidence is not None and answer.question_set != "life_eval":
            rows[answer.model].append((min(confidence, 1.0), answer.outcome))
    for pairs in rows.values():
        c, y = np.array(pairs)[:, 0], np.array(pairs)[:, 1]
        sketch = sketch_of(c, y)
        for count in (5, 10, 15, 20):
            assert ece(sketch, count) == pytest.approx(raw.ece(raw.snap(c), y, count), abs=2e-9)
        assert value("brier", sketch) == pytest.approx(raw.brier(c, y), abs=2e-9)
        assert value("log_loss", sketch) == pytest.approx(raw.log_loss(c, y), abs=3e-4)
        assert value("auroc", sketch) == pytest.approx(roc_auc_score(y, c), abs=1.3e-3)

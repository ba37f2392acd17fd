"""Files as single answers: the same confidences and outcomes as the measures, each with its question."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from monitor.calibration.sketch import Sketch
from monitor.cli.files import reader
from monitor.config.sections import Settings
from monitor.files.answers import event_answers, first_of_each, id_column, pair_answers
from monitor.files.formats import source
from monitor.files.measure import Wanted, measure_events
from monitor.files.pairs import PairColumns
from monitor.files.rejections import Rejections
from monitor.files.slices import Slices

NOW = datetime(2027, 1, 1, tzinfo=UTC)


def quiet() -> Rejections:
    return Rejections(lambda line: None)


def silent(_: int) -> None:
    pass


def test_of_a_question_that_comes_again_the_first_answer_counts_and_rows_without_one_are_left_out(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,confidence,correct\nb,0.9,true\na,0.5,false\nb,0.1,false\n,0.3,true\nc,0.7,\nd,2,true\n")
    refused = quiet()
    found, others = pair_answers(source(path), PairColumns(), "id", told=silent, rejections=refused, only=None)
    assert found.question is not None
    assert list(found.question) == ["a", "b"]
    assert list(found.confidence) == [0.5, 0.9]
    assert list(found.outcome) == [0, 1]
    assert others == 2
    assert refused.counts["confidence_out_of_range"] == 1


def test_without_a_column_of_questions_every_labelled_row_is_an_answer(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"confidence": 0.9, "correct": true}\n{"confidence": 0.9, "correct": false}\n{"confidence": 0.2}\n'
    )
    found, others = pair_answers(source(path), PairColumns(), None, told=silent, rejections=quiet(), only=None)
    assert (len(found), found.question, others) == (2, None, 0)


@pytest.mark.parametrize(
    ("name", "text", "column"),
    [
        ("a.csv", "question_id,id,confidence\n1,2,0.5\n", "question_id"),
        ("a.csv", "prediction_id,id,confidence\n1,2,0.5\n", "prediction_id"),
        ("a.csv", "confidence,correct\n0.5,1\n", None),
        ("a.csv", "id,confidence,correct\n", None),
        ("a.jsonl", 'broken\n[1]\n{"id": 3, "confidence": 0.5}\n', "id"),
        ("a.jsonl", "", None),
    ],
)
def test_the_column_of_the_question_is_known_by_its_usual_names(
    tmp_path: Path, name: str, text: str, column: str | None
) -> None:
    (tmp_path / name).write_text(text)
    assert id_column(source(tmp_path / name)) == column


def test_one_model_of_a_file_can_be_chosen(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,model,confidence,correct\n1,old,0.9,1\n1,new,0.8,1\n2,old,0.7,0\n")
    columns = PairColumns(model="model")
    found, _ = pair_answers(source(path), columns, "id", told=silent, rejections=quiet(), only="old")
    assert sorted(found.confidence) == [0.7, 0.9]


def events(folder: Path) -> tuple[Path, Path]:
    """Predictions of two models, labelled twice, once by a source that is not primary, once not at all."""
    predictions, labels = folder / "p.jsonl", folder / "l.jsonl"
    predictions.write_text(
        "".join(
            f'{{"prediction_id": "q{n}", "model": "m{n % 2}", "predicted_at": {1780000000000 + n}, '
            f'"confidence": {0.5 + n / 100}, "signals": {{"other": 0.25}}}}\n'
            for n in range(40)
        )
    )
    labels.write_text(
        "".join(
            f'{{"prediction_id": "q{n}", "labelled_at": {1780000100000 + n}, "correct": {str(n % 3 > 0).lower()}, '
            f'"source": "{"complaint" if n == 6 else "team"}"}}\n'
            for n in range(35)
        )
        + '{"prediction_id": "q1", "labelled_at": 1790000000000, "correct": false}\n'
        + '{"prediction_id": "q2", "labelled_at": 1790000000000, "retract": true}\n'
    )
    return predictions, labels


def test_answers_of_events_add_up_to_the_sketch_that_is_measured(tmp_path: Path) -> None:
    files = tuple(map(source, events(tmp_path)))
    found, others = event_answers(
        (files[0], files[1]), reader(Settings()), NOW, told=silent, rejections=quiet(), only="m1"
    )
    measured = measure_events(
        (files[0], files[1]), reader(Settings()), Wanted(Slices(), "m1"), NOW, told=silent, rejections=quiet()
    )
    whole: Sketch = next(each.sketch for name, each in measured.series.items() if name.signal == "confidence")
    labelled = whole.sums[1] > 0
    assert np.array_equal(found.sketch.sums[1:6], whole.sums[1:6, labelled])
    assert (len(found), others) == (17, 0)


def test_only_primary_labels_that_stand_judge_an_answer(tmp_path: Path) -> None:
    predicted, labelled = map(source, events(tmp_path))
    found, _ = event_answers((predicted, labelled), reader(Settings()), NOW, told=silent, rejections=quiet())
    assert len(found) == 33  # 35 but the complaint and the retracted one
    by_confidence = dict(zip(np.round(found.confidence, 2).tolist(), found.outcome.tolist(), strict=True))
    assert by_confidence[0.51] == 0  # corrected
    assert 0.56 not in by_confidence
    assert 0.52 not in by_confidence


def test_nothing_gives_no_answers() -> None:
    found, others = first_of_each(np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.str_))
    assert (len(found), others) == (0, 0)

"""Acceptance: real answers of eleven language models, through broker, join and panes, give back the study's table."""

import json
import os
import subprocess
import sys
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.cli.commands import Run
from tests.embedded import Topics, missing
from tests.end_to_end.fleet import Fleet, write_settings
from tests.oracles import lifeeval
from tests.oracles.lifeeval import Answer

pytestmark = pytest.mark.timeout(900)  # real servers and processes, on a machine that may be busy

STARTED_AT = datetime(2026, 5, 1, tzinfo=UTC)


def write_events(answers: list[Answer], complete: set[Answer], folder: Path) -> tuple[Path, Path]:
    """All answers as two files of events; the id is model/question set/question, the instants are ours.

    The segment `complete` tells whether all eleven models answered the question, since only those are in the table.
    """
    predictions, labels = folder / "predictions.jsonl", folder / "labels.jsonl"
    with predictions.open("w") as left, labels.open("w") as right:
        for number, answer in enumerate(answers):
            name = f"{answer.model}/{answer.question_set}/{answer.question}"
            at = STARTED_AT + timedelta(seconds=number * 3)
            event = {
                "prediction_id": name,
                "model": answer.model,
                "predicted_at": at.isoformat(),
                "confidence": answer.stated,
                "signals": {} if answer.token is None else {"token": min(answer.token, 1.0)},
                "segments": {"qset": answer.question_set, "complete": "yes" if answer in complete else "no"},
            }
            label = {
                "prediction_id": name,
                "labelled_at": (at + timedelta(hours=3)).isoformat(),
                "correct": answer.outcome,
            }
            left.write(json.dumps(event) + "\n")
            right.write(json.dumps(label) + "\n")
    return predictions, labels


def recounted_ece(confidence: np.ndarray, outcome: np.ndarray) -> float:
    """Ten bins of equal width, right-closed, zero in the first, mean confidence of the bin."""
    tenth = np.clip(np.ceil(np.round(confidence * 10, 9)).astype(int) - 1, 0, 9)
    gaps = [abs((confidence[tenth == b] - outcome[tenth == b]).sum()) for b in range(10)]
    return float(sum(gaps) / len(confidence))


def test_the_service_gives_back_the_published_table(
    database: str, broker: str, topics: Topics, tmp_path: Path, caldrift: Run
) -> None:
    if not lifeeval.found():
        missing(f"the LifeEval study's data: CALDRIFT_LIFEEVAL names no folder that holds them ({lifeeval.FOLDER})")
    answers = lifeeval.answers()
    complete = lifeeval.answered_by_all(answers)
    predictions, labels = write_events(answers, set(complete), tmp_path)
    settings = write_settings(tmp_path / "caldrift.toml", broker, topics.predictions, topics.labels, batch_size=5000)
    fleet = Fleet(settings, database, tmp_path)
    try:
        fleet.start("ingest", "ingest")
        fleet.start("evaluate", "evaluate")
        _caldrift(settings, database, "replay", "--predictions", str(predictions), "--labels", str(labels))
        _caldrift(settings, database, "status", "--wait", "120s")
        readings = {
            (question_set, model): json.loads(caldrift(
                "--config", str(settings), "--set", f"postgres.dsn={database}", "reading", model,
                "--segment", f"qset={question_set},complete=yes", "--window", "all", "--maturity", "0",
                "--bins", "10", "--edges", "right_closed", "--json",
            ).stdout)["readings"][0]
            for model in lifeeval.MODELS for question_set in lifeeval.QUESTION_SETS
        }  # fmt: skip
    finally:
        fleet.kill_all()
    _compare(complete, readings)


def _compare(complete: list[Answer], readings: dict[tuple[str, str], dict[str, float]]) -> None:
    published = lifeeval.published_ece()
    pairs = defaultdict[tuple[str, str], list[tuple[float, float]]](list)
    for answer in complete:
        pairs[answer.question_set, answer.model].append((answer.stated, answer.outcome))
    assert len(pairs) == len(readings) == len(published) == 66
    exact = 0
    for key, reading in readings.items():
        confidence, outcome = np.array(pairs[key]).T
        assert reading["n"] == reading["n_predictions"] == len(confidence), key
        assert reading["ece"] == pytest.approx(recounted_ece(confidence, outcome), abs=1e-9), key
        off = abs(reading["ece"] - published[key])
        exact += off < 1e-9
        assert off < 0.00775, key  # 0.0077, rounded: the published counts have one question fewer
    assert exact == 44


def _caldrift(settings: Path, dsn: str, *command: str) -> str:
    result = subprocess.run(
        [str(Path(sys.executable).with_name("caldrift")), "--config", str(settings), *command],
        env={**os.environ, "CALDRIFT_POSTGRES__DSN": dsn}, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout

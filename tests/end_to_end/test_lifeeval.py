"""Acceptance: real answers of eleven language models, through broker, join and panes, give back the study's table."""

import csv
import gzip
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.embedded import Topics, missing
from tests.end_to_end.fleet import Fleet, write_settings

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("CALDRIFT_LIFEEVAL", ROOT.parent / "shared" / "data" / "lifeeval"))
STARTED_AT = datetime(2026, 5, 1, tzinfo=UTC)
QUESTION_SETS = {
    "boolq_valid": "BoolQ",
    "lsat_ar_test": "LSAT",
    "sat_en": "SAT",
    "sciq_test": "SciQ",
    "halu_eval_qa": "HaluEval",
    "life_eval": "LifeEval",
}
MODELS = {
    "Meta-Llama-3.1-70B-Instruct": "Llama-70B",
    "Meta-Llama-3.1-8B-Instruct": "Llama-8B",
    "claude-3-7-sonnet-20250219": "Claude-Sonnet-3.7",
    "claude-3-haiku-20240307": "Claude-Haiku-3",
    "claude-sonnet-4-20250514": "Claude-Sonnet-4",
    "deepseek-r1": "DeepSeek-R1",
    "deepseek-v3": "DeepSeek-V3",
    "gpt-4o": "GPT-4o",
    "o3-2025-04-16": "GPT-o3",
    "gemini-2.5-flash": "Gemini-2.5-Flash",
    "gemini-2.5-pro": "Gemini-2.5-Pro",
}
Answer = tuple[str, str, str, float, float]  # model, question set, question, stated confidence, outcome


def answers() -> list[Answer]:
    """Every answer to a question that all eleven models answered."""
    if not (FOLDER / "life_eval.csv.gz").exists():
        missing(f"the LifeEval study's data: CALDRIFT_LIFEEVAL names no folder that holds them ({FOLDER})")
    found = [*_read("llm-confidence-correct.csv.gz", "correct"), *_read("life_eval.csv.gz", "prob")]
    asked = defaultdict[tuple[str, str], set[str]](set)
    for model, question_set, question, _, _ in found:
        asked[question_set, question].add(model)
    return [answer for answer in found if len(asked[answer[1], answer[2]]) == len(MODELS)]


def _read(name: str, outcome: str) -> Iterator[Answer]:
    with gzip.open(FOLDER / name, "rt", newline="") as file:
        for row in csv.DictReader(file):
            y = {"TRUE": 1.0, "FALSE": 0.0}.get(row[outcome].upper())
            yield (
                row["llm"],
                row["qset"],
                row["question_id"],
                float(row["stated_confidence"]),
                float(row[outcome]) if y is None else y,
            )


def write_events(found: list[Answer], folder: Path) -> tuple[Path, Path]:
    """The answers as two files of events; the id is model/question set/question, the instants are ours."""
    predictions, labels = folder / "predictions.jsonl", folder / "labels.jsonl"
    with predictions.open("w") as left, labels.open("w") as right:
        for number, (model, question_set, question, confidence, outcome) in enumerate(found):
            name = f"{model}/{question_set}/{question}"
            at = STARTED_AT + timedelta(seconds=number * 3)
            event = {
                "prediction_id": name, "model": model, "predicted_at": at.isoformat(), "confidence": confidence,
                "segments": {"qset": question_set},
            }  # fmt: skip
            left.write(json.dumps(event) + "\n")
            label = {"prediction_id": name, "labelled_at": (at + timedelta(hours=3)).isoformat(), "correct": outcome}
            right.write(json.dumps(label) + "\n")
    return predictions, labels


def recounted_ece(confidence: np.ndarray, outcome: np.ndarray) -> float:
    """Ten bins of equal width, right-closed, zero in the first, mean confidence of the bin."""
    tenth = np.clip(np.ceil(np.round(confidence * 10, 9)).astype(int) - 1, 0, 9)
    gaps = [abs((confidence[tenth == b] - outcome[tenth == b]).sum()) for b in range(10)]
    return float(sum(gaps) / len(confidence))


def test_the_service_gives_back_the_published_table(database: str, broker: str, topics: Topics, tmp_path: Path) -> None:
    found = answers()
    predictions, labels = write_events(found, tmp_path)
    settings = write_settings(tmp_path / "caldrift.toml", broker, topics.predictions, topics.labels, batch_size=5000)
    fleet = Fleet(settings, database, tmp_path)
    try:
        fleet.start("ingest", "ingest")
        fleet.start("evaluate", "evaluate")
        _caldrift(settings, database, "replay", "--predictions", str(predictions), "--labels", str(labels))
        _caldrift(settings, database, "status", "--wait", "120s")
        readings = [
            json.loads(_caldrift(
                settings, database, "reading", model, "--segment", f"qset={question_set}", "--window", "all",
                "--maturity", "0", "--bins", "10", "--edges", "right_closed", "--json",
            ))["readings"][0]
            for model in MODELS for question_set in QUESTION_SETS
        ]  # fmt: skip
    finally:
        fleet.kill_all()
    _compare(found, {(reading["model"], reading["segment"]["qset"]): reading for reading in readings})


def _compare(found: list[Answer], readings: dict[tuple[str, str], dict[str, float]]) -> None:
    published = {(row["llm"], row["qset"]): float(row["ece"]) for row in _table()}
    pairs = defaultdict[tuple[str, str], list[tuple[float, float]]](list)
    for model, question_set, _, confidence, outcome in found:
        pairs[model, question_set].append((confidence, outcome))
    assert len(pairs) == len(readings) == len(published) == 66
    exact = 0
    for key, reading in readings.items():
        confidence, outcome = np.array(pairs[key]).T
        assert reading["n"] == reading["n_predictions"] == len(confidence), key
        assert reading["ece"] == pytest.approx(recounted_ece(confidence, outcome), abs=1e-9), key
        off = abs(reading["ece"] - published[MODELS[key[0]], QUESTION_SETS[key[1]]])
        exact += off < 1e-9
        assert off < 0.00775, key  # 0.0077, rounded: the published counts have one question fewer
    assert exact == 44


def _table() -> list[dict[str, str]]:
    with (FOLDER / "table1-info.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def _caldrift(settings: Path, dsn: str, *command: str) -> str:
    result = subprocess.run(
        [str(Path(sys.executable).with_name("caldrift")), "--config", str(settings), *command],
        env={**os.environ, "CALDRIFT_POSTGRES__DSN": dsn}, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout

"""The LifeEval study's answers and its Table 1, from the folder that CALDRIFT_LIFEEVAL names."""

import csv
import gzip
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(os.environ.get("CALDRIFT_LIFEEVAL") or Path(__file__).parents[3] / "shared" / "data" / "lifeeval")
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


@dataclass(frozen=True, slots=True)
class Answer:
    """One model's answer to one question. `token` is the chosen token's probability, where the study has it."""

    model: str
    question_set: str
    question: str
    stated: float
    token: float | None
    outcome: float


def found() -> bool:
    """Whether the data are at hand."""
    return (FOLDER / "life_eval.csv.gz").is_file()


def answers() -> list[Answer]:
    """Every answer of the study, in the order of its files."""
    return [*_read("llm-confidence-correct.csv.gz", "correct"), *_read("life_eval.csv.gz", "prob")]


def answered_by_all(given: list[Answer]) -> list[Answer]:
    """The answers to questions that all eleven models answered: those that count in the study's table."""
    models = defaultdict[tuple[str, str], set[str]](set)
    for answer in given:
        models[answer.question_set, answer.question].add(answer.model)
    return [answer for answer in given if len(models[answer.question_set, answer.question]) == len(MODELS)]


def published_ece() -> dict[tuple[str, str], float]:
    """The ECE of the study's Table 1 by (question set, model), with the names of the answers."""
    sets, models = ({short: name for name, short in names.items()} for names in (QUESTION_SETS, MODELS))
    with (FOLDER / "table1-info.csv").open(newline="") as file:
        return {(sets[row["qset"]], models[row["llm"]]): float(row["ece"]) for row in csv.DictReader(file)}


def _read(name: str, outcome: str) -> Iterator[Answer]:
    with gzip.open(FOLDER / name, "rt", newline="") as file:
        for row in csv.DictReader(file):
            graded = {"TRUE": 1.0, "FALSE": 0.0}.get(row[outcome].upper())
            token = row.get("chosen_token_confidence") or ""
            yield Answer(
                row["llm"],
                row["qset"],
                row["question_id"],
                float(row["stated_confidence"]),
                float(token) if token not in {"", "NA"} else None,
                float(row[outcome]) if graded is None else graded,
            )

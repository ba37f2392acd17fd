"""`caldrift measure` by the installed command: its numbers against plain Python, its bad rows, its exit codes."""

import json
import os
import random
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import duckdb
import pytest

Json = dict[str, Any]


def caldrift(*args: str | Path, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CALDRIFT_")}
    command = [sys.executable, "-m", "monitor.cli.app", "measure", *map(str, args)]
    done = subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done


def measured(*args: str | Path, cwd: Path, code: int = 0) -> Json:
    found: Json = json.loads(caldrift(*args, "--json", cwd=cwd, code=code).stdout)
    assert found["schema"] == 1
    return found


START_MS = 1_780_000_000_000


@pytest.fixture(scope="module")
def traffic() -> tuple[list[Json], list[Json]]:
    """Two models, two languages, duplicates, corrections, retractions, orphans; shuffled."""
    rng = random.Random(11)
    predictions: list[Json] = []
    labels: list[Json] = []
    for number in range(600):
        at = START_MS + number * 60_000
        event: Json = {
            "prediction_id": f"p{number}",
            "model": f"m{number % 2}",
            "predicted_at": at,
            "confidence": rng.choice([0.9, 1.0, 0.3, 0.30000000000000004, round(rng.random(), 6)]),
            "signals": {"logprob": round(rng.random(), 4)},
            "segments": {"lang": rng.choice(["de", "en"]), "tokens": rng.randrange(0, 2000)},
        }
        predictions += [event] * (2 if number % 50 == 0 else 1)
        if number % 4:
            labels.append({"prediction_id": f"p{number}", "labelled_at": at + 1000, "correct": rng.random() < 0.6})
        if number % 10 == 1:
            labels.append({"prediction_id": f"p{number}", "labelled_at": at + 2000, "correct": round(rng.random(), 2)})
        if number % 30 == 1:
            labels.append({"prediction_id": f"p{number}", "labelled_at": at + 3000, "retract": True})
    labels += [{"prediction_id": f"nobody{number}", "labelled_at": START_MS, "correct": True} for number in range(3)]
    rng.shuffle(labels)
    return predictions, labels


def oracle(predictions: list[Json], labels: list[Json]) -> dict[tuple[str, str], list[tuple[float, float | None]]]:
    """By model and language ('' for all): confidence and outcome of each distinct prediction, in plain Python."""
    winners: dict[str, Json] = {}
    for label in labels:
        held = winners.get(label["prediction_id"])
        if held is None or label["labelled_at"] > held["labelled_at"]:
            winners[label["prediction_id"]] = label
    series = defaultdict(list)
    for event in {event["prediction_id"]: event for event in reversed(predictions)}.values():
        label = winners.get(event["prediction_id"], {})
        outcome = float(label["correct"]) if "correct" in label else None
        series[event["model"], ""].append((event["confidence"], outcome))
        series[event["model"], event["segments"]["lang"]].append((event["confidence"], outcome))
    return series


def ece(pairs: list[tuple[float, float]], bins: int) -> float:
    """Expected calibration error in bins (low, high], the plain way."""
    members: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for confidence, outcome in pairs:
        place = next(m for m in range(bins) if confidence <= (m + 1) / bins + 1e-9)
        members[place].append((confidence, outcome))
    return sum(abs(sum(c - y for c, y in inside)) for inside in members.values()) / len(pairs)


def write(path: Path, records: list[Json]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, traffic: tuple[list[Json], list[Json]]) -> Path:
    """The traffic as JSON lines, CSV and Parquet, in one folder with cut points for tokens."""
    folder = tmp_path_factory.mktemp("traffic")
    predictions, labels = traffic
    write(folder / "p.jsonl", predictions)
    write(folder / "l.jsonl", labels)
    (folder / "p.csv").write_text(
        "prediction_id,model,predicted_at,confidence,signals.logprob,segments.lang,segments.tokens\n"
        + "".join(
            f"{e['prediction_id']},{e['model']},{e['predicted_at']},{e['confidence']!r},{e['signals']['logprob']!r},"
            f"{e['segments']['lang']},{e['segments']['tokens']}\n"
            for e in predictions
        )
    )
    (folder / "l.csv").write_text(
        "prediction_id,labelled_at,correct,retract\n"
        + "".join(
            f"{e['prediction_id']},{e['labelled_at']},{e.get('correct', '')},{e.get('retract', '')}\n" for e in labels
        )
    )
    for name in ("p", "l"):
        lines = f"read_json('{folder}/{name}.jsonl', format = 'newline_delimited')"
        duckdb.execute(f"COPY (SELECT * FROM {lines}) TO '{folder}/{name}.parquet'")
    (folder / "caldrift.toml").write_text(
        '[segments.dimensions.size]\nfield = "tokens"\ncuts = [200, 1000]\nnames = ["easy", "medium", "hard"]\n'
    )
    return folder


def test_the_numbers_are_those_of_a_plain_recount(files: Path, traffic: tuple[list[Json], list[Json]]) -> None:
    found = measured(
        *("--predictions", "p.jsonl", "--labels", "l.jsonl", "--by", "lang", "--signal", "confidence"), cwd=files
    )
    expected = oracle(*traffic)
    assert len(found["readings"]) == len(expected) == 6
    for reading in found["readings"]:
        events = expected[reading["model"], reading["segment"].get("lang", "")]
        pairs = [(c, y) for c, y in events if y is not None]
        assert (reading["n_predictions"], reading["n"]) == (len(events), len(pairs))
        assert reading["accuracy"] == pytest.approx(sum(y for _, y in pairs) / len(pairs), abs=1e-9)
        assert reading["mean_confidence"] == pytest.approx(sum(c for c, _ in pairs) / len(pairs), abs=1e-9)
        assert reading["brier"] == pytest.approx(sum(c * c - 2 * c * y + y for c, y in pairs) / len(pairs), abs=1e-9)
        assert reading["ece"] == pytest.approx(ece(pairs, 10), abs=1e-9)
        assert reading["window"] == "all"
    predictions, labels = traffic
    counts = found["input"]
    assert counts["predictions"] == len(predictions)
    assert counts["labels"] == len(labels)
    assert counts["orphan_labels"] == 3
    assert counts["duplicates"] == 12
    assert counts["retractions"] == 20
    assert counts["dead_letters"] == {}


@pytest.mark.parametrize("pair", [("p.csv", "l.csv"), ("p.parquet", "l.parquet"), ("p.jsonl", "l.csv")])
def test_every_format_gives_the_same_text_to_the_last_digit(files: Path, pair: tuple[str, str]) -> None:
    options = ("--by", "lang", "--by", "size", "--by", "lang*size", "--bins", "15", "--edges", "left_closed")
    lines = caldrift("--predictions", "p.jsonl", "--labels", "l.jsonl", *options, "--json", cwd=files).stdout
    other = caldrift("--predictions", pair[0], "--labels", pair[1], *options, "--json", cwd=files).stdout
    assert other == lines
    found = json.loads(lines)["readings"]
    assert {tuple(sorted(reading["segment"])) for reading in found} == {(), ("lang",), ("size",), ("lang", "size")}
    assert {reading["signal"] for reading in found} == {"confidence", "logprob"}
    assert {reading["bins_setting"]["count"] for reading in found} == {15}


def test_one_model_and_one_signal_can_be_asked_for(files: Path) -> None:
    options = ("--model", "m1", "--signal", "logprob", "--by", "colour")
    done = caldrift("--predictions", "p.csv", "--labels", "l.csv", *options, "--json", cwd=files)
    assert [(each["model"], each["signal"]) for each in json.loads(done.stdout)["readings"]] == [("m1", "logprob")]
    assert "no prediction has a value of colour" in done.stderr


def test_pairs_of_the_same_events_give_the_same_measures(
    files: Path, tmp_path: Path, traffic: tuple[list[Json], list[Json]]
) -> None:
    events = [(model, c, y) for (model, lang), rows in oracle(*traffic).items() if not lang for c, y in rows]
    lines = [f"{model},{c!r},{'' if y is None else y}" for model, c, y in events]
    (tmp_path / "pairs.csv").write_text("name,stated,right\n" + "\n".join(lines) + "\n")
    columns = ("--confidence-column", "stated", "--correct-column", "right", "--model-column", "name")
    pairs = measured("--pairs", "pairs.csv", *columns, cwd=tmp_path)["readings"]
    options = ("--predictions", "p.csv", "--labels", "l.csv", "--signal", "confidence")
    joined = measured(*options, cwd=files)["readings"]
    assert len(pairs) == len(joined) == 2
    for one, other in zip(pairs, joined, strict=True):
        for name in ("model", "n_predictions", "n", "ece", "mce", "brier", "log_loss", "auroc", "signed_gap", "bins"):
            assert one[name] == other[name], name


BAD = [
    (b'{"prediction_id": "a"', "undecodable"),
    (b"\xff\xfe", "undecodable"),
    (b"[1]", "schema"),
    (b'{"model": "m", "predicted_at": 1780000000000, "confidence": 0.5}', "id_missing"),
    (b'{"prediction_id": "", "model": "m", "predicted_at": 1780000000000, "confidence": 0.5}', "id_missing"),
    (
        b'{"prediction_id": "' + b"x" * 257 + b'", "model": "m", "predicted_at": 1780000000000, "confidence": 0.5}',
        "id_too_long",
    ),
    (b'{"prediction_id": "b", "model": 3, "predicted_at": 1780000000000, "confidence": 0.5}', "schema"),
    (
        b'{"prediction_id": "c", "model": "m", "predicted_at": 1780000000000, "confidence": 1.2}',
        "confidence_out_of_range",
    ),
    (
        b'{"prediction_id": "d", "model": "m", "predicted_at": 1780000000000, "confidence": NaN}',
        "confidence_out_of_range",
    ),
    (b'{"prediction_id": "e", "model": "m", "predicted_at": 1780000000000, "confidence": "high"}', "schema"),
    (b'{"prediction_id": "f", "model": "m", "predicted_at": 9780000000000, "confidence": 0.5}', "clock_out_of_range"),
    (b'{"prediction_id": "g", "model": "m", "predicted_at": "yesterday", "confidence": 0.5}', "schema"),
]
GOOD = b'{"prediction_id": "good", "model": "m", "predicted_at": 1780000000000, "confidence": 0.5}'


def test_every_kind_of_bad_row_is_named_with_row_and_reason_and_the_good_ones_count(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_bytes(b"".join(body + b"\n" for body, _ in BAD) + GOOD + b"\n")
    label = '{"prediction_id": "good", "labelled_at": 1780000001000, "correct": true}\n'
    wrong = (
        ('{"prediction_id": "good", "labelled_at": 1780000001000}\n', "label_missing"),
        ('{"prediction_id": "good", "labelled_at": 1780000001000, "correct": 1, "value": 2}\n', "ambiguous_label"),
    )
    (tmp_path / "l.jsonl").write_text("".join(body for body, _ in wrong) + label)
    options = ("--predictions", "p.jsonl", "--labels", "l.jsonl", "--json", "--rejects", "bad.jsonl")
    done = caldrift(*options, cwd=tmp_path, code=4)
    said = [line.split(": ", 2)[:2] for line in done.stderr.splitlines()]
    assert said == [
        *([f"p.jsonl:{row}", reason] for row, (_, reason) in enumerate(BAD, 1)),
        *([f"l.jsonl:{row}", reason] for row, (_, reason) in enumerate(wrong, 1)),
    ]
    found = json.loads(done.stdout)
    assert found["input"]["dead_letters"] == {
        "ambiguous_label": 1,
        "clock_out_of_range": 1,
        "confidence_out_of_range": 2,
        "id_missing": 2,
        "id_too_long": 1,
        "label_missing": 1,
        "schema": 4,
        "undecodable": 2,
    }
    assert [(reading["model"], reading["n"]) for reading in found["readings"]] == [("m", 1)]
    kept = [json.loads(line) for line in (tmp_path / "bad.jsonl").read_text().splitlines()]
    assert [(each["file"], each["row"]) for each in kept] == [tuple_of(place) for place, _ in said]
    assert kept[7]["value"] == BAD[7][0].decode()


def tuple_of(place: str) -> tuple[str, int]:
    name, _, row = place.rpartition(":")
    return name, int(row)


def test_of_many_bad_rows_only_the_first_are_named_and_the_others_counted(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("confidence,correct\n" + "2,1\n" * 100 + "0.5,1\n")
    done = caldrift("--pairs", "a.csv", "--shown", "3", cwd=tmp_path, code=4)
    assert [line.split(": ")[0] for line in done.stderr.splitlines()][:4] == [
        *("a.csv:2", "a.csv:3", "a.csv:4"),
        "a.csv",
    ]
    assert "97 more rows" in done.stderr


def test_one_bad_row_is_one_and_thousands_have_commas(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("confidence,correct\n2,1\n" + "0.5,1\n" * 1000)
    done = caldrift("--pairs", "a.csv", cwd=tmp_path, code=4)
    assert done.stderr.splitlines()[-1] == "1,000 predictions, 1,000 labels; 1 bad row"
    assert "signed gap -0.5" in done.stdout.partition("at every look together: ECE 0.")[2]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "give --predictions and --labels, or --pairs"),
        (("--pairs", "none.csv"), "none.csv: cannot be read"),
        (("--pairs", "a.csv", "--bins", "7"), "bins must be one of 2, 3, 4"),
        (("--pairs", "a.csv", "--edges", "open"), "edges must be right_closed or left_closed, got open"),
        (("--pairs", "a.csv", "--by", "x*x"), "--by must be DIM or DIM*DIM"),
        (("--pairs", "a.csv", "--by", "lang"), "has no column lang"),
        (("--pairs", "a.csv", "--html", "no/such/folder.html"), "cannot be written"),
        (("--pairs", "a.csv", "--rejects", "no/such/file"), "cannot be written"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(tmp_path: Path, args: tuple[str, ...], message: str) -> None:
    (tmp_path / "a.csv").write_text("confidence,correct\n0.5,1\n")
    done = caldrift(*args, cwd=tmp_path, code=2)
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_files_without_any_event_are_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("confidence,correct\n")
    (tmp_path / "empty.jsonl").write_text("")
    assert measured("--pairs", "a.csv", cwd=tmp_path, code=1)["readings"] == []
    both = ("--predictions", "empty.jsonl", "--labels", "empty.jsonl")
    assert measured(*both, cwd=tmp_path, code=1)["readings"] == []


def test_what_was_asked_for_and_is_not_there_is_said(files: Path) -> None:
    done = caldrift("--predictions", "p.csv", "--labels", "l.csv", "--model", "m9", cwd=files, code=1)
    assert "no prediction of model m9: nothing to measure" in done.stderr


def test_a_person_reads_a_table_and_the_bins_of_a_single_series(files: Path) -> None:
    done = caldrift("--predictions", "p.csv", "--labels", "l.csv", "--by", "lang", cwd=files)
    assert "lang=de" in done.stdout
    assert "verdict" in done.stdout
    assert done.stderr.startswith("612 predictions, ")
    one = ("--model", "m1", "--signal", "confidence")
    single = caldrift("--predictions", "p.csv", "--labels", "l.csv", *one, cwd=files)
    assert "(0.8, 0.9]" in single.stdout


def test_the_page_is_one_file_with_a_diagram_a_series_and_nothing_from_elsewhere(files: Path, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text((files / "p.csv").read_text().replace(",m0,", ",<b>m0</b>,"))
    options = ("--labels", files / "l.csv", "--signal", "confidence", "--html", "out.html")
    caldrift("--predictions", "p.csv", *options, cwd=tmp_path)
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert page.count("<svg") >= 4
    assert "&lt;b&gt;m0&lt;/b&gt;" in page
    assert "<b>m0" not in page
    for outside in ("<script", "<link", " src=", "@import", "url(", 'href="http', 'href="/'):
        assert outside not in page


def test_two_labels_are_no_verdict(tmp_path: Path) -> None:
    (tmp_path / "few.csv").write_text("confidence,correct\n0.9,true\n0.7,false\n")
    shown = caldrift("--pairs", "few.csv", cwd=tmp_path).stdout
    assert "verdict: too few labels" in shown
    assert "as a calibrated model" not in shown

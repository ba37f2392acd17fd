"""`caldrift thresholds`, `audit`, `chain` and `compare` as people and pipelines run them, on files and on a store."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitor.postgres.database import connect
from monitor.rolling.panes import hour_of
from monitor.workers.clock import wall_now
from monitor.workers.evaluation import turn
from tests.cli.commands import Run
from tests.workers.deltas import Events, delta_of_events, some_events, some_sets, write_delta
from tests.workers.test_evaluation import EVALUATION, lead

Json = dict[str, Any]
STATED = (0.5, 0.6, 0.7, 0.8, 0.9, 0.97)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """answers.csv, a calibrated model in two domains, one of them bad; and releases of it, all in one folder."""
    rng = np.random.default_rng(6)
    c, bad = rng.choice(STATED, 3000), rng.random(3000) < 0.3
    second = np.round(rng.random(3000), 2)
    right = rng.random(3000) < np.clip(c - 0.2 * bad + 0.02, 0, 1)
    rows = zip(c, second, np.where(bad, "legal", "billing"), right, range(3000), strict=True)
    lines = [f"q{n},{a},{b},{domain},{'' if n % 5 == 0 else int(y)}" for a, b, domain, y, n in rows]
    (tmp_path / "answers.csv").write_text("id,confidence,consistency,domain,correct\n" + "\n".join(lines) + "\n")
    for name, gap in (("old", 0.0), ("new", 0.15)):
        made = rng.random(3000) < c - gap
        rows_of = [f"q{n},{a},{int(y)}" for n, (a, y) in enumerate(zip(c, made, strict=True))]
        (tmp_path / f"{name}.csv").write_text("id,confidence,correct\n" + "\n".join(rows_of) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def printed(run: Run, *words: str, code: int = 0) -> Json:
    done = run(*words, "--json")
    assert done.returncode == code, done.stderr
    found: Json = json.loads(done.stdout)
    assert found["schema"] == 1
    return found


def recount(folder: Path) -> list[tuple[float, float, str, bool | None]]:
    """The rows of answers.csv: confidence, consistency, domain, whether right."""
    lines = [line.split(",") for line in (folder / "answers.csv").read_text().splitlines()[1:]]
    return [(float(c), float(s), domain, bool(int(y)) if y else None) for _, c, s, domain, y in lines]


def test_a_certified_threshold_is_a_recount_of_the_file(folder: Path, caldrift: Run) -> None:
    found = printed(caldrift, "thresholds", "--pairs", "answers.csv", "--target", "0.8", "--by", "domain")["thresholds"]
    assert [each["segment"] for each in found] == [{}, {"domain": "billing"}, {"domain": "legal"}]
    for one in found:
        (certificate,) = one["certificates"]
        rows = [row for row in recount(folder) if one["segment"].get("domain", row[2]) == row[2]]
        assert one["n"] == sum(row[3] is not None for row in rows)
        if not certificate["certified"]:
            assert certificate["reason"]
            continue
        inside = [row for row in rows if row[0] >= certificate["threshold"]]
        outcomes = [row[3] for row in inside if row[3] is not None]
        assert certificate["n"] == len(outcomes)
        assert certificate["accuracy"] == pytest.approx(sum(outcomes) / len(outcomes))
        assert certificate["coverage"] == pytest.approx(len(inside) / len(rows))
        assert certificate["bound"] >= 0.8
    assert found[1]["certificates"][0]["certified"]


def test_a_second_signal_bars_answers_from_being_accepted(folder: Path, caldrift: Run) -> None:
    words = ("thresholds", "--pairs", "answers.csv", "--target", "0.7", "--also", "consistency >= 0.6")
    (one,) = printed(caldrift, *words)["thresholds"]
    rows = recount(folder)
    high = [row for row in rows if row[1] >= 0.6]
    assert one["also"] == ["consistency >= 0.6"]
    assert (one["n_predictions_also"], one["n_predictions"]) == (len(high), 3000)
    threshold = one["certificates"][0]["threshold"]
    assert one["certificates"][0]["coverage"] == pytest.approx(sum(row[0] >= threshold for row in high) / 3000)
    assert sum(band["coverage"] for band in one["bands"]) == pytest.approx(1)


def test_events_with_signals_give_the_two_signal_rule_that_pairs_give(folder: Path, caldrift: Run) -> None:
    at = 1_780_000_000_000
    lines = (folder / "answers.csv").read_text().splitlines()[1:]
    events, labels = [], []
    for n, line in enumerate(lines):
        name, c, second, domain, y = line.split(",")
        event = {"prediction_id": name, "model": "model", "predicted_at": at + n, "confidence": float(c)}
        events.append(event | {"signals": {"consistency": float(second)}, "segments": {"domain": domain}})
        if y:
            labels.append({"prediction_id": name, "labelled_at": at + n + 9, "correct": y == "1"})
    for path, records in (("p.jsonl", events), ("l.jsonl", labels)):
        (folder / path).write_text("".join(json.dumps(each) + "\n" for each in records))
    options = ("--target", "0.7", "--also", "consistency >= 0.6", "--by", "domain", "--signal", "confidence")
    joined = printed(caldrift, "thresholds", "--predictions", "p.jsonl", "--labels", "l.jsonl", *options)
    pairs = printed(caldrift, "thresholds", "--pairs", "answers.csv", *options)
    for one, other in zip(joined["thresholds"], pairs["thresholds"], strict=True):
        for name in ("segment", "certificates", "bands", "n_predictions", "n_predictions_also", "also"):
            assert one[name] == other[name], name


def test_a_person_reads_bands_and_the_promise_in_one_look(folder: Path, caldrift: Run) -> None:
    one = caldrift("thresholds", "--pairs", "answers.csv", "--target", "0.75", "--reject", "0.6").stdout
    assert "accept" in one
    assert "review" in one
    assert "at least 0.75 right; this is wrong with a chance of at most 0.05" in one
    many = caldrift("thresholds", "--pairs", "answers.csv", "--target", "0.75", "--by", "domain").stdout
    assert "domain=legal" in many


def test_jointly_shares_delta_among_all_certificates(folder: Path, caldrift: Run) -> None:
    words = (
        "thresholds",
        "--pairs",
        "answers.csv",
        "--by",
        "domain",
        "--jointly",
        "--target",
        "0.8",
        "--reject",
        "0.5",
    )
    found = printed(caldrift, *words)["thresholds"]
    deltas = [each["delta"] for one in found for each in one["certificates"]]
    assert sum(deltas) == pytest.approx(0.05)
    assert len(deltas) == 6


def test_an_audit_finds_the_gate_that_breaks_its_promise(folder: Path, caldrift: Run) -> None:
    words = ("audit", "--pairs", "answers.csv", "--gate", "0.9", "--gate", "0.5=0.4", "--by", "domain")
    audits = printed(caldrift, *words, code=1)["audits"]
    legal = next(each for each in audits if each["segment"] == {"domain": "legal"})
    gate, low = legal["gates"]
    inside = [row[3] for row in recount(folder) if row[2] == "legal" and row[0] >= 0.9 and row[3] is not None]
    assert gate["accuracy"] == pytest.approx(sum(inside) / len(inside))
    assert (gate["verdict"], low["verdict"], low["promised"]) == ("breaks", "keeps", 0.4)
    shown = caldrift(*words).stdout
    assert "BROKEN" in shown
    assert "of 1,000 that pass" in shown


def test_an_audit_without_a_broken_promise_is_exit_code_0(folder: Path, caldrift: Run) -> None:
    found = printed(caldrift, "audit", "--pairs", "answers.csv", "--gate", "0.8", "--promised", "0.5")
    assert found["audits"][0]["gates"][0]["verdict"] == "keeps"


def test_the_chain_calculator_says_product_range_and_need(caldrift: Run) -> None:
    found = printed(caldrift, "chain", "0.75", "--times", "3", "--target", "0.9")
    assert found["chain"]["product"] == pytest.approx(0.421875)
    assert (found["chain"]["worst"], found["chain"]["best"]) == (0.25, 0.75)
    assert found["needed"]["independent"] == pytest.approx(0.9 ** (1 / 3))
    assert "0.422" in caldrift("chain", "75%", "--times", "3").stdout
    assert "as counted" in caldrift("chain", "45/50", "90/100").stdout


@pytest.mark.parametrize(
    ("before", "after", "said", "code"),
    [("old", "new", "worse", 1), ("new", "old", "better", 0), ("old", "old", "same", 0)],
)
@pytest.mark.usefixtures("folder")
def test_a_pipeline_learns_from_the_exit_code_which_release_is_worse(
    caldrift: Run, before: str, after: str, said: str, code: int
) -> None:
    words = ("compare", "--before", f"{before}.csv", "--after", f"{after}.csv")
    found = printed(caldrift, *words, code=code)
    assert (found["verdict"], found["paired"], found["n_both"], found["limit"]) == (said, True, 3000, 0.03)
    assert found["interval"][0] <= found["difference"]["ece"] <= found["interval"][1]
    person = caldrift(*words).stdout
    assert person.startswith(said.upper())
    assert "-0.0000" not in person


def test_two_models_of_one_file_are_compared(folder: Path, caldrift: Run) -> None:
    rows = [
        f"{line.split(',')[0]},{name},{line.split(',', 1)[1]}"
        for name in ("old", "new")
        for line in (folder / f"{name}.csv").read_text().splitlines()[1:]
    ]
    (folder / "both.csv").write_text("id,version,confidence,correct\n" + "\n".join(rows) + "\n")
    words = ("compare", "--pairs", "both.csv", "--model-column", "version", "--before", "old", "--after", "new")
    found = printed(caldrift, *words, code=1)
    separate = printed(caldrift, "compare", "--before", "old.csv", "--after", "new.csv", code=1)
    assert (found["interval"], found["paired"]) == (separate["interval"], True)


def test_predictions_of_two_releases_are_judged_by_the_same_labels(folder: Path, caldrift: Run) -> None:
    at = 1_780_000_000_000
    for name, raised in (("a", 0.0), ("b", 0.3)):
        events = [
            {"prediction_id": f"q{n}", "model": "m", "predicted_at": at, "confidence": min(1.0, 0.6 + raised)}
            for n in range(500)
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(each) + "\n" for each in events))
    labels = [{"prediction_id": f"q{n}", "labelled_at": at + 1, "correct": n % 5 < 3} for n in range(500)]
    (folder / "l.jsonl").write_text("".join(json.dumps(each) + "\n" for each in labels))
    misspelt = ("compare", "--predictions", "a.jsonl", "--labels", "l.jsonl", "--before", "m", "--after", "n")
    done = caldrift(*misspelt)
    assert (done.returncode, "a.jsonl: no row is of the model n; there are m" in done.stderr) == (2, True)
    found = printed(caldrift, "compare", "--before", "a.jsonl", "--after", "b.jsonl", "--labels", "l.jsonl", code=1)
    assert found["paired"]
    assert found["difference"]["ece"] == pytest.approx(0.3)
    assert found["difference"]["accuracy"] == 0


@pytest.mark.usefixtures("folder")
def test_what_cannot_be_told_is_an_exit_code_of_its_own(folder: Path, caldrift: Run) -> None:
    (folder / "few.csv").write_text("confidence,correct\n" + "0.9,1\n" * 29)
    found = printed(caldrift, "compare", "--before", "old.csv", "--after", "few.csv", code=4)
    assert found["verdict"] == "cannot tell"
    assert "few.csv has 29 labels, 30 are needed" in found["reason"]
    assert caldrift("compare", "--before", "old.csv", "--after", "few.csv").stdout.startswith("CANNOT TELL")


def test_ids_that_do_not_match_are_said(folder: Path, caldrift: Run) -> None:
    (folder / "other.csv").write_text((folder / "old.csv").read_text().replace("\nq", "\nz"))
    found = printed(caldrift, "compare", "--before", "old.csv", "--after", "other.csv", "--limit", "0.5")
    assert not found["paired"]
    assert found["notes"] == ["no question is on both sides: compared as two independent samples"]


@pytest.mark.parametrize("rows", [0, 30])
def test_an_empty_file_and_thirty_labels_get_a_clear_answer(tmp_path: Path, caldrift: Run, rows: int) -> None:
    path = tmp_path / "few.csv"
    path.write_text("confidence,correct\n" + "0.97,1\n" * rows)
    done = caldrift("thresholds", "--pairs", str(path))
    assert done.returncode == 1
    said = "no prediction: nothing to certify" if not rows else "not certifiable with 30 labels"
    assert said in done.stdout + done.stderr
    audited = caldrift("audit", "--pairs", str(path), "--gate", "0.9")
    assert audited.returncode == (0 if rows else 1)


def test_bad_rows_are_named_and_the_good_ones_count(folder: Path, caldrift: Run) -> None:
    (folder / "bad.csv").write_text((folder / "answers.csv").read_text() + "q9,1.7,0.5,legal,1\n")
    done = caldrift("thresholds", "--pairs", "bad.csv", "--target", "0.7")
    assert done.returncode == 4
    assert "bad.csv:3002: confidence_out_of_range" in done.stderr
    assert "accept from" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("thresholds",), "name a model of the store, or give files"),
        (("thresholds", "--pairs", "answers.csv", "--target", "1.5"), "target must lie between 0 and 1"),
        (("thresholds", "--pairs", "answers.csv", "--also", "consistency"), '--also must look like "consistency'),
        (("thresholds", "--pairs", "answers.csv", "--also", "nothing >= 0.5"), "has no column nothing"),
        (("audit", "--pairs", "answers.csv", "--gate", "high"), "--gate must be a threshold such as 0.9"),
        (("audit", "--pairs", "answers.csv", "--gate", "1.5"), "a gate must be in 0..1"),
        (("chain", "often"), "a step must be an accuracy"),
        (("chain", "0.9", "--target", "1"), "--target must lie between 0 and 1"),
        (("compare", "--before", "old.csv", "--after", "none.csv"), "none.csv: cannot be read"),
        (("compare", "--before", "old.csv", "--after", "new.csv", "--limit", "0"), "limit must be above 0"),
        (("compare", "--before", "old.csv", "--after", "new.csv", "--id-column", "key"), "has no column key"),
        (("compare", "--pairs", "old.csv", "--before", "a", "--after", "b"), "--pairs needs --model-column"),
        (
            ("compare", "--pairs", "old.csv", "--model-column", "id", "--before", "q1", "--after", "g2"),
            "old.csv: no row is of the model g2; there are q0, q1, q10, ",
        ),
    ],
)
@pytest.mark.usefixtures("folder")
def test_wrong_usage_is_one_line_and_exit_code_2(
    caldrift: Run, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.setenv("CALDRIFT_POSTGRES__DSN", "postgresql:///nowhere")
    done = caldrift(*words)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


# --- The store


@pytest.fixture
def events() -> Events:
    """Events of ten days."""
    hour = hour_of(wall_now() - timedelta(days=2))
    return some_events(np.random.default_rng(8), [1, 2], range(hour - 8 * 24, hour), 3_000)


@pytest.fixture
def filled(database: str, events: Events, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with one model in two languages."""
    with connect(database, "test") as connection:
        assert some_sets(connection, "m1", ["de", "en"]) == [1, 2]
        write_delta(connection, delta_of_events(events))
        standing = lead(connection)
        for _ in range(5):
            turn(connection, standing, EVALUATION, wall_now)
    monkeypatch.setenv("CALDRIFT_POSTGRES__DSN", database)
    return database


def as_file(events: Events, path: Path) -> Path:
    """The same events as a file of pairs."""
    rows = zip(events.confidence.tolist(), events.outcome.tolist(), events.segment_set.tolist(), strict=True)
    lines = [f"{c},{'' if np.isnan(y) else y},{'de' if number == 1 else 'en'}" for c, y, number in rows]
    path.write_text("confidence,correct,lang\n" + "\n".join(lines) + "\n")
    return path


@pytest.mark.usefixtures("filled")
def test_the_store_and_a_file_of_the_same_events_give_the_same_certificates(
    events: Events, tmp_path: Path, caldrift: Run
) -> None:
    path = as_file(events, tmp_path / "same.csv")
    options = ("--target", "0.3", "--by", "lang")
    stored = printed(caldrift, "thresholds", "m1", "--maturity", "0", *options)["thresholds"]
    from_file = printed(caldrift, "thresholds", "--pairs", str(path), *options)["thresholds"]
    assert [each["segment"] for each in stored] == [{}, {"lang": "de"}, {"lang": "en"}]
    for one, other in zip(stored, from_file, strict=True):
        assert (one["segment"], one["certificates"]) == (other["segment"], other["certificates"])


@pytest.mark.usefixtures("filled")
def test_the_store_is_audited_and_its_windows_choose_the_events(events: Events, caldrift: Run) -> None:
    words = ("audit", "m1", "--gate", "0.5", "--promised", "0.01", "--maturity", "0", "--segment", "lang=de")
    everything = printed(caldrift, *words)["audits"][0]
    labelled = ~np.isnan(events.outcome) & (events.segment_set == 1)
    assert everything["n"] == labelled.sum()
    three_days = printed(caldrift, *words, "--window", "3d")["audits"][0]
    assert 0 < three_days["n"] < everything["n"]


@pytest.mark.usefixtures("filled")
def test_two_segments_of_the_store_are_compared_as_two_samples(caldrift: Run) -> None:
    words = ("compare", "--model", "m1", "--dimension", "lang", "--before", "de", "--after", "en", "--maturity", "0")
    found = printed(caldrift, *words, "--limit", "1")
    assert (found["verdict"], found["paired"], found["n_both"]) == ("same", False, None)


def test_a_certificate_is_deployed_listed_and_retired_from_the_command_line(caldrift: Run, filled: str) -> None:
    words = ("thresholds", "m1", "--target", "0.3", "--maturity", "0", "--by", "lang", "--reject", "0.01")
    found = printed(caldrift, *words, "--deploy", code=0)["thresholds"]
    certified = [(each["segment"], one) for each in found for one in each["certificates"] if one["certified"]]
    listed = printed(caldrift, "thresholds", "--deployed")["certificates"]
    assert len(listed) == 3
    for (segment, one), other in zip(reversed(certified), listed, strict=True):
        assert (segment, one["threshold"], one["n"]) == (other["segment"], other["threshold"], other["n"])
        assert (other["verdict"], other["seen_n"]) == ("no labels yet", 0)
    assert printed(caldrift, "thresholds", "m2", "--deployed")["certificates"] == []
    first = str(listed[0]["id"])
    assert caldrift("thresholds", "--retire", first).stdout.startswith(f"certificate {first} is retired")
    assert caldrift("thresholds", "--retire", first).returncode == 2
    assert "retired by" in caldrift("thresholds", "--deployed", "--all").stdout
    with connect(filled, "test") as connection:
        connection.execute("UPDATE certificate SET seen_n = 9, shortfall = 0.1 WHERE retired_at IS NULL")
    assert printed(caldrift, "thresholds", "--deployed", code=1)["certificates"][0]["verdict"] == "broken"


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("thresholds", "--pairs", "a.csv", "--deploy"), "--deploy needs a series of the store"),
        (("thresholds", "--deployed", "--retire", "1"), "give one of --deploy, --deployed and --retire"),
        (("thresholds", "m2"), "no model m2. There is: m1"),
        (("thresholds", "m1", "--by", "colour"), "no series of m1 is by colour"),
        (("thresholds", "m1", "--also", "logprob >= 0.5"), "segments.agreements declares no pair"),
        (("audit", "m1", "--maturity", "soon"), "--maturity must be a duration"),
        (("compare", "--before", "m1", "--after", "m2"), "no model m2"),
        (("compare", "--before", "m1", "--after", "a.csv"), "both sides must be files or both names of the store"),
    ],
)
def test_a_mistake_about_the_store_is_answered_with_what_there_is(
    caldrift: Run, words: tuple[str, ...], said: str
) -> None:
    done = caldrift(*words)
    assert done.returncode == 2
    assert said in done.stderr

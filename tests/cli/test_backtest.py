"""`caldrift backtest`, `suggest-limits` and `test-rules`, by the installed command, over files without a server."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.cli.test_config import caldrift

ROOT = Path(__file__).parents[2]
START = datetime(2026, 9, 1, tzinfo=UTC)
ONSET = START + timedelta(days=8)
RULES = """
defaults: {min_labelled: 200, for: 1h, select: {window: 1d}}
rules:
  - {name: Gap, metric: signed_gap, compare: above, enter: 0.05, exit: 0.03}
  - {name: Intake, metric: intake_stopped, enter: 1h}
"""
FILES = ("--predictions", "p.csv", "--labels", "l.csv", "--set", "windows.maturity=12h")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two weeks of 40 answers an hour, over-confident from the ninth day on; labels come after six hours."""
    found = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(1)
    predictions, labels = ["prediction_id,model,predicted_at,confidence"], ["prediction_id,labelled_at,correct"]
    for number in range(14 * 24 * 40):
        at = START + timedelta(hours=number / 40)
        confidence = float(rng.choice([0.6, 0.8, 0.9]))
        right = rng.random() < confidence - 0.2 * (at >= ONSET)
        predictions.append(f"{number},m,{at.isoformat()},{confidence}")
        labels.append(f"{number},{(at + timedelta(hours=6)).isoformat()},{str(right).lower()}")
    (found / "p.csv").write_text("\n".join(predictions) + "\n")
    (found / "l.csv").write_text("\n".join(labels) + "\n")
    (found / "rules.yaml").write_text(RULES)
    (found / "wide.yaml").write_text(RULES.replace("0.05", "0.5").replace("0.03", "0.4"))
    return found


def test_a_backtest_of_files_tells_what_fired_when_as_json_and_as_a_page(folder: Path) -> None:
    done = caldrift(
        "backtest", "--rules", "rules.yaml", *FILES, "--onset", "2026-09-09", "--json", "--html", "out.html", cwd=folder
    )
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    gap, intake = report["rules"]
    [alert] = gap["alerts"]
    assert (gap["rule"], gap["series_judged"], gap["fired"], gap["pages"], gap["flaps"]) == ("Gap", 1, 1, 1, 0)
    assert gap["pages_per_week"] == report["pages_per_week"] == pytest.approx(0.5, abs=0.05)
    assert alert["series"] == {"model": "m", "signal": "confidence", "window": "1d"}
    assert alert["resolved_at"] is None
    assert alert["evidence"]["measure"] == "signed_gap"
    assert ONSET < datetime.fromisoformat(alert["pending_at"]) < datetime.fromisoformat(alert["fired_at"])
    assert 12 * 3600 < gap["onset"]["delay_seconds"] < 2 * 86400
    assert (intake["rule"], intake["fired"]) == ("Intake", 0)
    assert intake["unknown"]
    assert "When Gap fired" in (folder / "out.html").read_text(encoding="utf-8")


def test_an_end_before_the_onset_knows_nothing_of_it(folder: Path) -> None:
    done = caldrift("backtest", "--rules", "rules.yaml", *FILES, "--to", "2026-09-09", "--from", "-3d", cwd=folder)
    assert done.returncode == 0
    first, second, *_ = done.stdout.splitlines()
    assert first == ("p.csv and l.csv: 1 series, judged from 2026-09-06 00:00 UTC to 2026-09-09 00:00 UTC, every 1 h")
    assert second == "0 pages, 0 a week"
    assert "not in history, so not judged: Intake" in done.stdout


def test_two_sets_of_rules_are_compared(folder: Path) -> None:
    done = caldrift("backtest", "--rules", "rules.yaml", "--against", "wide.yaml", *FILES, cwd=folder)
    assert done.returncode == 0
    [line] = [line for line in done.stdout.splitlines() if line.startswith("Gap")]
    assert line.split()[:3] == ["Gap", "1", "0"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--every", "5m"), "rules are judged every so many whole hours"),
        (("--every", "often"), "--every must be a duration"),
        (("--from", "soon"), "--from must be an instant"),
        (("--from", "-soon"), "--from must be an instant, or a duration such as -60d, got -soon"),
        (("--from", "2027-01-01"), "a backtest must end after it starts"),
        (("--html", "no/such/folder.html"), "no/such/folder.html: cannot be written"),
    ],
)
def test_what_cannot_be_done_is_said_and_exits_with_2(folder: Path, options: tuple[str, ...], said: str) -> None:
    done = caldrift("backtest", "--rules", "rules.yaml", *FILES, *options, cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_one_file_alone_is_refused(folder: Path) -> None:
    done = caldrift("backtest", "--rules", "rules.yaml", *FILES[:2], cwd=folder)
    assert done.returncode == 2
    assert "give --predictions and --labels, or neither" in done.stderr


def test_limits_are_suggested_with_the_pages_a_year_and_a_short_history_is_called_short(folder: Path) -> None:
    done = caldrift("suggest-limits", "--rules", "rules.yaml", *FILES, "--pages-per-year", "30", cwd=folder)
    assert done.returncode == 0
    assert "This history is too short to tell 30 pages a year" in done.stdout
    lines = done.stdout.splitlines()
    start = lines.index("rules:")
    assert lines[start + 1] == "  - name: Gap"
    assert lines[start + 2].startswith("    enter: ")
    (folder / "suggested.yaml").write_text(
        "rules:\n  - name: Gap\n    metric: signed_gap\n    compare: above\n" + "\n".join(lines[start + 2 :]) + "\n"
    )
    assert caldrift("check-rules", "suggested.yaml", cwd=folder).returncode == 0


def test_rules_without_limits_have_none_to_suggest(folder: Path) -> None:
    done = caldrift("suggest-limits", "--rules", "rules.yaml", "--rule", "Intake", *FILES, cwd=folder)
    assert done.returncode == 2
    assert "none of these rules is on a measure of series" in done.stderr


def test_tests_of_rules_pass_or_fail_with_their_line(tmp_path: Path) -> None:
    done = caldrift("test-rules", "alerts.tests.yaml", cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, "8 passed, 0 failed\n")
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "t.yaml").write_text(
        "rules: rules.yaml\ntests:\n"
        "  - {name: high, rule: Gap, timeline: [{until: 1h, value: 0.1, state: firing}]}\n"
        "  - {name: low, rule: Gap, timeline: [{until: 1h, value: 0.01, state: ok}]}\n"
    )
    failed = caldrift("test-rules", "t.yaml", cwd=tmp_path)
    assert (failed.returncode, failed.stdout) == (1, "1 passed, 1 failed\n")
    assert failed.stderr == "t.yaml:3:71: high: at 1h Gap is pending, expected firing\n"
    (tmp_path / "t.yaml").write_text("tests: {}\n")
    wrong = caldrift("test-rules", "t.yaml", cwd=tmp_path)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("t.yaml:1:8: ")

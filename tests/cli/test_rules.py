"""`caldrift check-rules` and `caldrift rules`, by the installed command."""

import json
from pathlib import Path

from tests.cli.test_config import caldrift

ROOT = Path(__file__).parents[2]
BAD = "rules:\n  - {name: EceHigh, metric: ecee, enter: 0.05, select: {window: 3d}}\n"


def test_check_rules_says_every_mistake_on_stderr_and_exits_with_2(tmp_path: Path) -> None:
    (tmp_path / "alerts.yaml").write_text(BAD)
    done = caldrift("check-rules", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    first, second = done.stderr.splitlines()
    assert first.startswith("alerts.yaml:2:29: EceHigh.metric: must be one of ")
    assert second == (
        'alerts.yaml:2:65: EceHigh.select.window[0]: must be a window that is kept (1d, 7d, 30d, all), got "3d"'
    )


def test_check_rules_is_content_with_the_rules_that_ship() -> None:
    done = caldrift("check-rules", "alerts.yaml", cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, "")


def test_check_rules_knows_the_windows_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "alerts.yaml").write_text(BAD.replace("ecee", "ece"))
    done = caldrift("check-rules", "--set", "windows.lengths=3d", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "alerts.yaml: fine, 1 rule\n")


def test_check_rules_prints_rules_with_every_value_or_the_mistakes_as_json(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text("rules: [{name: EceHigh, metric: ece, enter: 0.05}]\n")
    (tmp_path / "bad.yaml").write_text("rules: [{name: EceHigh, metric: ece, enter: 5}]\n")
    good, bad = (caldrift("check-rules", name, "--json", cwd=tmp_path) for name in ("good.yaml", "bad.yaml"))
    assert (good.returncode, bad.returncode) == (0, 2)
    [rule] = json.loads(good.stdout)["rules"]
    assert (rule["name"], rule["for"], rule["select"]["window"]) == ("EceHigh", "30m", ["7d"])
    assert rule["condition"]["metric"] == "ece"
    assert json.loads(bad.stdout) == {
        "valid": False,
        "rules": [],
        "mistakes": [{"line": 1, "column": 45, "message": "EceHigh.enter: enter must be 0 to 1, as ece is, got 5"}],
    }


def test_a_file_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"rules:\n  # \xc3\xa9 \xe9\n")
    absent, latin = (caldrift("check-rules", name, cwd=tmp_path) for name in ("alerts.yaml", "latin.yaml"))
    assert (absent.returncode, latin.returncode) == (2, 2)
    assert absent.stderr == "alerts.yaml: cannot be read: No such file or directory\n"
    assert latin.stderr == "latin.yaml:2:7: must be UTF-8, got byte 0xe9\n"


def test_reference_and_schema_are_printed_as_they_are_committed() -> None:
    for name, file in (("reference", "alerts.md"), ("schema", "alerts.schema.json")):
        done = caldrift("rules", name, cwd=ROOT)
        assert done.stdout == (ROOT / "docs" / file).read_text(encoding="utf-8")

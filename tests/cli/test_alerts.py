"""`caldrift alerts` as a person types it, and what `caldrift status` counts of them."""

import json
from datetime import timedelta

import psycopg
import pytest

from monitor.alerting.target import SERVICE, Target
from tests.cli.commands import Run
from tests.web.alert_seeding import measured, rule_named, store

TEN_MINUTES = timedelta(minutes=10)


@pytest.fixture
def alerting(database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database in which one alert fires, one is hushed, one is pending and one is over."""
    with psycopg.connect(database, autocommit=True) as connection:
        row = connection.execute("SELECT now()").fetchone()
        assert row is not None
        now = row[0]
        late, stale = rule_named("EvaluationLate"), rule_named("LabelsStale", for_=timedelta(0))
        letters = rule_named("DeadLetters", for_=timedelta(0), keep_firing_for=timedelta(0))
        store(connection, late, SERVICE, [measured(late, now - 2 * TEN_MINUTES, 7200)])
        store(connection, stale, Target("model", "m"), [measured(stale, now, 200_000)], hushed="silence 3")
        behind = rule_named("IntakeBehind")
        store(connection, behind, SERVICE, [measured(behind, now, 200_000)])
        ends = [measured(letters, now - 3 * TEN_MINUTES, 250), measured(letters, now - TEN_MINUTES, 1, "below")]
        store(connection, letters, SERVICE, ends)
    monkeypatch.setenv("CALDRIFT_POSTGRES__DSN", database)
    return database


@pytest.mark.usefixtures("alerting")
def test_it_lists_the_worst_first_with_evidence_and_whether_somebody_is_told(caldrift: Run) -> None:
    done = caldrift("alerts")
    head, late, stale, behind = done.stdout.splitlines()
    assert (done.returncode, head.split()) == (
        0, ["state", "severity", "rule", "about", "fired", "told", "now"],
    )  # fmt: skip
    assert late.split()[:3] == ["firing", "critical", "EvaluationLate"]
    assert "20 min ago  yes" in late
    assert late.endswith("time since the last evaluation 2 h, limit 1 h")
    assert "m; the model" in stale
    assert "no: silence 3" in stale
    assert behind.split()[:3] == ["pending", "warning", "IntakeBehind"]


@pytest.mark.usefixtures("alerting")
def test_a_model_chooses_its_own_and_all_adds_what_is_over(caldrift: Run) -> None:
    of_m = caldrift("alerts", "m").stdout.splitlines()
    assert [line.split()[2] for line in of_m[1:]] == ["LabelsStale"]
    every = caldrift("alerts", "--all").stdout.splitlines()
    assert every[-1].split()[:3] == ["ended", "warning", "DeadLetters"]
    assert every[-1].endswith("it stayed within exit")
    none = caldrift("alerts", "x")
    assert (none.returncode, none.stdout, none.stderr) == (0, "", "nothing fires and nothing is pending of x\n")


@pytest.mark.usefixtures("alerting")
def test_json_has_what_is_open_and_with_all_what_is_over(caldrift: Run) -> None:
    found = json.loads(caldrift("alerts", "--json").stdout)
    assert (found["schema"], set(found)) == (1, {"schema", "alerts"})
    assert [each["rule"] for each in found["alerts"]] == ["EvaluationLate", "LabelsStale", "IntakeBehind"]
    assert found["alerts"][0]["evidence"]["estimate"]["value"] == 7200
    every = json.loads(caldrift("alerts", "--all", "--json", "--limit", "1").stdout)
    assert [each["rule"] for each in every["alerts"]] == ["EvaluationLate"]
    assert every["ended"][0]["reason"] == "resolved"
    assert json.loads(caldrift("alerts", "list", "m", "--json").stdout)["alerts"][0]["hushed"] == "silence 3"


@pytest.mark.usefixtures("alerting")
def test_status_counts_what_fires(caldrift: Run) -> None:
    done = caldrift("status", "--json")
    assert json.loads(done.stdout)["alerts"] == {"firing": 2}
    assert "alerts        2 firing" in caldrift("status").stdout.splitlines()

"""`caldrift recalibrate` and `caldrift calibrators` as a person types them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.calibration.calibrators.artefact import decode
from monitor.postgres.calibrators import promotions, stored
from monitor.postgres.database import Connection, connect
from tests.cli.commands import Run
from tests.workers.recalibrating import RIGHT, WRONG, Service, plan


@pytest.fixture
def connection(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """A database that the commands are told of."""
    monkeypatch.setenv("CALDRIFT_POSTGRES__DSN", database)
    with connect(database, "test") as connected:
        yield connected


def lived(connection: Connection, losses: dict[str, float]) -> None:
    """A month of labels, and the clock at its end."""
    service = Service(connection, plan())
    service.live(30, losses)
    connection.execute("UPDATE installation SET clock_epoch_at = %s, clock_started_at = now()", (service.now,))


def test_a_dry_run_says_all_and_stores_nothing(connection: Connection, caldrift: Run) -> None:
    lived(connection, WRONG)
    done = caldrift("recalibrate", "m", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("m (confidence): the candidate passed: on ")
    assert done.stdout.endswith("nothing was stored\n")
    assert "lang=de" in done.stdout
    assert stored(connection, "m") == []
    found = json.loads(caldrift("recalibrate", "m", "--dry-run", "--json").stdout)
    assert (found["outcome"], found["trial"]["by"]) == ("passed", "lang")
    assert decode(json.dumps(found["candidate"])).model == "m"


def test_what_is_proposed_is_promoted_exported_and_rolled_back(
    connection: Connection, caldrift: Run, tmp_path: Path
) -> None:
    lived(connection, WRONG)
    assert caldrift("recalibrate", "m").stdout.endswith("version 1 of m is proposed\n")
    assert promotions(connection, "m") == []
    listed = caldrift("calibrators", "list", "m").stdout
    assert "nothing was ever promoted" in listed
    shown = caldrift("calibrators", "show", "m", "1").stdout
    assert "lang=de" in shown
    assert caldrift("calibrators", "promote", "m", "1", "--shadow").stdout == "m: version 1 in shadow is in force\n"
    assert caldrift("calibrators", "promote", "m", "1", "--reason", "seen").stdout == "m: version 1 is in force\n"
    out = tmp_path / "map.json"
    assert caldrift("calibrators", "export", "m", "1", "--out", str(out)).returncode == 0
    assert decode(out.read_bytes()) == stored(connection, "m")[0].calibrator
    nowhere = caldrift("calibrators", "export", "m", "1", "--out", str(tmp_path / "no" / "map.json"))
    assert (nowhere.returncode, nowhere.stderr.count("\n")) == (2, 1)
    assert "map.json: cannot be written: No such file or directory" in nowhere.stderr
    assert caldrift("recalibrate", "m", "--rollback", "--reason", "no").stdout == "m: as stated is in force\n"
    again = caldrift("recalibrate", "m", "--rollback")
    assert again.returncode == 2
    assert "there is nothing to roll back" in again.stderr
    assert [each.reason for each in promotions(connection, "m")] == ["no", "seen", "promoted by hand"]


def test_what_is_applied_is_in_force_at_once_and_by_a_person(connection: Connection, caldrift: Run) -> None:
    lived(connection, WRONG)
    assert caldrift("recalibrate", "m", "--apply", "--by", "").stdout.endswith("version 1 of m is in force\n")
    (now,) = promotions(connection, "m")
    assert "@" in now.by
    assert now.calibrator is not None
    assert [dict(each.segment) for each in now.calibrator.calibrator.maps] == [{}], "one map for all was asked for"


def test_where_the_gate_lets_nothing_through_the_exit_code_is_4(connection: Connection, caldrift: Run) -> None:
    lived(connection, RIGHT)
    done = caldrift("recalibrate", "m", "--apply")
    assert done.returncode == 4
    assert "kept the old map" in done.stdout
    assert promotions(connection, "m") == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("recalibrate", "n"), "no model n. There is: m"),
        (("recalibrate", "m", "--apply", "--rollback"), "exclude each other"),
        (("recalibrate", "m", "--method", "magic"), "by_labels"),
        (("recalibrate", "m", "--rollback"), "nothing to roll back"),
        (("calibrators", "show", "m", "3"), "version 3; there is none"),
        (("calibrators", "list", "n"), "no model n. There is: m"),
    ],
)
def test_what_cannot_be_is_named(connection: Connection, caldrift: Run, words: tuple[str, ...], said: str) -> None:
    Service(connection, plan()).live(1, RIGHT)
    done = caldrift(*words)
    assert done.returncode == 2
    assert said in done.stderr

"""`caldrift doctor` and `caldrift status` on real servers: well, unwell and away."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psycopg

from tests.embedded import Topics

COMMAND = [sys.executable, "-P", "-m", "monitor.cli.app"]


def caldrift(*arguments: str, cwd: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CALDRIFT_")}
    environment |= {f"CALDRIFT_{name.upper()}": value for name, value in settings.items()}
    return subprocess.run(
        [*COMMAND, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def servers(database: str, broker: str, topics: Topics) -> dict[str, str]:
    return {
        "postgres__dsn": database,
        "kafka__bootstrap_servers": broker,
        "kafka__predictions_topic": topics.predictions,
        "kafka__labels_topic": topics.labels,
        "kafka__group_id": topics.predictions,
    }


def states(result: subprocess.CompletedProcess[str]) -> Mapping[str, str]:
    """The worst state of each subject."""
    order = ["ok", "warn", "fail", "away"]
    worst: dict[str, str] = {}
    for finding in json.loads(result.stdout)["findings"]:
        before = worst.get(finding["subject"], "ok")
        worst[finding["subject"]] = max(before, finding["state"], key=order.index)
    return worst


def test_a_sound_installation_without_roles_running_is_no_failure(
    database: str, broker: str, topics: Topics, tmp_path: Path
) -> None:
    result = caldrift("doctor", "--recount", "--json", cwd=tmp_path, **servers(database, broker, topics))
    found = states(result)
    well = ("postgres", "schema", "clock", "kafka", "topics", "cluster", "recount")
    assert {found[name] for name in well} == {"ok"}, result.stdout
    assert {found[role] for role in ("ingest", "evaluate", "deliver", "web")} == {"warn"}
    assert result.returncode == (0 if "fail" not in found.values() else 1)


def test_a_table_that_was_changed_by_hand_and_a_missing_topic_are_found(
    database: str, broker: str, topics: Topics, tmp_path: Path
) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("ALTER TABLE dead_letter DROP COLUMN message")
    settings = servers(database, broker, topics) | {"kafka__labels_topic": "nobody-made-this"}
    result = caldrift("doctor", "--json", cwd=tmp_path, **settings)
    found = states(result)
    assert found["schema"] == "fail"
    assert found["topics"] == "fail"
    assert result.returncode == 1


def test_servers_that_are_away_are_named_and_the_exit_code_is_3(tmp_path: Path) -> None:
    settings = {"postgres__dsn": "postgresql://someone:secret@127.0.0.1:1/x", "kafka__bootstrap_servers": "127.0.0.1:1"}
    result = caldrift("doctor", cwd=tmp_path, **settings)
    assert result.returncode == 3
    assert "away  postgres" in result.stdout
    assert "away  kafka" in result.stdout
    assert "secret" not in result.stdout + result.stderr


def test_every_mistake_in_the_settings_is_a_line_and_the_exit_code_is_2(tmp_path: Path) -> None:
    (tmp_path / "caldrift.toml").write_text('[windows]\nmaturity = "soon"\n[web]\nport = "x"\n')
    result = caldrift("doctor", cwd=tmp_path)
    assert result.returncode == 2
    assert "caldrift.toml:2" in result.stdout
    assert "caldrift.toml:4" in result.stdout


def test_waiting_ends_with_code_1_and_a_reason_when_nobody_joins(
    database: str, broker: str, topics: Topics, tmp_path: Path
) -> None:
    from monitor.kafka.access import KafkaAccess
    from monitor.kafka.publisher import Publisher

    with Publisher(KafkaAccess((broker,))) as publisher:
        publisher.send(topics.predictions, b"x", b"{}")
        publisher.flush()
    settings = servers(database, broker, topics)
    result = caldrift("status", "--wait", "1s", "--json", cwd=tmp_path, **settings)
    assert result.returncode == 1
    assert "1 messages were not joined" in result.stderr
    assert json.loads(result.stdout)["lag"] == {"predictions": 1, "labels": 0}


def test_waiting_for_nothing_ends_at_once(database: str, broker: str, topics: Topics, tmp_path: Path) -> None:
    settings = servers(database, broker, topics)
    result = caldrift("status", "--wait", "30s", "--json", cwd=tmp_path, **settings)
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["lag"] == {"predictions": 0, "labels": 0}
    assert document["deltas_waiting"] == 0
    assert document["evaluated_at"] is None
    assert document["dead_letters"] == {}


def test_a_wrong_duration_is_a_wrong_use(tmp_path: Path) -> None:
    assert caldrift("status", "--wait", "soon", cwd=tmp_path).returncode == 2


def test_a_process_that_was_killed_is_not_shown_for_ever() -> None:
    from monitor.cli.status import heard_of

    beats = [("ingest", "a:1", 2.0), ("ingest", "a:2", 60.0), ("ingest", "a:3", 9000.0), ("web", "a:4", 9000.0)]
    assert set(heard_of(beats)) == {"ingest a:1", "ingest a:2", "web a:4"}

"""SIGHUP of a real `caldrift run`: a broken rule file changes nothing, a good one takes over without a restart."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.end_to_end.test_embedded_run import Run, folder, running

__all__ = ["folder"]  # the fixture

PATIENCE_SECONDS = 60.0
RULES = """
rules:
  - {{name: {name}, metric: dead_letters, enter: {enter}, for: 0s, keep_firing_for: 0s, severity: error}}
routes: {{team: {{notify: [hook], group_by: [rule]}}}}
channels: {{hook: {{kind: webhook, url: "http://127.0.0.1:1/"}}}}
"""


class Database:
    """What the service has stored."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.dsn = json.loads((run.folder / "servers.json").read_text())["postgres"]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn) as connection:
            return connection.execute(query.encode()).fetchall()

    def until(self, holds: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert time.monotonic() < deadline, f"{what}: {self.run.log()}"
            time.sleep(0.2)

    def in_force(self) -> list[str]:
        return [str(body) for (body,) in self.rows("SELECT body FROM rule_set ORDER BY id")]

    def refused(self) -> str:
        found = self.rows("SELECT detail ->> 'rules_refused' FROM role WHERE name = 'evaluate'")
        return str(found[0][0]) if found and found[0][0] is not None else ""

    def told(self) -> list[tuple[str, str, int]]:
        return self.rows(
            "SELECT i.rule, n.kind, i.firing FROM notice AS n JOIN incident AS i ON i.key = n.incident ORDER BY n.id"
        )


@pytest.mark.timeout(600)
def test_rules_are_read_again_on_sighup_and_a_broken_file_changes_nothing(folder: Path) -> None:
    path, first = folder.parent / "alerts.yaml", RULES.format(name="Bad", enter=0)
    path.write_text(first)
    with running(folder, "--set", f"alerts.rules={path}") as run:
        pids, database = run.pids(), Database(run)
        database.until(lambda: database.in_force() == [first], "the rules are in force")
        database.rows(
            "INSERT INTO dead_letter (topic, part, kafka_offset, reason, message, received_at)"
            " VALUES ('predictions', 0, 0, 'schema', 'bad', now()) RETURNING 1"
        )
        database.until(lambda: database.told() == [("Bad", "fired", 1)], "the alert is told")

        path.write_text(first.replace("dead_letters", "dead_leters"))
        run.process.send_signal(signal.SIGHUP)
        mistake = "alerts.yaml:3:25"
        database.until(lambda: mistake in database.refused(), "the mistake is in the role's sign of life")
        assert mistake in run.log()
        assert database.in_force() == [first]
        assert database.told() == [("Bad", "fired", 1)]

        renamed = RULES.format(name="Worse", enter=0)
        path.write_text(renamed)
        run.process.send_signal(signal.SIGHUP)
        database.until(lambda: database.in_force() == [first, renamed], "the new rules are in force")
        database.until(lambda: database.refused() == "", "nothing is refused any longer")
        database.until(lambda: len(database.told()) == 3, "the old incident ends and a new one begins")
        assert sorted(database.told()) == [("Bad", "fired", 0), ("Bad", "resolved", 0), ("Worse", "fired", 1)]
        assert database.rows("SELECT reason FROM alert_transition JOIN alert ON id = alert WHERE rule = 'Bad'") == [
            ("fired",), ("rule ended",),
        ]  # fmt: skip
        assert run.pids() == pids, "no process was started again"
        assert run.stop() == 0, run.log()

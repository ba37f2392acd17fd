"""`caldrift silence` and `drift --acknowledge`: an end and a reason, a trail of who did what."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from monitor.postgres.database import Connection, connect
from tests.cli.commands import Run


@pytest.fixture
def connection(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """A database of its own, which the command finds in its environment."""
    monkeypatch.setenv("CALDRIFT_POSTGRES__DSN", database)
    with connect(database, "test") as connected:
        yield connected


def test_a_silence_is_made_listed_and_ended_and_each_step_is_written_down(
    caldrift: Run, connection: Connection
) -> None:
    added = caldrift("silence", "add", "--rule", "Ece*", "--segment", "lang=de", "--for", "2h", "--reason", "a release")
    assert added.returncode == 0, added.stderr
    (listed,) = map(json.loads, caldrift("silence", "list", "--json").stdout.splitlines())
    assert (listed["state"], listed["match"], listed["reason"]) == (
        "holds", {"rule": ["Ece*"], "segment": ["lang=de"]}, "a release",
    )  # fmt: skip
    length = datetime.fromisoformat(listed["ends_at"]) - datetime.fromisoformat(listed["starts_at"])
    assert length.total_seconds() == 7200
    number = str(listed["silence"])
    assert caldrift("silence", "expire", number).returncode == 0
    assert caldrift("silence", "list", "--json").stdout == ""
    (over,) = map(json.loads, caldrift("silence", "list", "--all", "--json").stdout.splitlines())
    assert over["state"] == "expired"
    (line,) = caldrift("silence", "list", "--all").stdout.splitlines()
    assert line.split("  ")[-3:-1] == [
        f"{listed['starts_at'][:16]} to {listed['ends_at'][:16]}".replace("T", " "),
        "rule=Ece*, segment=lang=de",
    ]
    assert line.endswith(f": a release (ended by {listed['made_by']})")
    again = caldrift("silence", "expire", number)
    assert (again.returncode, f"there is no silence {number} that holds" in again.stderr) == (2, True)
    trail = connection.execute("SELECT did, detail ->> 'silence', at <= now() FROM audit ORDER BY id").fetchall()
    assert trail == [("silence add", number, True), ("silence expire", number, True)]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--rule", "X", "--reason", "r"], "a silence needs an end"),
        (["--rule", "X", "--reason", "r", "--for", "2h", "--until", "2030-01-01"], "a silence needs an end"),
        (["--rule", "X", "--reason", " ", "--for", "2h"], "a silence needs a reason"),
        (["--reason", "r", "--for", "2h"], "say what to silence"),
        (["--all", "--rule", "X", "--reason", "r", "--for", "2h"], "say what to silence"),
        (["--rule", "X", "--reason", "r", "--for", "soon"], "--for must be"),
        (["--rule", "X", "--reason", "r", "--until", "2020-01-01"], "must end after now"),
        (["--severity", "bad", "--reason", "r", "--for", "2h"], "--severity"),
        (["--segment", "de", "--reason", "r", "--for", "2h"], "--segment"),
    ],
)
def test_what_is_wrong_with_a_silence_is_said_and_nothing_is_stored(
    caldrift: Run, connection: Connection, given: list[str], said: str
) -> None:
    done = caldrift("silence", "add", *given)
    assert done.returncode == 2
    assert said in done.stderr
    assert connection.execute("SELECT count(*) FROM silence").fetchone() == (0,)


def test_an_alarm_is_acknowledged_once_with_a_reason(caldrift: Run, connection: Connection) -> None:
    series = connection.execute(
        "INSERT INTO series (model, signal, segment, segment_text) VALUES ('m', 'confidence', '{}', '{}') RETURNING id"
    ).fetchone()
    assert series is not None
    at = datetime(2026, 6, 1, tzinfo=UTC)
    connection.execute(
        "INSERT INTO detector (series, first_at, until_at, panes, baseline_panes, cells, n_pred, n, sum_c, sum_c2,"
        " sum_y, sum_cy, delay_buckets, delays)"
        " VALUES (%s, %s, %s, 1, 1, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')",
        (series[0], at, at),
    )
    for hour in (1, 2):
        connection.execute(
            "INSERT INTO alarm (series, tier, raised_at, pane_start, band, sign, onset_at, onset_low_at, onset_high_at,"
            " size, size_low, size_high, value, alpha, labels, slope, intercept)"
            " VALUES (%s, 'page', %s, %s, 'all', 1, %s, %s, %s, .1, .05, .2, 1e6, 1e-5, 900, 1, 0)",
            (series[0], at, at.replace(hour=hour), at, at, at),
        )
    refused = caldrift("drift", "m", "--acknowledge", "")
    assert (refused.returncode, "needs a reason" in refused.stderr) == (2, True)
    done = caldrift("drift", "m", "--acknowledge", "the new prompt")
    assert (done.returncode, "1 alarms acknowledged" in done.stderr) == (0, True)
    assert "0 alarms acknowledged" in caldrift("drift", "m", "--acknowledge", "once more").stderr
    kept = connection.execute(
        "SELECT a.pane_start, k.reason FROM acknowledgement AS k JOIN alarm AS a ON a.id = k.alarm"
    ).fetchall()
    assert kept == [(at.replace(hour=2), "the new prompt")]

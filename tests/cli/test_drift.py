"""`caldrift drift` as a person types it, on a database in which the leader fed the detectors."""

import json
from collections.abc import Iterator

import pytest

from monitor.postgres.database import connect
from monitor.postgres.detectors import read_watches
from tests.cli.commands import Run
from tests.embedded import fresh_database
from tests.workers.deltas import some_sets
from tests.workers.test_detection import FIRST, lead, live, number_of


@pytest.fixture(scope="module")
def drifted_template(postgres: str, database_template: str) -> Iterator[str]:
    """The name of a database with one model in two languages, one of which drifted; to be copied."""
    with fresh_database(postgres, database_template) as dsn:
        with connect(dsn, "test") as connection:
            de, en = some_sets(connection, "m", ["de", "en"])
            standing = lead(connection)
            live(connection, standing, range(FIRST, FIRST + 60), {de: 0.0, en: 0.0})
            live(connection, standing, range(FIRST + 60, FIRST + 85), {de: 0.4, en: 0.0}, seed=2)
        yield dsn.rpartition("/")[2]


@pytest.fixture
def drifted(postgres: str, drifted_template: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A database of the test's own in which one of two languages drifted."""
    with fresh_database(postgres, drifted_template) as dsn:
        monkeypatch.setenv("CALDRIFT_POSTGRES__DSN", dsn)
        yield dsn


@pytest.mark.usefixtures("drifted")
def test_it_lists_the_detectors_and_tells_each_alarm_in_words(caldrift: Run) -> None:
    done = caldrift("drift")
    assert done.returncode == 0
    head, *rows = done.stdout.split("\n\n")[0].splitlines()
    assert head.split()[:3] == ["model", "signal", "segment"]
    assert [row.split()[2] for row in rows] == ["lang=de", "lang=en", "all"]
    assert "page at " in done.stdout
    assert "m, confidence, lang=de: over-confident in all confidences" in done.stdout
    assert "lang=en: over" not in done.stdout


@pytest.mark.usefixtures("drifted")
def test_json_has_detectors_and_alarms_of_what_was_asked_for(caldrift: Run) -> None:
    every = json.loads(caldrift("drift", "--json").stdout)
    assert every["schema"] == 1
    assert len(every["detectors"]) == 3
    calm = json.loads(caldrift("drift", "m", "--segment", "lang=en", "--json").stdout)
    assert [row["segment"] for row in calm["detectors"]] == [{"lang": "en"}]
    assert calm["detectors"][0]["stage"] == "watching"
    assert calm["alarms"] == []
    newest = json.loads(caldrift("drift", "m", "--limit", "1", "--json").stdout)
    assert len(newest["alarms"]) == 1
    assert newest["alarms"][0]["raised_at"] == max(alarm["raised_at"] for alarm in every["alarms"])


def test_renew_asks_for_new_baselines_of_what_was_named(caldrift: Run, drifted: str) -> None:
    done = caldrift("drift", "m", "--segment", "lang=en", "--renew")
    assert (done.returncode, done.stderr) == (0, "1 series learn a new baseline from the next hour on\n")
    with connect(drifted, "test") as connection:
        asked = connection.execute("SELECT series FROM detector WHERE renew").fetchall()
        assert asked == [(number_of(connection, '{"lang":"en"}'),)]
        assert len(read_watches(connection, [asked[0][0]])) == 1
    assert "a new one was asked for" in caldrift("drift", "m", "--segment", "lang=en").stdout


@pytest.mark.usefixtures("drifted")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("drift", "x"), "no model x. There is: m"),
        (("drift", "m", "--segment", "lang=fr"), "no watched series of m is so"),
        (("drift", "m", "--segment", "fr"), "a segment must look like lang=de"),
        (("drift", "--renew"), "--renew needs the name of a model"),
    ],
)
def test_mistakes_are_named(caldrift: Run, words: tuple[str, ...], said: str) -> None:
    done = caldrift(*words)
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.usefixtures("drifted")
def test_a_reading_ends_with_what_the_detectors_say(caldrift: Run) -> None:
    text = caldrift("reading", "m", "--segment", "lang=de", "--window", "all", "--maturity", "0").stdout
    last = text.strip().splitlines()[-1]
    assert last.startswith("drift: ")
    assert "page at " in last
    calm = caldrift("reading", "m", "--segment", "lang=en", "--window", "all").stdout.strip().splitlines()[-1]
    assert calm.endswith("no alarm so far")


def test_before_anything_is_watched_it_says_so(caldrift: Run, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALDRIFT_POSTGRES__DSN", database)
    done = caldrift("drift")
    assert (done.returncode, done.stdout) == (0, "")
    assert "no series is watched yet" in done.stderr

"""`caldrift review`: the queue, answers and the matrix without a browser."""

import json
import random
from collections.abc import Iterator

import pytest

from monitor.postgres import reviews
from monitor.postgres.database import Connection, connect
from tests.cli.commands import Run
from tests.embedded import Topics
from tests.postgres.traffic import NOW, evaluate, ingest


@pytest.fixture
def store(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """A store in which everything has happened, which the commands find in their environment."""
    monkeypatch.setenv("CALDRIFT_POSTGRES__DSN", database)
    with connect(database, "test") as connection:
        ingest(connection, random.Random(5), 500)
        evaluate(connection)
        connection.execute(
            "UPDATE installation SET clock_epoch_at = %s, clock_started_at = now(), clock_rate = 0.000001", (NOW,)
        )
        yield connection


def test_errors_are_found_listed_and_answered(caldrift: Run, store: Connection) -> None:
    found = caldrift("review", "find", "a", "--json")
    assert found.returncode == 0, found.stderr
    listed = [
        json.loads(line) for line in caldrift("review", "list", "a", "--json", "--limit", "999").stdout.splitlines()
    ]
    assert json.loads(found.stdout)["added"] == len(listed) > 10
    assert [each["item"] for each in listed] == [e.id for e in reviews.waiting(store, "a", "errors", limit=999)]
    assert not {"confidence", "is_control"} & set(listed[0])
    number = str(listed[0]["item"])
    done = caldrift("review", "answer", number, "ambiguous", "--note", "two could be meant")
    assert (done.returncode, done.stdout) == (0, f"item {number}: ambiguous\n"), done.stderr
    german = caldrift("review", "list", "a", "--segment", "lang=de")
    assert german.returncode == 0
    assert number not in [line.split()[0] for line in german.stdout.splitlines()]
    again = caldrift("review", "answer", number, "model_wrong")
    assert (again.returncode, "answered by" in again.stderr) == (2, True)


def test_a_spot_check_becomes_a_label_in_the_topic(
    caldrift: Run, store: Connection, broker: str, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALDRIFT_KAFKA__BOOTSTRAP_SERVERS", broker)
    monkeypatch.setenv("CALDRIFT_KAFKA__LABELS_TOPIC", topics.labels)
    monkeypatch.setenv("CALDRIFT_REVIEW__SPOT_CHECK_SHARE", "1")
    drawn = caldrift("review", "draw", "a", "--json")
    assert drawn.returncode == 0, drawn.stderr
    assert json.loads(drawn.stdout)["drawn"] == json.loads(drawn.stdout)["of"] > 0
    one = reviews.waiting(store, "a", "spot_check")[0]
    done = caldrift("review", "answer", str(one.id), "right")
    assert (done.returncode, done.stdout) == (0, f"item {one.id}: right; its label was sent\n"), done.stderr
    settled = reviews.item(store, one.id)
    assert settled is not None
    assert settled.settled_at is not None


def test_a_broker_that_is_away_leaves_the_answer_to_be_sent_again(
    caldrift: Run, store: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALDRIFT_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:9")
    monkeypatch.setenv("CALDRIFT_REVIEW__SPOT_CHECK_SHARE", "1")
    assert caldrift("review", "draw", "a").returncode == 0
    one = reviews.waiting(store, "a", "spot_check")[0]
    assert caldrift("review", "answer", str(one.id), "wrong").returncode == 3
    (first, *_) = caldrift("review", "list", "a", "--queue", "spot_check").stdout.splitlines()
    assert f"{one.id}" in first
    assert "its label was not sent" in first


def test_the_matrix_is_printed_by_value_and_band(caldrift: Run, store: Connection) -> None:
    shown = caldrift("review", "matrix", "a", "lang")
    head, *rows = shown.stdout.partition("\n\n")[0].splitlines()
    assert [line.split()[0] for line in (head, *sorted(rows))] == ["lang", "de", "en"], shown.stderr
    printed = json.loads(caldrift("review", "matrix", "a", "lang", "--json").stdout)
    cells = [each for row in printed["rows"] for each in (*row["bands"], row["all"]) if each["n"]]
    off = [one for one in cells if not one["interval"][0] <= one["accuracy"] + one["gap"] <= one["interval"][1]]
    assert "".join(rows).count("*") == len(off)
    assert printed["rows"][0]["all"]["n"] == sum(each["n"] for each in printed["rows"][0]["bands"])


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["find", "nobody"], "no model nobody"),
        (["matrix", "a", "colour"], "a has no dimension colour; there is: lang"),
        (["list", "a", "--window", "soon"], "a window is whole hours"),
        (["answer", "999999", "right"], "there is no item 999999"),
    ],
)
def test_what_is_not_there_is_said(caldrift: Run, store: Connection, args: list[str], words: str) -> None:
    done = caldrift("review", *args)
    assert (done.returncode, words in done.stderr) == (2, True), done.stderr

"""`caldrift series` and `caldrift reading` as a person types them, on a database that the leader filled."""

import json
from datetime import datetime, timedelta

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from monitor.cli.app import app
from monitor.errors import BadInput, Refused
from monitor.postgres.database import connect
from monitor.rolling.panes import hour_of
from monitor.workers.clock import wall_now
from monitor.workers.evaluation import turn
from tests.workers.deltas import Events, delta_of_events, some_events, some_sets, write_delta
from tests.workers.test_evaluation import EVALUATION, lead


@pytest.fixture
def events() -> Events:
    """Events of the last ten days but the last two."""
    hour = hour_of(wall_now() - timedelta(days=2))
    return some_events(np.random.default_rng(8), [1, 2], range(hour - 8 * 24, hour), 3_000)


@pytest.fixture
def filled(database: str, events: Events, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with one model in two languages, evaluated once nothing new came."""
    with connect(database, "test") as connection:
        assert some_sets(connection, "m1", ["de", "en"]) == [1, 2]
        write_delta(connection, delta_of_events(events))
        standing = lead(connection)
        for _ in range(5):
            turn(connection, standing, EVALUATION, wall_now)
    monkeypatch.setenv("CALDRIFT_POSTGRES__DSN", database)
    monkeypatch.setenv("CALDRIFT_READINGS__MIN_LABELS", "100")
    return database


def caldrift(*words: str) -> Result:
    """The command's outcome; failures that it foresees are raised."""
    result = CliRunner().invoke(app, list(words))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def reading(*words: str) -> dict[str, object]:
    """The one reading of `caldrift reading m1 ... --json`."""
    printed = json.loads(caldrift("reading", "m1", *words, "--json").stdout)
    assert printed["schema"] == 1
    (one,) = printed["readings"]
    assert isinstance(one, dict)
    return one


@pytest.mark.usefixtures("filled")
def test_a_reading_of_everything_is_a_recount_of_the_events(events: Events) -> None:
    labelled = ~np.isnan(events.outcome)
    confidence, outcome = events.confidence[labelled], events.outcome[labelled]
    one = reading("--window", "all", "--maturity", "0")
    assert (one["n"], one["n_predictions"]) == (labelled.sum(), len(events.confidence))
    assert one["accuracy"] == pytest.approx(outcome.mean(), abs=1e-9)
    assert one["signed_gap"] == pytest.approx(confidence.mean() - outcome.mean(), abs=1e-9)
    place = np.ceil(np.round(confidence * 600) / 60).clip(1).astype(int)
    ece = sum(abs((confidence - outcome)[place == m].sum()) for m in range(1, 11)) / len(outcome)
    assert one["ece"] == pytest.approx(ece, abs=1e-9)
    assert one["segment"] == {}


@pytest.mark.usefixtures("filled")
def test_a_segment_a_window_and_a_maturity_choose_the_events(events: Events) -> None:
    now = hour_of(wall_now())
    one = reading(
        "--segment", "lang=de", "--window", "3d", "--maturity", "4d", "--bins", "15", "--edges", "left_closed"
    )
    chosen = (events.segment_set == 1) & (events.hour >= now - 7 * 24) & (events.hour < now - 4 * 24)
    assert one["n_predictions"] == chosen.sum()
    assert (one["segment"], one["bins_setting"]) == ({"lang": "de"}, {"count": 15, "edges": "left_closed"})
    assert one["mature"] is True
    assert reading("--maturity", "0")["mature"] is False


@pytest.mark.usefixtures("filled")
def test_nothing_was_known_before_the_first_event_came() -> None:
    then = (wall_now() - timedelta(days=3)).isoformat(timespec="seconds")
    assert reading("--window", "all", "--maturity", "0", "--as-of", then)["n_predictions"] == 0


@pytest.mark.usefixtures("filled")
def test_a_person_reads_numbers_with_their_n_and_their_interval() -> None:
    shown = caldrift("reading", "m1", "--window", "7d").stdout
    assert "m1" in shown
    assert "verdict" in shown.lower()
    listed = caldrift("series").stdout.splitlines()
    assert len(listed) == 1 + 3 * 4  # a head; three series in the four windows of the default settings
    assert sum("lang=de" in line for line in listed) == 4


@pytest.mark.usefixtures("filled")
def test_series_prints_the_newest_stored_reading_of_each_series_and_window() -> None:
    printed = json.loads(caldrift("series", "--json", "--model", "m1", "--window", "7d").stdout)
    assert printed["schema"] == 1
    assert [one["segment"] for one in printed["readings"]] == [{}, {"lang": "de"}, {"lang": "en"}]
    for one in printed["readings"]:
        segment = ",".join(f"{name}={value}" for name, value in one["segment"].items())
        asked = reading("--segment", segment, "--window", "7d", "--maturity", "2h")
        assert (one["n"], one["ece"]) == (asked["n"], asked["ece"])
        assert datetime.fromisoformat(one["as_of"]) <= wall_now()


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["m2"], r"no model m2\. There is: m1"),
        (
            ["m1", "--segment", "lang=dee"],
            r"no segment lang=dee of m1, confidence, \(primary sources\); did you mean lang=de\?",
        ),
        (["m1", "--signal", "logprob"], r"no signal logprob of m1.* There is: confidence"),
        (["m1", "--source", "complaint"], r"no label source complaint of m1, confidence"),
        (["m1", "--segment", "de"], r"must look like lang=de"),
        (["m1", "--window", "week"], r"whole hours \(12h\), whole days \(7d\) or all"),
        (["m1", "--maturity", "soon"], r"--maturity must be a duration"),
        (["m1", "--bins", "7"], r"bins must be one of 2, 3"),
        (["m1", "--edges", "closed"], r"edges must be right_closed or left_closed"),
        (["m1", "--as-of", "yesterday"], r"--as-of must be an instant"),
        (["m1", "--as-of", "2999-01-01T00:00:00Z"], r"yet to come"),
    ],
)
def test_a_mistake_is_answered_with_what_there_is(words: list[str], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        caldrift("reading", *words)


@pytest.mark.usefixtures("filled")
def test_series_of_an_unknown_model_or_window_name_what_there_is() -> None:
    with pytest.raises(BadInput, match="no model m2"):
        caldrift("series", "--model", "m2")
    with pytest.raises(BadInput, match=r"one of the kept windows \(1d, 7d, 30d, all\)"):
        caldrift("series", "--window", "2d")


def test_an_empty_database_has_no_series(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALDRIFT_POSTGRES__DSN", database)
    assert json.loads(caldrift("series", "--json").stdout) == {"schema": 1, "readings": []}
    with pytest.raises(BadInput, match="nothing has been joined yet"):
        caldrift("reading", "m1")


def test_a_database_without_the_schema_is_refused(empty_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALDRIFT_POSTGRES__DSN", empty_database)
    with pytest.raises(Refused, match="caldrift db upgrade"):
        caldrift("series")

"""The pages of recalibration: what is in force and how it did, promoted and rolled back by forms, once."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest

from monitor.postgres.calibrators import in_force, promotions
from monitor.postgres.database import Connection, connect
from monitor.postgres.listings import SeriesRow
from monitor.web.recalibrationpage import Found, view_of
from tests.web.conftest import client_of
from tests.workers.recalibrating import RIGHT, WRONG, Service, plan


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    """A connection to a new database."""
    with connect(database, "test") as connected:
        yield connected


@pytest.fixture
def client(database: str) -> Iterator[httpx.Client]:
    """A browser on the machine itself."""
    with client_of(database) as found:
        yield found


def proof(page: str) -> dict[str, str]:
    """The hidden fields of the first form that changes something."""
    form = page[page.index('action="/recalibration/') :]
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form)[:2])


def test_without_models_and_without_runs_the_pages_say_so(connection: Connection, client: httpx.Client) -> None:
    assert "a model is listed with its first" in client.get("/recalibration").text
    assert client.get("/recalibration/m").status_code == 400
    service = Service(connection, plan("propose"))
    service.live(1, RIGHT)
    assert "never" in client.get("/recalibration").text
    page = client.get("/recalibration/m").text
    assert "Confidences are taken as stated: no map was ever put in force." in page
    assert "There is no map yet" in page


def test_a_proposal_is_shown_with_its_holdout_and_promoted_and_rolled_back_by_forms(
    connection: Connection, client: httpx.Client
) -> None:
    service = Service(connection, plan("propose"))
    service.live(30, WRONG)
    service.attend()
    assert "version 1 waits" in client.get("/recalibration").text
    page = client.get("/recalibration/m").text
    assert "the candidate passed" in page
    assert page.count("Reliability diagram") + page.count("As stated") + page.count("By the map") >= 2
    assert "lang=de" in page
    assert client.post("/recalibration/m/promote", data={"version": "1", "number": "0"}).status_code == 403
    given = proof(page) | {"version": "1", "stage": "shadow", "reason": "try it"}
    assert client.post("/recalibration/m/promote", data=given).status_code == 303
    page = client.get("/recalibration/m").text
    assert "applied in shadow" in page
    assert client.post("/recalibration/m/promote", data=given).status_code == 409  # the page of before
    assert client.post("/recalibration/m/promote", data=proof(page) | {"version": "1"}).status_code == 303
    page = client.get("/recalibration/m").text
    assert "Roll back to as stated" in page
    assert client.post("/recalibration/m/roll-back", data=proof(page) | {"reason": "no"}).status_code == 303
    assert [(each.version, each.stage, each.reason) for each in promotions(connection, "m")] == [
        (None, "active", "no"),
        (1, "active", "promoted on the page"),
        (1, "shadow", "try it"),
    ]
    again = client.get("/recalibration/m").text
    assert client.post("/recalibration/m/roll-back", data=proof(again) | {"reason": "no"}).status_code == 400
    who = connection.execute('SELECT DISTINCT "by", did FROM audit').fetchall()
    assert len(who) == 1
    assert who[0][1] == "promote"


def test_a_map_is_downloaded_as_it_was_fitted_and_one_that_is_not_there_is_named(
    connection: Connection, client: httpx.Client
) -> None:
    service = Service(connection, plan())
    service.live(30, WRONG)
    service.attend()
    now = in_force(connection, "m")
    assert now is not None
    assert now.calibrator is not None
    assert client.get("/recalibration/m/1.json").text == now.calibrator.body
    answer = client.get("/recalibration/m/2.json")
    assert answer.status_code == 400
    assert "there is 1" in answer.text


def test_a_model_with_a_slash_in_its_name_has_a_page_that_promotes_and_rolls_back(
    connection: Connection, client: httpx.Client
) -> None:
    service = Service(connection, plan("propose"))
    service.live(30, WRONG)
    for table in ("series", "segment_set"):
        connection.execute(f"UPDATE {table} SET model = 'org/m'".encode())
    service.attend()
    (link,) = set(re.findall(r'href="(/recalibration/[^"#]+)"', client.get("/recalibration").text))
    page = client.get(link).text
    (act,) = set(re.findall(r'action="([^"]+/promote)"', page))
    assert client.post(act, data=proof(page) | {"version": "1"}).headers["location"] == link
    page = client.get(link).text
    (act,) = set(re.findall(r'action="([^"]+/roll-back)"', page))
    assert client.post(act, data=proof(page)).status_code == 303
    assert [each.version for each in promotions(connection, "org/m")] == [None, 1]
    assert client.get(f"{link}/1.json").json()["model"] == "org/m"


def test_why_the_old_map_stayed_is_listed(connection: Connection, client: httpx.Client) -> None:
    service = Service(connection, plan())
    service.live(30, RIGHT)
    service.attend()
    page = client.get("/recalibration/m").text
    assert "Why the old map stayed" in page
    assert "kept the old map" in client.get("/recalibration").text


def test_raw_and_calibrated_stand_beside_each_other_by_segment_with_everything_first() -> None:
    now = datetime(2026, 6, 1, tzinfo=UTC)

    def row(signal: str, segment: dict[str, str], ece: float) -> SeriesRow:
        return SeriesRow(
            1, "m", signal, segment, "", now, 500, 600, True, ece, ece - 0.02, ece + 0.02, 0.0, 0.05, 0.0, 0.9
        )

    rows = [
        row("confidence", {"lang": "fr"}, 0.3),
        row("confidence", {"lang": "de"}, 0.2),
        row("confidence", {}, 0.1),
        row("calibrated", {"lang": "fr"}, 0.04),
        row("calibrated", {}, 0.03),
        row("calibrated", {"calibrator": "1"}, 0.03),
    ]
    found = Found("m", "confidence", None, None, (), (), (), "7d", rows, now)
    shown = [
        (each.segment, each.stated and each.stated.standing.is_off, each.calibrated and each.calibrated.standing.is_off)
        for each in view_of(found).now_rows
    ]
    assert shown == [("everything", True, False), ("lang=fr", True, False)]


def test_the_time_line_of_a_mapped_signal_shows_when_maps_were_put_in_force(
    connection: Connection, client: httpx.Client
) -> None:
    service = Service(connection, plan())
    service.live(30, WRONG)
    service.attend()
    service.live(3, WRONG)
    page = client.get("/series", params={"model": "m", "signal": "confidence", "window": "all"}).text
    assert "another map put in force" in page
    assert "version 1, by caldrift" in page

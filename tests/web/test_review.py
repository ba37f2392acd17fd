"""Review in a browser: what waits, answers that become labels by Kafka, and nothing told before it is answered."""

import json
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

import httpx
import pytest
from kafka import KafkaConsumer

from monitor.errors import Unavailable
from monitor.events.rules import EventRules
from monitor.kafka.access import KafkaAccess
from monitor.kafka.outlet import Outlet
from monitor.postgres import reviews
from monitor.postgres.audit import note
from monitor.postgres.database import Connection, connect
from monitor.postgres.reviews import Item
from monitor.review.corrections import message_of
from monitor.review.reasons import Queue
from tests.embedded import Topics
from tests.postgres.traffic import NOW, evaluate, ingest
from tests.web.conftest import OPTIONS, client_of

REVIEWED = replace(OPTIONS, queue_size=20, control_share=0.2, spot_check_share=0.5)


class Told:
    """Stands for Kafka: what it was told, and whether it answers."""

    def __init__(self) -> None:
        self.labels: list[tuple[Mapping[str, object], str]] = []
        self.is_away = False

    def __call__(self, label: Mapping[str, object], model: str) -> None:
        self.labels.append((label, model))
        if self.is_away:
            raise Unavailable("the broker did not acknowledge")


@pytest.fixture
def store(database: str) -> Iterator[Connection]:
    """A store in which everything has happened, whose clock shows when."""
    with connect(database, "test") as connection:
        ingest(connection, random.Random(5), 500)
        evaluate(connection)
        connection.execute(
            "UPDATE installation SET clock_epoch_at = %s, clock_started_at = now(), clock_rate = 0.000001", (NOW,)
        )
        connection.execute(
            "INSERT INTO spot_draw (model, since_at, until_at, share, strata, gain, made_at, made_by)"
            " VALUES ('a', %(at)s - interval '9 days', %(at)s - interval '8 days', 0.1, '[]', 1, %(at)s, 'Ada')",
            {"at": NOW},
        )
        yield connection


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def client(store: Connection, database: str, told: Told) -> Iterator[httpx.Client]:
    """A browser on the machine itself."""
    with client_of(database, REVIEWED, told) as client:
        yield client


def fields(page: str, action: str) -> dict[str, str]:
    """The hidden fields of the form with this action."""
    (form,) = re.findall(rf'<form method="post" action="{action}".*?</form>', page, re.DOTALL)
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form))


def press(client: httpx.Client, path: str, action: str, **given: str) -> httpx.Response:
    """Send the form of a page."""
    page = client.get(path)
    assert page.status_code == 200, page.text
    return client.post(action, data={**fields(page.text, action), **given})


def look(client: httpx.Client) -> None:
    answer = press(client, "/review/a", "/review/find", window="all", segment="")
    assert answer.headers.get("location") == "/review/a?window=all", answer.text


def first(store: Connection, queue: Queue = "errors") -> Item:
    return reviews.waiting(store, "a", queue)[0]


def test_an_empty_queue_says_what_to_do(client: httpx.Client) -> None:
    assert "Look for confident errors" in client.get("/review/a").text
    assert "Draw 50 % of the predictions" in client.get("/spot-check/a").text
    assert "none waits" in client.get("/review").text
    assert client.get("/review/nobody").status_code == 404
    assert "No such model" in client.get("/review/nobody").text


def test_a_reviewer_finds_answers_and_goes_on_to_the_next(client: httpx.Client, store: Connection, told: Told) -> None:
    look(client)
    one = first(store)
    page = client.get("/review/a").text
    assert f'name="item" value="{one.id}"' in page
    assert str(one.prediction) in page
    went = press(client, "/review/a", "/review/answer", reason="model_wrong", note="as expected")
    assert (went.status_code, went.headers["location"]) == (303, f"/review/a?done={one.id}")
    after = client.get(went.headers["location"]).text
    assert f'name="item" value="{one.id}"' not in after
    assert "The model was wrong: " in after
    assert told.labels == []
    audit = store.execute('SELECT "by", did FROM audit ORDER BY id').fetchall()
    assert audit == [("somebody at 127.0.0.1", "review find"), ("somebody at 127.0.0.1", "review answer")]


def test_nothing_says_how_sure_the_model_was_before_the_answer(client: httpx.Client, store: Connection) -> None:
    look(client)
    store.execute("UPDATE review_item SET confidence = 0.987654, is_control = true")
    page = client.get("/review/a").text
    item = page[page.index('aria-labelledby="item"') : page.index('aria-labelledby="more"')]
    assert not re.search(r"0\.98|control", item)
    after = client.get(press(client, "/review/a", "/review/answer", reason="model_wrong").headers["location"]).text
    assert "0.988 was stated, it was drawn at random, as a control" in after


def correctable(store: Connection) -> Item:
    """Moves an error whose label says `correct` to the front."""
    items = reviews.waiting(store, "a", "errors", limit=1000)
    one = next(each for each in items if each.label_kind == 1 and each.outcome == 0)
    store.execute("UPDATE review_item SET place = -9 WHERE id = %s", (one.id,))
    return one


def test_a_wrong_label_is_sent_once_more_alike_while_the_broker_is_away(
    client: httpx.Client, store: Connection, told: Told
) -> None:
    look(client)
    one = correctable(store)
    told.is_away = True
    away = press(client, "/review/a", "/review/answer", reason="label_wrong")
    assert away.status_code == 503
    page = client.get("/review/a").text
    assert f'name="item" value="{one.id}"' in page
    assert "not known to have reached Kafka" in page
    told.is_away = False
    went = press(client, "/review/a", "/review/answer", reason="label_wrong")
    assert "The correction is on its way." in client.get(went.headers["location"]).text
    (before, model), (again, _) = told.labels
    assert before == again
    assert (model, again["correct"], again["version"]) == ("a", True, (one.label_version or 0) + 1)
    press_again = client.post("/review/answer", data={**fields(client.get("/review/a").text, "/review/answer"),
                                                      "item": str(one.id), "reason": "label_wrong"})  # fmt: skip
    assert (press_again.status_code, len(told.labels)) == (303, 2)


def test_a_spot_check_is_drawn_answered_and_told_with_its_propensity(
    client: httpx.Client, store: Connection, told: Told
) -> None:
    went = press(client, "/spot-check/a", "/spot-check/draw")
    assert went.headers.get("location") == "/spot-check/a", went.text
    one = first(store, "spot_check")
    went = press(client, "/spot-check/a", "/review/answer", reason="right")
    assert "The label is on its way." in client.get(went.headers["location"]).text
    ((label, _),) = told.labels
    assert (label["source"], label["correct"], label["propensity"]) == ("spot_check", True, one.propensity)
    assert "the next hour is not over" in press(client, "/spot-check/a", "/spot-check/draw").text


def test_who_may_only_read_sees_the_queue_and_no_form(store: Connection, database: str, told: Told) -> None:
    guarded = replace(REVIEWED, operator_token="let me")
    with client_of(database, guarded, told) as client:
        page = client.get("/review/a").text
        assert "sign in with the operator&#39;s token" in page
        assert '<form method="post" action="/review' not in page
        headers = {"Authorization": "Bearer let me", "X-Caldrift-Operator": "nightly"}
        found = client.post("/review/find", json={"model": "a", "window": "all"}, headers=headers).json()
        assert found["added"] == len(reviews.waiting(store, "a", "errors", limit=1000))
        assert client.post("/review/find", json={"model": "a"}).status_code == 403
        client.post("/sign-in", data={"token": "let me", "name": "Ada"})
        assert press(client, "/review/a", "/review/answer", reason="model_wrong").status_code == 303
    audit = store.execute('SELECT "by" FROM audit ORDER BY id').fetchall()
    assert audit == [("nightly",), ("Ada",)]


def test_a_program_reads_the_queue_and_answers(store: Connection, database: str, told: Told) -> None:
    headers = {"Authorization": "Bearer let me"}
    with client_of(database, replace(REVIEWED, operator_token="let me"), told) as client:
        assert client.get("/api/v1/review?model=a").json() == {"schema": 1, "items": []}
        client.post("/review/find", json={"model": "a", "window": "all"}, headers=headers)
        one = correctable(store)
        first, *_ = client.get("/api/v1/review?model=a&limit=2").json()["items"]
        assert (first["item"], first["prediction"]) == (one.id, str(one.prediction))
        assert "confidence" not in first
        path = f"/api/v1/review/{one.id}"
        assert client.post(path, json={"reason": "label_wrong"}).status_code == 403
        done = client.post(path, json={"reason": "label_wrong"}, headers=headers).json()
        assert (done["reason"], done["label"]["correct"]) == ("label_wrong", True)
        assert told.labels == [(done["label"], "a")]
        bad = client.post(path, json={"reason": "ambiguous"}, headers=headers)
        assert (bad.status_code, "answered by" in bad.json()["error"]) == (400, True)


@pytest.mark.parametrize("given", [{"reason": "bad"}, {"item": "x"}, {"item": "999999"}, {"note": "n" * 3000}])
def test_a_bad_answer_is_refused_with_a_sentence(client: httpx.Client, given: dict[str, str]) -> None:
    look(client)
    answer = press(client, "/review/a", "/review/answer", **{"reason": "model_wrong", **given})
    assert answer.status_code == 400
    assert "must be" in answer.text or "no item" in answer.text


def test_evil_texts_stay_texts(client: httpx.Client, store: Connection) -> None:
    look(client)
    evil = "<script>alert(1)</script>"
    store.execute("UPDATE pair SET predicted = %(e)s, reference = %(r)s", {"e": evil, "r": f"javascript:{evil}"})
    store.execute("UPDATE pair SET label_kind = 1, label_number = 0")
    page = client.get("/review/a").text
    assert evil not in page
    assert 'href="javascript' not in page


def test_the_matrix_says_where_stated_and_right_part(client: httpx.Client) -> None:
    page = client.get("/review/a").text
    assert "Right, by confidence and lang" in page
    assert len(re.findall(r'<tr><th scope="row">(?:de|en)</th>', page)) == 2


def test_a_label_goes_out_by_kafka_and_is_acknowledged(broker: str, topics: Topics) -> None:
    outlet = Outlet(KafkaAccess((broker,)), topics.labels)
    label = {"prediction_id": "0b9c6a1e-4f6b-4d52-9a37-3d1c0a8f7e21", "labelled_at": NOW.isoformat(), "correct": True}
    outlet.send(*message_of(label, "a", EventRules()))
    outlet.close()
    consumer = KafkaConsumer(
        topics.labels, bootstrap_servers=[broker], auto_offset_reset="earliest", consumer_timeout_ms=20_000
    )
    record = next(iter(consumer))
    consumer.close()
    assert (record.key.decode(), json.loads(record.value)) == (label["prediction_id"], label)


def test_a_broker_that_is_away_is_said_and_tried_again() -> None:
    outlet = Outlet(KafkaAccess(("127.0.0.1:9",)), "labels")
    for _ in range(2):
        with pytest.raises(Unavailable):
            outlet.send(b"k", b"v")
    outlet.close()


def test_the_trail_shows_every_change_once_the_newest_first(client: httpx.Client, store: Connection) -> None:
    assert "Nobody has changed anything yet" in client.get("/trail").text
    for number in range(230):
        note(store, f"person {number}", "try", {"number": number})
    path, seen = "/trail", list[str]()
    while path:
        page = client.get(path).text
        seen += re.findall(r">(person \d+)<", page)
        older = re.search(r'href="(/trail[^"]*)" rel="next"', page)
        path = older[1] if older else ""
    assert seen == [f"person {number}" for number in reversed(range(230))]

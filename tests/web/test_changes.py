"""A change over HTTP: from a form of the browser's own session or from a program with the operator's token."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import httpx
import psycopg
import pytest
from fastapi import APIRouter
from starlette.datastructures import Headers

from monitor.errors import Unavailable
from monitor.postgres.audit import note
from monitor.postgres.database import connect
from monitor.web.app import create_app
from monitor.web.changes import LARGEST, Operator
from monitor.web.connections import Connections
from monitor.web.options import WebOptions
from monitor.web.server import listen, serve_on
from monitor.web.visitors import COOKIE, Gate
from tests.web.conftest import OPTIONS

OPERATED = replace(OPTIONS, operator_token="let me")


@contextmanager
def noting(dsn: str, options: WebOptions = OPTIONS) -> Iterator[httpx.Client]:
    """The application with a form at /try that notes what it is told."""
    connections = Connections(lambda: connect(dsn, "test"))
    app = create_app(options, connections, "head")
    routes = APIRouter()

    @routes.post("/try")
    def change(change: Operator) -> dict[str, str]:
        with connections.writing() as connection:
            note(connection, change.by, "try", dict(change.fields))
            change.number("number")
        return dict(change.fields)

    app.include_router(routes)
    listener, stop = listen("127.0.0.1", 0), threading.Event()
    thread = threading.Thread(target=serve_on, args=(app, listener, stop))
    thread.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=30) as client:
            yield client
    finally:
        stop.set()
        thread.join(20)
        connections.close()


def noted(dsn: str) -> list[tuple[str, dict[str, str]]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute('SELECT "by", detail FROM audit ORDER BY id').fetchall()


def test_a_program_changes_with_the_operators_token_by_form_or_json(database: str) -> None:
    with noting(database, OPERATED) as client:
        headers = {"Authorization": "Bearer let me", "X-Caldrift-Operator": "nightly"}
        assert client.post("/try", data={"number": "7", "word": "ü"}, headers=headers).json()["word"] == "ü"
        assert client.post("/try", json={"number": 8, "word": "x"}, headers=headers).status_code == 200
        assert client.post("/try", data={"number": "9"}).status_code == 403
        wrong = {"Authorization": "Bearer let me in"}
        assert client.post("/try", data={"number": "9"}, headers=wrong).status_code == 403
        assert client.post("/try", content=b"\xff", headers=headers).status_code == 400
        assert client.post("/try", content=b"[1]", headers={**headers, "Content-Type": "application/json"}).is_error
        assert client.post("/try", content=b"x" * (LARGEST + 1), headers=headers).status_code == 413
    assert noted(database) == [("nightly", {"number": "7", "word": "ü"}), ("nightly", {"number": "8", "word": "x"})]


def test_what_fails_is_not_noted(database: str) -> None:
    with noting(database, OPERATED) as client:
        headers = {"Authorization": "Bearer let me"}
        answer = client.post("/try", data={"number": "seven"}, headers=headers)
    assert answer.status_code == 400
    assert "whole number" in answer.text
    assert noted(database) == []


def test_a_browser_without_the_proof_of_its_own_session_changes_nothing(database: str) -> None:
    with noting(database, OPERATED) as client:
        client.post("/sign-in", data={"token": "let me", "name": "Ada"})
        for proof in ("", "0" * 64, client.cookies["caldrift_session"]):
            answer = client.post("/try", data={"number": "1", "csrf": proof})
            assert answer.status_code == 403
            assert "load its page again" in answer.text
        foreign = {"Origin": "https://evil.example"}
        assert client.post("/try", data={"number": "1"}, headers=foreign).status_code == 403
    assert noted(database) == []


def test_a_page_of_another_site_changes_nothing_even_with_the_proof(database: str) -> None:
    with noting(database, OPERATED) as client:
        client.post("/sign-in", data={"token": "let me", "name": "Ada"})
        headers = Headers({"cookie": f"{COOKIE}={client.cookies[COOKIE]}", "host": "127.0.0.1"})
        given = {"number": "1", "csrf": Gate(OPERATED).visitor(headers, "127.0.0.1").proof}
        for foreign in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            answer = client.post("/try", data=given, headers=foreign)
            assert (answer.status_code, answer.text) == (403, "this was sent from a page of another site\n")
        assert client.post("/try", data=given, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200
    assert noted(database) == [("Ada", {"number": "1"})]


def test_the_viewers_token_changes_nothing(database: str) -> None:
    with noting(database, replace(OPERATED, token="show me")) as client:
        answer = client.post("/try", data={"number": "1"}, headers={"Authorization": "Bearer show me"})
        assert answer.status_code == 403
        assert "Only an operator" in answer.text
    assert noted(database) == []


@pytest.mark.parametrize("number", ["\0", "1\ud800", "\udc00"])
def test_what_no_text_may_hold_is_named_and_not_noted(database: str, number: str) -> None:
    with noting(database, OPERATED) as client:
        program = {"Authorization": "Bearer let me", "Content-Type": "application/json"}
        body = json.dumps({"number": number})
        answer = client.post("/recalibration/m/promote", content=body, headers=program)
    assert answer.status_code == 400
    assert "number: must not hold the character U+0000, nor half a surrogate pair" in answer.text
    assert noted(database) == []


def test_a_commit_that_fails_is_said(database: str) -> None:
    connections = Connections(lambda: connect(database, "test"))
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$; "
            "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON audit DEFERRABLE INITIALLY DEFERRED "
            "FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
    with pytest.raises(Unavailable), connections.writing() as connection:
        note(connection, "Ada", "try", {})
    with connections.reading() as connection:
        assert connection.execute("SELECT count(*) FROM audit").fetchone() == (0,)
    connections.close()

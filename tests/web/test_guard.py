"""Who may read: a listener beyond this machine needs a token, and a page made elsewhere cannot borrow a browser."""

from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from monitor.errors import BadSettings
from monitor.web.guard import is_from_here, is_host_known, local_path
from monitor.web.options import WebOptions, check
from monitor.web.visitors import COOKIE, Gate
from tests.web.conftest import OPTIONS

TOKEN = "correct horse, battery staple: ü"
GUARDED = replace(OPTIONS, token=TOKEN)
Make = Callable[[WebOptions], httpx.Client]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "monitor.example.org", ""])
def test_a_listener_beyond_this_machine_is_refused_without_a_token(host: str) -> None:
    with pytest.raises(BadSettings, match=r"web\.host: .* web\.token must be set"):
        check(replace(OPTIONS, host=host))
    check(replace(OPTIONS, host=host, token=TOKEN))
    check(replace(OPTIONS, host=host, open=True))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.0.1"])
def test_a_listener_on_this_machine_needs_no_token(host: str) -> None:
    check(replace(OPTIONS, host=host))


@pytest.mark.parametrize("path", ["/", "/series?model=m", "/dead-letters", "/definitions", "/nothing"])
def test_without_the_token_a_person_is_led_to_the_form(clients: Make, path: str) -> None:
    answer = clients(GUARDED).get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in?next=%2F")
    assert answer.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/metrics", "/api/v1/series", "/api/v1/readings?model=m", "/api/v1/openapi.json"])
def test_without_the_token_a_program_is_refused(clients: Make, path: str) -> None:
    client = clients(GUARDED)
    assert client.get(path).status_code == 401
    assert client.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert client.get(path, headers={"Authorization": "Basic abc"}).status_code == 401
    assert client.get(path, headers={"Cookie": f"{COOKIE}=wrong; x"}).status_code == 401


def test_the_token_opens_everything_to_a_program(clients: Make) -> None:
    client = clients(GUARDED)
    headers = {b"Authorization": b"Bearer " + TOKEN.encode("latin-1")}
    assert client.get("/metrics", headers=headers).status_code == 200
    assert client.get("/api/v1/series", headers=headers).status_code == 200


def test_probes_and_the_pages_own_files_need_no_token(clients: Make) -> None:
    client = clients(GUARDED)
    for path in ("/livez", "/readyz", "/sign-in", "/static/caldrift.css", "/static/refresh.js", "/static/icon.svg"):
        assert client.get(path).status_code == 200, path
    assert client.get("/static/../app.py").status_code in {303, 404}


def test_a_person_signs_in_and_comes_to_the_page_that_was_asked_for(clients: Make) -> None:
    client = clients(GUARDED)
    target = client.get("/dead-letters?reason=undecodable").headers["location"]
    form = client.get(target).text
    assert 'value="/dead-letters?reason=undecodable"' in form
    wrong = client.post("/sign-in", data={"token": "guess", "next": "/dead-letters"})
    assert (wrong.status_code, "set-cookie" in wrong.headers) == (403, False)
    assert "That is not the token" in wrong.text
    right = client.post("/sign-in", data={"token": TOKEN, "next": "/dead-letters?reason=undecodable"})
    assert (right.status_code, right.headers["location"]) == (303, "/dead-letters?reason=undecodable")
    cookie = right.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert TOKEN not in cookie
    assert client.get("/").status_code == 200
    client.post("/sign-out")
    assert client.get("/").status_code == 303


def test_a_form_that_is_too_large_is_not_read(clients: Make) -> None:
    assert clients(GUARDED).post("/sign-in", data={"token": TOKEN, "x": "y" * 10_000}).status_code == 403


@given(st.text(min_size=1, max_size=30), st.text(max_size=30))
def test_the_cookie_does_not_hold_the_token(token: str, name: str) -> None:
    token = f"{token} battery staple"
    session = Gate(replace(OPTIONS, token=token)).new_session("viewer", name)
    assert token not in session
    assert session.isascii()


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "", "/x\r\nSet-Cookie: a", "/a\\b"]
)
def test_signing_in_never_leads_to_another_site(target: str) -> None:
    assert local_path(target) == "/"


def test_signing_in_leads_to_any_page_here() -> None:
    assert local_path("/series?model=m&segment=lang%3Dde") == "/series?model=m&segment=lang%3Dde"


def test_a_name_that_somebody_else_pointed_here_is_not_answered(clients: Make) -> None:
    client = clients(replace(OPTIONS, allowed_hosts=("caldrift.internal",)))
    port = client.base_url.port
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "caldrift.internal.evil", ""):
        assert client.get("/", headers={"Host": host}).status_code == 421, host
    for host in (f"127.0.0.1:{port}", "localhost", f"[::1]:{port}", "Caldrift.Internal:80", "10.0.0.7"):
        assert client.get("/livez", headers={"Host": host}).status_code == 200, host


def test_behind_a_token_any_name_is_answered(clients: Make) -> None:
    assert clients(GUARDED).get("/livez", headers={"Host": "monitor.example.org"}).status_code == 200


@given(st.text(max_size=40))
def test_no_text_at_all_breaks_the_check_of_the_host(host: str) -> None:
    assert is_host_known(host, ()) in {True, False}
    assert is_host_known("localhost", (host,))


@pytest.mark.parametrize(
    ("sent", "passes"),
    [
        ({}, True),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "http://127.0.0.1:8321"}, False),
        ({"origin": "http://127.0.0.1:8321"}, True),
        ({"origin": "http://127.0.0.1:9999"}, False),
        ({"origin": "https://caldrift.internal"}, True),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "https://caldrift.internal.evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": "file://127.0.0.1:8321"}, False),
        ({"origin": "http://["}, False),
    ],
)
def test_only_a_page_of_this_site_or_a_program_may_send_a_form(sent: dict[str, str], passes: bool) -> None:
    headers = Headers({"host": "127.0.0.1:8321", **sent})
    assert is_from_here(headers, ("caldrift.internal",)) is passes

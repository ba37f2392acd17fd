"""One POST: bounded, unredirected, refused where it must not go, whatever answers."""

from pathlib import Path

import pytest

from monitor.notify.exchange import LARGEST_ANSWER, Answer, Transport, is_forbidden, post
from monitor.notify.outcome import Dead, Outcome, Retry
from tests.notify.certificates import made
from tests.notify.faults import CONNECTIONS, Place, closed_port, passes
from tests.notify.receivers import Reply, receiving


def bare(place: Place) -> Outcome:
    found = post(place.transport, place.url, b"{}", {})
    assert not isinstance(found, Answer)
    return found


@pytest.mark.parametrize("fault", CONNECTIONS)
def test_a_connection_that_fails_is_tried_again(fault: str, tmp_path: Path) -> None:
    passes(bare, fault, tmp_path)


def test_a_certificate_of_an_authority_that_is_named_is_trusted_and_so_is_its_successor(tmp_path: Path) -> None:
    for _ in range(2):  # the file is renewed between the two
        tls = made(tmp_path)
        with receiving(tls=tls.server) as receiver:
            found = post(Transport(ca_file=tls.ca_file), receiver.url, b"", {})
            assert isinstance(found, Answer)
            assert found.status == 200


@pytest.mark.parametrize("content", [None, "", "not a certificate"])
def test_a_file_of_authorities_that_holds_none_is_told(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    found = post(Transport(ca_file=str(path)), "https://127.0.0.1:9/", b"", {})
    assert found == Dead("the file of authorities cannot be read, or holds no certificates", permanent=True)


def test_an_answer_without_end_is_cut_off() -> None:
    with receiving(lambda seen: Reply(500, b"x" * LARGEST_ANSWER * 2, drops=10**9)) as receiver:
        found = post(Transport(), receiver.url, b"", {})
    assert isinstance(found, Answer)
    assert len(found.body) == LARGEST_ANSWER


def test_an_answer_that_ends_too_early_or_cannot_be_unpacked_is_tried_again() -> None:
    with receiving() as receiver:
        receiver.script = [
            Reply(200, b"short", {"Content-Length": "100", "Connection": "close"}),
            Reply(200, b"not packed", {"Content-Encoding": "gzip"}),
        ]
        assert isinstance(post(Transport(timeout=1), receiver.url, b"", {}), Retry)
        assert post(Transport(), receiver.url, b"", {}) == Retry(None, "the answer could not be decoded")


@pytest.mark.parametrize(
    "url", ["", "hooks.example", "ftp://127.0.0.1/", "file:///etc/passwd", "http://", "http://[::1"]
)
def test_what_is_no_url_of_the_web_is_dead_at_once(url: str) -> None:
    found = post(Transport(), url, b"", {})
    assert found == Dead("the URL must begin with http:// or https:// and name a host", permanent=True)


@pytest.mark.parametrize("token", ["“quoted”", "line\nbreak", "null\0"])
def test_a_token_that_http_does_not_take_is_dead_and_not_shown(token: str) -> None:
    with receiving() as receiver:
        found = post(Transport(), receiver.url, b"", {"Authorization": f"Bearer {token}"})
        assert receiver.seen == []
    assert found == Dead("a header, perhaps the token, holds characters that HTTP does not take", permanent=True)


def test_a_host_that_nobody_knows_is_tried_again() -> None:
    found = post(Transport(), "http://nobody.invalid/", b"", {})
    assert found == Retry(None, "the host's name is not known")


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "100.100.100.200", "[::ffff:169.254.169.254]", "0xA9FEA9FE"],
)
def test_addresses_of_the_link_and_of_metadata_services_are_refused(host: str) -> None:
    found = post(Transport(timeout=1), f"http://{host}/latest/meta-data", b"", {})
    assert found == Dead("the URL leads to a link-local or metadata address, which is never a receiver", permanent=True)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "192.168.1.1", "::1", "2001:db8::1", "fd00::1", "8.8.8.8"]
)
def test_receivers_on_the_own_network_are_not_refused(address: str) -> None:
    assert not is_forbidden(address)


def test_the_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as proxy, closed_port() as place:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        found = post(Transport(), "http://receiver.invalid/hook", b"", {})
        assert isinstance(found, Answer)
        assert proxy.seen[0].path == "http://receiver.invalid/hook"
        monkeypatch.setenv("HTTP_PROXY", place.url)
        assert isinstance(post(Transport(), "http://receiver.invalid/hook", b"", {}), Retry)

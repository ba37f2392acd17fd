"""Email: one letter a notice over an encrypted connection, and what each answer of the server comes to."""

import time
from collections.abc import Iterator
from dataclasses import replace
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from monitor.notify.exchange import Transport
from monitor.notify.mail import Mailbox, render, send
from monitor.notify.outcome import Dead, Delivered, Outcome, Retry
from tests.notify.certificates import Tls, made
from tests.notify.faults import BRISK, closed_port, hanging_socket
from tests.notify.mail_fake import PASSWORD, USER, Mailroom, serving
from tests.notify.samples import NOTICES, NOW

DIGEST = render(NOTICES["digest"])


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    return made(tmp_path)


@pytest.fixture
def room() -> Iterator[Mailroom]:
    with serving(Mailroom()) as found:
        yield found


def mailbox(room: Mailroom, **changes: object) -> Mailbox:
    ordinary = Mailbox(
        host="127.0.0.1",
        port=room.port,
        security="none",
        sender="caldrift <caldrift@example.org>",
        recipients=("ada@example.org", "bo@example.org"),
    )
    return replace(ordinary, **changes)  # type: ignore[arg-type]  # each test names fields of Mailbox


def told(room: Mailroom, **changes: object) -> Outcome:
    return send(mailbox(room, **changes), DIGEST, NOW, "key-1", Transport(timeout=5))


def test_a_digest_is_one_letter_that_says_what_happened(room: Mailroom) -> None:
    assert isinstance(told(room), Delivered)
    [letter] = room.letters
    assert letter["Subject"] == "[caldrift] LATE DIGEST · EceHigh: triage-v3"
    assert letter["To"] == "ada@example.org, bo@example.org"
    assert parsedate_to_datetime(letter["Date"]) == NOW
    body = letter.get_content()
    assert "EceHigh (error): triage-v3 / stated / lang=de" in body
    assert "resolved (series ended) at 2026-11-22 09:40 UTC" in body
    assert room.recipients == [["ada@example.org", "bo@example.org"]]


def test_a_repeat_has_the_same_message_id_and_another_notice_has_not(room: Mailroom) -> None:
    for key in ("key-1", "key-1", "key-2"):
        send(mailbox(room), DIGEST, NOW, key)
    first, repeat, other = (letter["Message-ID"] for letter in room.letters)
    assert first == repeat != other


@pytest.mark.parametrize("kind", NOTICES)
def test_every_kind_of_notice_makes_a_letter_with_no_more_headers_than_ours(room: Mailroom, kind: str) -> None:
    assert isinstance(send(mailbox(room), render(NOTICES[kind]), NOW, "key-1"), Delivered)
    [letter] = room.letters
    ours = {"Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted", "MIME-Version"}
    assert set(letter.keys()) <= ours | {
        "Content-Type",
        "Content-Transfer-Encoding",
        "X-Peer",
        "X-MailFrom",
        "X-RcptTo",
    }
    assert len(letter.get_all("Subject", [])) == 1


def test_with_starttls_login_and_letter_go_encrypted(tls: Tls) -> None:
    with serving(Mailroom(), starttls=tls.server, login=True) as room:
        account = mailbox(room, security="starttls", user=USER, password=PASSWORD)
        found = send(account, DIGEST, NOW, "key-1", Transport(ca_file=tls.ca_file))
        assert isinstance(found, Delivered)
        assert room.encrypted == [True]


def test_with_tls_the_connection_is_encrypted_from_the_start(tls: Tls) -> None:
    with serving(Mailroom(), tls=tls.server) as room:
        found = send(mailbox(room, security="tls"), DIGEST, NOW, "key-1", Transport(ca_file=tls.ca_file))
        assert isinstance(found, Delivered)
        assert len(room.letters) == 1


def test_a_server_without_starttls_is_sent_nothing(room: Mailroom) -> None:
    found = told(room, security="starttls", user=USER, password=PASSWORD)
    assert found == Dead("the server offers no STARTTLS, no login, or no such addresses", permanent=True)
    assert room.letters == []


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_that_is_not_trusted_is_tried_again_and_nothing_is_sent(tls: Tls, security: str) -> None:
    with serving(
        Mailroom(),
        starttls=tls.server if security == "starttls" else None,
        tls=tls.server if security == "tls" else None,
    ) as room:
        found = told(room, security=security, user=USER, password=PASSWORD)
        assert room.letters == []
    assert isinstance(found, Retry)
    assert found.reason.startswith("TLS failure: certificate not accepted, ")


def test_a_server_that_speaks_no_tls_is_tried_again(room: Mailroom) -> None:
    found = told(room, security="tls")
    assert isinstance(found, Retry)
    assert found.reason.startswith("TLS failure: ")


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        ("535 5.7.8 wrong", Dead("SMTP 535", permanent=True)),
        ("534 5.7.9 too weak", Dead("SMTP 534", permanent=True)),
        ("454 4.7.0 later", Retry(None, "SMTP 454")),
    ],
)
def test_a_login_that_fails_means_what_its_code_says(tls: Tls, reply: str, outcome: Outcome) -> None:
    with serving(Mailroom(login_reply=reply), starttls=tls.server, login=True) as room:
        account = mailbox(room, security="starttls", user=USER, password="wrong")
        assert send(account, DIGEST, NOW, "key-1", Transport(ca_file=tls.ca_file)) == outcome


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"letter_reply": "554 5.7.1 spam"}, Dead("SMTP 554", permanent=False)),
        ({"letter_reply": "552 5.3.4 too big"}, Dead("SMTP 552", permanent=False)),
        ({"letter_reply": "451 4.3.0 later"}, Retry(None, "SMTP 451")),
        ({"letter_reply": "452 4.2.2 full"}, Retry(None, "SMTP 452")),
        ({"sender_reply": "550 5.7.1 not you"}, Dead("SMTP 550", permanent=True)),
        ({"sender_reply": "421 4.3.2 closing"}, Retry(None, "SMTP 421")),
        ({"refused": dict.fromkeys(("ada@example.org", "bo@example.org"), "550 5.1.1 unknown")},
         Dead("recipients refused (SMTP 550)", permanent=True)),
        ({"refused": {"ada@example.org": "550 5.1.1 unknown", "bo@example.org": "450 4.2.1 greylisted"}},
         Retry(None, "recipients refused for now (SMTP 450)")),
    ],
)  # fmt: skip
def test_an_answer_of_the_server_means_what_its_code_says(changes: dict[str, object], outcome: Outcome) -> None:
    with serving(replace(Mailroom(), **changes)) as room:  # type: ignore[arg-type]  # the rows name fields
        assert told(room) == outcome
        assert room.letters == []


def test_a_letter_that_reaches_one_recipient_of_two_is_delivered_and_says_so() -> None:
    with serving(Mailroom(refused={"bo@example.org": "550 5.1.1 unknown"})) as room:
        found = told(room)
        assert isinstance(found, Delivered)
        assert found.flaw == "1 recipients refused"
        assert room.recipients == [["ada@example.org"]]


@pytest.mark.parametrize("goodbye", ["421 too busy to say goodbye", ""])
def test_a_letter_is_delivered_once_it_is_taken_however_the_server_takes_its_leave(goodbye: str) -> None:
    with serving(Mailroom(goodbye=goodbye)) as room:
        assert isinstance(told(room), Delivered)


def test_a_connection_that_fails_is_tried_again_in_time() -> None:
    with closed_port() as place:
        port = int(place.url.rpartition(":")[2])
        assert told(Mailroom(port)) == Retry(None, "no connection (ConnectionRefusedError)")
    with hanging_socket() as place:
        port = int(place.url.rpartition(":")[2])
        start = time.monotonic()
        assert send(mailbox(Mailroom(port)), DIGEST, NOW, "key-1", BRISK) == Retry(None, "no answer within 0.3 s")
        assert time.monotonic() - start < 3


@pytest.mark.parametrize("address", ["a\nBcc: everyone@example.org", "ü@example.org", "a b c"])
def test_an_address_that_smtp_does_not_take_is_dead_and_adds_no_header(room: Mailroom, address: str) -> None:
    found = told(room, recipients=(address,))
    assert isinstance(found, Dead) or address == "a b c"
    assert all(letter["Bcc"] is None for letter in room.letters)


def test_a_file_of_authorities_that_holds_none_is_told(room: Mailroom, tmp_path: Path) -> None:
    found = send(mailbox(room, security="tls"), DIGEST, NOW, "key-1", Transport(ca_file=str(tmp_path / "none.pem")))
    assert found == Dead("the file of authorities cannot be read, or holds no certificates", permanent=True)


def test_a_password_that_smtp_does_not_take_is_dead(tls: Tls) -> None:
    with serving(Mailroom(), starttls=tls.server, login=True) as room:
        account = mailbox(room, security="starttls", user=USER, password="geheim: ü")
        found = send(account, DIGEST, NOW, "key-1", Transport(ca_file=tls.ca_file))
    assert found == Dead("an address, the user or the password holds what SMTP does not take", permanent=True)

"""A mail server on loopback, by aiosmtpd: it takes letters, or answers as a test scripts it."""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "caldrift", "hush"


@dataclass
class Mailroom:
    """What was taken, and the codes to answer with: by recipient, for the letter, for the login."""

    port: int = 0
    letters: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    sender_reply: str = "250 fine"
    letter_reply: str = "250 taken"
    login_reply: str = "535 5.7.8 wrong"
    goodbye: str = "221 bye"  # an empty one hangs up

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's names
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return self.sender_reply

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 fine"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content
        assert isinstance(content, bytes)
        if self.letter_reply.startswith("250"):
            self.letters.append(message_from_bytes(content, EmailMessage, policy=default))
            self.recipients.append(list(envelope.rcpt_tos))
            self.encrypted.append(session.ssl is not None)
        return self.letter_reply

    async def handle_QUIT(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if not self.goodbye and server.transport is not None:
            server.transport.close()
        return self.goodbye

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        right = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=right, handled=False, message=None if right else self.login_reply)


@contextmanager
def serving(
    room: Mailroom, *, starttls: ssl.SSLContext | None = None, tls: ssl.SSLContext | None = None, login: bool = False
) -> Iterator[Mailroom]:
    """The mail room behind a server, with STARTTLS or TLS from the start if there is a certificate for it."""
    loop = asyncio.new_event_loop()

    def session() -> SMTP:
        return SMTP(
            room,
            hostname="mail.example",
            tls_context=starttls,
            require_starttls=starttls is not None,
            authenticator=room.authenticate if login else None,
            auth_required=login,
            auth_require_tls=starttls is not None,
            loop=loop,
        )

    server = loop.run_until_complete(loop.create_server(session, "127.0.0.1", 0, ssl=tls))
    room.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield room
    finally:
        asyncio.run_coroutine_threadsafe(_ended(server), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _ended(server: asyncio.Server) -> None:
    server.close()
    talks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for talk in talks:
        talk.cancel()
    await asyncio.gather(*talks, return_exceptions=True)

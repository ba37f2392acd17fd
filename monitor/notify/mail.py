"""Email by SMTP, for digests: one plain text a notice, with an id that tells repeats apart."""

import hashlib
import smtplib
import ssl
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final, Literal, TypeAlias

from monitor.alerting.notice import Alert, Change, Notice
from monitor.errors import BadInput
from monitor.notify.exchange import Transport, tls_reason, trust
from monitor.notify.outcome import Dead, Delivered, Outcome, Retry
from monitor.notify.wording import (
    and_more,
    cut,
    dated,
    figures,
    fitting,
    headline,
    moment,
    named,
    series_name,
    standing,
    tally,
    web_link,
    width,
)

Security: TypeAlias = Literal["starttls", "tls", "none"]
SUBJECT: Final = 200
ALERTS: Final = 200
EARLIER: Final = 50
BODY: Final = 100_000
_NAME: Final = 300
_OF_THE_CHANNEL: Final = frozenset({530, 534, 535, 538})
"""Replies of RFC 4954 that concern who we are, not what we say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """The server to hand mail to, and from whom to whom. Without a user, no login is tried."""

    host: str
    port: int = 587
    security: Security = "starttls"
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    sender: str
    recipients: tuple[str, ...]


def render(notice: Notice) -> dict[str, str]:
    """`subject`, one line, and `body`."""
    subject = cut(f"[caldrift] {headline(notice)}", SUBJECT)
    if notice.change is not None:
        return {"subject": subject, "body": _news(notice, notice.change)}
    texts = [_alert(alert) for alert in notice.alerts[:ALERTS]]
    shown = fitting(texts, BODY, width)
    left = and_more(notice, len(shown))
    link = web_link(notice.link)
    head = [cut(headline(notice), _NAME), tally(notice), cut(named(notice.group), 1000), link or ""]
    tail = [f"... and {left:,} more"] if left > 0 else []
    parts = ["\n".join(line for line in head if line), *shown, *tail, f"-- \ncaldrift, {moment(notice.at)}"]
    return {"subject": subject, "body": "\n\n".join(parts) + "\n"}


def _news(notice: Notice, change: Change) -> str:
    links = (("", web_link(notice.link)), ("report: ", web_link(change.report)))
    earlier = [cut(dated(each), 1000) for each in notice.earlier[-EARLIER:]]
    left = len(notice.earlier) - len(earlier)
    before = [*([f"... {left:,} more"] if left > 0 else []), *earlier]
    parts = (
        cut(headline(notice), _NAME),
        cut(change.sentence, 3000),
        "\n".join(f"{cut(name, 100)}: {cut(value, _NAME)}" for name, value in change.facts),
        "\n  ".join(["before it:", *before]) if before else "",
        "\n".join(f"{name}{link}" for name, link in links if link),
        f"-- \ncaldrift, by {cut(change.by, _NAME)}, {moment(notice.at)}",
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def _alert(alert: Alert) -> str:
    lines = (
        f"{cut(alert.rule, _NAME)} ({alert.severity}): {cut(series_name(alert.series), _NAME * 3)}",
        cut(standing(alert), _NAME),
        cut(figures(alert.evidence), _NAME) if alert.evidence else "",
        cut(alert.summary, 1000),
        web_link(alert.link) or "",
        f"runbook: {runbook}" if (runbook := web_link(alert.runbook)) else "",
    )
    return "\n  ".join(line for line in lines if line)


def send(
    mailbox: Mailbox,
    rendered: Mapping[str, str],
    now: datetime,
    idempotency_key: str,
    transport: Transport = Transport(),  # noqa: B008 - a frozen value
) -> Outcome:
    """Hand over what `render` wrote. Delivered means that the server took it, for at least one of the recipients."""
    try:
        message = _message(mailbox, rendered, now, idempotency_key)
        with closing(_connected(mailbox, transport)) as server:
            if mailbox.user is not None:
                server.login(mailbox.user, mailbox.password or "")
            refused = server.send_message(message, mailbox.sender, list(mailbox.recipients))
            with suppress(smtplib.SMTPException, OSError):  # it is delivered, however the server takes its leave
                server.quit()
    except BadInput as failure:
        return Dead(str(failure), permanent=True)
    except smtplib.SMTPException as failure:
        if isinstance(failure.__context__, TimeoutError):  # smtplib says that the server hung up
            return Retry(None, f"no answer within {transport.timeout:g} s")
        return _judged(failure)
    except ssl.SSLError as failure:
        return Retry(None, f"TLS failure: {tls_reason(failure)}")
    except TimeoutError:
        return Retry(None, f"no answer within {transport.timeout:g} s")
    except OSError as failure:
        return Retry(None, f"no connection ({type(failure).__name__})")
    except ValueError:
        return Dead("an address, the user or the password holds what SMTP does not take", permanent=True)
    return Delivered(message["Message-ID"], f"{len(refused)} recipients refused" if refused else None)


def _message(mailbox: Mailbox, rendered: Mapping[str, str], now: datetime, idempotency_key: str) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = rendered["subject"]
    message["From"] = mailbox.sender
    message["To"] = ", ".join(mailbox.recipients)
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{hashlib.sha256(idempotency_key.encode()).hexdigest()[:32]}@caldrift.invalid>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no machine answers it
    message.set_content(rendered["body"])
    return message


def _connected(mailbox: Mailbox, transport: Transport) -> smtplib.SMTP:
    if mailbox.security == "tls":
        return smtplib.SMTP_SSL(mailbox.host, mailbox.port, timeout=transport.timeout, context=trust(transport.ca_file))
    server = smtplib.SMTP(mailbox.host, mailbox.port, timeout=transport.timeout)
    if mailbox.security == "starttls":
        try:
            server.starttls(context=trust(transport.ca_file))
        except BaseException:
            server.close()
            raise
    return server


def _judged(failure: smtplib.SMTPException) -> Retry | Dead:
    """By the server's code: 4xx passes, 5xx stays. Its words are left out, as they may repeat what we sent."""
    match failure:
        case smtplib.SMTPRecipientsRefused():
            codes = [code for code, _ in failure.recipients.values()]
            if any(code < 500 for code in codes):
                return Retry(None, f"recipients refused for now (SMTP {min(codes)})")
            return Dead(f"recipients refused (SMTP {min(codes)})", permanent=True)
        case smtplib.SMTPNotSupportedError():
            return Dead("the server offers no STARTTLS, no login, or no such addresses", permanent=True)
        case smtplib.SMTPResponseException(smtp_code=code) if code >= 500:
            of_the_channel = code in _OF_THE_CHANNEL or isinstance(failure, smtplib.SMTPSenderRefused)
            return Dead(f"SMTP {code}", permanent=of_the_channel)
        case smtplib.SMTPResponseException(smtp_code=code):
            return Retry(None, f"SMTP {code}")
        case _:
            return Retry(None, f"the connection broke ({type(failure).__name__})")

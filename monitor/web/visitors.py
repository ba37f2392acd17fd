"""Who asks: what a request's token or cookie lets its sender do, and proof that a form was made here. Pure.

There are two tokens. The viewer's opens the pages, the operator's also lets change what they show. A browser gives one
of them once and keeps a session: role, name and a random number, signed with the token, so that a new token ends the
sessions of the old one. A form holds a proof that is bound to the session; a program sends the token itself, which no
page made elsewhere can make a browser do, and needs no proof.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Final, Literal

from markupsafe import Markup
from starlette.datastructures import Headers

from monitor.web.options import WebOptions, is_loopback

Role = Literal["viewer", "operator", "local"]
"""`local`: a browser on the machine that serves the pages, where there are no tokens."""

COOKIE: Final = "caldrift_session"
PROOF: Final = "csrf"
"""Name of the form's field that holds the proof."""
NAME_LENGTH: Final = 100
PROGRAM: Final = "operator's token"
"""Who acts, where a program gave no name."""
NAME_HEADER: Final = "x-caldrift-operator"
FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")

READ_ONLY: Final = (
    "Nothing can be changed from these pages: there is no operator's token. Set web.operator_token "
    "(CALDRIFT_WEB__OPERATOR_TOKEN or CALDRIFT_WEB__OPERATOR_TOKEN_FILE), or use the command line."
)
NOT_OPERATOR: Final = "Only an operator may change this: sign in with the operator's token."
NOT_LOCAL: Final = (
    "Without an operator's token only a browser on the machine itself may change anything, at 127.0.0.1 or localhost. "
    "Set web.operator_token (CALDRIFT_WEB__OPERATOR_TOKEN or CALDRIFT_WEB__OPERATOR_TOKEN_FILE)."
)


@dataclass(slots=True)
class Visitor:
    """Who sent a request. `by` names who would act; `why_not` says why nothing may be changed, empty where it may.

    `session` is the value of the cookie, empty for a program. A page with a form makes it `used`, so that a browser
    without a session of its own is given this one.
    """

    may_read: bool
    by: str = ""
    why_not: str = ""
    can_sign_in: bool = False
    is_signed_in: bool = False
    is_program: bool = False
    is_fresh: bool = False
    session: str = field(default="", repr=False)
    proof: str = field(default="", repr=False)
    is_used: bool = False

    @property
    def may_change(self) -> bool:
        """Whether the sender may change anything."""
        return not self.why_not

    def form_field(self) -> Markup:
        """The hidden field that every form which changes something must hold; empty for who cannot send it."""
        if self.why_not or not self.session:
            return Markup("")
        self.is_used = True
        return Markup('<input type="hidden" name="{}" value="{}">').format(PROOF, self.proof)

    def has_proof(self, given: str) -> bool:
        """Whether the text is the proof of this session; takes the same time wherever they differ."""
        return bool(self.session) and hmac.compare_digest(given.encode(), self.proof.encode())


class Gate:
    """Knows the tokens. One for each application: without tokens its sessions end with the process."""

    def __init__(self, options: WebOptions, random_token: Callable[[int], str] = secrets.token_hex) -> None:
        self._options, self._random = options, random_token
        tokens: dict[Role, str | None] = {"viewer": options.token, "operator": options.operator_token}
        self._tokens: dict[Role, str] = {role: token for role, token in tokens.items() if token is not None}
        self._own = random_token(32)
        self.can_sign_in = bool(self._tokens)
        self.is_open = options.token is None
        """Whether pages are shown without any token."""

    def visitor(self, headers: Headers, client: str) -> Visitor:
        """Who sent a request with these headers from the address `client`."""
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and (role := self.role_of(given.strip())) is not None:
            return self._program(role, headers)
        session = _cookie(headers)
        found = self._session(session)
        if found is not None and found[0] != "local":
            role, by = found
            why_not = "" if role == "operator" else NOT_OPERATOR if "operator" in self._tokens else READ_ONLY
            return self._browser(role, session, by=by, why_not=why_not, is_signed_in=True)
        if "viewer" in self._tokens:
            return Visitor(may_read=False, why_not=NOT_OPERATOR, can_sign_in=True)
        if "operator" in self._tokens:
            return Visitor(may_read=True, why_not=NOT_OPERATOR, can_sign_in=True)
        return self._neighbour(headers, client, session if found is not None else "")

    def role_of(self, token: str) -> Role | None:
        """What the token lets do; None: it is none of ours."""
        roles = [role for role, own in self._tokens.items() if hmac.compare_digest(token.encode(), own.encode())]
        return roles[-1] if roles else None

    def new_session(self, role: Role, by: str) -> str:
        """The cookie of a browser that gave the token of the role: proof of the token, not the token."""
        name = base64.urlsafe_b64encode(clean_name(by).encode()).decode().rstrip("=")
        body = f"{role}.{self._random(16)}.{name}"
        return f"{body}.{self._signed(role, 'session', body)}"

    def _session(self, session: str) -> tuple[Role, str] | None:
        """Role and name of a session that was given here; None for anything else."""
        body, _, signature = session.rpartition(".")
        parts = body.split(".")
        roles: tuple[Role, ...] = tuple(self._tokens) or ("local",)
        for role in roles:
            if len(parts) == 3 and parts[0] == role:
                expected = self._signed(role, "session", body)
                if hmac.compare_digest(signature.encode(), expected.encode()):
                    return role, base64.urlsafe_b64decode(parts[2] + "=" * (-len(parts[2]) % 4)).decode()
        return None

    def _program(self, role: Role, headers: Headers) -> Visitor:
        why_not = "" if role == "operator" else NOT_OPERATOR if "operator" in self._tokens else READ_ONLY
        by = clean_name(headers.get(NAME_HEADER, "")) or PROGRAM
        return Visitor(may_read=True, by=by, why_not=why_not, is_program=True)

    def _neighbour(self, headers: Headers, client: str, session: str) -> Visitor:
        """Who comes without any token, where there is none."""
        options = self._options
        if options.open or not is_loopback(options.host):
            return Visitor(may_read=True, why_not=READ_ONLY)
        host = headers.get("host", "")
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if not is_loopback(client) or not is_loopback(name.lower()) or any(each in headers for each in FORWARDED):
            return Visitor(may_read=True, why_not=NOT_LOCAL)
        given = session or self.new_session("local", "")
        return self._browser("local", given, by=f"somebody at {client}", is_fresh=not session)

    def _browser(
        self,
        role: Role,
        session: str,
        *,
        by: str,
        why_not: str = "",
        is_fresh: bool = False,
        is_signed_in: bool = False,
    ) -> Visitor:
        return Visitor(
            may_read=True,
            by=by or PROGRAM,
            why_not=why_not,
            can_sign_in=bool(self._tokens),
            is_signed_in=is_signed_in,
            is_fresh=is_fresh,
            session=session,
            proof=self._signed(role, "form", session),
        )

    def _signed(self, role: Role, purpose: str, text: str) -> str:
        key = self._tokens.get(role, self._own)
        return hmac.new(key.encode(), f"caldrift {purpose}, version 2\0{text}".encode(), "sha256").hexdigest()


def clean_name(text: str) -> str:
    """A name as it is kept: printable, of at most NAME_LENGTH characters, without blanks around it."""
    return "".join(each for each in text if each.isprintable()).strip()[:NAME_LENGTH]


def _cookie(headers: Headers) -> str:
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return cookie.value if cookie is not None else ""

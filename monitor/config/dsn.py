"""Passwords in a Postgres DSN: whether there is one, and the DSN without it."""

import re
from typing import Final

_KEYWORD: Final = re.compile(r"""((?:^|\s)(?:ssl)?password\s*=\s*)('(?:[^'\\]|\\.)*'?|\S+)""", re.IGNORECASE)
_QUERY: Final = re.compile(r"([?&](?:ssl)?password=)([^&#]+)", re.IGNORECASE)
_AUTHORITY: Final = re.compile(r"^(\w+://[^/?#:]*:)([^/?#]+)(?=@)")


def has_password(dsn: str) -> bool:
    """Whether a libpq URI or keyword string holds a password (its own or that of the TLS key)."""
    return masked(dsn, "") != dsn


def masked(dsn: str, mask: str) -> str:
    """`dsn` with `mask` where its passwords stand."""
    if "://" not in dsn:
        return _KEYWORD.sub(rf"\g<1>{mask}", dsn)
    return _AUTHORITY.sub(rf"\g<1>{mask}", _QUERY.sub(rf"\g<1>{mask}", dsn))

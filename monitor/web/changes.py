"""What every request that changes something must be: an operator's, from a form that was made here or from a program.

A route takes `change: Operator`, which holds who asks and the fields of the form:

    @routes.post("/recalibration/promote")
    def promote(change: Operator) -> RedirectResponse:
        with connections.writing() as connection:
            calibrators.promote(connection, change.number("calibrator"), by=change.by)
            audit.note(connection, change.by, "promote", {...})

The form holds `{{ visitor.form_field() }}`; where `visitor.why_not` is not empty the page shows that and no buttons.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, cast
from urllib.parse import parse_qsl

from fastapi import Depends, HTTPException, Request
from starlette.types import Scope

from monitor.errors import BadInput
from monitor.web.visitors import PROOF, Visitor

LARGEST: Final = 65_536
"""Most bytes of a form or a document that asks for a change."""
_VISITOR: Final = "caldrift.visitor"


@dataclass(frozen=True, slots=True)
class Change:
    """A change that may be made: who asks for it, and the fields of the form or the JSON object, as text."""

    by: str
    fields: Mapping[str, str] = field(default_factory=dict)
    is_program: bool = False

    def text(self, name: str, *, most: int = 2_000) -> str:
        """A field, "" where it is absent. Raises BadInput where it is longer than `most` characters, or no text."""
        found = self.fields.get(name, "").strip()
        if len(found) > most:
            raise BadInput(f"{name}: must be text of at most {most:,} characters, got {len(found):,}", name)
        if "\0" in found or any("\ud800" <= each <= "\udfff" for each in found):
            raise BadInput(f"{name}: must not hold the character U+0000, nor half a surrogate pair", name)
        return found

    def number(self, name: str) -> int:
        """A field that holds a whole number from 0. Raises BadInput for anything else."""
        found = self.text(name)
        if not (found.isascii() and found.isdigit() and len(found) < 19):
            raise BadInput(f"{name}: must be a whole number, got {found[:40]!r}", name)
        return int(found)


def set_visitor(scope: Scope, visitor: Visitor) -> None:
    """Remember who sent the request."""
    scope[_VISITOR] = visitor


def visitor_of(scope: Scope) -> Visitor:
    """Who sent the request, as the guard found it."""
    return cast("Visitor", scope[_VISITOR])


async def changing(request: Request) -> Change:
    """The change that a request asks for. Answers 403 where its sender may not, or the form was not made for it."""
    visitor = visitor_of(request.scope)
    if not visitor.may_change:
        raise HTTPException(403, visitor.why_not)
    fields = await _fields(request)
    if not visitor.is_program and not visitor.has_proof(fields.pop(PROOF, "")):
        raise HTTPException(403, "The form is out of date, or was not made for this browser: load its page again.")
    return Change(visitor.by, fields, visitor.is_program)


Operator = Annotated[Change, Depends(changing)]
"""The parameter of a route that changes something."""


async def _fields(request: Request) -> dict[str, str]:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST:
            raise HTTPException(413, f"At most {LARGEST:,} bytes are taken.")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json":
        return _document(body)
    try:
        given = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        raise BadInput("the body must be a form (application/x-www-form-urlencoded) in UTF-8, or JSON") from None
    return dict(given)


def _document(body: bytes) -> dict[str, str]:
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        raise BadInput("the body must be a JSON object") from None
    if not isinstance(found, dict):
        raise BadInput("the body must be a JSON object")
    return {str(name): value if isinstance(value, str) else json.dumps(value) for name, value in found.items()}

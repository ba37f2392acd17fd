"""Templates: where they are, what every one of them knows, and how a page is made of them."""

from __future__ import annotations

from importlib.metadata import version
from importlib.resources import files
from typing import Final

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.datastructures import URL

from monitor.web.changes import visitor_of
from monitor.web.scales import instant_text
from monitor.web.visitors import Visitor

VERSION: Final = version("caldrift")
NOBODY: Final = Visitor(may_read=False)
"""Who a page is for that says only what failed."""


def environment() -> Environment:
    """The templates. Everything that is not markup is escaped; an unknown name in a template is an error."""
    found = Environment(
        loader=PackageLoader("monitor.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["instant"] = instant_text
    return found


def style() -> Markup:
    """The style sheet, for files that stand alone."""
    text = files("monitor.web").joinpath("static", "caldrift.css").read_text(encoding="utf-8")
    return Markup(text)  # noqa: S704 - our own file


class Layout:
    """Makes pages."""

    def __init__(self, *, refresh_seconds: int) -> None:
        self.refresh_seconds = refresh_seconds
        self.environment = environment()
        self.environment.globals.update(version=VERSION, visitor=NOBODY, refresh_seconds=0, here="", bare=False)

    def page(self, request: Request, template: str, *, refresh: bool | None = None, **values: object) -> HTMLResponse:
        """The page. `refresh` None: it does not renew itself; else whether it does now, with a link to change that.

        Its template knows the `visitor`: who asks, what it may change, and the field that its forms must hold.
        """
        if refresh is not None:
            values["refresh_seconds"] = self.refresh_seconds if refresh else 0
            values["toggle"] = toggled(str(request.url), refresh=refresh)
        return HTMLResponse(
            self.environment.get_template(template).render({"visitor": visitor_of(request.scope), **values})
        )

    def message(self, title: str, text: str, status: int, *, then: str = "", retry_seconds: int = 0) -> HTMLResponse:
        """A page that says what is wrong; it tries again by itself after `retry_seconds`, if that is not 0."""
        content = self.environment.get_template("message.html").render(title=title, text=text, then=then)
        waits = {"Refresh": str(retry_seconds), "Retry-After": str(retry_seconds)} if retry_seconds else {}
        return HTMLResponse(content, status, headers=waits)


def toggled(url: str, *, refresh: bool) -> str:
    """The path and query of the URL with `refresh=off` added, or taken away."""
    found = URL(url)
    found = found.include_query_params(refresh="off") if refresh else found.remove_query_params("refresh")
    return f"{found.path}?{found.query}" if found.query else found.path

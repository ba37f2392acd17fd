"""Slack's mrkdwn as HTML: code, links and bold, which is what caldrift writes. Pure.

Everything else is text: https://docs.slack.dev/messaging/formatting-message-text
"""

import re
from typing import Final

from markupsafe import Markup, escape

_MARKED: Final = re.compile(
    r"`(?P<code>[^`\n]+)`|<(?P<link>https?://[^<>|\s]+)\|(?P<label>[^<>\n]*)>|(?<![\w*])\*(?P<bold>[^*\n]+)\*(?![\w*])"
)


def html(text: str) -> Markup:
    """The text as Slack shows it; nothing of it is taken for HTML."""
    found, end = Markup(""), 0
    for match in _MARKED.finditer(text):
        found += _shown(text[end : match.start()])
        if match["code"] is not None:
            found += Markup("<code>{}</code>").format(_shown(match["code"]))
        elif match["link"] is not None:
            found += Markup('<a href="{}" rel="noreferrer">{}</a>').format(_shown(match["link"]), html(match["label"]))
        else:
            found += Markup("<b>{}</b>").format(html(match["bold"]))
        end = match.end()
    return found + _shown(text[end:])


def _shown(text: str) -> Markup:
    """Text without marks; Slack's three entities are the signs that they stand for."""
    return escape(text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))

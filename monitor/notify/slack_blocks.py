"""A notice as Slack shows it: the root message and the line in its thread, within Block Kit's limits. Pure.

Limits: https://docs.slack.dev/reference/block-kit/blocks and chat.postMessage. Beyond what is documented, Slack refuses
messages whose blocks hold some 13,200 characters together (`msg_blocks_too_long`, bolt-js issue 2509).
"""

from typing import Any, Final, TypeAlias

from monitor.alerting.notice import Alert, Change, Notice
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

Message: TypeAlias = dict[str, Any]

HEADER: Final = 150
SECTION: Final = 3000
BLOCKS: Final = 50
ALL_BLOCKS: Final = 12_000
FALLBACK: Final = 1000
"""Of `text`, which notifications show. chat.update refuses more than 4,000."""
LINK: Final = 1000
_NAME: Final = 300
_SENTENCE: Final = 2000
_EARLIER: Final = 5
_LINE: Final = 600

_MARKS: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_BRACKETS: Final = str.maketrans("<>", "\u2039\u203a")


def escape(text: str) -> str:
    """Text in which Slack finds no link, mention or entity."""
    return "".join(_MARKS.get(c, c) for c in text)


def render(notice: Notice) -> dict[str, Message]:
    """`root`, the incident as it stands now, and `thread`, what has just happened to it, for the root's thread.

    The root of a change may be months old: what follows in its thread is shown in the channel too, with `broadcast`.
    """
    if notice.change is not None:
        return _news(notice, notice.change)
    return {"root": _root(notice), "thread": _thread(notice)}


def _root(notice: Notice) -> Message:
    head = [_header(headline(notice)), _section(_lead(notice))]
    tail = [_context(f"caldrift · {moment(notice.at)}")]
    budget = ALL_BLOCKS - sum(width(block["text"]["text"]) for block in head) - LINK - _NAME
    shown = fitting([_alert(alert) for alert in notice.alerts[: notice.shown]], budget, width)
    left = and_more(notice, len(shown))
    more = [_section(_linked(f"and {left:,} more", notice.link, LINK))] if left > 0 else []
    return _message(_fallback(notice), [*head, *map(_section, shown), *more, *tail])


def _thread(notice: Notice) -> Message:
    lead = f"*{cut(headline(notice), _NAME, escape)}*\n{tally(notice)}"
    latest = [_section(_alert(alert)) for alert in notice.alerts[:3]]
    return _message(_fallback(notice), [_section(lead), *latest])


def _news(notice: Notice, change: Change) -> dict[str, Message]:
    """Links instead of buttons: Slack takes a click on a button to an app, and complains where none answers."""
    sentence = cut(change.sentence, _SENTENCE, escape)
    facts = [f"*{cut(name, 100, escape) or '?'}*\n{cut(value, _NAME, escape)}" for name, value in change.facts]
    pages = (("open the page", notice.link), ("report", change.report))
    links = [_linked(text, link, LINK) for text, link in pages if web_link(link)]
    earlier = [cut(dated(each), _NAME, escape) for each in notice.changes[1 : 1 + _EARLIER]]
    left = len(notice.earlier) - len(earlier)
    lines = [*([f"... and {left:,} before"] if left > 0 else []), *reversed(earlier)]
    body = [
        *([_fields(facts)] if facts else []),
        *([_section("*Before it:*\n" + "\n".join(lines))] if lines else []),
        *([_section(" · ".join(links))] if links else []),
        _context(cut(f"by {change.by} · caldrift · {moment(notice.at)}".translate(_BRACKETS), _LINE)),
    ]
    lead = [_section(sentence)] if sentence else []
    first = _section("\n".join(part for part in (f"*{cut(headline(notice), _NAME, escape)}*", sentence) if part))
    text = f"{headline(notice)} · {change.sentence}"
    return {
        "root": _message(text, [_header(headline(notice)), *lead, *body]),
        "thread": {**_message(text, [first, *body]), "broadcast": change.what != "kept"},
    }


def _fallback(notice: Notice) -> str:
    return f"{headline(notice)} · {tally(notice)}"


def _message(text: str, blocks: list[Message]) -> Message:
    return {"text": cut(text, FALLBACK, escape), "blocks": blocks}


def _lead(notice: Notice) -> str:
    parts = [f"*{tally(notice)}*", _code(named(notice.group), _LINE) if notice.group else ""]
    if web_link(notice.link):
        parts.append(_linked("open the page", notice.link, LINK))
    return " · ".join(part for part in parts if part)


def _alert(alert: Alert) -> str:
    """At most SECTION wide: two names, two links, three lines."""
    rule = f"*{_linked(cut(alert.rule, 100, escape) or 'alert', alert.link, LINK)}*"
    runbook = f" · {_linked('runbook', alert.runbook, _NAME)}" if alert.runbook else ""
    lines = (
        f"{rule} · {alert.severity} · {_code(series_name(alert.series), _NAME)}",
        cut(standing(alert), _NAME, escape) + runbook,
        cut(figures(alert.evidence), _NAME, escape) if alert.evidence else "",
        cut(alert.summary, _LINE, escape),
    )
    return "\n".join(line for line in lines if line)


def _linked(text: str, link: str | None, limit: int) -> str:
    """`text`, written for Slack already, as a link if that one is for the web and not too long once written."""
    address = escape(web_link(link) or "")
    return f"<{address}|{text}>" if 0 < len(address) <= limit else text


def _code(text: str, limit: int) -> str:
    """Text that is shown as it is, asterisks and colons included. A backtick would end it, and becomes another sign."""
    return f"`{cut(text, limit, lambda c: escape(c).replace('`', 'ˋ')) or '(no name)'}`"


def _header(text: str) -> Message:
    """Plain text; Slack finds no control sequence in it, and brackets that look like one are shown as other signs."""
    return {
        "type": "header",
        "text": {"type": "plain_text", "text": cut(text.translate(_BRACKETS), HEADER), "emoji": False},
    }


def _section(text: str) -> Message:
    # Verbatim: bare links, channel names and mentions in the text stay text.
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def _fields(texts: list[str]) -> Message:
    return {"type": "section", "fields": [{"type": "mrkdwn", "text": text, "verbatim": True} for text in texts]}


def _context(text: str) -> Message:
    return {"type": "context", "elements": [{"type": "plain_text", "text": text, "emoji": False}]}

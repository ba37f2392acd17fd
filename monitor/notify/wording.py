"""The words that channels share: safe text, lengths, figures and titles of a notice. Pure."""

import unicodedata
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar
from urllib.parse import quote, urlsplit

from monitor.alerting.notice import Alert, Dated, Evidence, Kind, Notice, Series, Unit

LINK_LENGTH: Final = 2000
_ELLIPSIS: Final = "…"
_REORDERING: Final = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNSAFE_KINDS: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})

_KIND_WORDS: Final[dict[Kind, str]] = {
    "fired": "FIRING",
    "changed": "CHANGED",
    "reminder": "STILL FIRING",
    "resolved": "RESOLVED",
    "digest": "LATE DIGEST",
    "test": "TEST",
    "change": "RECALIBRATION",
}

Item = TypeVar("Item")


def plain(text: str) -> str:
    """One line of text that cannot steer what shows it: control characters, lone surrogates and marks that reorder text
    are replaced, and every run of white space is one space.
    """
    return _visible(" ".join(text.split()))


def _visible(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if c in _REORDERING or unicodedata.category(c) in _UNSAFE_KINDS else c for c in text
    )


def width(text: str) -> int:
    """Length in UTF-16 units, never less than in characters: receivers do not say which of the two they count."""
    return len(text) if text.isascii() else len(text) + sum(c > "\uffff" for c in text)


def cut(text: str, limit: int, written: Callable[[str], str] = str) -> str:
    """Safe text that as `written` (escaped, say) is at most `limit` wide; an ellipsis stands for what was left out.

    Escaping must be done after cutting, or half of an escape could be left; `written` must work character by character
    and drop none.
    """
    safe = _visible(" ".join(text.split())[: limit + 1])  # one more than fits, however long the text is
    whole = written(safe)
    if width(whole) <= limit:
        return whole
    used = end = 0
    for character in safe:
        used += width(written(character))
        if used > limit - width(_ELLIPSIS):
            break
        end += 1
    return written(safe[:end]) + _ELLIPSIS


def fitting(items: Iterable[Item], budget: int, cost: Callable[[Item], int]) -> list[Item]:
    """The first items, as many as together cost no more than the budget."""
    found: list[Item] = []
    for item in items:
        budget -= cost(item)
        if budget < 0:
            break
        found.append(item)
    return found


def and_more(notice: Notice, shown: int) -> int:
    """How many alerts of the incident are not among the `shown`."""
    return max(notice.counts.firing + notice.counts.resolved, len(notice.alerts)) - shown


def web_link(link: str | None) -> str | None:
    """The link, percent-encoded where a URL must be, or None if it does not lead to the web or is too long."""
    if link is None:
        return None
    try:
        parts = urlsplit(link)
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        return None
    safe = quote(link.encode("utf-8", "replace"), safe="%/:?#[]@!$&()*+,;=~")
    return safe if len(safe) <= LINK_LENGTH else None


def headline(notice: Notice) -> str:
    """The notice in one line: what happened, how bad it is, to what."""
    severity = "" if notice.kind in {"test", "digest", "change"} else f" · {notice.severity}"
    return f"{_KIND_WORDS[notice.kind]}{severity} · {notice.incident.title}"


def dated(change: Dated) -> str:
    """A change that is told beside another one of the same signal: `2026-11-22 10:00 UTC · map 4 in force: ...`."""
    sentence = f": {change.change.sentence}" if change.change.sentence else ""
    return f"{moment(change.at)} · {change.change.happened}{sentence}"


def tally(notice: Notice) -> str:
    """How many alerts fire and how many have resolved."""
    counts = notice.counts
    firing = f"{counts.firing:,} firing" if counts.firing or not counts.resolved else ""
    return ", ".join(part for part in (firing, f"{counts.resolved:,} resolved" if counts.resolved else "") if part)


def series_name(series: Series) -> str:
    """`model / signal / segment / source / window`, without what is empty: the whole model has no segment."""
    parts = (series.model, series.signal, series.segment, series.source, series.window)
    return " / ".join(part for part in parts if part)


def figures(evidence: Evidence) -> str:
    """Never a bare number: estimate, interval, labels, limit, window and moment, in one line."""
    unit = evidence.unit
    interval = (
        f" ({figure(evidence.interval[0], unit)} to {figure(evidence.interval[1], unit)})" if evidence.interval else ""
    )
    limit = "" if evidence.limit is None else f", limit {figure(evidence.limit, unit)}"
    window = "" if evidence.window is None else f", window {duration(evidence.window)}"
    return (
        f"{evidence.measure} {figure(evidence.estimate, unit)}{interval}, n {evidence.n:,}{limit}{window}, "
        f"as of {moment(evidence.as_of)}"
    )


def moment(at: datetime) -> str:
    """`2026-11-22 10:00 UTC`."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def figure(value: float, unit: Unit) -> str:
    """A value as people write it in its unit."""
    match unit:
        case "ratio":
            return f"{value:.3f}"
        case "count":
            return f"{value:,.0f}"
        case "seconds":
            return duration(timedelta(seconds=max(-1e12, min(value, 1e12))))


def duration(span: timedelta) -> str:
    """`7 d`, `36 h`, `1.5 h`, `90 s`: in the largest unit that it holds twice, or once and exactly."""
    seconds = span.total_seconds()
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if abs(seconds) >= 2 * length or abs(seconds) == length:
            return f"{seconds / length:.4g} {unit}"
    return f"{seconds:.4g} s"


def named(pairs: Iterable[tuple[str, str]]) -> str:
    """`rule=EceHigh, model=triage`."""
    return ", ".join(f"{name}={value}" for name, value in pairs)


def standing(alert: Alert) -> str:
    """Where the alert stands: its state, since when, and what else there is to say."""
    when = alert.ended_at or alert.started_at
    word = "at" if alert.ended_at else "since"
    remark = f" ({alert.remark})" if alert.remark else ""
    return f"{alert.state}{remark} {word} {moment(when)}"

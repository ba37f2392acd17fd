"""How a channel does, in words. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from monitor.postgres.delivery_log import ChannelRow
from monitor.web.scales import duration_text, instant_text, plain
from monitor.web.sentences import plural


@dataclass(frozen=True, slots=True)
class ChannelView:
    """One channel: its state, and what waits."""

    name: str
    state: str
    words: str
    waiting: str
    error: str


def channel_view(channel: ChannelRow) -> ChannelView:
    """The view of one channel."""
    told = "nothing told yet" if channel.told_at is None else f"last told {instant_text(channel.told_at)}"
    match channel.state:
        case "open":
            words = told
        case "closed":
            trial = "" if channel.closed_until is None else f", next trial {instant_text(channel.closed_until)}"
            words = f"{plural(channel.failures, 'failure')} in a row{trial}; {told}"
        case "refused":
            since = "" if channel.refused_at is None else f" since {instant_text(channel.refused_at)}"
            words = f"refuses everything{since}; {told}"
    oldest = channel.oldest_seconds
    waits = "" if oldest is None else f", the oldest for {duration_text(timedelta(seconds=oldest))}"
    dead = f"; {plain(channel.dead)} given up" if channel.dead else ""
    return ChannelView(
        channel.name, channel.state, words, f"{plain(channel.waiting)} waiting{waits}{dead}", channel.error or ""
    )

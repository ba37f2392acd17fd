"""Slack: one root message an incident, kept current, its changes in the thread; or a message each by a webhook."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.request import Request

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from monitor.notify.exchange import Answer, Transport, post
from monitor.notify.outcome import Dead, Delivered, Outcome, Retry
from monitor.notify.slack_words import KNOWN, ROOT_IS_GONE, judged, word_of

_QUIET: Final = logging.getLogger("caldrift.slack_sdk")
_QUIET.setLevel(logging.CRITICAL)  # the client writes whole messages, and what answers it, to its log


@dataclass(frozen=True, slots=True)
class SlackBot:
    """A bot's token and the channel it posts to, by id: a name changes, and chat.update takes none."""

    token: str = field(repr=False)
    channel: str
    base_url: str = WebClient.BASE_URL


@dataclass(frozen=True, slots=True)
class SlackHook:
    """An incoming webhook. Its URL is its secret."""

    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG and what it shows, in words."""

    png: bytes = field(repr=False)
    title: str
    described: str


class _NotToldError(SlackClientError):
    """Carries an outcome through slack-sdk."""

    def __init__(self, outcome: Retry | Dead) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


class _Client(WebClient):
    """Slack's client over our transport. Its own follows redirects and takes the token along."""

    def __init__(self, bot: SlackBot, transport: Transport, now: datetime) -> None:
        super().__init__(bot.token, base_url=bot.base_url, logger=_QUIET, retry_handlers=[])
        self._transport, self._now = transport, now

    def _perform_urllib_http_request_internal(self, url: str, req: Request) -> dict[str, Any]:
        body = req.data if isinstance(req.data, bytes) else b""
        found = self.posted(url, body, {name: str(value) for name, value in req.headers.items()})
        if _object(found.text) is None:
            raise _NotToldError(judged(None, found.status, found.headers, self._now))
        return {"status": found.status, "headers": found.headers, "body": found.text}

    def posted(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Raises _NotToldError without an answer."""
        found = post(self._transport, url, body, headers)
        if isinstance(found, Answer):
            return found
        raise _NotToldError(found)


def send(
    bot: SlackBot,
    message: Mapping[str, Any],
    now: datetime,
    *,
    reference: str | None = None,
    picture: Picture | None = None,
    transport: Transport = Transport(),  # noqa: B008 - a frozen value
) -> Outcome:
    """Tell what `slack_blocks.render` wrote. With the incident's `reference` the root is made current and the change
    goes into its thread; without one, or if the root is gone, a new root is posted.

    The picture follows in the thread; if it fails, the notice is delivered all the same, and says so. At most six
    requests, each within the transport's timeout.
    """
    client = _Client(bot, transport, now)
    try:
        found = _follow_up(client, message, reference) if reference else None
        channel, ts = found or _posted(client, bot.channel, message["root"])
    except SlackClientError as failure:
        return _failed(failure, now)
    flaw = _upload(client, channel, ts, picture, now) if picture else None
    return Delivered(f"{channel}/{ts}", flaw)


def send_by_hook(
    hook: SlackHook,
    message: Mapping[str, Any],
    now: datetime,
    transport: Transport = Transport(),  # noqa: B008
) -> Outcome:
    """Tell it by an incoming webhook: a message of its own each time, since nothing can be changed later."""
    body = json.dumps({**message["root"], "unfurl_links": False, "unfurl_media": False}).encode()
    found = post(transport, hook.url, body, {"Content-Type": "application/json"})
    if not isinstance(found, Answer):
        return found
    text = found.text.strip()
    if found.status == 200 and text == "ok":
        return Delivered()
    return judged(
        text if text in KNOWN else word_of((_object(text) or {}).get("error")), found.status, found.headers, now
    )


def _posted(client: _Client, channel: str, content: Mapping[str, Any], thread: str | None = None) -> tuple[str, str]:
    answer = client.chat_postMessage(
        channel=channel,
        text=content["text"],
        blocks=content["blocks"],
        thread_ts=thread,
        reply_broadcast=content.get("broadcast") or None,
        parse="none",
        link_names=False,
        unfurl_links=False,
        unfurl_media=False,
    )
    return str(answer.get("channel") or channel), str(answer.get("ts"))


def _follow_up(client: _Client, message: Mapping[str, Any], reference: str) -> tuple[str, str] | None:
    """Root first: to change it twice is harmless, and a reply that fails brings us back here."""
    channel, _, ts = reference.partition("/")
    root, change = message["root"], message["thread"]
    try:
        client.chat_update(
            channel=channel, ts=ts, text=root["text"], blocks=root["blocks"], parse="none", link_names=False
        )
        _posted(client, channel, change, thread=ts)
    except SlackApiError as failure:
        if _word(failure) in ROOT_IS_GONE:
            return None
        raise
    return channel, ts


def _upload(client: _Client, channel: str, ts: str, picture: Picture, now: datetime) -> str | None:
    """What went wrong with the picture, if anything did. The three steps of slack-sdk's files_upload_v2."""
    try:
        place = client.files_getUploadURLExternal(
            filename="reliability.png", length=len(picture.png), alt_txt=picture.described
        )
        taken = client.posted(str(place.get("upload_url")), picture.png, {"Content-Type": "image/png"})
        if taken.status != 200:
            return f"without the picture: HTTP {taken.status}"
        client.files_completeUploadExternal(
            files=[{"id": str(place.get("file_id")), "title": picture.title}], channel_id=channel, thread_ts=ts
        )
    except SlackClientError as failure:
        return f"without the picture: {_failed(failure, now).reason}"
    return None


def _failed(failure: SlackClientError, now: datetime) -> Retry | Dead:
    if isinstance(failure, _NotToldError):
        return failure.outcome
    if isinstance(failure, SlackApiError):
        response = failure.response
        return judged(_word(failure), response.status_code, response.headers, now)
    return Retry(None, f"Slack's client failed ({type(failure).__name__})")


def _word(failure: SlackApiError) -> str | None:
    found = failure.response.data
    return word_of(found.get("error")) if isinstance(found, dict) else None


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None

"""A stand-in for Slack: one workspace with one channel and one bot, and the methods that a bot's messages take.

Answers as https://docs.slack.dev/reference/methods says: status 200, and in `error` the word for what is wrong.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

CHANNEL: Final = "C0CALDRIFT"
BLOCKS: Final = 50
KEPT: Final = 100
"""Root messages; Slack keeps more, a demonstration that runs for days need not."""

Answer = dict[str, Any]


class Refusal(Exception):  # noqa: N818 - Slack's answer, and no error of ours
    """Slack's word for why it does not do what it was asked."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A file that was uploaded."""

    id: str
    png: bytes = field(repr=False)
    title: str
    described: str


@dataclass(slots=True)
class Message:
    """A message of the bot: blocks, or a picture; only one outside a thread has replies.

    `broadcast`: a reply that is shown in the channel too.
    """

    ts: str
    at: datetime
    text: str
    blocks: list[dict[str, Any]]
    edited_at: datetime | None = None
    picture: Picture | None = None
    replies: list["Message"] = field(default_factory=list)
    broadcast: bool = False


@dataclass(slots=True)
class Workspace:
    """What Slack holds. `upload` is the URL below which it takes files."""

    token: str = field(repr=False)
    upload: str
    messages: dict[str, Message] = field(default_factory=dict)
    """Root messages by their `ts`, the oldest first."""
    pictures: dict[str, Picture] = field(default_factory=dict)
    _count: int = 0

    def call(self, method: str, asked: Mapping[str, Any], authorization: str, now: datetime) -> Answer:
        """The answer to a method of the Web API."""
        known = _METHODS.get(method)
        if authorization != f"Bearer {self.token}":
            return _refused("invalid_auth" if authorization else "not_authed")
        if known is None:
            return _refused("unknown_method")
        try:
            return {"ok": True, **known(self, asked, now)}
        except Refusal as refusal:
            return _refused(str(refusal))

    def put_file(self, name: str, content: bytes) -> bool:
        """Take the bytes of a file whose upload was announced; returns whether it was."""
        known = self.pictures.get(name)
        if known is None:
            return False
        self.pictures[name] = Picture(name, content, known.title, known.described)
        return True

    def _post(self, asked: Mapping[str, Any], now: datetime) -> Answer:
        """chat.postMessage."""
        self._check_channel(asked.get("channel"))
        message = Message(self._ts(now), now, str(asked.get("text", "")), _blocks(asked))
        thread = asked.get("thread_ts")
        if thread is None:
            self.messages[message.ts] = message
            self._forget()
        else:
            message.broadcast = asked.get("reply_broadcast") in {True, "true", "1"}
            self._root(thread, "thread_not_found").replies.append(message)
        return {"channel": CHANNEL, "ts": message.ts, "message": {"text": message.text}}

    def _update(self, asked: Mapping[str, Any], now: datetime) -> Answer:
        """chat.update."""
        self._check_channel(asked.get("channel"))
        message = self._root(asked.get("ts"), "message_not_found")
        message.text, message.blocks, message.edited_at = str(asked.get("text", "")), _blocks(asked), now
        return {"channel": CHANNEL, "ts": message.ts, "text": message.text}

    def _announce_file(self, asked: Mapping[str, Any], _now: datetime) -> Answer:
        """files.getUploadURLExternal."""
        if not asked.get("filename") or not str(asked.get("length", "")).isdecimal():
            raise Refusal("invalid_arguments")
        name = f"F{self._next():08}"
        self.pictures[name] = Picture(name, b"", str(asked["filename"]), str(asked.get("alt_txt", "")))
        return {"upload_url": f"{self.upload}/{name}", "file_id": name}

    def _share_file(self, asked: Mapping[str, Any], now: datetime) -> Answer:
        """files.completeUploadExternal."""
        self._check_channel(asked.get("channel_id"))
        root = self._root(asked.get("thread_ts"), "thread_not_found")
        files = _decoded(asked.get("files"))
        for one in files:
            known = self.pictures.get(str(one.get("id")))
            if known is None or not known.png:
                raise Refusal("file_not_found")
            shown = Picture(known.id, known.png, str(one.get("title") or known.title), known.described)
            self.pictures[known.id] = shown
            root.replies.append(Message(self._ts(now), now, shown.title, [], picture=shown))
        return {"files": [{"id": one["id"], "title": one.get("title", "")} for one in files]}

    def _check_channel(self, channel: object) -> None:
        if channel != CHANNEL:
            raise Refusal("channel_not_found")

    def _root(self, ts: object, word: str) -> Message:
        if not isinstance(ts, str) or ts not in self.messages:
            raise Refusal(word)
        return self.messages[ts]

    def _forget(self) -> None:
        """Let the oldest messages go, with their pictures."""
        while len(self.messages) > KEPT:
            gone = self.messages.pop(next(iter(self.messages)))
            for reply in gone.replies:
                if reply.picture is not None:
                    self.pictures.pop(reply.picture.id, None)

    def _ts(self, now: datetime) -> str:
        return f"{int(now.timestamp())}.{self._next():06}"

    def _next(self) -> int:
        self._count += 1
        return self._count


def _refused(word: str) -> Answer:
    return {"ok": False, "error": word}


def _blocks(asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    blocks = _decoded(asked.get("blocks"))
    if not blocks and not asked.get("text"):
        raise Refusal("no_text")
    if len(blocks) > BLOCKS:
        raise Refusal("invalid_blocks")
    return blocks


def _decoded(value: object) -> list[dict[str, Any]]:
    """A list of objects, which a form holds as JSON."""
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        raise Refusal("invalid_arguments") from None
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise Refusal("invalid_arguments")
    return found


_METHODS: Final[Mapping[str, Callable[[Workspace, Mapping[str, Any], datetime], Answer]]] = {
    "chat.postMessage": Workspace._post,
    "chat.update": Workspace._update,
    "files.getUploadURLExternal": Workspace._announce_file,
    "files.completeUploadExternal": Workspace._share_file,
}

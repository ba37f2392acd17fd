"""Slack on loopback: its methods, words and limits as documented, and the messages that it holds."""

import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from tests.notify.receivers import Reply, Seen

TOKEN = "xoxb-1234-secret-token"
CHANNEL = "C0123456789"
_SEQUENCE = re.compile(r"<([^<>]*)>")


def mistakes(message: dict[str, Any]) -> list[str]:
    """What Slack would refuse or misread in a message: limits of Block Kit, and control sequences that are no link."""
    blocks, found = message["blocks"], []
    if len(blocks) > 50 or not blocks:
        found.append(f"{len(blocks)} blocks")
    if not 0 < len(message["text"]) <= 4000 or _unsafe(message["text"]):
        found.append("text")
    texts = [text for block in blocks for text in _texts(block)]
    if sum(_units(text["text"]) for text in texts) > 13_000:
        found.append("msg_blocks_too_long")
    for block in blocks:
        limit = {"header": 150, "section": 3000, "context": 3000}[block["type"]]
        limit = 2000 if "fields" in block else limit
        if not 1 <= len(_texts(block)) <= 10:
            found.append(f"{len(_texts(block))} texts in a {block['type']}")
        for text in _texts(block):
            if not 0 < _units(text["text"]) <= limit:
                found.append(f"{block['type']} of {_units(text['text'])}")
            if text["type"] == "mrkdwn" and (_unsafe(text["text"]) or text.get("verbatim") is not True):
                found.append(f"unsafe {text['text']!r}")
            if text["type"] == "plain_text" and ("<" in text["text"] or ">" in text["text"]):
                found.append(f"unsafe {text['text']!r}")
    return found


def _texts(block: dict[str, Any]) -> list[dict[str, Any]]:
    texts = [block["text"]] if "text" in block else []
    return [*texts, *block.get("fields", []), *block.get("elements", [])]


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _unsafe(text: str) -> bool:
    """Anything in angle brackets but a link to our own pages, a bare & or bracket, a control character."""
    for inside in _SEQUENCE.findall(text):
        address, bar, shown = inside.partition("|")
        if not re.fullmatch(r"https?://[^\s|`\x00-\x1f]+", address) or not bar or not shown:
            return True
    rest = _SEQUENCE.sub("", text)
    return bool(
        re.search(r"[<>]|&(?!amp;|lt;|gt;)", rest) or re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]", text)
    )


@dataclass
class Slack:
    """One workspace with one channel and one bot."""

    url: str = ""
    messages: dict[str, dict[str, Any]] = field(default_factory=dict)
    threads: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    shared: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, seen: Seen) -> Reply:
        if seen.path.startswith("/upload/"):
            self.files[seen.path.removeprefix("/upload/")] = seen.body
            return Reply(200, b"OK - 10")
        if seen.headers.get("authorization") != f"Bearer {TOKEN}":
            return _answer({"ok": False, "error": "invalid_auth"})
        is_json = seen.headers["content-type"].startswith("application/json")
        asked = json.loads(seen.body) if is_json else {k: v[0] for k, v in parse_qs(seen.body.decode()).items()}
        method = getattr(self, "_" + seen.path.rpartition("/")[2].replace(".", "_"))
        return _answer(method(asked))

    def _chat_postMessage(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - Slack's name
        if asked["channel"] != CHANNEL:
            return {"ok": False, "error": "channel_not_found"}
        if mistakes(asked):
            return {"ok": False, "error": "invalid_blocks"}
        thread = asked.get("thread_ts")
        if thread is not None and thread not in self.messages:
            return {"ok": False, "error": "thread_not_found"}
        ts = f"1700000000.{len(self.messages) + sum(map(len, self.threads.values())) + 1:06}"
        if thread is None:
            self.messages[ts] = asked
        else:
            self.threads.setdefault(thread, []).append(asked)
        return {"ok": True, "channel": CHANNEL, "ts": ts, "message": {"text": asked["text"]}}

    def _chat_update(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["channel"] != CHANNEL:
            return {"ok": False, "error": "channel_not_found"}
        if asked["ts"] not in self.messages:
            return {"ok": False, "error": "message_not_found"}
        if mistakes(asked):
            return {"ok": False, "error": "invalid_blocks"}
        self.messages[asked["ts"]] = asked
        return {"ok": True, "channel": CHANNEL, "ts": asked["ts"], "text": asked["text"]}

    def _files_getUploadURLExternal(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - Slack's name
        if not asked.get("filename") or int(asked["length"]) < 1:
            return {"ok": False, "error": "invalid_arguments"}
        return {"ok": True, "upload_url": f"{self.url}/upload/F1", "file_id": "F1"}

    def _files_completeUploadExternal(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - Slack's name
        files = asked["files"] if isinstance(asked["files"], list) else json.loads(asked["files"])
        if any(one["id"] not in self.files for one in files):
            return {"ok": False, "error": "file_not_found"}
        self.shared.append({**asked, "files": files})
        return {"ok": True, "files": [{"id": one["id"], "title": one["title"]} for one in files]}


def _answer(content: dict[str, Any]) -> Reply:
    return Reply(200, json.dumps(content).encode(), {"Content-Type": "application/json; charset=utf-8"})

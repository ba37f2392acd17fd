"""What each channel is sent for each kind of notice, byte for byte; CALDRIFT_GOLDEN=write writes the files anew."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monitor.alerting.notice import Notice
from monitor.notify import alertmanager, mail, pagerduty, slack_blocks, webhook
from tests.notify.samples import NOTICES

GOLDEN = Path(__file__).parent / "golden"
CHANNELS: dict[str, Callable[[Notice], Any]] = {
    "slack": slack_blocks.render,
    "pagerduty": lambda notice: pagerduty.render(notice, "caldrift.example"),
    "webhook": lambda notice: webhook.render(notice, "hook", "https://caldrift.example"),
    "alertmanager": alertmanager.render,
    "mail": mail.render,
}
KINDS = (
    "fired", "changed", "reminder", "resolved", "digest", "test", "hostile", "change", "changes", "hostile-change"
)  # fmt: skip


def _is_golden(name: str, rendered: Any) -> None:
    written = json.dumps(rendered, ensure_ascii=False, indent=1) + "\n"
    path = GOLDEN / f"{name}.json"
    if os.environ.get("CALDRIFT_GOLDEN") == "write":
        path.write_text(written, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == written


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channel", CHANNELS)
def test_each_channel_is_sent_what_its_golden_file_says(channel: str, kind: str) -> None:
    _is_golden(f"{channel}-{kind}", CHANNELS[channel](NOTICES[kind]))


def test_no_golden_file_is_left_over() -> None:
    expected = {f"{channel}-{kind}.json" for channel in CHANNELS for kind in KINDS}
    assert {path.name for path in GOLDEN.iterdir()} == expected

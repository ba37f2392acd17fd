"""Secrets are read where the rules say, and what is wrong with one is said without saying it."""

from pathlib import Path

import pytest
from pydantic import TypeAdapter

from monitor.alerting.channels import Channel
from monitor.errors import BadSettings
from monitor.notify.channel import Secrets
from monitor.workers.outlets import outlets_of
from monitor.workers.secrets import place_of
from tests.workers.delivering import rules_with

CHANNELS: dict[str, tuple[dict[str, object], Secrets]] = {
    "slack": ({"kind": "slack", "token_env": "ONE", "channel": "C1"}, Secrets("hush-1")),
    "slack webhook": ({"kind": "slack_webhook", "url_env": "ONE"}, Secrets("hush-1")),
    "pagerduty": ({"kind": "pagerduty", "routing_key_env": "ONE"}, Secrets("hush-1")),
    "webhook": (
        {"kind": "webhook", "url_env": "ONE", "hmac_secret_env": "TWO"},
        Secrets("hush-1", "hush-2"),
    ),
    "plain webhook": ({"kind": "webhook", "url": "http://hook.example"}, Secrets("http://hook.example")),
    "mail": (
        {"kind": "email", "host": "mail.example", "from": "a@b.example", "to": ["c@d.example"], "password_env": "TWO"},
        Secrets("hush-2"),
    ),
    "open mail": (
        {"kind": "email", "host": "mail.example", "from": "a@b.example", "to": ["c@d.example"]},
        Secrets(),
    ),
    "alertmanager": ({"kind": "alertmanager", "urls": ["http://am.example"]}, Secrets()),
}


def channel(settings: dict[str, object]) -> Channel:
    found: Channel = TypeAdapter(Channel).validate_python(settings)
    return found


@pytest.mark.parametrize("name", CHANNELS)
def test_a_channel_gets_its_secrets_from_the_variables_that_it_names(name: str) -> None:
    settings, expected = CHANNELS[name]
    place = place_of("x", channel(settings), {"ONE": " hush-1\n", "TWO": "hush-2"})
    assert place.secrets == expected
    assert "hush-1" not in repr(place)
    assert "hush-2" not in repr(place)


def test_a_file_may_hold_the_secret_and_a_line_end(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("xoxb-1\n")
    found = place_of("x", channel({"kind": "slack", "token_file": str(secret), "channel": "C1"}), {})
    assert found.secrets == Secrets("xoxb-1")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file or directory"),
        (b" \n", "is empty"),
        (b"hush\xff", "must be text in UTF-8"),
        (b"hush" * 20_000, "is larger than any secret"),
    ],
)
def test_a_file_that_holds_no_secret_is_named_and_not_repeated(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    secret = tmp_path / "token"
    if content is not None:
        secret.write_bytes(content)
    with pytest.raises(BadSettings) as failure:
        place_of("x", channel({"kind": "slack", "token_file": str(secret), "channel": "C1"}), {})
    assert failure.value.mistakes[0].startswith(f"channels.x.token_file: {secret}")
    assert said in failure.value.mistakes[0]
    assert "hush" not in str(failure.value)


def test_a_channel_without_its_secret_keeps_no_other_one_from_working() -> None:
    outlets = outlets_of(rules_with({"a": CHANNELS["slack"][0], "b": CHANNELS["plain webhook"][0]}), {"ONE": ""})
    assert list(outlets.places) == ["b"]
    assert outlets.why_not("b") is None
    said = "channels.a.token_env: the variable ONE is not set, or empty, where caldrift deliver runs"
    assert outlets.why_not("a") == said
    assert outlets.why_not("c") == "there is no such channel in the rules in force"

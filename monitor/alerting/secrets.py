"""Secrets of channels: each is named by exactly one of a variable and a file."""

from collections.abc import Iterator
from typing import Final

from monitor.alerting.mistakes import Finding
from monitor.alerting.nodes import Path
from monitor.alerting.rulefile import RuleFile

_NEEDED: Final = {
    "slack": ("token_env", "token_file"),
    "slack_webhook": ("url_env", "url_file"),
    "pagerduty": ("routing_key_env", "routing_key_file"),
    "webhook": ("url_env", "url_file", "url"),
}
_POSSIBLE: Final = {"webhook": ("hmac_secret_env", "hmac_secret_file"), "email": ("password_env", "password_file")}


def secrets(file: RuleFile) -> Iterator[Finding]:
    """Channels without the secret that they need, and secrets that are named twice."""
    for name, channel in file.channels.items():
        needed, possible = _NEEDED.get(channel.kind, ()), _POSSIBLE.get(channel.kind, ())
        for keys in (needed, possible):
            given = [key for key in keys if getattr(channel, key) is not None]
            if len(given) > 1:
                yield Finding(("channels", name, given[1]), f"must not be given beside {given[0]}", of_key=True)
            if keys is needed and keys and not given:
                said = f"is needed, or another of {', '.join(keys)}"
                # Where the secret itself stands in the file, that has been reported with the way to name it.
                others: list[Path] = [("channels", name, key) for key in (*keys, keys[0].removesuffix("_env"))]
                yield Finding(("channels", name, keys[0]), said, unless=tuple(others))

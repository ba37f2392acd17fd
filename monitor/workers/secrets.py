"""Secrets of channels: read from the environment and from files where the rules say, in the process that tells."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from monitor.alerting.channels import Channel, Email, PagerDuty, Slack, SlackWebhook, Webhook
from monitor.errors import BadSettings
from monitor.notify.channel import Place, Secrets

_LARGEST: Final = 64 * 1024
"""Bytes; a file that is larger is none that holds a secret."""


def place_of(name: str, channel: Channel, environment: Mapping[str, str] | None = None) -> Place:
    """The channel with its secrets. Raises BadSettings that names the variable or file, and never what it holds."""
    variables = os.environ if environment is None else environment

    def read(key: str) -> str | None:
        variable, file = getattr(channel, f"{key}_env"), getattr(channel, f"{key}_file")
        if variable is not None:
            return _of_variable(f"channels.{name}.{key}_env", variable, variables)
        return None if file is None else _of_file(f"channels.{name}.{key}_file", Path(file))

    match channel:
        case Slack():
            secrets = Secrets(read("token"))
        case SlackWebhook():
            secrets = Secrets(read("url"))
        case PagerDuty():
            secrets = Secrets(read("routing_key"))
        case Webhook():
            secrets = Secrets(channel.url or read("url"), read("hmac_secret"))
        case Email():
            secrets = Secrets(read("password"))
        case _:
            secrets = Secrets()
    return Place(name, channel, secrets)


def _of_variable(key: str, variable: str, variables: Mapping[str, str]) -> str:
    found = variables.get(variable, "").strip()
    if not found:
        raise BadSettings([f"{key}: the variable {variable} is not set, or empty, where caldrift deliver runs"])
    return found


def _of_file(key: str, file: Path) -> str:
    try:
        with file.open("rb") as opened:
            content = opened.read(_LARGEST + 1)
    except OSError as failure:
        raise BadSettings([f"{key}: {file} cannot be read: {failure.strerror}"]) from None
    if len(content) > _LARGEST:
        raise BadSettings([f"{key}: {file} is larger than any secret"])
    try:
        found = content.decode().strip()
    except UnicodeDecodeError:
        raise BadSettings([f"{key}: {file} must be text in UTF-8"]) from None
    if not found:
        raise BadSettings([f"{key}: {file} is empty"])
    return found

"""Versioned JSON: what is stored says of which version it is, and another version is refused before it is read."""

from typing import TypeVar

import msgspec

from monitor.errors import Refused


class Versioned(msgspec.Struct, frozen=True):
    """The envelope of something stored."""

    version: int


Envelope = TypeVar("Envelope", bound=Versioned)


def opened(stored: bytes | str, kind: type[Envelope], version: int, name: str) -> Envelope:
    """The envelope of its JSON. Raises Refused for another version, or for what is not a stored `name` at all."""
    try:
        found = msgspec.json.decode(stored, type=Versioned).version
        if found != version:
            raise Refused(f"a stored {name} must be of version {version}, got {found}: run the caldrift that wrote it")
        return msgspec.json.decode(stored, type=kind)
    except msgspec.MsgspecError as error:
        raise Refused(f"not a stored {name}: {error}") from error

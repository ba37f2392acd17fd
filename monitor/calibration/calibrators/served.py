"""What a server tells its clients about the map in force: one JSON document, and the tag that changes when it does."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Final, Literal

import msgspec

from monitor.calibration.calibrators.artefact import Calibrator, decode, fingerprint_of
from monitor.errors import BadInput, Refused

Stage = Literal["active", "shadow"]
"""Whether the calibrated value is to be acted on, or only to be logged beside the stated one."""

SCHEMA: Final = 1
NO_CALIBRATOR: Final = msgspec.Raw(b"null")


class DeclaredDimension(msgspec.Struct, frozen=True, kw_only=True):
    """A dimension whose value is not what stands under its own name in `segments`: read from `field`, and cut.

    n cuts, ascending, make n + 1 values, one for each of `names`.
    """

    name: str
    field: str
    cuts: tuple[float, ...] = ()
    names: tuple[str, ...] = ()


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """The map in force for one model and signal. Without a calibrator, confidences are taken as stated."""

    schema: int = SCHEMA
    model: str
    signal: str
    version: int | None
    fingerprint: str | None
    stage: Stage
    promoted_at: datetime
    dimensions: tuple[DeclaredDimension, ...] = ()
    calibrator: msgspec.Raw
    """The artefact as it is stored, or NO_CALIBRATOR."""


def encode_served(served: Served) -> bytes:
    """The document, UTF-8."""
    return msgspec.json.encode(served)


def etag_of(number: int, fingerprint: str | None, dimensions: Sequence[DeclaredDimension]) -> str:
    """The strong tag of a document, by all that changes it: the number of the promotion, the artefact, the dimensions.

    Known without the document, which may be large.
    """
    parts = msgspec.json.encode((SCHEMA, fingerprint, dimensions))
    return f'"{number}-{blake2b(parts, digest_size=12).hexdigest()}"'


def decode_served(body: bytes) -> tuple[Served, Calibrator | None]:
    """The document and the artefact in it, both checked.

    Raises BadInput when it is something else or damaged, and Refused when the artefact is of another version.
    """
    try:
        served = msgspec.json.decode(body, type=Served)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"not a map in force: {error}", "calibrator") from error
    if served.schema != SCHEMA:
        raise Refused(f"an answer of schema {served.schema}, but this caldrift reads {SCHEMA}: use a newer client")
    raw = bytes(served.calibrator)
    if raw == bytes(NO_CALIBRATOR):
        return served, None
    calibrator = decode(raw)
    if served.version is None or fingerprint_of(raw) != served.fingerprint:
        raise BadInput("the artefact is not the one that its version and fingerprint name", "calibrator")
    if (calibrator.model, calibrator.signal) != (served.model, served.signal):
        raise BadInput(
            f"the artefact is for {calibrator.model}/{calibrator.signal}, but was served for "
            f"{served.model}/{served.signal}",
            "calibrator",
        )
    return served, calibrator

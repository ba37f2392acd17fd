"""The artefact: the maps of one model and signal with all that is needed to apply, judge and trace them.

It never changes once it is fitted. As JSON any language can apply it, and test itself on its reference table.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Final, Literal

import msgspec

from monitor.calibration.calibrators.curves import NO_FIELDS, Curve, apply, mistake
from monitor.calibration.cells import VERSION
from monitor.errors import BadInput, Refused

FORMAT: Final = 1
TOLERANCE: Final = 1e-9
"""How far another machine's logarithm may move a value of the reference table."""

Method = Literal[
    "temperature",
    "platt",
    "beta",
    "isotonic",
    "histogram",
    "scaling_binning",
    "shrunk_platt",
    "adaptive_temperature",
]


class Scores(msgspec.Struct, frozen=True, gc=False):
    """Log loss (nats) and Brier score before and after, **on the labels of the fit**: they flatter, and only the gate
    judges. Before: the confidences as stated, within the same clip."""

    log_loss_before: float
    log_loss: float
    brier_before: float
    brier: float


class SegmentMap(msgspec.Struct, frozen=True):
    """The map of one segment; that of {} is for every other prediction.

    `labels`: so many it was fitted on (weighted ones as their effective number); `lowest` and `highest`: the range of
    their confidences, clipped, beyond which the map extrapolates.
    """

    segment: dict[str, str]
    method: Method
    curve: Curve
    labels: float
    lowest: float
    highest: float
    scores: Scores


class LeftOut(msgspec.Struct, frozen=True):
    """A segment without a map of its own, and why: the map of {} holds for it."""

    segment: dict[str, str]
    labels: float
    reason: str


class Reference(msgspec.Struct, frozen=True):
    """What a correct program makes of a confidence, to 1e-9."""

    segment: dict[str, str]
    fields: dict[str, float]
    confidence: float
    calibrated: float


class Calibrator(msgspec.Struct, frozen=True, kw_only=True):
    """Maps of one model and signal. `since` and `until` (UTC) bound the predictions whose labels they were fitted on;
    confidences are kept within clip..1-clip before and after a map."""

    format: int = FORMAT
    sketch_version: int = VERSION
    code_version: str
    model: str
    signal: str
    since: datetime
    until: datetime
    clip: float
    maps: tuple[SegmentMap, ...]
    left_out: tuple[LeftOut, ...] = ()
    reference: tuple[Reference, ...] = ()


class _Version(msgspec.Struct, frozen=True):
    format: int
    sketch_version: int = VERSION


POINTS: Final = (0.0, 0.001, 0.1, 0.25, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.99, 0.999, 1.0)


def reference_of(maps: Sequence[SegmentMap], clip: float, fields: Mapping[str, float]) -> tuple[Reference, ...]:
    """A table that shows every method in use once, and the map of everything; `fields` where a map asks for them."""
    shown = {each.method: each for each in maps} | {"": maps[-1]}
    rows = []
    for each in {id(each): each for each in shown.values()}.values():
        for given in (fields, NO_FIELDS) if fields else (NO_FIELDS,):
            rows += [Reference(each.segment, dict(given), c, apply(each.curve, c, clip, given)) for c in POINTS]
    return tuple(rows)


def encode(calibrator: Calibrator) -> bytes:
    """The artefact as JSON, UTF-8; equal artefacts are equal bytes."""
    return msgspec.json.format(msgspec.json.encode(calibrator), indent=1)


def fingerprint(calibrator: Calibrator) -> str:
    """32 hexadecimal digits that no other artefact has: what it is known by."""
    return fingerprint_of(encode(calibrator))


def fingerprint_of(body: bytes | str) -> str:
    """That of an artefact as it is written, however it is indented."""
    text = body.encode() if isinstance(body, str) else body
    return blake2b(msgspec.json.format(text, indent=1), digest_size=16, person=b"caldrift-map").hexdigest()


def decode(body: bytes | str) -> Calibrator:
    """An artefact that `encode` wrote, checked: its curves rise, and its reference table holds.

    Raises Refused for one of another version, with what to do, and BadInput when it is something else or damaged.
    """
    try:
        version = msgspec.json.decode(body, type=_Version)
    except msgspec.MsgspecError as error:
        raise BadInput(f"not a calibrator: {error}", "calibrator") from error
    if (version.format, version.sketch_version) != (FORMAT, VERSION):
        raise Refused(
            f"a calibrator of format {version.format} for sketches of version {version.sketch_version}, but this "
            f"caldrift reads format {FORMAT} and version {VERSION}: use the caldrift that wrote it, or fit it again"
        )
    try:
        calibrator = msgspec.json.decode(body, type=Calibrator)
    except msgspec.MsgspecError as error:
        raise BadInput(f"not a calibrator: {error}", "calibrator") from error
    return _checked(calibrator)


def _checked(calibrator: Calibrator) -> Calibrator:
    if not 0 < calibrator.clip < 0.5:
        raise BadInput(f"the clip of a calibrator must lie between 0 and 0.5, got {calibrator.clip}", "calibrator")
    if not calibrator.maps or calibrator.maps[-1].segment:
        raise BadInput("the last map of a calibrator must be that of everything, {}", "calibrator")
    curves = {tuple(sorted(each.segment.items())): each.curve for each in calibrator.maps}
    for segment, curve in curves.items():
        if wrong := mistake(curve):
            raise BadInput(f"the map of {dict(segment)}: {wrong}", "calibrator")
    for row in calibrator.reference:
        of_row = curves.get(tuple(sorted(row.segment.items())))
        if of_row is None:
            raise BadInput(f"the reference table names {row.segment}, of which there is no map", "calibrator")
        got = apply(of_row, row.confidence, calibrator.clip, row.fields)
        if abs(got - row.calibrated) > TOLERANCE:
            raise BadInput(
                f"the map of {row.segment} makes {got:.9f} of {row.confidence}, but its reference table says "
                f"{row.calibrated:.9f}: it is damaged",
                "calibrator",
            )
    return calibrator

"""The HTTP API of recalibration maps: the one in force, and what it makes of confidences that a program sends."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from monitor.calibration.calibrators.artefact import decode
from monitor.calibration.calibrators.lookup import Lookup
from monitor.calibration.calibrators.served import (
    NO_CALIBRATOR,
    SCHEMA,
    DeclaredDimension,
    Served,
    Stage,
    encode_served,
    etag_of,
)
from monitor.errors import BadInput, Refused
from monitor.postgres import listings
from monitor.postgres.calibrators import InForce, in_force
from monitor.rolling.chosen import choosing
from monitor.rolling.segments import Dimension
from monitor.web.api import JSON
from monitor.web.connections import Connections
from monitor.web.options import WebOptions

MOST: Final = 10_000
"""Confidences of one request."""
LARGEST_BODY: Final = 8 * 1024 * 1024
"""Bytes of one request."""
REVALIDATE: Final = {"Cache-Control": "private, no-cache"}
"""Whoever keeps the answer asks each time whether it still holds."""
Signal = Annotated[str, Query(max_length=256, description="whose map; without it that of the main signal")]
Segments = dict[str, str | bool | float]


class ToCalibrate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Confidences of one model, 0..1: one, or a list of them; with segments for all, or as many as there are."""

    model: str
    confidence: float | list[float]
    segments: Segments | list[Segments] = {}
    signal: str = ""


class Calibrated(msgspec.Struct, frozen=True, kw_only=True):
    """What the map makes of them, and what to act on: what was stated where there is no map, or one on trial."""

    schema: int = SCHEMA
    model: str
    signal: str
    version: int | None
    stage: Stage
    calibrated: float | list[float]
    value: float | list[float]


def router(connections: Connections, options: WebOptions) -> APIRouter:
    """The routes of the API."""
    routes = APIRouter(prefix="/api/v1")
    _add_in_force(routes, connections, options)
    _add_calibrate(routes, connections, options)
    return routes


def _add_in_force(routes: APIRouter, connections: Connections, options: WebOptions) -> None:
    declared = tuple(
        DeclaredDimension(name=each.name, field=each.source, cuts=each.cuts, names=each.names)
        for each in options.dimensions
    )

    @routes.get("/calibrators/{model:path}", responses={200: _described(Served), 304: {}, 404: {}})
    def calibrator(request: Request, model: str, signal: Signal = "") -> Response:
        """The map in force, with the artefact that any program can apply; `monitor.client` does.

        Once confidences are to be taken as stated again, version and calibrator are null. The tag changes with each
        promotion.
        """
        promotion = _promotion(connections, model, signal or options.main_signal)
        stored = promotion.calibrator
        fingerprint = None if stored is None else stored.fingerprint
        headers = {**REVALIDATE, "ETag": etag_of(promotion.number, fingerprint, declared)}
        if _is_named(headers["ETag"], request.headers.get("If-None-Match", "")):
            return Response(None, 304, headers)
        served = Served(
            model=model,
            signal=promotion.signal,
            version=promotion.version,
            fingerprint=fingerprint,
            stage=promotion.stage,
            promoted_at=promotion.at,
            dimensions=declared,
            calibrator=NO_CALIBRATOR if stored is None else msgspec.Raw(stored.body.encode()),
        )
        return Response(encode_served(served), media_type=JSON, headers=headers)


def _add_calibrate(routes: APIRouter, connections: Connections, options: WebOptions) -> None:
    body_of_request = {"required": True, "content": {JSON: {"schema": _schema(ToCalibrate)}}}

    @routes.post(
        "/calibrate",
        responses={200: _described(Calibrated), 404: {}, 413: {}, 422: {}},
        openapi_extra={"requestBody": body_of_request},
    )
    async def calibrate(request: Request) -> Response:
        """What the map in force makes of one confidence, or of up to 10,000. It changes nothing."""
        asked = _asked(await _body(request))
        return await run_in_threadpool(_calibrated, asked, connections, options)


def _promotion(connections: Connections, model: str, signal: str) -> InForce:
    with connections.reading() as connection:
        promotion = in_force(connection, model, signal)
        if promotion is None and model not in listings.models(connection):
            raise HTTPException(404, f"There is no model {model}: no prediction of it has come.")
    if promotion is None:
        raise HTTPException(404, f"No map of {model} ({signal}) was ever promoted: take its confidences as stated.")
    return promotion


def _is_named(etag: str, if_none_match: str) -> bool:
    """Whether If-None-Match names the tag; weak ones count, as RFC 9110 has it for this header."""
    named = [each.strip().removeprefix("W/") for each in if_none_match.split(",")]
    return etag in named or "*" in named


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_BODY:
            raise HTTPException(413, f"A request may have {LARGEST_BODY:,} bytes: send several.")
    return bytes(body)


def _asked(body: bytes) -> ToCalibrate:
    try:
        asked = msgspec.json.decode(body, type=ToCalibrate)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as failure:
        raise HTTPException(422, f"That is no request to calibrate: {failure}") from failure
    many = asked.confidence if isinstance(asked.confidence, list) else [asked.confidence]
    if len(many) > MOST:
        raise HTTPException(413, f"A request may have {MOST:,} confidences, got {len(many):,}: send several.")
    for place, confidence in enumerate(many):
        if not 0 <= confidence <= 1:
            where = f"confidence[{place}]" if isinstance(asked.confidence, list) else "confidence"
            raise HTTPException(422, f"{where} must be a number from 0 to 1, got {confidence}")
    if isinstance(asked.segments, list) and len(asked.segments) != len(many):
        raise HTTPException(
            422, f"segments must be one object, or as many as confidences: {len(many):,}, got {len(asked.segments):,}"
        )
    return asked


def _calibrated(asked: ToCalibrate, connections: Connections, options: WebOptions) -> Response:
    promotion = _promotion(connections, asked.model, asked.signal or options.main_signal)
    is_list = isinstance(asked.confidence, list)
    stated = asked.confidence if isinstance(asked.confidence, list) else [asked.confidence]
    segments = asked.segments if isinstance(asked.segments, list) else [asked.segments] * len(stated)
    calibrated = stated
    if promotion.calibrator is not None:
        calibrated = _applied(_lookup(promotion.calibrator.body), stated, segments, options.dimensions)
    value = stated if promotion.stage == "shadow" else calibrated
    answer = Calibrated(
        model=asked.model,
        signal=promotion.signal,
        version=promotion.version,
        stage=promotion.stage,
        calibrated=calibrated if is_list else calibrated[0],
        value=value if is_list else value[0],
    )
    return Response(msgspec.json.encode(answer), media_type=JSON)


def _applied(
    lookup: Lookup, stated: Sequence[float], segments: Sequence[Segments], dimensions: tuple[Dimension, ...]
) -> list[float]:
    try:
        return [
            lookup.apply(confidence, *choosing(each, dimensions))
            for confidence, each in zip(stated, segments, strict=True)
        ]
    except BadInput as failure:
        raise HTTPException(422, str(failure)) from failure


@lru_cache(maxsize=64)
def _lookup(body: str) -> Lookup:
    try:
        return Lookup(decode(body))
    except BadInput as failure:  # what is stored, not what was asked
        raise Refused(f"the map in force: {failure}") from failure


def _schema(form: type) -> dict[str, Any]:
    """The JSON schema of a form, whole where it stands."""
    (schema,), definitions = msgspec.json.schema_components([form], ref_template="{name}")
    whole: dict[str, Any] = _inlined(schema, definitions)
    return whole


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(schema, dict):
        if "$ref" in schema:
            return _inlined(definitions[schema["$ref"]], definitions)
        return {name: _inlined(value, definitions) for name, value in schema.items()}
    return [_inlined(each, definitions) for each in schema] if isinstance(schema, list) else schema


def _described(form: type) -> dict[str, Any]:
    """An answer of OpenAPI."""
    return {"content": {JSON: {"schema": _schema(form)}}}

"""Artefacts put in force, and the documents that a server makes of them."""

from datetime import UTC, datetime
from functools import cache

import msgspec
import numpy as np

from monitor.calibration.calibrators.artefact import Calibrator, Method, encode, fingerprint
from monitor.calibration.calibrators.fitting import Policy
from monitor.calibration.calibrators.served import (
    NO_CALIBRATOR,
    DeclaredDimension,
    Served,
    Stage,
    encode_served,
)
from monitor.postgres.calibrators import InForce, in_force, promote, store
from monitor.postgres.database import connect
from tests.calibration.calibrators.making import fitted, segments
from tests.calibration.calibrators.test_adaptive import levels

AT = datetime(2026, 3, 1, tzinfo=UTC)
MODEL = "m1"
"""Of the artefacts that `fitted` makes."""


@cache
def artefact(method: Method | Policy = "platt", slope: float = 0.6) -> Calibrator:
    """Maps of everything and of lang=l0..l2, for the model m1 and the signal confidence."""
    if method == "adaptive_temperature":
        return fitted(levels(300), method)
    return fitted(segments(3, 400, np.random.default_rng(1), slope), method)


def document(
    calibrator: Calibrator | None,
    version: int | None = 3,
    stage: Stage = "active",
    dimensions: tuple[DeclaredDimension, ...] = (),
) -> bytes:
    """What a server says of it."""
    return encode_served(
        Served(
            model=MODEL,
            signal="confidence",
            version=None if calibrator is None else version,
            fingerprint=None if calibrator is None else fingerprint(calibrator),
            stage=stage,
            promoted_at=AT,
            dimensions=dimensions,
            calibrator=NO_CALIBRATOR if calibrator is None else msgspec.Raw(encode(calibrator)),
        )
    )


def promoted(dsn: str, calibrator: Calibrator | None, stage: Stage = "active") -> InForce:
    """Store an artefact of m1 and put it in force; None: confidences as stated."""
    with connect(dsn, "test") as connection:
        now = in_force(connection, MODEL, "confidence")
        kept = None if calibrator is None else store(connection, calibrator, AT)
        number = 1 if now is None else now.number + 1
        found = InForce(MODEL, "confidence", number, kept, stage, AT, "a test", "told to")
        promote(connection, found)
        connection.commit()
    return found

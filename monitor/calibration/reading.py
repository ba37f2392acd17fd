"""A reading: everything that is known about one series in one window, in the JSON form that other programs rely on.

An unknown value is null, with its reason under `missing`; no reading ever holds a bare nan. Whether one is suppressed
depends only on the number of labels, on coverage and on the observed cells.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from monitor.calibration.cells import BIN_COUNTS, EDGES, Edges
from monitor.calibration.delays import Comparison
from monitor.calibration.labelling import Overall, Trend
from monitor.calibration.uncertainty import DRAWS, Interval
from monitor.errors import BadInput

SCHEMA: Final = 1


class BinsSetting(msgspec.Struct, frozen=True):
    count: int
    edges: Edges


class Bin(msgspec.Struct, frozen=True, gc=False):
    """One bin that holds labels. `interval` is that of its accuracy."""

    low: float
    high: float
    n: int
    mean_confidence: float
    accuracy: float
    interval: Interval


class HistogramBin(msgspec.Struct, frozen=True, gc=False):
    """How many labelled predictions of one bin of confidence were right and wrong; fractions where outcomes are."""

    low: float
    high: float
    right: float
    wrong: float


class Above(msgspec.Struct, frozen=True, gc=False):
    """The labelled predictions with confidence >= threshold: accuracy with its interval, and their share of all."""

    threshold: float
    n: int
    accuracy: float | None
    coverage: float | None
    interval: Interval | None


class RiskPoint(msgspec.Struct, frozen=True, gc=False):
    """A point of the risk-coverage curve: of the answers with confidence above `low`, the share kept and the errors."""

    low: float
    coverage: float
    risk: float


class Labelling(msgspec.Struct, frozen=True):
    """Which predictions get a label, and when; and what all of them would read. What is unknown is null, with a reason.

    `trend`: whether labelling depends on confidence; `errors_sooner`: whether labels of errors come sooner;
    `post_stratified` and `weighted`: estimates corrected for the one, and for sampling propensities. `warnings`: what
    of this puts the reading itself in doubt.
    """

    trend: Trend | None = None
    errors_sooner: Comparison | None = None
    post_stratified: Overall | None = None
    weighted: Overall | None = None
    warnings: list[str] = []
    missing: dict[str, str] = {}


class ConfidenceShift(msgspec.Struct, frozen=True, gc=False):
    """How far the confidences lie from those of a reference, labels or not; docs/confidence-shift.md defines it.

    `distance` 0..1 with its interval and null band; `mean_change` -1..1, positive where they are higher now;
    `n_reference` predictions of the reference.
    """

    distance: float
    interval: Interval
    null_band: Interval
    mean_change: float
    n_reference: int


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What a reading is about. `source` is "" for the primary label sources, else the one source it counts."""

    model: str
    signal: str = "confidence"
    segment: dict[str, str] = {}
    source: str = ""
    window: str = "all"
    as_of: datetime | None = None
    window_start: datetime | None = None
    window_end: datetime | None = None
    mature: bool = True


class Reading(Subject, frozen=True, kw_only=True):
    """One reading; docs/measures.md defines every value. What is unknown is null, with a reason in `missing`."""

    bins_setting: BinsSetting
    n_predictions: int
    n: int
    coverage: float | None = None
    mean_confidence: float | None = None
    accuracy: float | None = None
    signed_gap: float | None = None
    ece: float | None = None
    ece_debiased: float | None = None
    ece_equal_mass: float | None = None
    smooth_ece: float | None = None
    mce: float | None = None
    over_confident_part: float | None = None
    under_confident_part: float | None = None
    brier: float | None = None
    brier_miscalibration: float | None = None
    brier_discrimination: float | None = None
    brier_uncertainty: float | None = None
    reliability: float | None = None
    resolution: float | None = None
    log_loss: float | None = None
    calibration_slope: float | None = None
    calibration_intercept: float | None = None
    spiegelhalter_z: float | None = None
    auroc: float | None = None
    aurc: float | None = None
    sharpness: float | None = None
    confident_error_share: float | None = None
    abstention_rate: float | None = None
    label_delay_seconds: float | None = None
    intervals: dict[str, Interval] = {}
    null_band: dict[str, Interval] = {}
    confidence_level: float
    methods: dict[str, str] = {}
    missing: dict[str, str] = {}
    not_enough_labels: bool
    labels_needed: int = 0
    above: list[Above] = []
    bins: list[Bin] = []
    histogram: list[HistogramBin] = []
    risk_coverage: list[RiskPoint] = []
    labelling: Labelling | None = None
    """Of a single reading; null in one that was read among thousands while batches came."""
    every_look: dict[str, Interval] = {}
    """Of a single reading of the window `all`: confidence sequences, which hold at every look at once."""
    confidence_shift: ConfidenceShift | None = None
    """Of a single reading of a series whose detectors have a baseline: against the predictions of that."""


@dataclass(frozen=True, slots=True)
class ReadingSettings:
    """How sketches are read. `min_labels` is the number of labels below which a reading says that they are too few."""

    bins: int = 10
    edges: Edges = "right_closed"
    confidence_level: float = 0.95
    min_labels: int = 30
    draws: int = DRAWS

    def __post_init__(self) -> None:
        """Raises BadInput with every setting that is not offered."""
        mistakes = []
        if self.bins not in BIN_COUNTS:
            mistakes.append(f"bins must be one of {', '.join(map(str, BIN_COUNTS))}, got {self.bins}")
        if self.edges not in EDGES:
            mistakes.append(f"edges must be right_closed or left_closed, got {self.edges}")
        if not 0.5 <= self.confidence_level < 1:
            mistakes.append(f"the confidence level must be in 0.5..1, got {self.confidence_level}")
        if mistakes:
            raise BadInput("; ".join(mistakes), "settings")


class Readings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `--json` prints: schema, readings, and for `measure` what became of the input's rows."""

    schema: int
    readings: list[Reading]
    input: dict[str, int | dict[str, int]] | None = None


def to_json(readings: Sequence[Reading], input_counts: Mapping[str, int | dict[str, int]] | None = None) -> bytes:
    """The contract's JSON, UTF-8: {"schema": 1, "readings": [...]}, with `input` where counts of input are given."""
    counts = None if input_counts is None else dict(input_counts)
    return msgspec.json.encode(Readings(schema=SCHEMA, readings=list(readings), input=counts))


def reading_to_json(reading: Reading) -> bytes:
    """One reading, as it stands in the list of `to_json` and as it is stored."""
    return msgspec.json.encode(reading)


def reading_from_json(body: bytes | str) -> Reading:
    """A stored reading. Raises BadInput when it is none."""
    try:
        return msgspec.json.decode(body, type=Reading)
    except msgspec.MsgspecError as error:
        raise BadInput(f"not a reading: {error}", "schema") from error


def from_json(body: bytes | str) -> list[Reading]:
    """The readings that `to_json` wrote. Raises BadInput when it is something else, or another schema."""
    try:
        document = msgspec.json.decode(body, type=Readings)
    except msgspec.MsgspecError as error:
        raise BadInput(f"not a list of readings: {error}", "schema") from error
    if document.schema != SCHEMA:
        raise BadInput(f"readings of schema {document.schema}; this version reads schema {SCHEMA}", "schema")
    return document.readings

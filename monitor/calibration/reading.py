"""A reading: everything that is known about one series in one window, in the JSON form that other programs rely on.

An unknown value is null, with its reason under `missing`; no reading ever holds a bare nan. Whether one is suppressed
depends only on the number of labels, on coverage and on the observed cells.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from monitor.calibration import intervals, measures
from monitor.calibration.bins import Ordered, equal_width, equal_width_of_many, ordered
from monitor.calibration.cells import BIN_COUNTS, EDGES, UNIT, Edges, bin_edges
from monitor.calibration.closed_form import bands_of_many
from monitor.calibration.sketch import Row, Sketch
from monitor.calibration.uncertainty import DRAWS, Interval, ece_bands, equal_mass_bands, seeded, wilson
from monitor.errors import BadInput, NotEnoughData

SCHEMA: Final = 1
HISTOGRAM_BINS: Final = 20


class BinsSetting(msgspec.Struct, frozen=True):
    count: int
    edges: Edges


class Bin(msgspec.Struct, frozen=True):
    """One bin that holds labels. `interval` is that of its accuracy."""

    low: float
    high: float
    n: int
    mean_confidence: float
    accuracy: float
    interval: Interval


class HistogramBin(msgspec.Struct, frozen=True):
    """How many labelled predictions of one bin of confidence were right and wrong; fractions where outcomes are."""

    low: float
    high: float
    right: float
    wrong: float


class Above(msgspec.Struct, frozen=True):
    """The labelled predictions with confidence >= threshold: accuracy with its interval, and their share of all."""

    threshold: float
    n: int
    accuracy: float | None
    coverage: float | None
    interval: Interval | None


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
    ece_equal_mass: float | None = None
    mce: float | None = None
    over_confident_part: float | None = None
    under_confident_part: float | None = None
    brier: float | None = None
    log_loss: float | None = None
    auroc: float | None = None
    confident_error_share: float | None = None
    label_delay_seconds: float | None = None
    intervals: dict[str, Interval] = {}
    null_band: dict[str, Interval] = {}
    confidence_level: float
    methods: dict[str, str] = {}
    missing: dict[str, str] = {}
    not_enough_labels: bool
    above: list[Above] = []
    bins: list[Bin] = []
    histogram: list[HistogramBin] = []


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


RESAMPLED: Final = (
    "plug-in; interval by the basic bootstrap of (bin x outcome) with {draws} draws, its upper end not lowered by the "
    "bias; null band: the ECE of {draws} sets of outcomes drawn with the stated confidences"
)
CLOSED_FORM: Final = (
    "plug-in; interval and null band from moments of folded normals with a Cornish-Fisher expansion: "
    "the quantiles of the resampling to about 2.5 % from 1,000 labels on"
)
UNWEIGHTED: Final = "some labels came with a sampling propensity; here every label counts once"
METHODS: Final = {
    "accuracy": "mean outcome; Wilson interval",
    "signed_gap": "mean confidence minus accuracy, positive = over-confident; normal interval",
    "brier": "mean of c^2 - 2cy + y: an outcome that is a fraction counts as drawn with that chance; normal interval",
    "log_loss": "confidences clipped at 1e-7 from 0 and 1; normal interval",
    "auroc": "ties count half; DeLong interval",
    "confident_error_share": "labelled predictions with confidence >= 0.9 that were wrong, over all labelled; "
    "Wilson interval",
    "bins": "Wilson interval of the accuracy",
    "label_delay_seconds": "median, to a factor of 1.42",
}


@dataclass(frozen=True, slots=True)
class Bands:
    """Intervals, null bands and their methods by name of the measure."""

    intervals: dict[str, Interval]
    null_band: dict[str, Interval]
    methods: dict[str, str]


NO_BANDS: Final = Bands({}, {}, {})


def read(sketch: Sketch, settings: ReadingSettings, subject: Subject) -> Reading:
    """Read one sketch, with resampled bands. Equal sketches give equal digits, by whatever route they came about."""
    if sketch.total(Row.N) == 0:
        return _assembled(sketch, settings, subject, NO_BANDS)
    rng = seeded(sketch)
    level = settings.confidence_level
    wide = ece_bands(sketch, settings.bins, settings.edges, level, rng=rng, draws=settings.draws)
    mass = equal_mass_bands(sketch, settings.bins, level, rng=rng, draws=settings.draws)
    method = RESAMPLED.format(draws=settings.draws)
    bands = Bands(
        {"ece": wide.interval, "ece_equal_mass": mass.interval},
        {"ece": wide.null_band, "ece_equal_mass": mass.null_band, "mce": wide.mce_null_band},
        {"ece": method, "ece_equal_mass": method + "; bins of equal mass, taken as fixed"},
    )
    return _assembled(sketch, settings, subject, bands)


def read_many(sketches: Sequence[Sketch], settings: ReadingSettings, subjects: Sequence[Subject]) -> list[Reading]:
    """Read many sketches at once, with closed-form bands; every other value is what `read` gives, to the last digit."""
    labelled = [index for index, sketch in enumerate(sketches) if sketch.total(Row.N) > 0]
    bins = equal_width_of_many([sketches[index] for index in labelled], settings.bins, settings.edges)
    bands = bands_of_many(bins, settings.confidence_level)
    drawn = [NO_BANDS] * len(sketches)
    for place, index in enumerate(labelled):
        drawn[index] = Bands(
            {"ece": (float(bands.low[place]), float(bands.high[place]))},
            {"ece": (float(bands.null_low[place]), float(bands.null_high[place]))},
            {"ece": CLOSED_FORM},
        )
    return [
        _assembled(sketch, settings, subject, band)
        for sketch, subject, band in zip(sketches, subjects, drawn, strict=True)
    ]


def _assembled(sketch: Sketch, settings: ReadingSettings, subject: Subject, bands: Bands) -> Reading:
    view = ordered(sketch)
    known, missing = _estimates(sketch, view, settings)
    n = sketch.total(Row.N)
    return Reading(
        model=subject.model,
        signal=subject.signal,
        segment=subject.segment,
        source=subject.source,
        window=subject.window,
        as_of=subject.as_of,
        window_start=subject.window_start,
        window_end=subject.window_end,
        mature=subject.mature,
        bins_setting=BinsSetting(settings.bins, settings.edges),
        n_predictions=sketch.total(Row.N_PRED),
        n=n,
        coverage=known.get("coverage"),
        mean_confidence=known.get("mean_confidence"),
        accuracy=known.get("accuracy"),
        signed_gap=known.get("signed_gap"),
        ece=known.get("ece"),
        ece_equal_mass=known.get("ece_equal_mass"),
        mce=known.get("mce"),
        over_confident_part=known.get("over_confident_part"),
        under_confident_part=known.get("under_confident_part"),
        brier=known.get("brier"),
        log_loss=known.get("log_loss"),
        auroc=known.get("auroc"),
        confident_error_share=known.get("confident_error_share"),
        label_delay_seconds=known.get("label_delay_seconds"),
        intervals=bands.intervals | _intervals(sketch, view, settings.confidence_level, known),
        null_band=bands.null_band,
        confidence_level=settings.confidence_level,
        methods=METHODS | bands.methods | _sampling(sketch) if n else {},
        missing=missing,
        not_enough_labels=n < settings.min_labels,
        above=[_above(sketch, threshold, settings.confidence_level) for threshold in measures.THRESHOLDS],
        bins=_bins(sketch, settings),
        histogram=_histogram(sketch, settings.edges),
    )


def _estimates(sketch: Sketch, view: Ordered, settings: ReadingSettings) -> tuple[dict[str, float], dict[str, str]]:
    """The known values by name, and for each unknown one the reason."""
    count, edges = settings.bins, settings.edges
    of: dict[str, Callable[[], float]] = {
        "coverage": lambda: measures.coverage(sketch),
        "mean_confidence": lambda: measures.mean_confidence(sketch),
        "accuracy": lambda: measures.accuracy(sketch),
        "signed_gap": lambda: measures.signed_gap(sketch),
        "ece": lambda: measures.ece(sketch, count, edges),
        "ece_equal_mass": lambda: measures.ece_equal_mass(sketch, count, view=view),
        "mce": lambda: measures.mce(sketch, count, edges),
        "over_confident_part": lambda: measures.over_confident_part(sketch, count, edges),
        "under_confident_part": lambda: measures.under_confident_part(sketch, count, edges),
        "brier": lambda: measures.brier(sketch),
        "log_loss": lambda: measures.log_loss(sketch, view=view),
        "auroc": lambda: measures.auroc(sketch, view=view),
        "confident_error_share": lambda: measures.confident_error_share(sketch),
        "label_delay_seconds": lambda: measures.label_delay(sketch),
    }
    known, missing = {}, {}
    for name, estimate in of.items():
        try:
            known[name] = estimate()
        except NotEnoughData as reason:
            missing[name] = str(reason)
    return known, missing


def _intervals(sketch: Sketch, view: Ordered, level: float, known: Mapping[str, float]) -> dict[str, Interval]:
    if "accuracy" not in known:
        return {}
    found = {
        "mean_confidence": intervals.mean_confidence_interval(sketch, level),
        "accuracy": intervals.accuracy_interval(sketch, level),
        "signed_gap": intervals.signed_gap_interval(sketch, level),
        "brier": intervals.brier_interval(sketch, level, view=view),
        "log_loss": intervals.log_loss_interval(sketch, level, view=view),
        "confident_error_share": intervals.confident_error_interval(sketch, level),
    }
    if "auroc" in known:
        found["auroc"] = intervals.auroc_interval(sketch, level, view=view)
    return found


def _sampling(sketch: Sketch) -> dict[str, str]:
    """What is to be said where labels came with a sampling propensity."""
    return {"sampling": UNWEIGHTED} if sketch.sums[Row.EXCESS_W].any() else {}


def _above(sketch: Sketch, threshold: float, level: float) -> Above:
    chosen, n = measures.selected(sketch, threshold), sketch.total(Row.N)
    if chosen.n == 0:
        return Above(threshold, 0, None, 0.0 if n else None, None)
    return Above(threshold, chosen.n, chosen.right / chosen.n, chosen.n / n, wilson(chosen.right, chosen.n, level))


def _bins(sketch: Sketch, settings: ReadingSettings) -> list[Bin]:
    """The bins that hold labels, in order of confidence."""
    sums, edges = equal_width(sketch, settings.bins, settings.edges), bin_edges(settings.bins)
    listed = []
    for number in range(settings.bins):
        n, right = int(sums.n[number]), int(sums.sum_y[number]) / UNIT
        if n:
            confidence = int(sums.sum_c[number]) / (n * UNIT)
            interval = wilson(right, n, settings.confidence_level)
            listed.append(Bin(edges[number], edges[number + 1], n, confidence, right / n, interval))
    return listed


def _histogram(sketch: Sketch, edges: Edges) -> list[HistogramBin]:
    sums, ends = equal_width(sketch, HISTOGRAM_BINS, edges), bin_edges(HISTOGRAM_BINS)
    right, n = sums.sum_y / UNIT, sums.n
    return [
        HistogramBin(ends[number], ends[number + 1], float(right[number]), float(n[number] - right[number]))
        for number in range(HISTOGRAM_BINS)
    ]


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

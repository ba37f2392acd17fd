"""Reading sketches: every figure of one series or of thousands, assembled as readings.

Whether a figure is suppressed depends only on the number of labels, on coverage and on the observed cells.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import isnan
from typing import Final, TypeAlias

import numpy as np
from msgspec import structs

from monitor.calibration import sequences
from monitor.calibration.cells import FloatArray, at_or_above, bin_edges
from monitor.calibration.delays import median_delay
from monitor.calibration.estimates import Estimates
from monitor.calibration.figures import MEASURES, Figures, figures
from monitor.calibration.means import share
from monitor.calibration.measures import CONFIDENT, HISTOGRAM_BINS, THRESHOLDS
from monitor.calibration.panel import panel_of, parts_of
from monitor.calibration.reading import (
    Above,
    BinsSetting,
    ConfidenceShift,
    HistogramBin,
    Reading,
    ReadingSettings,
    RiskPoint,
    Subject,
)
from monitor.calibration.sampling import labelling_of
from monitor.calibration.shift import shift
from monitor.calibration.sketch import Row, Sketch
from monitor.calibration.tallies import bin_lists
from monitor.calibration.uncertainty import Interval, ece_bands, equal_mass_bands, seeded
from monitor.errors import NotEnoughData

RESAMPLED: Final = (
    "plug-in; interval by the basic bootstrap of (bin x outcome) with {draws} draws, its upper end not lowered by the "
    "bias; null band: the ECE of {draws} sets of outcomes drawn with the stated confidences"
)
CLOSED_FORM: Final = (
    "plug-in; interval and null band from moments of folded normals with a Cornish-Fisher expansion: "
    "the quantiles of the resampling to about 2.5 % from 1,000 labels on"
)
UNWEIGHTED: Final = (
    "some labels came with a sampling propensity; here every label counts once, in labelling.weighted by its propensity"
)
BINNED_METHODS: Final = ("ece", "ece_debiased", "ece_equal_mass")
METHODS: Final = {
    "accuracy": "mean outcome; Wilson interval",
    "signed_gap": "mean confidence minus accuracy, positive = over-confident; normal interval",
    "ece_debiased": "ECE less the bias of its resamples; near 0 about half of the bias stays",
    "smooth_ece": "Gaussian kernel reflected at 0 and 1, at the bandwidth that equals the value; interval to first "
    "order, null band from a Gaussian residual",
    "mce": "interval of the worst bin",
    "brier": "mean of c^2 - 2cy + y: an outcome that is a fraction counts as drawn with that chance; normal interval",
    "brier_miscalibration": "CORP: Brier score less that of the isotonic recalibration; normal interval to first order",
    "reliability": "Murphy 1973, over the bins; biased upwards at small n",
    "log_loss": "confidences clipped at 1e-7 from 0 and 1; normal interval",
    "calibration_slope": "logistic regression on the logit, confidences clipped at 0.005 from 0 and 1; interval from "
    "the Fisher information",
    "spiegelhalter_z": "normal with variance 1 if calibrated; positive = Brier score worse than stated",
    "auroc": "ties count half; DeLong interval",
    "aurc": "ties in random order; interval by the influence of each label",
    "sharpness": "variance of the confidences; normal interval",
    "confident_error_share": "labelled predictions with confidence >= 0.9 that were wrong, over all labelled; "
    "Wilson interval",
    "abstention_rate": "predictions with confidence < 0.9, over all, labelled or not; Wilson interval",
    "bins": "Wilson interval of the accuracy",
    "label_delay_seconds": "median, to a factor of 1.42",
}
EVERYTHING: Final = "all"
"""The window that forgets nothing."""
NO_LABELS: Final = "no labels"
HISTOGRAM_EDGES: Final = tuple(pairwise(bin_edges(HISTOGRAM_BINS)))
_NOT_CONFIDENT: Final = np.logical_not(at_or_above(CONFIDENT))
NO_PREDICTIONS: Final = "no predictions"


@dataclass(frozen=True, slots=True)
class _Bands:
    """Values, intervals and null bands of one series that replace those in closed form."""

    values: Mapping[str, float]
    intervals: Mapping[str, Interval]
    null_band: Mapping[str, Interval]
    method: str


def read(sketch: Sketch, settings: ReadingSettings, subject: Subject, reference: Sketch | None = None) -> Reading:
    """Read one sketch, with resampled bands. Equal sketches give equal digits, by whatever route they came about.

    `reference` holds the predictions with which its confidences are compared.
    """
    bands = _resampled(sketch, settings) if sketch.total(Row.N) else None
    [reading] = _assembled([sketch], settings, [subject], bands)
    return structs.replace(
        reading,
        labelling=labelling_of(sketch, settings),
        every_look=_every_look(sketch, settings) if bands is not None and subject.window == EVERYTHING else {},
        confidence_shift=None if reference is None else _confidence_shift(reference, sketch, settings),
    )


def _every_look(sketch: Sketch, settings: ReadingSettings) -> dict[str, Interval]:
    """Only of everything since the beginning: the start of a window that forgets is another one at each look."""
    panel, level = panel_of([sketch]), settings.confidence_level
    gap, ece = sequences.signed_gap(panel, level), sequences.ece(panel, settings.bins, settings.edges, level)
    return {name: _interval(found, 0) for name, found in (("signed_gap", gap), ("ece", ece))}


def _confidence_shift(reference: Sketch, sketch: Sketch, settings: ReadingSettings) -> ConfidenceShift | None:
    if not reference.total(Row.N_PRED) or not sketch.total(Row.N_PRED):
        return None
    found = shift([reference], [sketch], settings.confidence_level)
    return ConfidenceShift(
        float(found.distance.value[0]),
        _interval(found.distance, 0),
        (float(found.null_low[0]), float(found.null_high[0])),
        float(found.mean_change[0]),
        reference.total(Row.N_PRED),
    )


def _interval(found: Estimates, place: int) -> Interval:
    return float(found.low[place]), float(found.high[place])


def read_many(sketches: Sequence[Sketch], settings: ReadingSettings, subjects: Sequence[Subject]) -> list[Reading]:
    """Read many sketches at once, with closed-form bands.

    Every value but the debiased ECE is what `read` gives, to the last digit; `labelling` is left out.
    """
    read_in_parts: list[Reading] = []
    for some in parts_of(sketches):
        read_in_parts += _assembled(sketches[some], settings, subjects[some], None)
    return read_in_parts


def _resampled(sketch: Sketch, settings: ReadingSettings) -> _Bands:
    rng, level = seeded(sketch), settings.confidence_level
    wide = ece_bands(sketch, settings.bins, settings.edges, level, rng=rng, draws=settings.draws)
    mass = equal_mass_bands(sketch, settings.bins, level, rng=rng, draws=settings.draws)
    return _Bands(
        {"ece_debiased": wide.debiased},
        {"ece": wide.interval, "ece_debiased": wide.interval, "ece_equal_mass": mass.interval},
        {"ece": wide.null_band, "ece_equal_mass": mass.null_band, "mce": wide.mce_null_band},
        RESAMPLED.format(draws=settings.draws),
    )


def _assembled(
    sketches: Sequence[Sketch], settings: ReadingSettings, subjects: Sequence[Subject], bands: _Bands | None
) -> list[Reading]:
    level = settings.confidence_level
    rows = [_Row(sketch.total(Row.N_PRED), sketch.total(Row.N)) for sketch in sketches]
    labelled = [sketch for sketch, row in zip(sketches, rows, strict=True) if row.n]
    table = _Table(figures(panel_of(labelled), settings.bins, settings.edges, level), settings) if labelled else None
    shares = _Columns(_shares(sketches, rows, level))
    readings, place = [], 0
    for number, (sketch, row, subject) in enumerate(zip(sketches, rows, subjects, strict=True)):
        shares.fill(row, number)
        if table is not None and row.n:
            table.fill(row, place)
            place += 1
        else:
            row.missing |= dict.fromkeys(MEASURES, NO_LABELS)
        _fill_delay(row, sketch)
        if bands is not None:
            row.replace(bands)
        readings.append(_reading(row, sketch, settings, subject))
    return readings


@dataclass(slots=True)
class _Row:
    """What is known of one series."""

    n_predictions: int
    n: int
    known: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, Interval] = field(default_factory=dict)
    null_band: dict[str, Interval] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    lists: dict[str, object] = field(default_factory=dict)
    method: str = CLOSED_FORM

    def replace(self, bands: _Bands) -> None:
        self.known |= bands.values
        self.intervals |= bands.intervals
        self.null_band |= bands.null_band
        self.method = bands.method


class _Columns:
    """Estimates by rows: what is known of each series, and why the rest is not."""

    def __init__(self, estimates: Mapping[str, Estimates]) -> None:
        self._reasons = {name: each.reason for name, each in estimates.items()}
        values = np.stack([each.value for each in estimates.values()], axis=1)
        self._whole = np.asarray(~np.isnan(values).any(axis=1)).tolist()
        self._values = values.tolist()
        self._ends = _ends([(each.low, each.high) for each in estimates.values()])

    def fill(self, row: _Row, place: int) -> None:
        known = dict(zip(self._reasons, self._values[place], strict=True))
        intervals = dict(zip(self._reasons, _pairs(self._ends, place), strict=True))
        if not self._whole[place]:
            for name, value in list(known.items()):
                if isnan(value):
                    row.missing[name] = self._reasons[name]
                    del known[name], intervals[name]
        row.known |= known
        row.intervals |= intervals


Ends: TypeAlias = tuple[list[list[float]], list[list[float]]]
"""The lower and the upper ends of several intervals, series by series."""


def _ends(intervals: Iterable[tuple[FloatArray, FloatArray]]) -> Ends:
    lows, highs = (np.stack(column, axis=1).tolist() for column in zip(*intervals, strict=True))
    return lows, highs


def _pairs(ends: Ends, place: int) -> Iterator[Interval]:
    """The intervals of one series. Made one by one: lists of lists would keep the search for garbage busy."""
    lows, highs = ends
    return zip(lows[place], highs[place], strict=True)


class _Table:
    """The figures of all labelled series as plain lists, to be read row by row."""

    def __init__(self, found: Figures, settings: ReadingSettings) -> None:
        self._columns = _Columns(found.estimates)
        self._null_names = tuple(found.null_bands)
        self._null_bands = _ends(found.null_bands.values())
        self._bins = bin_lists(found.bins, found.bin_accuracy, settings.bins)
        self._histogram = found.right.tolist(), found.wrong.tolist()
        accuracy = found.above.accuracy
        self._above = [
            found.above.n.tolist(),
            found.above.coverage.tolist(),
            *(each.tolist() for each in (accuracy.value, accuracy.low, accuracy.high)),
        ]
        self._risk = _risk_coverage(found)

    def fill(self, row: _Row, place: int) -> None:
        self._columns.fill(row, place)
        row.null_band = dict(zip(self._null_names, _pairs(self._null_bands, place), strict=True))
        row.lists = {
            "bins": self._bins[place],
            "histogram": [
                HistogramBin(start, end, right, wrong)
                for (start, end), right, wrong in zip(
                    HISTOGRAM_EDGES, *(column[place] for column in self._histogram), strict=True
                )
            ],
            "above": [
                Above(threshold, n, right, coverage, (low, high)) if n else Above(threshold, 0, None, 0.0, None)
                for threshold, n, coverage, right, low, high in zip(
                    THRESHOLDS, *(column[place] for column in self._above), strict=True
                )
            ],
            "risk_coverage": self._risk[place],
        }


def _risk_coverage(found: Figures) -> list[list[RiskPoint]]:
    """The share of answers with confidence above each edge of the histogram, and of errors among them."""
    kept = np.cumsum((found.right + found.wrong)[:, ::-1], axis=1)[:, ::-1]
    wrong = np.cumsum(found.wrong[:, ::-1], axis=1)[:, ::-1]
    coverage, risk = kept / kept[:, :1], wrong / np.maximum(kept, 1e-300)
    return [
        [
            RiskPoint(low, share_kept, errors)
            for (low, _), share_kept, errors in zip(HISTOGRAM_EDGES, *columns, strict=True)
            if share_kept > 0
        ]
        for columns in zip(coverage.tolist(), risk.tolist(), strict=True)
    ]


def _shares(sketches: Sequence[Sketch], rows: Sequence[_Row], level: float) -> dict[str, Estimates]:
    """What is known without labels: how many predictions have one, and how many are not confident."""
    predictions = np.array([row.n_predictions for row in rows], np.float64)
    labels = np.array([row.n for row in rows], np.float64)
    below = [int(np.add.reduce(sketch.sums[Row.N_PRED][_NOT_CONFIDENT[sketch.cells]])) for sketch in sketches]
    return {
        "coverage": replace(share(labels, predictions, level), reason=NO_PREDICTIONS),
        "abstention_rate": replace(share(np.array(below, np.float64), predictions, level), reason=NO_PREDICTIONS),
    }


def _fill_delay(row: _Row, sketch: Sketch) -> None:
    try:
        row.known["label_delay_seconds"] = median_delay(sketch)
    except NotEnoughData as reason:
        row.missing["label_delay_seconds"] = str(reason)


def _reading(row: _Row, sketch: Sketch, settings: ReadingSettings, subject: Subject) -> Reading:
    methods = METHODS | dict.fromkeys(BINNED_METHODS, row.method) if row.n else {}
    if sketch.sums[Row.EXCESS_W].any():
        methods |= {"sampling": UNWEIGHTED}
    whole = Reading(
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
        n_predictions=row.n_predictions,
        n=row.n,
        intervals=row.intervals,
        null_band=row.null_band,
        confidence_level=settings.confidence_level,
        methods=methods,
        missing=row.missing,
        not_enough_labels=row.n < settings.min_labels,
        labels_needed=max(0, settings.min_labels - row.n),
        above=[] if row.n else [Above(threshold, 0, None, None, None) for threshold in THRESHOLDS],
        histogram=[] if row.n else [HistogramBin(*ends, 0.0, 0.0) for ends in HISTOGRAM_EDGES],
    )
    return structs.replace(whole, **row.known, **row.lists)

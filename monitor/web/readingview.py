"""What is shown of one reading, on its page and in a report: a sentence, figures, charts and tables. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from markupsafe import Markup

from monitor.calibration.reading import ConfidenceShift, Reading
from monitor.web.charts import confidence_histogram, level, reliability_diagram
from monitor.web.definitions import ANCHORS
from monitor.web.scales import duration_text, instant_text, plain, window_text
from monitor.web.svg import EMPTY, join, tag
from monitor.web.tables import data_table, figure, with_aside
from monitor.web.verdicts import UNKNOWN, Range, Standing, between, leaning, percent, ratio, signed, standing


@dataclass(frozen=True, slots=True)
class Tile:
    """One large figure with what it rests on."""

    word: str
    anchor: str
    value: str
    aside: Sequence[str]


@dataclass(frozen=True, slots=True)
class MeasureView:
    """One row of the table of all measures."""

    word: str
    anchor: str
    value: str
    interval: str
    null_band: str


@dataclass(frozen=True, slots=True)
class ReadingView:
    """One reading, ready to be laid out."""

    standing: Standing
    sentence: str
    tiles: Sequence[Tile]
    reliability: Markup
    histogram: Markup
    measures: Sequence[MeasureView]
    measures_caption: str
    above: Markup
    facts: Sequence[tuple[str, str]]
    labelling: Markup
    how: Markup


def view_of(reading: Reading, ident: str = "reading") -> ReadingView:
    """The view of a reading; `ident` begins the ids of its pictures, so it is unique on its page."""
    judged = standing_of(reading)
    return ReadingView(
        standing=judged,
        sentence=sentence_of(reading, judged),
        tiles=tiles_of(reading),
        reliability=figure(reliability_diagram(reading, f"{ident}-reliability")),
        histogram=figure(confidence_histogram(reading, f"{ident}-histogram")),
        measures=measures_of(reading),
        measures_caption=f"n = {plain(reading.n)} labels; edges of bins {_edges(reading)}",
        above=above_table(reading),
        facts=facts_of(reading),
        labelling=labelling_part(reading),
        how=how_made(reading),
    )


def interval_of(reading: Reading, measure: str) -> Range | None:
    """The interval of a measure, where one is known."""
    found = reading.intervals.get(measure)
    return None if found is None else Range(*found)


def null_band_of(reading: Reading, measure: str) -> Range | None:
    """The null band of a measure, where one is known."""
    found = reading.null_band.get(measure)
    return None if found is None else Range(*found)


def standing_of(reading: Reading) -> Standing:
    """Where the ECE of the reading stands against its null band."""
    return standing(
        reading.ece, interval_of(reading, "ece"), null_band_of(reading, "ece"), enough=not reading.not_enough_labels
    )


def sentence_of(reading: Reading, judged: Standing) -> str:
    """The reading in a sentence, with n and its interval: never a bare number."""
    labels = f"{plain(reading.n)} label" + ("" if reading.n == 1 else "s")
    if judged is Standing.NOT_ENOUGH or reading.ece is None:
        reason = reading.missing.get("ece", "too few to say whether stated confidence holds")
        return f"({labels} over {window_text(reading.window)}): {reason}."
    place = f"the null band of {between(null_band_of(reading, 'ece'))}"
    leans = leaning(reading.signed_gap, reading.ece)
    lean = f", {leans}" if judged.is_off and leans else ""
    means = ""
    if reading.mean_confidence is not None and reading.accuracy is not None:
        means = f" Stated {ratio(reading.mean_confidence)} on average, right {ratio(reading.accuracy)}."
    interval = between(interval_of(reading, "ece"))
    return (
        f"{place}{lean}: ECE {ratio(reading.ece)} ({interval}) from {labels} over {window_text(reading.window)}.{means}"
    )


def tiles_of(reading: Reading) -> list[Tile]:
    """The few figures to see first."""
    band = between(null_band_of(reading, "ece"))
    predictions = f"{plain(reading.n_predictions)} predictions"
    confidence = _words(reading, "mean_confidence", reading.mean_confidence)
    maturity = "mature" if reading.mature else "provisional"
    return [
        Tile("ECE", "ece", ratio(reading.ece), [*_words(reading, "ece", reading.ece), f"null band {band}"]),
        Tile("Signed gap", "signed-gap", signed(reading.signed_gap), _gap_words(reading)),
        Tile("Share right", "reliability", ratio(reading.accuracy), _words(reading, "accuracy", reading.accuracy)),
        Tile("Mean confidence", "confidence", ratio(reading.mean_confidence), confidence),
        Tile("Labels", "coverage", plain(reading.n), [f"{percent(reading.coverage)} of {predictions}", maturity]),
    ]  # fmt: skip


def _words(reading: Reading, measure: str, value: float | None) -> list[str]:
    """What stands under a figure: its interval and n, or why it is unknown."""
    if value is None:
        return [reading.missing.get(measure, "not enough labels")]
    interval = interval_of(reading, measure)
    n = f"n = {plain(reading.n)}" + (", not enough labels" if reading.not_enough_labels else "")
    return [
        n if interval is None else f"{level(reading.confidence_level)}: {between(interval)}",
        *([] if interval is None else [n]),
    ]


def _gap_words(reading: Reading) -> list[str]:
    words = _words(reading, "signed_gap", reading.signed_gap)
    leans = leaning(reading.signed_gap, reading.ece)
    return [leans, *words] if leans else words


_MEASURES = (
    ("ece", "ECE", ratio),
    ("ece_debiased", "ECE, debiased", ratio),
    ("smooth_ece", "smooth ECE", ratio),
    ("ece_equal_mass", "ECE, equal-mass bins", ratio),
    ("mce", "MCE", ratio),
    ("signed_gap", "signed gap", signed),
    ("over_confident_part", "over-confident part", ratio),
    ("under_confident_part", "under-confident part", ratio),
    ("calibration_slope", "calibration slope", ratio),
    ("calibration_intercept", "calibration intercept", signed),
    ("spiegelhalter_z", "Spiegelhalter\N{RIGHT SINGLE QUOTATION MARK}s Z", signed),
    ("mean_confidence", "mean confidence", ratio),
    ("sharpness", "sharpness", ratio),
    ("accuracy", "share right", ratio),
    ("brier", "Brier score", ratio),
    ("brier_miscalibration", "its miscalibration", ratio),
    ("brier_discrimination", "its discrimination (taken off)", ratio),
    ("brier_uncertainty", "its uncertainty", ratio),
    ("reliability", "reliability of the bins", ratio),
    ("resolution", "resolution of the bins", ratio),
    ("log_loss", "log loss", ratio),
    ("auroc", "AUROC", ratio),
    ("aurc", "area under risk-coverage", ratio),
    ("confident_error_share", "share of confident errors", ratio),
    ("abstention_rate", "abstention rate", ratio),
    ("coverage", "coverage of labels", ratio),
)


def measures_of(reading: Reading) -> list[MeasureView]:
    """Every measure with its interval and null band; for the unknown the reason stands in the value's place."""
    rows = []
    for name, word, text in _MEASURES:
        value: float | None = getattr(reading, name)
        shown = reading.missing.get(name, "not enough labels") if value is None else text(value)
        interval, band = interval_of(reading, name), null_band_of(reading, name)
        rows.append(
            MeasureView(
                word,
                ANCHORS[name],
                shown,
                "" if interval is None else between(interval),
                UNKNOWN if band is None else between(band),
            )
        )
    delay = reading.label_delay_seconds
    shown = (
        reading.missing.get("label_delay_seconds", UNKNOWN)
        if delay is None
        else duration_text(timedelta(seconds=delay))
    )
    rows.append(MeasureView("median label delay", ANCHORS["label_delay_seconds"], shown, "", UNKNOWN))
    return rows


def above_table(reading: Reading) -> Markup:
    """What lies above each threshold."""
    rows = [
        (
            f"\N{GREATER-THAN OR EQUAL TO} {ratio(one.threshold, 2)}",
            with_aside(plain(one.n), percent(one.coverage)),
            "no labels"
            if one.accuracy is None or one.interval is None
            else with_aside(ratio(one.accuracy), between(Range(*one.interval))),
        )
        for one in reading.above
    ]
    if not rows:
        return tag("p", "Not enough labels.", class_="muted")
    return data_table(
        "Labelled predictions at or above a confidence",
        ("confidence", "labels (n), share of all", f"share right, {level(reading.confidence_level)} interval"),
        rows,
    )


def facts_of(reading: Reading) -> list[tuple[str, str]]:
    """When and how the reading was made."""
    span = "everything so far"
    if reading.window_start is not None and reading.window_end is not None:
        span = f"{instant_text(reading.window_start)} to {instant_text(reading.window_end)}"
    return [
        ("predictions made", span),
        ("as of", instant_text(reading.as_of) if reading.as_of is not None else UNKNOWN),
        ("labels", "mature" if reading.mature else "provisional: younger predictions are included"),
        ("bins", f"{reading.bins_setting.count} of equal width, {_edges(reading)}"),
        *(
            (f"{_NAMES[name]} at every look", f"{level(reading.confidence_level)}: {between(Range(*found))}")
            for name, found in reading.every_look.items()
        ),
        *([] if reading.confidence_shift is None else [("confidences moved", _shift_words(reading.confidence_shift))]),
    ]


_NAMES = {"signed_gap": "signed gap", "ece": "ECE"}


def _shift_words(found: ConfidenceShift) -> str:
    return (
        f"by {ratio(found.distance)} ({between(Range(*found.interval))}) since the baseline of the drift detectors; "
        f"null band {between(Range(*found.null_band))}"
    )


def labelling_part(reading: Reading) -> Markup:
    """Whether the labels are a fair sample of the predictions, and the estimates that are corrected for it."""
    labelling = reading.labelling
    if labelling is None or not reading.n:
        return EMPTY
    corrected = (
        ("by strata of confidence", labelling.post_stratified),
        ("by sampling propensity", labelling.weighted),
    )
    rows = []
    for words, found in corrected if (reading.coverage or 0) < 1 else ():
        if found is not None:
            shown = ((found.accuracy, ratio), (found.signed_gap, signed), (found.ece, ratio), (found.brier, ratio))
            rows.append(
                (words, *(with_aside(text(each.value), between(Range(*each.interval))) for each, text in shown))
            )
    heads = ("labels weighted", "share right", "signed gap", "ECE", "Brier score")
    table = data_table("Estimates for all predictions, labelled or not", heads, rows) if rows else EMPTY
    warnings = [tag("p", words, class_="notice warn") for words in labelling.warnings]
    return join([tag("h3", "How labels come"), *warnings, table]) if warnings or rows else EMPTY


def how_made(reading: Reading) -> Markup:
    """How each value was computed, folded away."""
    if not reading.methods:
        return EMPTY
    rows = (
        part for name, how in reading.methods.items() for part in (tag("dt", name.replace("_", " ")), tag("dd", how))
    )
    return tag("details", tag("summary", "How each value is computed"), tag("dl", *rows, class_="facts"))


def _edges(reading: Reading) -> str:
    return str(reading.bins_setting.edges).replace("_", " ")

"""Readings as text for a person: never a number without its n, and with its interval wherever there is one."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from monitor.calibration.reading import Labelling, Reading
from monitor.calibration.uncertainty import Interval

MEASURES: Final = (
    ("ece", "ECE"),
    ("ece_debiased", "ECE, debiased"),
    ("smooth_ece", "smooth ECE"),
    ("ece_equal_mass", "ECE, equal mass"),
    ("mce", "largest gap of a bin"),
    ("signed_gap", "signed gap"),
    ("over_confident_part", "  over-confident part of ECE"),
    ("under_confident_part", "  under-confident part of ECE"),
    ("calibration_slope", "slope (1 if calibrated)"),
    ("calibration_intercept", "intercept (0 if calibrated)"),
    ("spiegelhalter_z", "Spiegelhalter's Z (0 +- 2)"),
    ("accuracy", "accuracy"),
    ("mean_confidence", "mean confidence"),
    ("sharpness", "sharpness (variance of confidence)"),
    ("brier", "Brier score"),
    ("brier_miscalibration", "  miscalibration"),
    ("brier_discrimination", "  - discrimination"),
    ("brier_uncertainty", "  + uncertainty"),
    ("reliability", "reliability of the bins"),
    ("resolution", "resolution of the bins"),
    ("log_loss", "log loss"),
    ("auroc", "AUROC"),
    ("aurc", "risk-coverage area (AURC)"),
    ("confident_error_share", "confident errors"),
    ("abstention_rate", "below 0.9, of all predictions"),
    ("coverage", "coverage of labels"),
)
SIGNED: Final = frozenset({"signed_gap", "calibration_intercept", "spiegelhalter_z"})
EVERYTHING: Final = "all events"


def reading_text(reading: Reading) -> str:
    """One reading as a page of text, without a last line break."""
    parts = ["\n".join(_head(reading)), "\n".join(_measures(reading))]
    if reading.labelling is not None and reading.n:
        parts.append("\n".join(_labelling(reading, reading.labelling)))
    if reading.bins:
        parts.append("\n".join(_bins(reading)))
    if reading.above:
        parts.append("\n".join(_above(reading)))
    if reading.missing:
        parts.append("\n".join(f"no {name}: {reason}" for name, reason in sorted(reading.missing.items())))
    return "\n\n".join(parts)


def readings_table(readings: Sequence[Reading]) -> str:
    """Readings as a table, one line each, without a last line break."""
    rows = [
        [
            reading.model,
            reading.signal,
            segment_words(reading.segment),
            reading.source or "-",
            reading.window,
            str(reading.n),
            _number(reading.coverage),
            _number(reading.accuracy),
            _number(reading.mean_confidence),
            _signed(reading.signed_gap),
            _number(reading.ece),
            _interval(reading.intervals.get("ece")),
            _interval(reading.null_band.get("ece")),
            verdict(reading),
        ]
        for reading in readings
    ]
    head = ["model", "signal", "segment", "source", "window", "n", "coverage", "right", "confidence", "gap", "ECE"]
    return table([*head, "interval", "null band", "verdict"], rows, right={5, 6, 7, 8, 9, 10})


def segment_words(segment: Mapping[str, str]) -> str:
    """A segment as a person types it: lang=de,difficulty=hard."""
    return ",".join(f"{name}={value}" for name, value in segment.items()) or EVERYTHING


def verdict(reading: Reading) -> str:
    """What ECE says beside its null band, in words."""
    band = reading.null_band.get("ece")
    if reading.not_enough_labels:
        return "too few labels"
    if reading.ece is None or band is None:
        return "unknown"
    if reading.ece <= band[1]:
        return "as a calibrated model"
    gap = reading.signed_gap or 0.0
    return "off, over-confident" if gap > 0 else "off, under-confident"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> str:
    """Columns in line; those of `right` end alike, the others begin alike."""
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(head))]
    ends = set(right)
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place in ends else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def plural(n: int, one: str) -> str:
    """`1 label`, `2,000 labels`."""
    return f"{n:,} {one}{'' if n == 1 else 's'}"


def instant_words(at: datetime | None, otherwise: str) -> str:
    """An instant in UTC to the minute."""
    return otherwise if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _head(reading: Reading) -> list[str]:
    source = f", labels of {reading.source} alone" if reading.source else ""
    start, end = instant_words(reading.window_start, "the first"), instant_words(reading.window_end, "the last")
    lines = [
        f"{reading.model}: {reading.signal}, {segment_words(reading.segment)}{source}",
        f"window {reading.window} as of {instant_words(reading.as_of, 'now')}: predictions from {start} to {end}",
        f"{reading.n} labelled of {reading.n_predictions} predictions"
        + (f", coverage {reading.coverage:.3f}" if reading.coverage is not None else ""),
    ]
    if not reading.mature:
        lines.append("provisional: labels of the youngest predictions may still come")
    if reading.not_enough_labels:
        lines.append(f"not enough labels for a judgement: {reading.labels_needed} more are needed")
    return lines


def _measures(reading: Reading) -> list[str]:
    level = f"{100 * reading.confidence_level:g} % interval"
    rows = []
    for key, words in MEASURES:
        value = getattr(reading, key)
        shown = _signed(value) if key in SIGNED else _number(value)
        rows.append([words, shown, _interval(reading.intervals.get(key)), _interval(reading.null_band.get(key))])
    lines = table(["", f"n = {reading.n}", level, "if calibrated"], rows, right={1}).splitlines()
    if reading.every_look:
        lines.append(
            f"{100 * reading.confidence_level:g} % at every look together: "
            + ", ".join(
                f"{words} {_interval(reading.every_look[key])}" for key, words in MEASURES if key in reading.every_look
            )
        )
    if reading.confidence_shift is not None:
        found = reading.confidence_shift
        lines.append(
            f"confidences moved by {found.distance:.4f} ({_interval(found.interval)}) since the baseline, "
            f"{_interval(found.null_band)} if unchanged; their mean by {found.mean_change:+.4f}"
        )
    if reading.label_delay_seconds is not None:
        lines.append(f"labels come after {_duration(reading.label_delay_seconds)} (median)")
    lines.append(f"verdict: {verdict(reading)}")
    return lines


def _labelling(reading: Reading, labelling: Labelling) -> list[str]:
    """Whether the labels are a fair sample, and what corrected estimates say."""
    corrected = (("post-stratified", labelling.post_stratified), ("by propensity", labelling.weighted))
    rows = []
    for words, found in corrected if (reading.coverage or 0) < 1 else ():
        if found is not None:
            shown = (found.accuracy, found.signed_gap, found.ece, found.brier)
            cells = [f"{each.value:.4f}  {_interval(each.interval)}" for each in shown]
            rows.append([words, *cells, f"{found.n_effective:.0f}"])
    lines = [f"warning: {words}" for words in labelling.warnings]
    if rows:
        lines += table(
            ["for all predictions", "accuracy", "signed gap", "ECE", "Brier score", "effective n"], rows
        ).splitlines()
    return lines or ["labels: no sign that they are no fair sample"]


def _bins(reading: Reading) -> list[str]:
    closed = reading.bins_setting.edges == "right_closed"
    rows = [
        [
            _range(one.low, one.high, closed=closed),
            str(one.n),
            f"{one.mean_confidence:.3f}",
            f"{one.accuracy:.3f}",
            _interval(one.interval),
        ]
        for one in reading.bins
    ]
    return table(["confidence", "n", "mean", "accuracy", "interval"], rows, right={1, 2, 3}).splitlines()


def _range(low: float, high: float, *, closed: bool) -> str:
    """The bin as an interval; `closed` on the right, where the first bin holds 0, else the last one holds 1."""
    return f"{'(' if closed and low > 0 else '['}{low:.3g}, {high:.3g}{']' if closed or high >= 1 else ')'}"


def _above(reading: Reading) -> list[str]:
    rows = [
        [f">= {one.threshold:g}", str(one.n), _number(one.coverage), _number(one.accuracy), _interval(one.interval)]
        for one in reading.above
    ]
    return table(["confidence", "n", "share", "accuracy", "interval"], rows, right={1, 2, 3}).splitlines()


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.4f}"


def _interval(interval: Interval | None) -> str:
    return "-" if interval is None else f"{interval[0]:.4f} to {interval[1]:.4f}"


def _duration(seconds: float) -> str:
    for unit, size in (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"

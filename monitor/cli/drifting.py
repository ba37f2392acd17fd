"""Detectors and alarms as text for a person."""

from collections.abc import Sequence

from monitor.cli.figures import instant_words, segment_words, table
from monitor.postgres.alarms import AlarmRow, DetectorRow, evidence_words


def drift_text(found: Sequence[DetectorRow], alarms: Sequence[AlarmRow]) -> str:
    """The detectors as a table, then the alarms, a paragraph each; without a last line break."""
    rows = [
        [
            row.model,
            row.signal,
            segment_words(row.segment),
            stage_words(row),
            f"{row.labels:.0f}" if row.stage == "watching" else "-",
            "-" if row.residual is None else f"{row.residual:+.4f}",
            evidence_words(row.page_evidence, row.page_limit, "-"),
            evidence_words(row.warn_evidence, row.warn_limit, "-"),
            str(row.late_labels),
        ]
        for row in found
    ]
    head = ["model", "signal", "segment", "baseline", "labels since", "residual", "page", "warning", "late labels"]
    parts = [table(head, rows, right={4, 5, 8})]
    parts += ["\n".join(alarm_words(alarm)) for alarm in alarms]
    return "\n\n".join(parts if alarms else [*parts, "no alarms"])


def drift_line(row: DetectorRow | None, last: AlarmRow | None) -> str:
    """What the detectors say of one series, in one line."""
    if row is None:
        return "drift: not watched yet"
    said = "no alarm so far" if last is None else alarm_words(last)[0]
    page = evidence_words(row.page_evidence, row.page_limit, "-")
    return f"drift: {stage_words(row)}; evidence for a page {page}; {said}"


def stage_words(row: DetectorRow) -> str:
    """Whether the series has a baseline."""
    if row.renew:
        return "a new one was asked for"
    if row.stage == "learning":
        return f"learning, {row.baseline_labels} labels so far"
    return f"{row.baseline_labels} labels from {instant_words(row.began_at, 'the first')}"


def alarm_words(alarm: AlarmRow) -> list[str]:
    """An alarm in a few lines: what drifted to which side, by how much, since when."""
    since = f"{instant_words(alarm.onset_low_at, '')} to {instant_words(alarm.onset_high_at, '')}"
    named = f"{alarm.model}, {alarm.signal}, {segment_words(alarm.segment)}"
    moved = f"{-alarm.size:+.3f} ({-alarm.size_high:+.3f} to {-alarm.size_low:+.3f})"
    onset = f"since about {instant_words(alarm.onset_at, '')} ({since})"
    held = f"evidence {alarm.value:.3g}, enough from {1 / alarm.alpha:.3g} on"
    lines = [
        f"{alarm.tier_name} at {instant_words(alarm.raised_at, '')}: {named}: {alarm.what}",
        f"  outcomes moved by {moved} against the baseline, {onset}",
        f"  {held}; {alarm.labels:.0f} labels since the baseline",
    ]
    if alarm.tier == "warn":
        lines.append(f"  best explained by slope {alarm.slope:g} and intercept {alarm.intercept:+g} over log odds")
    return lines

"""Every exported metric: its name, unit, labels and meaning, and how a snapshot of the database becomes samples. Pure.

Names keep to Prometheus' rules: base units, `_total` on counters, ratios from 0 to 1. Labels hold models, segments and
topics, never ids of events. Samples are made anew for every scrape, so a series that is retired vanishes with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

Kind = Literal["counter", "gauge"]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. `name` is as it is queried, a counter's `_total` included; `unit` is what 1 means."""

    name: str
    kind: Kind
    unit: str
    labels: tuple[str, ...]
    meaning: str


_SERIES: Final = ("model", "signal", "segment", "window")

BUILD = Family("caldrift_build_info", "gauge", "always 1", ("version", "python_version"), "Which version this is.")
DATABASE_UP = Family(
    "caldrift_database_up",
    "gauge",
    "1 or 0",
    (),
    "Whether the database could be read for this scrape; without it the other families are absent.",
)
RECORDS = Family(
    "caldrift_kafka_records_total",
    "counter",
    "records",
    ("topic",),
    "Records read and applied, by the offsets that are stored.",
)
LAG = Family(
    "caldrift_kafka_consumer_lag_records",
    "gauge",
    "records",
    ("topic", "partition"),
    "Records between the next offset and the end of the partition when last seen.",
)
LAST_BATCH = Family(
    "caldrift_kafka_last_batch_timestamp_seconds",
    "gauge",
    "seconds since 1970 on the service's clock",
    ("topic",),
    "When a batch of the topic was last applied.",
)
DEAD_LETTERS = Family(
    "caldrift_dead_letter_records",
    "gauge",
    "records",
    ("topic", "reason"),
    "Records that could not be used and are kept; retention and replay make it fall.",
)
EVENTS = Family(
    "caldrift_events_total",
    "counter",
    "events",
    ("model", "event"),
    "Events by what became of them (joined, duplicate_label, correction, ...), each counted exactly once.",
)
COVERAGE = Family(
    "caldrift_label_coverage_ratio",
    "gauge",
    "ratio 0 to 1",
    ("model", "window"),
    "Share of the predictions in the window that have a label.",
)
DELAY = Family(
    "caldrift_label_delay_median_seconds",
    "gauge",
    "seconds",
    ("model", "window"),
    "Median time from a prediction to its label.",
)
ECE = Family(
    "caldrift_calibration_ece_ratio",
    "gauge",
    "ratio 0 to 1",
    _SERIES,
    "Expected calibration error over equal-width bins.",
)
ECE_LOW = Family(
    "caldrift_calibration_ece_ci_lower_ratio",
    "gauge",
    "ratio 0 to 1",
    _SERIES,
    "Lower end of the interval of the expected calibration error.",
)
ECE_HIGH = Family(
    "caldrift_calibration_ece_ci_upper_ratio",
    "gauge",
    "ratio 0 to 1",
    _SERIES,
    "Upper end of the interval of the expected calibration error.",
)
NULL_LOW = Family(
    "caldrift_calibration_ece_null_lower_ratio",
    "gauge",
    "ratio 0 to 1",
    _SERIES,
    "Lower end of the null band: what a calibrated model would show with as many labels.",
)
NULL_HIGH = Family(
    "caldrift_calibration_ece_null_upper_ratio",
    "gauge",
    "ratio 0 to 1",
    _SERIES,
    "Upper end of the null band; an expected calibration error above it is more than chance.",
)
GAP = Family(
    "caldrift_calibration_mean_gap_ratio",
    "gauge",
    "ratio -1 to 1",
    _SERIES,
    "Mean confidence minus share right; positive means over-confident.",
)
BRIER = Family("caldrift_calibration_brier_score", "gauge", "0 to 1", _SERIES, "Mean squared error of the confidence.")
SMOOTH_ECE = Family(
    "caldrift_calibration_smooth_ece_ratio", "gauge", "ratio 0 to 1", _SERIES, "Smooth calibration error, without bins."
)
SLOPE = Family(
    "caldrift_calibration_slope",
    "gauge",
    "any",
    _SERIES,
    "Calibration slope: 1 if calibrated, below 1 where confidences are too extreme.",
)
INTERCEPT = Family(
    "caldrift_calibration_intercept", "gauge", "any, log odds", _SERIES, "Calibration intercept: 0 if calibrated."
)
AUROC = Family(
    "caldrift_ranking_auroc_ratio",
    "gauge",
    "ratio 0 to 1",
    _SERIES,
    "Chance that a right answer has more confidence than a wrong one.",
)
AURC = Family(
    "caldrift_ranking_aurc_ratio",
    "gauge",
    "ratio 0 to 1",
    _SERIES,
    "Area under the risk-coverage curve; lower is better.",
)
CONFIDENT_ERRORS = Family(
    "caldrift_confident_error_ratio",
    "gauge",
    "ratio 0 to 1",
    _SERIES,
    "Share of labelled predictions with a confidence of 0.9 or more that were wrong.",
)
LABELLED = Family(
    "caldrift_window_labelled_samples", "gauge", "predictions", _SERIES, "Labelled predictions in the window."
)
PREDICTED = Family(
    "caldrift_window_predictions", "gauge", "predictions", _SERIES, "Predictions in the window, labelled or not."
)
DRIFT_ALARMS = Family(
    "caldrift_drift_alarms_total",
    "counter",
    "alarms",
    ("model", "tier"),
    "Alarms of the drift detectors over all series of the model; tier is page or warn.",
)
DRIFT_SERIES = Family(
    "caldrift_drift_series",
    "gauge",
    "series",
    ("model", "stage"),
    "Series under watch for drift: learning a baseline, or watching.",
)
DRIFT_EVIDENCE = Family(
    "caldrift_drift_evidence_ratio",
    "gauge",
    "ratio, an alarm from 1 on",
    (*_SERIES[:3], "tier"),
    "How far the evidence for drift is on the way to an alarm, on a scale of logarithms.",
)
DRIFT_SHIFT = Family(
    "caldrift_drift_residual_ratio",
    "gauge",
    "ratio -1 to 1",
    _SERIES[:3],
    "Mean of expected minus outcome since the baseline; positive means less often right than it expects.",
)
DRIFT_ALARM_AT = Family(
    "caldrift_drift_last_alarm_timestamp_seconds",
    "gauge",
    "seconds since 1970 on the service's clock",
    (*_SERIES[:3], "tier"),
    "When the series last had an alarm.",
)
DRIFT_LATE = Family(
    "caldrift_drift_late_labels",
    "gauge",
    "labels",
    ("model",),
    "Labels that changed after their hour was fed to the detectors, since the baselines.",
)
CERTIFICATES = Family(
    "caldrift_certificates",
    "gauge",
    "certificates",
    ("model", "verdict"),
    "Deployed certificates by how their promises stand: not broken, broken, no labels yet, cannot tell.",
)
CERTIFICATE_SHORTFALL = Family(
    "caldrift_certificate_shortfall_ratio",
    "gauge",
    "ratio -1 to 1",
    ("model",),
    "By how much the accuracy misses what a deployed certificate promised, at least; above 0 its promise is broken.",
)
CALIBRATOR_VERSION = Family(
    "caldrift_calibrator_version",
    "gauge",
    "version",
    ("model", "signal", "stage"),
    "The recalibration map in force, 0 for confidences as stated after a roll-back; stage: active or shadow.",
)
RECALIBRATIONS = Family(
    "caldrift_recalibrations_total",
    "counter",
    "runs",
    ("model", "cause", "outcome"),
    "Recalibration runs by cause (schedule, alert, demand) and outcome (passed, kept, failed).",
)
RECALIBRATED_AT = Family(
    "caldrift_recalibration_last_run_timestamp_seconds",
    "gauge",
    "seconds since 1970 on the service's clock",
    ("model",),
    "When the model last had a run, whatever the gate said of it.",
)
WINDOW_AT = Family(
    "caldrift_window_last_evaluated_timestamp_seconds",
    "gauge",
    "seconds since 1970 on the service's clock",
    ("model",),
    "When the model was last evaluated.",
)
ACTIVE = Family(
    "caldrift_segments_active",
    "gauge",
    "series",
    ("model",),
    "Series (signal and segment) of the model that have a reading.",
)
DROPPED = Family(
    "caldrift_segments_dropped",
    "gauge",
    "series",
    ("model",),
    "Series of the model that are left out here, because only whole models and the worst series are shown.",
)
DELTAS = Family(
    "caldrift_deltas_waiting", "gauge", "batches", (), "Batches that are joined and wait for the evaluation."
)
EVALUATED_AT = Family(
    "caldrift_evaluation_last_timestamp_seconds",
    "gauge",
    "seconds since 1970 on the service's clock",
    (),
    "When the leader last evaluated.",
)
EVALUATION_TOOK = Family(
    "caldrift_evaluation_last_duration_seconds", "gauge", "seconds", (), "How long the last evaluation took."
)
CLOCK = Family(
    "caldrift_clock_timestamp_seconds",
    "gauge",
    "seconds since 1970",
    (),
    "The service's clock: wall time, or the scaled clock of a demonstration. Compare timestamps with this.",
)
SILENCE = Family(
    "caldrift_role_silence_seconds",
    "gauge",
    "seconds",
    ("role",),
    "Wall time since the role's most recent sign of life.",
)
RULES_INFO = Family("caldrift_rules_info", "gauge", "always 1", ("digest",), "Which rule file is in force.")
RULES_AT = Family(
    "caldrift_rules_loaded_timestamp_seconds",
    "gauge",
    "seconds since 1970 on the service's clock",
    (),
    "When the rule file in force was loaded.",
)
RULES_REFUSED = Family(
    "caldrift_rules_reload_failed",
    "gauge",
    "1 or 0",
    (),
    "Whether a newer rule file was refused, so that the one before it stays in force.",
)
RULE_JUDGED = Family(
    "caldrift_rule_judged_subjects",
    "gauge",
    "series, models, or the service",
    ("rule",),
    "On how much the rule was judged the last time.",
)
RULE_INSUFFICIENT = Family(
    "caldrift_rule_insufficient_subjects",
    "gauge",
    "as judged",
    ("rule",),
    "Of how much of it the data did not suffice.",
)
RULE_FAILED = Family(
    "caldrift_rule_failed", "gauge", "1 or 0", ("rule",), "Whether judging the rule failed the last time."
)
RULE_AT = Family(
    "caldrift_rule_last_judged_timestamp_seconds",
    "gauge",
    "seconds since 1970 on the service's clock",
    ("rule",),
    "When the rule was last judged.",
)
ALERTS = Family(
    "caldrift_alerts",
    "gauge",
    "alerts",
    ("rule", "severity", "state"),
    "Alerts by state: pending, firing or recovering, told or not.",
)
HUSHED = Family(
    "caldrift_alerts_hushed",
    "gauge",
    "alerts",
    ("rule", "severity"),
    "Firing alerts that nobody is told of: silenced, muted, inhibited, or of a rule in the shadow.",
)
INCIDENTS = Family(
    "caldrift_incidents_open", "gauge", "incidents", ("rule",), "Incidents that were told and are not over."
)
SILENCES = Family("caldrift_silences_in_force", "gauge", "silences", (), "Silences that are in force.")
NOTICES_WAITING = Family(
    "caldrift_outbox_waiting_notices", "gauge", "notices", ("channel",), "Notices that wait to be told."
)
NOTICES_OLDEST = Family(
    "caldrift_outbox_oldest_waiting_seconds",
    "gauge",
    "seconds",
    ("channel",),
    "For how long the oldest of them could have been told; 0 while none is due.",
)
NOTICES_TOLD = Family("caldrift_notices_told_total", "counter", "notices", ("channel",), "Notices that were told.")
NOTICES_DEAD = Family(
    "caldrift_outbox_dead_notices",
    "gauge",
    "notices",
    ("channel",),
    "Notices that were given up; trying them again makes it fall.",
)
CHANNEL_FAILURES = Family(
    "caldrift_channel_failures", "gauge", "attempts", ("channel",), "Attempts in a row that failed."
)
CHANNEL_STATE = Family(
    "caldrift_channel_state",
    "gauge",
    "1 or 0",
    ("channel", "state"),
    "Whether the channel is open, closed for a while after failures, or refuses everything.",
)
CHANNEL_TOLD_AT = Family(
    "caldrift_channel_last_told_timestamp_seconds",
    "gauge",
    "seconds since 1970 of wall time",
    ("channel",),
    "When a notice was last told.",
)
HEARTBEAT_AT = Family(
    "caldrift_heartbeat_last_timestamp_seconds",
    "gauge",
    "seconds since 1970 of wall time",
    ("channel",),
    "When the channel last took a sign of life.",
)

REVIEW_WAITING = Family(
    "caldrift_review_waiting_items",
    "gauge",
    "predictions",
    ("model", "queue"),
    "Predictions that wait for somebody to look at them, by queue: errors, spot_check; at most 10,000 are counted.",
)
REVIEW_ANSWERS = Family(
    "caldrift_review_answers_total",
    "counter",
    "answers",
    ("model", "queue", "reason", "drawn"),
    "Answers of reviewers; drawn: how they were chosen, by confidence or at random.",
)

FAMILIES: Final = (
    BUILD, DATABASE_UP, RECORDS, LAG, LAST_BATCH, DEAD_LETTERS, EVENTS, COVERAGE, DELAY, ECE, ECE_LOW, ECE_HIGH,
    NULL_LOW, NULL_HIGH, GAP, BRIER, SMOOTH_ECE, SLOPE, INTERCEPT, AUROC, AURC, CONFIDENT_ERRORS, LABELLED, PREDICTED,
    DRIFT_ALARMS, DRIFT_SERIES, DRIFT_EVIDENCE, DRIFT_SHIFT, DRIFT_ALARM_AT, DRIFT_LATE, CERTIFICATES,
    CERTIFICATE_SHORTFALL, CALIBRATOR_VERSION, RECALIBRATIONS, RECALIBRATED_AT,
    WINDOW_AT, ACTIVE, DROPPED, DELTAS, EVALUATED_AT, EVALUATION_TOOK, CLOCK, SILENCE,
    RULES_INFO, RULES_AT, RULES_REFUSED, RULE_JUDGED, RULE_INSUFFICIENT, RULE_FAILED, RULE_AT, ALERTS, HUSHED,
    INCIDENTS, SILENCES, NOTICES_WAITING, NOTICES_OLDEST, NOTICES_TOLD, NOTICES_DEAD, CHANNEL_FAILURES, CHANNEL_STATE,
    CHANNEL_TOLD_AT, HEARTBEAT_AT,
    REVIEW_WAITING, REVIEW_ANSWERS,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a family; `labels` in the order of `Family.labels`."""

    family: Family
    labels: tuple[str, ...]
    value: float


class SnapshotCollector(Collector):
    """Gives a registry the samples of one moment, grouped by family, in the order of FAMILIES."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._samples: Mapping[str, list[Sample]] = {family.name: [] for family in FAMILIES}
        for sample in samples:
            self._samples[sample.family.name].append(sample)

    def collect(self) -> Iterator[Metric]:
        for family in FAMILIES:
            samples = self._samples[family.name]
            if samples:
                yield _metric(family, samples)


def registry_of(samples: Iterable[Sample]) -> CollectorRegistry:
    """A registry that holds exactly these samples, ready to be written in any exposition format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(SnapshotCollector(samples))
    return registry


def _metric(family: Family, samples: Sequence[Sample]) -> Metric:
    of_kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = of_kind(family.name.removesuffix("_total"), family.meaning.removesuffix("."), labels=family.labels)
    for sample in samples:
        metric.add_metric(list(sample.labels), sample.value)
    return metric


def reference() -> str:
    """The table of all metrics in Markdown, as docs/metrics.md has it."""
    rows = (
        f"| `{family.name}` | {family.kind} | {family.unit} | "
        f"{', '.join(f'`{label}`' for label in family.labels) or 'none'} | {family.meaning} |"
        for family in FAMILIES
    )
    return "\n".join(("| name | kind | unit | labels | meaning |", "|---|---|---|---|---|", *rows, ""))

"""The closed list of what a rule may watch: its unit and range, which side of it is bad, and what it means."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

About: TypeAlias = Literal["series", "model", "service"]
Unit: TypeAlias = Literal["number", "count", "duration"]
Side: TypeAlias = Literal["above", "below"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One measure. `bad` is the side on which it is worse, None where that depends; low and high bound its values.

    `about` says what has a value of it: each series, each model, or the service once. `interval`: whether a reading
    has an interval of it, so that evidence can be confident. A duration's bounds are seconds.
    """

    name: str
    meaning: str
    bad: Side | None
    low: float | None = 0.0
    high: float | None = 1.0
    about: About = "series"
    unit: Unit = "number"
    interval: bool = True


DRIFT: Final = "drift"
"""The alarms of the detectors, which have no limit of a rule's own."""

READING: Final = (
    Metric("mean_confidence", "Mean stated confidence.", None),
    Metric("accuracy", "Mean outcome: the share that was right.", "below"),
    Metric("signed_gap", "Mean confidence minus accuracy; positive is over-confident.", None, low=-1.0),
    Metric("ece", "Expected calibration error over equal-width bins; biased upwards where labels are few.", "above"),
    Metric("ece_debiased", "ECE less the bias of its resamples.", "above"),
    Metric("ece_equal_mass", "Expected calibration error over bins of equal mass.", "above"),
    Metric("smooth_ece", "Smooth calibration error, without bins.", "above"),
    Metric("mce", "Largest gap of a bin.", "above"),
    Metric("over_confident_part", "The part of ECE from bins that are less often right than stated.", "above"),
    Metric("under_confident_part", "The part of ECE from bins that are more often right than stated.", "above"),
    Metric("brier", "Mean squared error of the confidence.", "above"),
    Metric("brier_miscalibration", "The part of the Brier score that recalibration would take away.", "above"),
    Metric("brier_discrimination", "The part of the Brier score that telling right from wrong takes away.", "below"),
    Metric("brier_uncertainty", "The Brier score of stating the accuracy each time.", None),
    Metric("reliability", "Murphy's reliability, over the bins.", "above"),
    Metric("resolution", "Murphy's resolution, over the bins.", "below"),
    Metric("log_loss", "Mean log loss, in nats.", "above", high=None),
    Metric("calibration_slope", "Slope of the logistic calibration: 1 if calibrated.", None, low=None, high=None),
    Metric("calibration_intercept", "Intercept of it, in log odds: 0 if calibrated.", None, low=None, high=None),
    Metric("spiegelhalter_z", "Standard normal if calibrated; positive is worse.", "above", low=None, high=None),
    Metric("auroc", "Chance that a right answer has more confidence than a wrong one.", "below"),
    Metric("aurc", "Area under the risk-coverage curve.", "above"),
    Metric("sharpness", "Variance of the confidences.", None),
    Metric("confident_error_share", "Share of labelled predictions with confidence 0.9 or more and wrong.", "above"),
    Metric("abstention_rate", "Share of predictions with confidence below 0.9, labelled or not.", "above"),
    Metric("coverage", "Share of the predictions that have a label.", "below"),
    Metric(
        "label_delay_seconds",
        "Median time from a prediction to its label.",
        "above",
        high=None,
        unit="duration",
        interval=False,
    ),
    Metric("n", "Labelled predictions in the window.", "below", high=None, unit="count", interval=False),
    Metric("n_predictions", "Predictions in the window.", "below", high=None, unit="count", interval=False),
)
"""Measures of a reading; docs/measures.md defines them."""


def _of_the_monitor(name: str, meaning: str, unit: Unit, about: About = "service") -> Metric:
    return Metric(name, meaning, "above", high=None, about=about, unit=unit, interval=False)


MONITOR: Final = (
    _of_the_monitor(
        "labels_stale", "Time for which predictions of the model have come, and no label.", "duration", "model"
    ),
    _of_the_monitor(
        "recalibration_late", "Time since the last scheduled recalibration of the model.", "duration", "model"
    ),
    Metric(
        "certificate_breach",
        "By how much the accuracy misses what a deployed certificate promised, at least; of the model's worst.",
        "above",
        low=-1.0,
        about="model",
        interval=False,
    ),
    _of_the_monitor(
        "intake_stopped", "Time for which messages waited and none was applied, or nobody read.", "duration"
    ),
    _of_the_monitor("consumer_lag", "Messages that wait in the topics.", "count"),
    _of_the_monitor("dead_letters", "Messages of the last 24 hours that could not be used.", "count"),
    _of_the_monitor("evaluation_late", "Time since the last evaluation.", "duration"),
    _of_the_monitor("outbox_stuck", "Age of the oldest notice that waits to be sent.", "duration"),
)
"""Measures of models beyond their readings, and of the monitor itself."""

METRICS: Final = {metric.name: metric for metric in (*READING, *MONITOR)}
NAMES: Final = (*METRICS, DRIFT)

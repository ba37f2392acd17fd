"""Settings -> how the detectors watch. Apart from the other values: the detectors take long to import."""

from monitor.config.sections import Settings
from monitor.drift.watches import Rules


def detector_rules(settings: Settings) -> Rules:
    """How series are watched by the detectors."""
    drift = settings.drift
    return Rules(
        false_pages_per_year=drift.false_pages_per_year,
        false_warnings_per_year=drift.false_warnings_per_year,
        baseline_labels=drift.baseline_labels,
        tolerance=drift.tolerance,
    )

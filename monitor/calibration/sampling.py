"""Sampling: whether the labels of a reading are a fair sample of its predictions, and what to think of it if not."""

from collections.abc import Callable
from typing import Final, TypeVar

from monitor.calibration.delays import Comparison, compare_delays
from monitor.calibration.labelling import Trend, labelling_trend, post_stratified, weighted
from monitor.calibration.reading import Labelling, ReadingSettings
from monitor.calibration.sketch import Sketch
from monitor.errors import NotEnoughData

SURE: Final = 1e-3
"""A p-value below which a warning is given, where the effect is large enough too."""
TILTED: Final = 0.1
"""Of the share of labelled predictions, over the whole range of confidence."""
HURRIED: Final = 0.1
"""Of the chance that the label of a wrong answer comes before that of a right one."""

Found = TypeVar("Found")


def labelling_of(sketch: Sketch, settings: ReadingSettings) -> Labelling:
    """How labels came, and the estimates that are corrected for it."""
    setting = (settings.bins, settings.edges, settings.confidence_level)
    missing: dict[str, str] = {}

    def known(name: str, ask: Callable[[], Found]) -> Found | None:
        try:
            return ask()
        except NotEnoughData as reason:
            missing[name] = str(reason)
            return None

    trend = known("trend", lambda: labelling_trend(sketch))
    sooner = known("errors_sooner", lambda: compare_delays(sketch, settings.confidence_level))
    return Labelling(
        trend,
        sooner,
        known("post_stratified", lambda: post_stratified(sketch, *setting)),
        known("weighted", lambda: weighted(sketch, *setting)),
        _warnings(trend, sooner),
        missing,
    )


def _warnings(trend: Trend | None, sooner: Comparison | None) -> list[str]:
    """What is both sure and large enough to move a reading."""
    said = []
    if trend is not None and trend.p_value < SURE and abs(trend.slope) > TILTED:
        less = "less" if trend.slope < 0 else "more"
        said.append(
            f"Confident predictions are labelled {less} often: the share of labelled ones changes by "
            f"{trend.slope / 10:+.2f} for each 0.1 of confidence. See the estimates for all predictions."
        )
    if sooner is not None and sooner.p_value < SURE and abs(sooner.sooner - 0.5) > HURRIED:
        first = "errors" if sooner.sooner > 0.5 else "right answers"
        said.append(
            f"Labels of {first} come sooner (chance {max(sooner.sooner, 1 - sooner.sooner):.2f} instead of 0.5): until "
            "a window is mature its accuracy misleads. Keep the maturity longer than labels take."
        )
    return said

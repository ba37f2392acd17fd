"""Baselines: the stretches of time that a rule of change compares a window with, and what they say together."""

from collections.abc import Sequence
from datetime import timedelta
from statistics import fmean
from typing import Final

from msgspec import structs

from monitor.alerting.rules import Baseline, LastRecalibration, LastVersion, SamePeriod, Trailing
from monitor.calibration.reading import Reading
from monitor.rolling.panes import Span

HOUR: Final = timedelta(hours=1)


def spans(baseline: Baseline, window: Span, hours: int, began: int | None) -> list[Span]:
    """What the window, `hours` long, is compared with.

    `began`: the hour at which the model version, or the recalibration, that is in force came; None: there is none, or
    it is the first.
    """
    match baseline:
        case SamePeriod():
            steps = [number * int(baseline.every / HOUR) for number in range(1, baseline.periods + 1)]
            return [Span(window.start_hour - step, window.end_hour - step) for step in steps]
        case Trailing():
            return [Span(window.start_hour - int(baseline.length / HOUR), window.start_hour)]
        case LastVersion():
            return [] if began is None else [Span(began - hours, began)]
        case LastRecalibration():
            full = began is not None and began + hours <= window.end_hour
            return [Span(began, began + hours)] if began is not None and full else []


def least(baseline: Baseline) -> int:
    """With fewer readings than these the data do not suffice."""
    return baseline.min_periods if isinstance(baseline, SamePeriod) else 1


def together(readings: Sequence[Reading], measure: str, baseline: Baseline) -> Reading | None:
    """One reading for those of the spans that know the measure; None where these are too few.

    The median is the reading in the middle, the higher of two. The mean has the mean of the values, and of the ends of
    their intervals: as wide as one of them, because what repeats in each season does not average out.
    """
    known = sorted(readings, key=lambda each: float(getattr(each, measure)))
    if len(known) < least(baseline):
        return None
    middle = known[len(known) // 2]
    if not isinstance(baseline, SamePeriod) or baseline.statistic == "median":
        return middle
    mean = fmean(float(getattr(each, measure)) for each in known)
    intervals = [found for each in known if (found := each.intervals.get(measure)) is not None]
    whole = dict(middle.intervals)
    if intervals:
        whole[measure] = fmean(low for low, _ in intervals), fmean(high for _, high in intervals)
    return structs.replace(middle, n=min(each.n for each in known), intervals=whole, **{measure: mean})

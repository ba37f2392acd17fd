"""Settings -> the frozen values of the layers below. What leaves here is named for its use, and is never `Settings`."""

from datetime import timedelta

from monitor.alerting.kept import Kept
from monitor.calibration.cells import Edges
from monitor.calibration.reading import ReadingSettings
from monitor.config.sections import Settings
from monitor.config.thresholds import high_from
from monitor.events.mapping import FieldMapping, MessageKind, field_mapping
from monitor.events.rules import EventRules
from monitor.forms.kinds import Section
from monitor.rolling.agreement import Agreement
from monitor.rolling.bound import SeriesBound
from monitor.rolling.segments import Dimension, SegmentScheme
from monitor.rolling.windows import Window

_HOUR = timedelta(hours=1)
_DAY_HOURS = 24


def event_rules(settings: Settings) -> EventRules:
    """How messages are read."""
    events = settings.events
    return EventRules(
        predictions=_mapping("prediction", events.fields.prediction),
        labels=_mapping("label", events.fields.label),
        main_signal=events.main_signal,
        id_scope=events.id_scope,
        max_clock_ahead=events.max_clock_ahead,
    )


def _mapping(kind: MessageKind, fields: Section) -> FieldMapping:
    return field_mapping(kind, {ours: str(theirs) for ours, theirs in fields})


def segment_scheme(settings: Settings) -> SegmentScheme:
    """How predictions fall into segments."""
    dimensions = settings.segments.dimensions.items()
    return SegmentScheme(
        dimensions=tuple(Dimension(name, each.field or "", each.cuts, each.names) for name, each in dimensions),
        crosses=settings.segments.crosses,
        main_signal=settings.events.main_signal,
        classes=settings.segments.max_classes > 0,
        agreements=tuple(
            Agreement(*high_from(first), *high_from(second)) for first, second in settings.segments.agreements
        ),
    )


def series_bound(settings: Settings) -> SeriesBound:
    """An empty bound on the series, to be filled from what is stored."""
    segments = settings.segments
    return SeriesBound(segments.max_series, settings.events.main_signal, segments.max_classes)


def windows(settings: Settings) -> tuple[Window, ...]:
    """The rolling windows, shortest first, and the window of everything."""
    hours = sorted(length // _HOUR for length in settings.windows.lengths)
    return (*(Window(_window_name(each), each) for each in hours), Window("all", None))


def _window_name(hours: int) -> str:
    return f"{hours // _DAY_HOURS}d" if hours % _DAY_HOURS == 0 else f"{hours}h"


def reading_settings(settings: Settings, bins: int | None = None, edges: Edges | None = None) -> ReadingSettings:
    """How sketches are read; `bins` and `edges` of a command go before the settings'. Raises BadInput for bad ones."""
    readings = settings.readings
    return ReadingSettings(
        bins=readings.bins if bins is None else bins,
        edges=readings.edges if edges is None else edges,
        confidence_level=readings.confidence_level,
        min_labels=readings.min_labels,
    )


def kept(settings: Settings) -> Kept:
    """What rules may ask for."""
    return Kept(
        windows=tuple(window.name for window in windows(settings)),
        bins=settings.readings.bins,
        edges=settings.readings.edges,
        false_pages_per_year=settings.drift.false_pages_per_year,
    )


def is_primary_source(settings: Settings, source: str | None) -> bool:
    """Whether labels of this source feed the main series. A label that names no source always does."""
    events = settings.events
    if source is None:
        return True
    return source in events.primary_sources if events.primary_sources else source not in events.non_primary_sources

"""What a reading of a window is about: the series, the window and the stretch of time that it truly covers."""

import json
from datetime import datetime, timedelta

from monitor.calibration.reading import Subject
from monitor.rolling.maturity import is_mature
from monitor.rolling.panes import BEGINNING, FOREVER, Span, start_of
from monitor.rolling.segments import SeriesName


def subject_of(name: SeriesName, window: str, covered: Span, as_of: datetime, maturity: timedelta) -> Subject:
    """The subject of a reading at `as_of` whose sums are of the panes of `covered`; an open end has no instant.

    `mature` says whether all its labels have had `maturity` to come, the configured one.
    """
    segment: dict[str, str] = json.loads(name.segment)
    return Subject(
        model=name.model,
        signal=name.signal,
        segment=segment,
        source=name.source_group,
        window=window,
        as_of=as_of,
        window_start=None if covered.start_hour <= BEGINNING else start_of(covered.start_hour),
        window_end=None if covered.end_hour >= FOREVER else start_of(covered.end_hour),
        mature=not maturity or is_mature(covered, as_of, maturity),
    )

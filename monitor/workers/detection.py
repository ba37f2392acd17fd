"""Feeding the detectors: once an hour of the clock, every mature pane that has settled, as it was known at that hour.

What is read does not depend on the moment: a crash, a pause or a second try feeds the same panes with the same labels.
Panes, state and alarms of some series are written in one transaction.
"""

import logging
import time
from dataclasses import replace
from datetime import datetime
from typing import Final

import numpy as np

from monitor.calibration.sketch import Row
from monitor.drift.alarms import Alarm
from monitor.drift.budget import alphas
from monitor.drift.detectors import Limits
from monitor.drift.watches import Pane, Taken, feed
from monitor.postgres.database import Connection
from monitor.postgres.detectors import add_late, read_watches, write_alarms, write_fed, write_watches
from monitor.postgres.leader import leading
from monitor.postgres.mature import Mature, Wanted, mature_panes
from monitor.rolling.maturity import labels_changed, mature_hour
from monitor.rolling.panes import hour_after, start_of
from monitor.rolling.segments import SeriesName
from monitor.rolling.stacks import Stack, numbers_of, series_of, sketches
from monitor.workers.standing import Detecting, Evaluation, Standing

SERIES_AT_ONCE: Final = 500
PANES_AT_ONCE: Final = 48
"""Panes of each series that one transaction feeds."""
FEED_SECONDS: Final = 0.3
"""Wall time of one turn."""

log = logging.getLogger("caldrift.evaluate")


def feed_detectors(connection: Connection, standing: Standing, evaluation: Evaluation, now: datetime) -> int:
    """Feed what has become mature by the last full hour, for a share of the turn; returns how many panes were fed."""
    if evaluation.drift.is_off:
        return 0
    detecting, hour = standing.detecting, hour_after(now) - 1
    if hour > detecting.hour and not detecting.queue:
        _begin(standing, evaluation, hour)
    until, fed = time.monotonic() + FEED_SECONDS, 0
    while detecting.queue and time.monotonic() < until:
        fed += _feed_some(connection, standing, evaluation, detecting.queue.popleft())
    return fed


def note_late(connection: Connection, standing: Standing, changes: Stack) -> None:
    """Count the labels that changed in panes that were fed."""
    series, hours = series_of(changes.keys), numbers_of(changes.keys)
    every, place = np.unique(series, return_inverse=True)
    taken = [standing.detecting.taken.get(one) for one in every.tolist()]
    edges = np.array([(0, -1) if each is None else (each.began, each.until) for each in taken], np.int64).reshape(-1, 2)
    fed = (hours >= edges[place, 0]) & (hours <= edges[place, 1])
    if fed.any():
        late = np.zeros(len(every), np.int64)
        np.add.at(late, place[fed], labels_changed(changes)[fed])
        add_late(connection, {one: n for one, n in zip(every.tolist(), late.tolist(), strict=True) if n})


def _begin(standing: Standing, evaluation: Evaluation, hour: int) -> None:
    """Queue every watched series, each with its share of the budgets."""
    watched = sorted(number for number, name in standing.series.items() if not name.source_group)
    taken = [standing.detecting.taken.get(one) for one in watched]
    rates = [None if each is None else each.updates_per_year for each in taken]
    drift, judging = evaluation.drift, standing.judging
    pages = drift.false_pages_per_year
    if judging is not None:
        pages = judging.force.false_pages_per_year(pages)
    both = zip(
        alphas(pages, rates).tolist(),
        alphas(drift.false_warnings_per_year, rates).tolist(),
        strict=True,
    )
    standing.detecting.hour = hour
    standing.detecting.alphas = dict(zip(watched, both, strict=True))
    standing.detecting.queue.extend(
        watched[first : first + SERIES_AT_ONCE] for first in range(0, len(watched), SERIES_AT_ONCE)
    )


def _feed_some(connection: Connection, standing: Standing, evaluation: Evaluation, series: list[int]) -> int:
    detecting, drift = standing.detecting, evaluation.drift
    with leading(connection, standing.epoch):
        mature = mature_panes(connection, _wanted(detecting, evaluation, series))
        panes = _panes_of(mature.panes)
        due = sorted(panes)
        rates = np.array([detecting.alphas[one] for one in due]).reshape(-1, 2)
        limits = Limits(rates[:, 0], rates[:, 1], drift.tolerance)
        fed = feed(read_watches(connection, due), [panes[one] for one in due], limits, drift.baseline_labels)
        watches = dict(zip(due, fed.watches, strict=True))
        alarms = [replace(alarm, series=due[alarm.series]) for alarm in fed.alarms]
        write_watches(connection, watches, detecting.alphas, _changed_since(mature))
        write_fed(
            connection, [pane._replace(series=due[pane.series]) for pane in fed.panes], detecting.alphas, detecting.hour
        )
        write_alarms(connection, alarms, detecting.alphas, start_of(detecting.hour))
    detecting.taken.update((one, watch.taken) for one, watch in watches.items())
    if standing.judging is not None:
        standing.judging.alarmed.update(alarm.series for alarm in alarms)
    if mature.more and due:
        detecting.queue.append(series)
    for alarm in alarms:
        _say(standing.series[alarm.series], alarm)
    return len(fed.panes)


def _wanted(detecting: Detecting, evaluation: Evaluation, series: list[int]) -> Wanted:
    taken = [detecting.taken.get(one, Taken()) for one in series]
    return Wanted(
        np.array(series, np.int64),
        np.array([each.until for each in taken], np.int64),
        mature_hour(start_of(detecting.hour), evaluation.maturity),
        detecting.hour,
        PANES_AT_ONCE,
    )


def _panes_of(stack: Stack) -> dict[int, list[Pane]]:
    """The panes that have labels, by series and in order."""
    found: dict[int, list[Pane]] = {}
    for key, sketch in sketches(stack):
        if sketch.total(Row.N):
            found.setdefault(key >> 32, []).append(Pane(key & 0xFFFFFFFF, sketch))
    return found


def _changed_since(mature: Mature) -> dict[int, int]:
    """Labels of each series that changed in these panes after they were known as they are fed."""
    late: dict[int, int] = {}
    for series, n in zip(series_of(mature.later.keys).tolist(), labels_changed(mature.later).tolist(), strict=True):
        late[series] = late.get(series, 0) + n
    return late


def _say(name: SeriesName, alarm: Alarm) -> None:
    log.warning(
        "drift",
        extra={
            "tier": alarm.tier,
            "model": name.model,
            "signal": name.signal,
            "segment": name.segment,
            "band": alarm.band,
            "size": round(alarm.size, 4),
            "onset_at": start_of(alarm.onset).isoformat(),
        },
    )

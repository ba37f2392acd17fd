"""One turn of the leader: waiting deltas into panes and windows, windows up to the clock, what is mature into the
detectors, readings of what changed, rules held against them.

Each step is a transaction of its own under the leader's epoch, so a crash between any two of them repeats or goes on,
and never counts twice. What the leader remembers between turns is only a memory of what is stored.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np

from monitor.alerting.round import Change
from monitor.postgres import panes, windows
from monitor.postgres.alerts import read_open
from monitor.postgres.certificates import watch
from monitor.postgres.counts import add_counts
from monitor.postgres.database import Connection
from monitor.postgres.evaluation import note_applied, take_deltas
from monitor.postgres.leader import leading
from monitor.postgres.monitored import note_arrivals
from monitor.postgres.rule_sets import note_judged
from monitor.postgres.series import read_series
from monitor.postgres.windows import Held
from monitor.rolling.deltas import decode, merge
from monitor.rolling.fanout import by_series, routes
from monitor.rolling.panes import Span, hour_after, hour_of
from monitor.rolling.stacks import code
from monitor.workers.arrivals import arrivals
from monitor.workers.detection import feed_detectors, note_late
from monitor.workers.judging import judged_rules, note_alerts, rollups_of
from monitor.workers.looks import Looking, failures, looks
from monitor.workers.passes import read_windows
from monitor.workers.past import PAST, fill_past, note_past
from monitor.workers.round import carry_out
from monitor.workers.standing import Evaluation, Standing

DELTAS_A_TRANSACTION: Final = 64
WINDOWS_A_TRANSACTION: Final = 500
ROLL_SECONDS: Final = 0.5
"""Wall time that rolling may take of one turn; windows that are left wait for the next."""

NEGATIVE: Final = "negative_pane"
"""The counter of panes that fell below zero, a defect."""

log = logging.getLogger("caldrift.evaluate")


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn did."""

    deltas: int = 0
    panes: int = 0
    windows_rolled: int = 0
    readings: int = 0
    past_readings: int = 0
    panes_fed: int = 0
    transitions: int = 0
    """Of alerts."""
    more: bool = False
    """Work is left that is due."""


def turn(connection: Connection, standing: Standing, evaluation: Evaluation, tell: Callable[[], datetime]) -> Turn:
    """Do what is due when the clock, which `tell` reads, says so. After an exception `standing` is of no more use."""
    busy = standing.busy
    n_deltas, n_panes = apply_deltas(connection, standing, evaluation, tell)
    now = tell()
    standing.quiet_turns = 0 if n_deltas else standing.quiet_turns + (not busy)
    n_rolled = roll_windows(connection, standing, evaluation, now)
    n_fed = feed_detectors(connection, standing, evaluation, now)
    watch_certificates(connection, standing, evaluation, now)
    n_readings = read_windows(connection, standing, evaluation, now)
    n_changes = judge_alerts(connection, standing, evaluation, now)
    n_past = fill_past(connection, standing, evaluation, now)
    more = standing.busy or n_deltas == DELTAS_A_TRANSACTION
    return Turn(n_deltas, n_panes, n_rolled, n_readings, n_past, n_fed, n_changes, more)


def apply_deltas(
    connection: Connection, standing: Standing, evaluation: Evaluation, tell: Callable[[], datetime]
) -> tuple[int, int]:
    """Take waiting deltas and add them to panes, history, windows and counters, all in one transaction.

    The time at which they are known is told once earlier transactions have ended: what was known at an instant never
    changes for those who waited for the transaction under way (`monitor.postgres.leader.settle`). Returns how many
    deltas and panes there were.
    """
    with leading(connection, standing.epoch):
        bodies = take_deltas(connection, DELTAS_A_TRANSACTION)
        if not bodies:
            return 0, 0
        now = tell()
        delta = merge(*(decode(body) for body in bodies))
        created = standing.routes.learn(connection, routes(delta))
        spans = _begin_windows(connection, created, evaluation, now)
        standing.spans.update(spans)
        standing.series.update((stored.id, stored.name) for stored in read_series(connection, created))
        stack = by_series(delta, standing.routes.by_route)
        for applied in panes.apply(connection, stack, hour_after(now)):
            absorbed = windows.absorb(connection, evaluation.names, standing.spans, applied.delta)
            standing.changed.update(absorbed.changed.tolist())
            standing.rows_read += applied.n_rows + absorbed.n_rows
            standing.bytes_read += applied.n_bytes + absorbed.n_bytes
            _report(connection, standing, applied.defects.tolist())
        note_late(connection, standing, stack)
        note_arrivals(connection, *arrivals(stack, standing.series), now)
        add_counts(connection, delta.counts)
        note_applied(connection, len(bodies), now)
    standing.unread_at = standing.unread_at or time.monotonic()
    note_past(standing.past, stack, hour_of(now - evaluation.maturity - PAST), time.monotonic())
    return len(bodies), len(stack)


def _begin_windows(connection: Connection, created: Sequence[int], evaluation: Evaluation, now: datetime) -> Held:
    """Empty windows for series that have just been made."""
    targets = evaluation.targets(now)
    spans = {
        key: target for place, target in enumerate(targets) for key in code(np.array(created, np.int64), place).tolist()
    }
    if spans:
        windows.roll(connection, evaluation.names, {}, spans)
    return spans


def _report(connection: Connection, standing: Standing, defects: list[int]) -> None:
    new = [key for key in defects if key not in standing.defects]
    if not new:
        return
    standing.defects.update(new)
    add_counts(connection, {NEGATIVE: len(new)})
    shown = [{"series": key >> 32, "pane_hour": key & 0xFFFFFFFF} for key in new[:5]]
    log.error("counts below zero: run `caldrift doctor --recount`", extra={"panes": len(new), "first": shown})


def roll_windows(connection: Connection, standing: Standing, evaluation: Evaluation, now: datetime) -> int:
    """Move windows to where the clock wants them; returns how many, some perhaps left for the next turn."""
    targets = evaluation.targets(now)
    if targets != standing.targets:
        standing.targets, standing.to_roll = targets, _astray(standing, targets)
    started, done = time.monotonic(), 0
    while standing.to_roll and (not done or time.monotonic() - started < ROLL_SECONDS):
        some = dict(standing.to_roll[-WINDOWS_A_TRANSACTION:])
        with leading(connection, standing.epoch):
            rolled = windows.roll(connection, evaluation.names, standing.spans, some)
        del standing.to_roll[-len(some) :]
        standing.spans.update(some)
        standing.changed.update(rolled.changed.tolist())
        standing.rows_read += rolled.n_rows
        standing.bytes_read += rolled.n_bytes
        done += len(some)
    return done


def _astray(standing: Standing, targets: Sequence[Span]) -> list[tuple[int, Span]]:
    """The windows that are not where they belong; those of one name, which move alike, stand together."""
    series = np.fromiter(standing.series, np.int64, len(standing.series))
    return [
        (key, target)
        for place, target in enumerate(targets)
        for key in code(series, place).tolist()
        if standing.spans.get(key) != target
    ]


def watch_certificates(connection: Connection, standing: Standing, evaluation: Evaluation, now: datetime) -> None:
    """Weigh the promises of deployed certificates, once an hour of the clock."""
    hour = hour_of(now - evaluation.maturity)
    if hour <= standing.watched_hour:
        return
    with leading(connection, standing.epoch):
        watched = watch(connection, now, evaluation.maturity)
    standing.watched_hour = hour
    for before, after in watched:
        if (before.verdict == "broken") != (after.verdict == "broken"):
            named = {"certificate": after.id, "model": after.model, "segment": after.segment_text}
            log.warning("certificate", extra={**named, "verdict": after.verdict, "worst_from": after.worst_from})


def judge_alerts(connection: Connection, standing: Standing, evaluation: Evaluation, now: datetime) -> int:
    """Hold what a pass has read against the rules, once it has ended; returns how many alerts changed their state."""
    judging = standing.judging
    if judging is None or not judging.is_due:
        return 0
    with leading(connection, standing.epoch):
        found = looks(Looking(connection, standing, evaluation, judging, now))
        changes = carry_out(
            connection,
            judging.force,
            found,
            judging.open | read_open(connection, "model", "service"),
            now,
            rollups=rollups_of(judging),
            rate=judging.clock.rate,
            regroup=judging.is_new,
        )
        note_judged(connection, judged_rules(judging, evaluation.names, failures(found), now))
    note_alerts(judging, (change.after for change in changes), now)
    transitions = [change for change in changes if change.decision.transition is not None]
    for change in transitions:
        _say_changed(change)
    return len(transitions)


def _say_changed(change: Change) -> None:
    transition, alert = change.decision.transition, change.after
    if transition is not None:
        target = alert.target
        named = {"rule": alert.rule, "model": target.model, "signal": target.signal, "segment": target.segment}
        done = {"state": transition.after, "reason": transition.reason, "hushed": alert.hushed}
        log.warning("alert", extra={**named, **done})

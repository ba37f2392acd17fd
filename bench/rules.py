"""What rules cost the leader: 20 rules over thousands of series, with states and notices committed, beside evaluating.

    python -m bench rules [--series 1000 10000]

Every window changes in every pass. In the first nothing fires; in the second 1 in 100 series begins to; in the third
they go on. Judging is everything that is done only because there are rules; its share is of the evaluation's own time
in the same pass.
"""

import argparse
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from bench.ingest import database
from bench.servers import postgres
from monitor.alerting.kept import Kept
from monitor.alerting.rulebook import RuleBook
from monitor.alerting.validation import checked
from monitor.calibration.reading import ReadingSettings
from monitor.drift.watches import Rules
from monitor.postgres.database import Connection, connect
from monitor.postgres.leader import take_lead
from monitor.rolling.panes import hour_of, start_of
from monitor.rolling.windows import window_named
from monitor.workers import evaluation as turns
from monitor.workers import passes, rulesource
from monitor.workers.memory import keep_freed_memory
from monitor.workers.rulesource import RuleSource
from monitor.workers.standing import Evaluation, Standing, load
from tests.workers.deltas import Events, delta_of_events, some_sets, write_delta

WINDOWS = ("1d", "7d", "all")
LABELS = 60
"""Of each series in each pass."""
FIRING = 100
"""One series in so many is over-confident from the second pass on."""
SERIES_A_DELTA = 500
WANTED = 0.05
EVALUATION = Evaluation(
    windows=tuple(window_named(name) for name in WINDOWS),
    maturity=timedelta(hours=1),
    every=timedelta(minutes=5),
    reading=ReadingSettings(),
    main_signal="confidence",
    drift=Rules(),
)
LEVELS = (
    ("ece", "above", 0.25), ("ece_equal_mass", "above", 0.25), ("smooth_ece", "above", 0.25), ("mce", "above", 0.95),
    ("signed_gap", "above", 0.2), ("signed_gap", "below", -0.2), ("over_confident_part", "above", 0.2),
    ("under_confident_part", "above", 0.2), ("brier", "above", 0.45), ("log_loss", "above", 3.0),
    ("accuracy", "below", 0.45), ("auroc", "below", 0.05), ("confident_error_share", "above", 0.3),
    ("spiegelhalter_z", "above", 9.0), ("mean_confidence", "below", 0.1), ("coverage", "below", 0.1),
)  # fmt: skip


def rule_file() -> str:
    """20 rules on every series: 16 levels, two changes, two of the detectors."""
    conduct = 'for: 0s, for_new_labels: 0, min_labelled: 30, select: {model: "*", segment: "*", window: 7d}'
    rules = [
        f"{{name: Level{place}, metric: {metric}, compare: {compare}, enter: {enter}, {conduct}}}"
        for place, (metric, compare, enter) in enumerate(LEVELS)
    ]
    rules += [
        f"{{name: Change{days}, metric: ece, compare: change_above, enter: 0.2, "
        f"baseline: {{kind: trailing, length: {days}d}}, {conduct}}}"
        for days in (7, 28)
    ]
    rules += [
        f'{{name: Drift{tier}, metric: drift, tier: {tier}, select: {{segment: "*"}}}}' for tier in ("page", "warn")
    ]
    listed = "\n".join(f"  - {each}" for each in rules)
    return (
        f"rules:\n{listed}\nroutes: {{team: {{notify: [hook], group_by: [rule, model]}}}}\n"
        'channels: {hook: {kind: webhook, url: "http://127.0.0.1:1/"}}\n'
    )


class Stopwatch:
    """Seconds spent in some functions of the leader, without those of each other."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*given)
            finally:
                self.seconds += time.perf_counter() - started

        return timed


@contextmanager
def watched() -> Iterator[Stopwatch]:
    """A stopwatch around everything that the leader does only because there are rules."""
    watch = Stopwatch()
    parts = ((turns, "judge_alerts"), (passes, "note_readings"), (passes, "admit"))
    with ExitStack() as stack:
        for module, name in parts:
            function = getattr(module, name)
            stack.callback(setattr, module, name, function)
            setattr(module, name, watch.around(function))
        yield watch


def write_events(
    connection: Connection, sets: list[int], hour: int, firing: set[int], rng: np.random.Generator
) -> None:
    """An hour of predictions, with labels, of each series."""
    for first in range(0, len(sets), SERIES_A_DELTA):
        some = np.array(sets[first : first + SERIES_A_DELTA])
        series = np.repeat(some, LABELS)
        confidence = rng.choice([0.6, 0.7, 0.8, 0.9, 0.95], len(series))
        loss = np.where(np.isin(series, list(firing)), 0.6, 0.0)
        outcome = (rng.random(len(series)) < confidence - loss).astype(np.float64)
        hours = np.full(len(series), hour)
        write_delta(connection, delta_of_events(Events(series, hours, confidence, outcome)))


def leader(connection: Connection) -> Standing:
    """In office, with the rules in force."""
    text = rule_file()
    file = checked(text, Kept(WINDOWS, 10, "right_closed", 2.0)).file
    epoch = take_lead(connection)
    if file is None or epoch is None:
        raise RuntimeError("the rules of the bench are refused, or another leads")
    standing = load(connection, epoch, EVALUATION)
    standing.judging = rulesource.begin(RuleSource(lambda _: RuleBook(text, file), EVALUATION.every), connection, epoch)
    return standing


def evaluate(connection: Connection, standing: Standing, now: datetime) -> None:
    """Everything that is due by now."""
    while turns.turn(connection, standing, EVALUATION, lambda: now).more:
        pass


def passes_of(dsn: str, n_series: int) -> Iterator[tuple[str, float, float, int, int]]:
    """What, seconds of judging, of everything else, alerts that are open, notices: of each pass."""
    rng = np.random.default_rng(1)
    with connect(dsn, "bench") as connection, watched() as watch:
        sets = some_sets(connection, "m", [str(number) for number in range(n_series)])
        standing, hour = leader(connection), hour_of(datetime.now(UTC)) - 100
        for what in ("nothing fires", "1 in 100 begins to fire", "1 in 100 goes on firing"):
            firing = set() if what == "nothing fires" else set(sets[::FIRING])
            write_events(connection, sets, hour, firing, rng)
            hour += 1
            watch.seconds, started = 0.0, time.perf_counter()
            evaluate(connection, standing, start_of(hour + 1) + timedelta(minutes=6))
            whole = time.perf_counter() - started
            row = connection.execute(
                "SELECT (SELECT count(*) FROM alert WHERE state_name <> 'ok'), (SELECT count(*) FROM notice)"
            ).fetchone()
            assert row is not None
            yield what, watch.seconds, whole - watch.seconds, row[0], row[1]


def main(arguments: list[str]) -> None:
    """Print what rules cost, and how that grows."""
    parser = argparse.ArgumentParser(prog="python -m bench rules", description=__doc__)
    parser.add_argument("--series", type=int, nargs="+", default=[1_000, 10_000])
    given = parser.parse_args(arguments)
    logging.disable()
    keep_freed_memory()
    costs: dict[str, list[float]] = {}
    with postgres() as server:
        for n_series in given.series:
            print(f"20 rules over {n_series:,} series, {len(WINDOWS)} windows each")
            with database(server) as dsn:
                for what, judging, evaluating, n_alerts, n_notices in passes_of(dsn, n_series):
                    share = judging / evaluating
                    verdict = "OK" if share <= WANTED else "MISSED"
                    print(
                        f"  {what:26} judging {judging:7.3f} s, evaluating {evaluating:7.2f} s: {share:6.2%} (wanted"
                        f" {WANTED:.0%}) {verdict}; {n_alerts:,} alerts open, {n_notices:,} notices"
                    )
                    costs.setdefault(what, []).append(1e6 * judging / n_series)
    for what, each in costs.items():
        print(f"  {what:26} " + ", ".join(f"{cost:,.0f} us" for cost in each) + " of judging a series")

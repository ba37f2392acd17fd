"""Rules judged hourly over months of many series, against reading the raw rows of the window again at each step.

    python -m bench backtest [--days 90] [--series 1000] [--labels 200] [--postgres]

Every contender gives the ECE (10 right-closed bins) of each series over 7 days, by what was known at the step; their
answers are compared before anything is timed. The rivals hold only the rows of the window and little more, not 90 days
of them, and give no interval; they are timed on some steps, and the time of all is told. Times are those of the
processor, all threads together (of Postgres, another process, those of the clock); only ratios within one run count.
"""

import argparse
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Protocol

import duckdb
import numpy as np
import numpy.typing as npt
import psutil
import psycopg

from bench.servers import postgres
from monitor.alerting.kept import Kept
from monitor.alerting.validation import checked
from monitor.backtest.figures import Figures, Source
from monitor.backtest.replay import Period, Replay, Setting, tried
from monitor.backtest.report import Backtest
from monitor.backtest.stretches import EVER, HeldSketches, HeldTallies, Sliding, Stretch
from monitor.calibration.cells import cell_index
from monitor.calibration.reading import ReadingSettings
from monitor.calibration.sketch import DELAY_ROWS, contributions
from monitor.calibration.tallies import Layout
from monitor.drift.watches import Rules
from monitor.rolling.history import Known
from monitor.rolling.panes import HOUR
from monitor.rolling.segments import SeriesName
from monitor.rolling.stacks import Stack, code, gather
from monitor.rolling.windows import Window

FIRST: Final = 490_008
WINDOW: Final = 168
MATURITY: Final = 48
BINS: Final = 10
DELAY: Final = 12
"""Hours over which the labels of an hour come."""
STATED: Final = np.array([0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99])
SETTING: Final = Setting(
    windows=(Window("7d", WINDOW),),
    maturity=timedelta(hours=MATURITY),
    reading=ReadingSettings(),
    drift=Rules(),
    main_signal="confidence",
)
RULE: Final = "rules: [{name: Ece, metric: ece, enter: 0.05, exit: 0.03, min_labelled: 1000}]"
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Rows:
    """Labelled predictions: the hour of each, and that by which its label was known."""

    series: Ints
    pane: Ints
    known: Ints
    confidence: Floats
    outcome: Floats


@dataclass(frozen=True, slots=True)
class World:
    """A made-up past: in every hour each series gets about so many predictions, labelled within `DELAY` hours."""

    days: int
    series: int
    labels: int

    @property
    def names(self) -> dict[int, SeriesName]:
        return {number: SeriesName(f"m{number}", "confidence", "{}") for number in range(self.series)}

    def rows(self, hour: int) -> Rows:
        """The predictions of one hour: each day those of the first, but that one series in fifty drifts from the middle
        on."""
        rng = np.random.default_rng(hour % 24)
        n = self.series * self.labels
        series = rng.integers(0, self.series, n, dtype=np.int32)
        confidence = rng.choice(STATED, n)
        outcome = (rng.random(n) < confidence - 0.15 * (series % 50 == 0) * self._drifts(hour)).astype(np.float64)
        known = (hour + 1 + rng.integers(0, DELAY, n)).astype(np.int32)
        return Rows(series, np.full(n, hour, np.int32), known, confidence, outcome)

    def _drifts(self, hour: int) -> bool:
        return hour >= FIRST + 12 * self.days

    def hours(self) -> Iterator[Known]:
        """What became known in each hour, as `pane_history` holds it."""
        made: dict[tuple[int, bool, bool], Known] = {}
        for hour in range(FIRST + 1, FIRST + 24 * self.days + 1):
            kind = hour % 24, self._drifts(hour - 1), self._drifts(hour - DELAY)
            if hour <= FIRST + DELAY:
                yield Known(hour, self._known(hour))
                continue
            if kind not in made:
                made[kind] = Known(hour, self._known(hour))
            changes = made[kind].changes
            yield Known(hour, replace(changes, keys=changes.keys + (hour - made[kind].hour)))

    def _known(self, hour: int) -> Stack:
        parts = [self.rows(pane) for pane in range(max(FIRST, hour - DELAY), hour)]
        return changes_of(joined(parts), hour)

    def window(self, hour: int) -> Rows:
        """All rows from which a step at the hour could want some, and those of a day more."""
        return joined([self.rows(pane) for pane in range(max(FIRST, hour - MATURITY - WINDOW - 24), hour)])


def joined(parts: Sequence[Rows]) -> Rows:
    """All rows, in order."""
    return Rows(*(np.concatenate([getattr(each, name) for each in parts]) for name in Rows.__slots__))


def changes_of(rows: Rows, hour: int) -> Stack:
    """What became known of them by an hour and not before: a prediction an hour after its own, a label when it says."""
    keys, cells, sums = [], [], []
    for taken, predicted in ((rows.known == hour, False), (rows.pane == hour - 1, True)):
        outcome = np.full(int(taken.sum()), np.nan) if predicted else rows.outcome[taken]
        keys.append(code(rows.series[taken], rows.pane[taken]))
        cells.append(cell_index(rows.confidence[taken]))
        sums.append(contributions(rows.confidence[taken], outcome, predicted=np.full(len(outcome), predicted)))
    none = np.empty(0, np.int64)
    return gather(
        np.concatenate(keys),
        np.concatenate(cells),
        np.concatenate(sums, axis=1),
        delay_keys=none,
        delay_buckets=none.astype(np.int16),
        delay_sums=np.empty((DELAY_ROWS, 0), np.int64),
    )


def known_hours(rows: Rows) -> Iterator[Known]:
    """What became known in each hour, up to an hour after the last prediction."""
    due = np.where(rows.known < 0, np.iinfo(np.int32).max, rows.known)
    by_pane, by_known = np.argsort(rows.pane, kind="stable"), np.argsort(due, kind="stable")
    panes, knowns = rows.pane[by_pane], due[by_known]
    for hour in range(int(rows.pane.min()) + 1, int(rows.pane.max()) + 2):
        predicted = by_pane[slice(*np.searchsorted(panes, [hour - 1, hour]))]
        labelled = by_known[slice(*np.searchsorted(knowns, [hour, hour + 1]))]
        both = np.union1d(predicted, labelled)
        yield Known(hour, changes_of(Rows(*(getattr(rows, name)[both] for name in Rows.__slots__)), hour))


class Rival(Protocol):
    """Something that reads the raw rows of the window."""

    name: str

    def read(self, hour: int) -> Floats:
        """The ECE of each series as it was known at the hour."""
        ...


class Numpy:
    """By hand."""

    name = "numpy"

    def __init__(self, rows: Rows, series: int) -> None:
        self.rows, self.series = rows, series

    def read(self, hour: int) -> Floats:
        rows = self.rows
        taken = self.taken(hour)
        confidence = rows.confidence[taken]
        return self.ece(rows.series[taken] * BINS + bins_of(confidence), confidence - rows.outcome[taken])

    def taken(self, hour: int) -> npt.NDArray[np.bool_]:
        """The rows of the window that were known."""
        end, rows = hour - MATURITY, self.rows
        return (rows.pane >= end - WINDOW) & (rows.pane < end) & (rows.known <= hour)

    def ece(self, key: npt.NDArray[np.int64], gap: Floats) -> Floats:
        """ECE of each series from series * BINS + bin and confidence - outcome of each row."""
        size = self.series * BINS
        n = np.bincount(key, minlength=size).reshape(-1, BINS)
        gaps = np.bincount(key, gap, size).reshape(-1, BINS)
        return np.asarray(np.abs(gaps).sum(axis=1) / n.sum(axis=1))


class NumpyKept(Numpy):
    """The same with the bin of every row worked out beforehand: then these are not the raw rows any more."""

    name = "numpy, bins kept"

    def __init__(self, rows: Rows, series: int) -> None:
        super().__init__(rows, series)
        self.key, self.gap = rows.series * BINS + bins_of(rows.confidence), rows.confidence - rows.outcome

    def read(self, hour: int) -> Floats:
        taken = self.taken(hour)
        return self.ece(self.key[taken], self.gap[taken])


def bins_of(confidence: Floats) -> npt.NDArray[np.int64]:
    """Right-closed bins, zero in the first."""
    return np.maximum(np.ceil(confidence * BINS - 1e-9).astype(np.int64) - 1, 0)


SQL: Final = f"""
SELECT sum(abs(gap)) / sum(n) FROM (
    SELECT series, greatest(ceil(confidence * {BINS} - 1e-9)::int - 1, 0) AS bin, sum(confidence - outcome) AS gap,
        count(*) AS n
    FROM labelled WHERE pane >= %s AND pane < %s AND known <= %s GROUP BY 1, 2
) AS b GROUP BY series ORDER BY series
"""


class DuckDB:
    """SQL in DuckDB, in memory, on two threads."""

    name = "DuckDB, 2 threads"

    def __init__(self, rows: Rows) -> None:
        self.connection = duckdb.connect(config={"threads": 2})
        held = {name: getattr(rows, name) for name in Rows.__slots__}
        self.connection.register("held", held)
        self.connection.execute("CREATE TABLE labelled AS SELECT * FROM held")
        self.connection.unregister("held")

    def read(self, hour: int) -> Floats:
        end = hour - MATURITY
        found = self.connection.execute(SQL.replace("%s", "?"), [end - WINDOW, end, hour]).fetchnumpy()
        return np.asarray(next(iter(found.values())), np.float64)


class Postgres:
    """SQL in Postgres, with an index on the hour."""

    name = "Postgres"

    def __init__(self, connection: psycopg.Connection[tuple[float]], rows: Rows) -> None:
        self.connection = connection
        connection.execute(
            "CREATE UNLOGGED TABLE labelled (series int, pane int, known int, confidence float8, outcome float8)"
        )
        with connection.cursor().copy("COPY labelled FROM STDIN") as copy:
            for row in zip(*(getattr(rows, name).tolist() for name in Rows.__slots__), strict=True):
                copy.write_row(row)
        connection.execute("CREATE INDEX ON labelled USING brin (pane)")
        connection.execute("ANALYZE labelled")

    def read(self, hour: int) -> Floats:
        end = hour - MATURITY
        return np.array([row[0] for row in self.connection.execute(SQL, (end - WINDOW, end, hour)).fetchall()])


@dataclass(frozen=True, slots=True)
class Lived:
    """A backtest: its report, its own seconds (without making the past up), and how far memory rose meanwhile."""

    report: Backtest
    seconds: float
    memory: int


def lived(world: World, text: str) -> Lived:
    """Live through the past under these rules."""
    found = checked(text, Kept(("7d",), BINS, "right_closed", 2.0))
    assert found.file is not None, found.mistakes
    replay = Replay([tried(found.file, found.rules, HOUR)], world.names, SETTING, Period())
    spent, process, highest = [0.0], psutil.Process(os.getpid()), [0]

    def timed() -> Iterator[Known]:
        hours = world.hours()
        while True:
            began = time.process_time()
            known = next(hours, None)
            spent[0] += time.process_time() - began
            if known is None:
                return
            yield known

    def told(_: int) -> None:
        highest[0] = max(highest[0], process.memory_info().rss)

    before, began = process.memory_info().rss, time.process_time()
    [report] = replay.run(timed(), told)
    return Lived(report, time.process_time() - began - spent[0], highest[0] - before)


def ours_at(world: World, hour: int) -> Floats:
    """What caldrift reads at one hour, to be compared with the rivals."""
    stretches = [EVER, Stretch(WINDOW)]
    series, maturity = np.arange(world.series), timedelta(hours=MATURITY)
    tallies = HeldTallies(series, stretches, Layout(BINS, "right_closed"), maturity)
    sliding = Sliding(tallies, stretches, maturity, FIRST + 1)
    for known in world.hours():
        if known.hour > hour:
            break
        sliding.advance(known.hour, known.changes)
    source = Source(tallies, HeldSketches(series[:0], []), series[:0], SETTING.reading)
    return Figures(source).estimates(stretches[1], "ece").value


def steps(rival: Rival, hour: int, budget: float) -> float:
    """Seconds of one step: the median of a few."""
    now = time.perf_counter if isinstance(rival, Postgres) else time.process_time
    taken: list[float] = []
    while len(taken) < 3 or (sum(taken) < budget and len(taken) < 20):
        began = now()
        rival.read(hour - len(taken) % 24)
        taken.append(now() - began)
    return statistics.median(taken)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(prog="python -m bench backtest", description=__doc__.split("\n")[0])
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--labels", type=int, default=200, help="labels of a series in an hour")
    parser.add_argument("--postgres", action="store_true", help="also SQL in Postgres (minutes)")
    parser.add_argument("--memory", action="store_true", help="memory of 60 and of 120 days instead")
    chosen = parser.parse_args(arguments)
    if chosen.memory:
        for days in (60, 120):
            found = lived(World(days, chosen.series, 5), RULE)
            print(f"{days} days of {chosen.series} series: memory rose by {found.memory / 2**20:.0f} MiB")
        return
    world = World(chosen.days, chosen.series, chosen.labels)
    hour = FIRST + MATURITY + WINDOW + 25
    rows = world.window(hour)
    truth = Numpy(rows, chosen.series).read(hour)
    assert np.abs(ours_at(world, hour) - truth).max() < 1e-9
    ours = lived(world, RULE)
    n_steps, fired = 24 * chosen.days, sum(rule.fired for rule in ours.report.rules)
    print(
        f"{chosen.days} days, {chosen.series} series, {chosen.labels} labels each an hour; {n_steps} steps; "
        f"{fired} alerts fired\n  caldrift, with intervals and the life cycle: {ours.seconds:.1f} s"
    )
    with postgres() if chosen.postgres else nullcontext() as dsn:
        rivals: list[Rival] = [Numpy(rows, chosen.series), NumpyKept(rows, chosen.series), DuckDB(rows)]
        if dsn:
            rivals.append(Postgres(psycopg.connect(dsn, autocommit=True), rows))
        for rival in rivals:
            assert np.abs(rival.read(hour) - truth).max() < 1e-9, rival.name
            step = steps(rival, hour, 10.0)
            print(f"  {rival.name}: {step:.3f} s a step, {step * n_steps:.0f} s: {step * n_steps / ours.seconds:.0f}x")


if __name__ == "__main__":
    main()

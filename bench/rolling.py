"""One more event, one correction and one reading of 50 series, as the window grows, against what one writes by hand.

    python -m bench rolling [--labels 20000000] [--small 200000] [--postgres] [--river]

Every contender holds the same labelled predictions and gives the ECE (10 right-closed bins) of each series; their
answers are compared before anything is timed. Times are medians of repeated calls; only ratios within one run count.
`--postgres` adds SQL over raw rows in a Postgres of its own, `--river` adds river's Rolling in a virtual environment of
its own. Neither is a dependency.
"""

import argparse
import gc
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psycopg

from bench.recounts import (
    BATCH,
    BINS,
    CHUNK,
    ROOM,
    SERIES,
    Connection,
    Contender,
    DuckDB,
    Floats,
    Ints,
    Numpy,
    NumpyKept,
    Postgres,
    Rows,
    in_river,
    simulated,
)
from bench.servers import postgres
from monitor.calibration.bins import Bins
from monitor.calibration.cells import cell_index
from monitor.calibration.closed_form import ManyBands, bands_of_many, eces
from monitor.calibration.panel import bins_of_panel, panel_of
from monitor.calibration.sketch import DELAY_ROWS, contributions
from monitor.rolling.stacks import gather, no_sketches, plus, sketches

CHECKED = 5  # corrections after which every contender's answer is looked at again


class Caldrift:
    """The shipped sums: a stack of sketches, as the leader holds windows. A reading looks at cells, never at events."""

    name = "caldrift"

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.stack = no_sketches(np.arange(SERIES))
        for start in range(0, len(rows), CHUNK):
            self.add(rows.part(start, start + CHUNK))

    def add(self, rows: Rows) -> None:
        self._absorb(rows.series, rows.confidence, contributions(rows.confidence, rows.outcome))

    def correct(self, place: int, old: float, new: float) -> None:
        series, confidence = self.rows.series[[place, place]], self.rows.confidence[[place, place]]
        self._absorb(series, confidence, contributions(confidence, [new, old]) * np.array([1, -1]))

    def _absorb(self, series: Ints, confidence: Floats, sums: Ints) -> None:
        none, no_delays = np.empty(0, np.int64), np.empty((DELAY_ROWS, 0), np.int64)
        short = none.astype(np.int16)
        change = gather(
            series, cell_index(confidence), sums, delay_keys=none, delay_buckets=short, delay_sums=no_delays
        )
        self.stack = plus(self.stack, change)

    def read(self) -> Floats:
        return eces(self._bins())

    def read_bands(self) -> ManyBands:
        """ECE with interval and null band."""
        return bands_of_many(self._bins(), 0.95)

    def _bins(self) -> Bins:
        return bins_of_panel(panel_of([sketch for _, sketch in sketches(self.stack)]), BINS, "right_closed")

    @property
    def cells(self) -> float:
        """Cells in use, a series."""
        return len(self.stack.cells) / SERIES


def median_seconds(call: Callable[[int], object], *, at_least: int, budget: float) -> float:
    """The median time of calls numbered from 0: at least so many, and more while the budget in seconds lasts."""
    taken: list[float] = []
    while len(taken) < at_least or (sum(taken) < budget and len(taken) < 1000):
        start = time.perf_counter()
        call(len(taken))
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of one event (its share of a batch), of one reading of all series, and of one correction."""

    event: float
    reading: float
    correction: float | None


@dataclass(frozen=True, slots=True)
class Trial:
    """What every contender goes through: the window's rows, the rows that come, and corrections with their truth."""

    rows: Rows
    fresh: Rows
    places: Sequence[int]
    truth: Floats
    corrected: Floats

    def correct(self, contender: Contender, number: int) -> None:
        place = self.places[number]
        old = float(self.rows.outcome[place])
        contender.correct(place, old, 1 - old)


def trial(kind: str, n: int) -> Trial:
    """A window of n labelled predictions."""
    rows = simulated(kind, n)
    places = np.random.default_rng(5).choice(n, CHECKED + 1000, replace=False)
    by_hand = Numpy(rows)
    truth = by_hand.read()
    by_hand.outcome[places[:CHECKED]] = 1 - by_hand.outcome[places[:CHECKED]]
    return Trial(rows, simulated(kind, BATCH, seed=2), places.tolist(), truth, by_hand.read())


def cost(contender: Contender, given: Trial) -> Cost:
    """Check the contender's answers, then time it. Batches are added last, so that all readings see the same rows."""
    assert np.abs(contender.read() - given.truth).max() < 1e-9, contender.name
    for number in range(CHECKED):
        given.correct(contender, number)
    assert np.abs(contender.read() - given.corrected).max() < 1e-9, contender.name
    reading = median_seconds(lambda _: contender.read(), at_least=5, budget=2.0)
    correction = median_seconds(lambda number: given.correct(contender, CHECKED + number), at_least=5, budget=1.0)
    event = median_seconds(lambda _: contender.add(given.fresh), at_least=ROOM, budget=0.0) / BATCH
    return Cost(event, reading, correction)


def others(rows: Rows, connection: Connection | None) -> Iterator[Contender]:
    """One after the other, so that only one copy of the rows is held beside the rows themselves."""
    yield Numpy(rows)
    yield NumpyKept(rows)
    yield DuckDB(rows)
    if connection is not None:
        yield Postgres(connection, rows)


def shown(seconds: float | None) -> str:
    if seconds is None:
        return "cannot"
    for unit, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds / 1e-9:.3g} ns"


def table(title: str, costs: dict[str, Cost]) -> None:
    """One line a contender; beside each time how many times caldrift's it is."""
    ours = costs[Caldrift.name]
    print(
        f"\n{title}\n  {'':20} {'one more event':>22} {'one correction':>22} {'and read again':>22} {'one reading':>22}"
    )
    for name, each in costs.items():
        again = None if each.correction is None else each.correction + each.reading
        pairs = [
            (each.event, ours.event),
            (each.correction, ours.correction),
            (again, (ours.correction or 0.0) + ours.reading),
            (each.reading, ours.reading),
        ]
        cells = [
            shown(value)
            if value is None or not base or name == Caldrift.name
            else f"{shown(value)} ({value / base:.3g}x)"
            for value, base in pairs
        ]
        print(f"  {name:20} " + " ".join(f"{cell:>22}" for cell in cells))


def banded(ours: Caldrift) -> float:
    """Seconds of a reading of all series with intervals and null bands."""
    return median_seconds(lambda _: ours.read_bands(), at_least=5, budget=1.0)


def run(kind: str, n: int, connection: Connection | None) -> Caldrift:
    """Time every contender on one window and print the table; returns ours, to be read again."""
    given = trial(kind, n)
    ours = Caldrift(given.rows)
    costs = {ours.name: cost(ours, given)}
    for contender in others(given.rows, connection):
        costs[contender.name] = cost(contender, given)
        del contender
        gc.collect()
    notes = f"{ours.cells:.0f} cells a series; a reading with bands takes {shown(banded(ours))}"
    table(f"{kind} confidences, a window of {n:,} labels, {SERIES} series ({notes})", costs)
    return ours


def growth(small: Caldrift, large: Caldrift) -> float:
    """How many times as long a reading of the large window takes, by readings in turn."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(500):
        for each, ours in zip(taken, (small, large), strict=True):
            start = time.perf_counter()
            ours.read()
            each.append(time.perf_counter() - start)
    return statistics.median(taken[1]) / statistics.median(taken[0])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(prog="python -m bench rolling", description=__doc__.split("\n")[0])
    parser.add_argument("--labels", type=int, default=20_000_000, help="labels in the large window")
    parser.add_argument("--small", type=int, default=200_000, help="labels in the small window")
    parser.add_argument("--kind", choices=("stated", "token", "both"), default="both", help="which confidences")
    parser.add_argument("--postgres", action="store_true", help="also SQL over raw rows in Postgres (minutes)")
    parser.add_argument("--river", action="store_true", help="also river's Rolling at the small window")
    chosen = parser.parse_args(arguments)
    with postgres() if chosen.postgres else nullcontext() as dsn:
        connection = psycopg.connect(dsn, autocommit=True) if dsn else None
        for kind in ("stated", "token") if chosen.kind == "both" else (chosen.kind,):
            small, large = (run(kind, n, connection) for n in (chosen.small, chosen.labels))
            times = growth(small, large)
            print(f"\n  a reading of {chosen.labels:,} labels takes {times:.2f} times that of {chosen.small:,}")
    if chosen.river:
        with tempfile.TemporaryDirectory(prefix="caldrift-bench-") as folder:
            found = in_river(Path(folder) / "river", chosen.small)
        if found:
            event, reading = found
            print(f"\n  river's Rolling, {chosen.small:,} labels: {shown(event)} an event, {shown(reading)} a reading,")
            print("  holding every label of the window in memory; a correction is not to be had")


if __name__ == "__main__":
    main()

"""How often the watch calls a kept promise broken, and how soon it sees a broken one: a table of docs/thresholds.md.

    python -m bench watch [--streams 500] [--seed 1] [--quick]

Each stream is looked at every evening for as long as it lasts. Beside it stands what a bound of one look would have
said: the upper bound of Clopper and Pearson at the same chance, over all labels so far.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.coverage import table
from bench.pages import put
from monitor.calibration.binomial import upper_bound
from monitor.calibration.watch import FALSE_ALARM, Tally, is_broken

PAGE = Path(__file__).parents[1] / "docs" / "thresholds.md"
CHANGE = 60
DAYS = 180


@dataclass(frozen=True, slots=True)
class Case:
    """A certificate of `target` with `n` labels a day, right with a chance of `before` and, after 60 days, `after`."""

    target: float
    n: int
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Row:
    """Shares of streams in which it was called broken before the change, by the watch and by a bound of one look; the
    share found after it, and the median number of days that took."""

    case: Case
    early: float
    one_look: float
    found: float
    days: float | None


CASES = (
    *(Case(target, n, target, target) for target in (0.9, 0.95) for n in (20, 100)),
    Case(0.9, 20, 0.92, 0.85),
    Case(0.9, 100, 0.92, 0.85),
    Case(0.95, 20, 0.97, 0.90),
    Case(0.95, 100, 0.97, 0.90),
    Case(0.95, 100, 0.99, 0.93),
)


def first_days(case: Case, rng: np.random.Generator) -> tuple[int | None, bool]:
    """The first evening on which it is called broken, and whether a bound of one look does so on any up to it or the
    change."""
    tallies: list[Tally] = []
    one_look = False
    for day in range(DAYS):
        right = int(rng.binomial(case.n, case.before if day < CHANGE else case.after))
        tallies.append(Tally(case.n, right, case.n, case.n))
        if day < CHANGE or case.before == case.after:
            total, n = sum(each.right for each in tallies), case.n * len(tallies)
            one_look |= float(upper_bound(np.array([total]), np.array([n]), FALSE_ALARM)[0]) < case.target
        if is_broken(tallies, case.target, "accept"):
            return day, one_look
    return None, one_look


def rows(streams: int, rng: np.random.Generator) -> Iterator[Row]:
    """Every case."""
    for case in CASES:
        found = [first_days(case, rng) for _ in range(streams)]
        changes = case.before != case.after
        early = [day for day, _ in found if day is not None and (day < CHANGE or not changes)]
        late = [day + 1 - CHANGE for day, _ in found if day is not None and day >= CHANGE and changes]
        one_look = sum(each for _, each in found) / streams
        days = float(np.median(late)) if late else None
        yield Row(case, len(early) / streams, one_look, len(late) / streams, days)


def page(found: list[Row], streams: int, command: str) -> str:
    """The table, in Markdown."""
    head = [
        "promised",
        "labels a day",
        "right",
        "called broken though kept",
        "by a bound of one look",
        "found",
        "after",
    ]
    body = [
        [
            f"{row.case.target:g}",
            str(row.case.n),
            f"{row.case.before:g}, then {row.case.after:g}" if row.case.before != row.case.after else "as promised",
            f"{row.early:.3f}",
            f"{row.one_look:.3f}",
            f"{row.found:.2f}" if row.case.before != row.case.after else "",
            "" if row.days is None else f"{row.days:.0f} days",
        ]
        for row in found
    ]
    worst = max(row.early for row in found)
    words = (
        f"Written by `{command}`: {streams} streams a line of {DAYS} days, looked at every evening; what falls does so "
        f"after {CHANGE} days. Promised is a chance of {FALSE_ALARM:g}; the most of any line: **{worst:.3f}**.\n\n"
    )
    return words + table(head, body)


def main(arguments: list[str]) -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(prog="bench watch", description=__doc__)
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="20 streams a line; prints instead of writing")
    given = parser.parse_args(arguments)
    streams = 20 if given.quick else given.streams
    text = page(
        list(rows(streams, np.random.default_rng(given.seed))),
        streams,
        f"python -m bench watch --streams {streams} --seed {given.seed}",
    )
    if given.quick:
        print(text)
    else:
        put(PAGE, "watch", text)
        print(PAGE)

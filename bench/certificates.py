"""How often certificates break their promise, and what they let through: writes the table of docs/thresholds.md.

    python -m bench certificates [--streams 2000] [--seed 1] [--quick]

Of each kind of stream so many are drawn; a certificate of each is checked against the truth.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.coverage import table
from bench.pages import put
from monitor.calibration.certificates import Promise
from monitor.calibration.ladder import rungs_above
from monitor.calibration.sketch import sketch_of
from tests.calibration.certifying import STREAMS, Outcome, World, outcome, world

PAGE = Path(__file__).parents[1] / "docs" / "thresholds.md"
TARGET, DELTA = 0.9, 0.1
SIZES = (200, 1_000, 5_000)
GAPS = (0.0, 0.05)


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of stream at one n."""

    kind: str
    gap: float
    n: int
    found: Outcome
    lucky: float
    """Share of promises broken by the lowest threshold whose measured accuracy reaches the target."""
    best: float
    """Coverage if the truth were known."""


def lucky(at: World, n: int, times: int, rng: np.random.Generator) -> float:
    """How often the lowest threshold with a measured accuracy at the target breaks the promise."""
    broken = 0
    for _ in range(times):
        rungs = rungs_above(sketch_of(*at.drawn(n, rng)), 1.0)
        reached = np.flatnonzero((rungs.n > 0) & (rungs.right >= TARGET * rungs.n))
        broken += bool(len(reached)) and at.accuracy_from(float(rungs.threshold[reached[-1]])) < TARGET
    return broken / times


def rows(streams: int, rng: np.random.Generator) -> Iterator[Row]:
    """Every kind at every gap and n; the streams of a kind and gap are shared out among the sizes."""
    for kind in STREAMS:
        for gap in GAPS:
            at = world(kind, gap, rng)
            best = at.best_coverage(TARGET)
            for n in SIZES:
                found = outcome(at, Promise(TARGET, DELTA), n, streams, rng)
                yield Row(kind, gap, n, found, lucky(at, n, max(1, streams // 4), rng), best)


def page(found: list[Row], streams: int, command: str) -> str:
    """The tables, in Markdown."""
    error = (DELTA * (1 - DELTA) / streams) ** 0.5
    worst = max(row.found.broken for row in found)
    head = [
        "stream",
        "gap",
        "n",
        "promise broken",
        "lowest threshold that measures .9",
        "certified",
        "coverage",
        "best",
    ]
    body = [
        [
            row.kind,
            f"{row.gap:g}",
            f"{row.n:,}",
            f"{row.found.broken:.3f}",
            f"{row.lucky:.3f}",
            f"{row.found.certified:.2f}",
            f"{row.found.coverage:.2f}",
            f"{row.best:.2f}",
        ]
        for row in found
    ]
    words = (
        f"Written by `{command}`: {streams:,} streams a line, target {TARGET:g}, delta {DELTA:g}, whose sampling error "
        f"is {error:.3f}. The most broken promises of any line: **{worst:.3f}**.\n\n"
    )
    return words + table(head, body)


def main(arguments: list[str]) -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(prog="bench certificates", description=__doc__)
    parser.add_argument("--streams", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="100 streams a line; prints instead of writing")
    given = parser.parse_args(arguments)
    streams = 100 if given.quick else given.streams
    found = list(rows(streams, np.random.default_rng(given.seed)))
    text = page(found, streams, f"python -m bench certificates --streams {streams} --seed {given.seed}")
    if given.quick:
        print(text)
    else:
        put(PAGE, "certificates", text)
        print(PAGE)

"""How often the interval of `caldrift compare` holds the truth, and its verdicts: writes the tables of docs/compare.md.

python -m bench compare [--times 400] [--seed 1] [--quick]
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.coverage import table
from bench.pages import put
from monitor.calibration.comparison import Verdict
from monitor.calibration.reading import ReadingSettings
from tests.calibration.comparing import Case, Fault, Verdicts, verdicts

PAGE = Path(__file__).parents[1] / "docs" / "compare.md"
LIMIT = 0.03
SIZES = (300, 1_000, 5_000)
CHANGES: tuple[tuple[Fault, Fault], ...] = (
    (0.0, 0.0), (0.1, 0.1), ("waves", "waves"), (0.0, 0.02), ("waves", 0.02), (0.0, "waves"), (0.0, 0.05), (0.0, 0.1),
    (0.1, 0.0),
)  # fmt: skip
WORDS: tuple[Verdict, ...] = ("better", "same", "worse", "cannot tell")


def cases(kinds: tuple[str, ...], sizes: tuple[int, ...]) -> Iterator[Case]:
    """Every case in turn."""
    for kind in kinds:
        for before, after in CHANGES:
            for paired in (False, True):
                for n in sizes:
                    yield Case(kind, before, after, n, paired)


def page(found: list[tuple[Case, Verdicts]], times: int, command: str) -> str:
    """The table, in Markdown."""
    held = [each.held for _, each in found]
    none = [each for case, each in found if case.before == case.after]
    false = [sum(each.shares.get(word, 0.0) for word in ("better", "worse")) for each in none]
    body = [
        [
            case.kind,
            f"{case.before} to {case.after}",
            f"{each.truth:+.3f}",
            f"{case.n:,}{' paired' if case.paired else ''}",
            f"{each.held:.2f}",
            *(f"{each.shares.get(word, 0.0):.2f}" for word in WORDS),
            f"{each.width:.3f}",
        ]
        for case, each in found
    ]
    words = (
        f"Written by `{command}`: {times} comparisons a line at 95 %, limit {LIMIT:g}. The interval held the truth in "
        f"{np.mean(held):.3f} of all, in {min(held):.2f} of the worst line. Where nothing had changed, the verdict was "
        f"better or worse in {np.mean(false):.3f} of all, in {max(false):.3f} of the worst line.\n\n"
    )
    return words + table(["kind", "faults", "change of ECE", "n", "held", *WORDS, "width"], body)


def main(arguments: list[str]) -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(prog="bench compare", description=__doc__)
    parser.add_argument("--times", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="50 comparisons a line, one kind; prints the table")
    given = parser.parse_args(arguments)
    times, kinds = (50, ("stated",)) if given.quick else (given.times, ("stated", "beta", "mixed"))
    rng, settings = np.random.default_rng(given.seed), ReadingSettings(draws=500)
    found = [(case, verdicts(case, times, settings, LIMIT, rng)) for case in cases(kinds, SIZES)]
    text = page(found, times, f"python -m bench compare --times {times} --seed {given.seed}")
    if given.quick:
        print(text)
    else:
        put(PAGE, "comparisons", text)
        print(PAGE)

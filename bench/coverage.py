"""How often intervals hold the truth and null bands hold a calibrated model: writes docs/interval-coverage.md.

    python -m bench coverage [--draws 400] [--quick] [--seed 1]

For each kind of confidence, each gap and each n, samples are drawn from a stream whose truth is known; an interval at
90 % should hold it nine times in ten.
"""

import argparse
import os
import platform
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from monitor.calibration.figures import MEASURES, Figures, figures
from monitor.calibration.panel import panel_of
from monitor.calibration.reading import ReadingSettings
from monitor.calibration.sketch import sketch_of
from monitor.calibration.uncertainty import ece_bands, seeded
from tests.calibration.streams import KINDS, stream

Floats = npt.NDArray[np.float64]
PAGE = Path(__file__).parents[1] / "docs" / "interval-coverage.md"
LEVEL = 0.9
GAPS = (0.0, 0.02, 0.05, 0.1, 0.2)
SIZES = (30, 100, 500, 2_000, 10_000)
POPULATION = 200_000
TABLED = tuple(name for name in MEASURES if name != "spiegelhalter_z")
"""Spiegelhalter's Z is no parameter of a stream: it grows with n."""


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of confidence, one gap, one n: what share of the intervals held the truth, and of the null bands the
    value; `shown`: the share of samples in which the measure was known at all."""

    kind: str
    gap: float
    n: int
    truth: Mapping[str, float]
    held: Mapping[str, float]
    shown: Mapping[str, float]
    in_band: Mapping[str, float]
    resampled: float
    """The same of ECE with resampled bands, as single readings have."""


def truth_of(found: Figures) -> dict[str, float]:
    return {name: float(found.estimates[name].value[0]) for name in TABLED}


def cases(draws: int, sizes: Sequence[int], gaps: Sequence[float], rng: np.random.Generator) -> Iterator[Case]:
    """Every case in turn."""
    for kind in KINDS:
        for gap in gaps:
            c, _ = stream(kind, POPULATION, rng)
            chance = np.clip(c - gap, 0.01, 0.99) if gap else c
            truth = truth_of(figures(panel_of([sketch_of(c, chance)]), 10, "right_closed", LEVEL))
            for n in sizes:
                yield measured(kind, gap, (c, chance), n, truth, draws=draws, rng=rng)


def measured(
    kind: str,
    gap: float,
    population: tuple[Floats, Floats],
    n: int,
    truth: Mapping[str, float],
    *,
    draws: int,
    rng: np.random.Generator,
) -> Case:
    """One case."""
    c, chance = population
    sketches = []
    for _ in range(draws):
        pick = rng.integers(0, len(c), n)
        sketches.append(sketch_of(c[pick], (rng.random(n) < chance[pick]).astype(np.float64)))
    parts = [figures(panel_of(sketches[at : at + 100]), 10, "right_closed", LEVEL) for at in range(0, draws, 100)]
    held, shown = {}, {}
    for name in TABLED:
        value, low, high = (
            np.concatenate([getattr(part.estimates[name], end) for part in parts]) for end in ("value", "low", "high")
        )
        known = ~np.isnan(value)
        shown[name] = float(known.mean())
        inside = (low <= truth[name] + 1e-12) & (truth[name] <= high + 1e-12)
        held[name] = float(inside[known].mean()) if known.any() else float("nan")
    in_band = {}
    for name in parts[0].null_bands:
        value = np.concatenate([part.estimates[name].value for part in parts])
        low, high = (np.concatenate([part.null_bands[name][end] for part in parts]) for end in (0, 1))
        in_band[name] = float(((low <= value) & (value <= high)).mean())
    some = sketches[: max(1, draws // 4)]
    bands = [ece_bands(each, 10, "right_closed", LEVEL, rng=seeded(each), draws=500).interval for each in some]
    resampled = float(np.mean([low <= truth["ece"] <= high for low, high in bands]))
    return Case(kind, gap, n, truth, held, shown, in_band, resampled)


INTRODUCTION = """# Coverage of intervals

Written by `{command}` on {machine}.

An interval at 90 % should hold the true value in nine samples of ten. Here samples of n labels are drawn from streams
whose truth is known: stated confidences on a few round values (`stated`), token probabilities (`logit`), confidences
spread towards 1 (`beta`), and a mixture with many near 1 (`mixed`); with every answer right less often than stated by a
gap of 0 to .2. Labels are independent; where they are not (twenty answers to one question), no such table holds.

A reading below {enough} labels is marked as "not enough labels" by its n alone, whatever its value, so no row below is
chosen by its outcome. Where a measure is unknown in some samples (one class only, no slope), the share of samples in
which it is shown stands in square brackets.

**ECE from 500 labels on, at a true ECE of .02 or more**: coverage {least:.2f} to {most:.2f}, {mean:.2f} on average over
{cases} cases, in closed form; {resampled_least:.2f} to {resampled_most:.2f} resampled.
"""


def page(found: Sequence[Case], command: str) -> str:
    """The page, in Markdown."""
    sizes = sorted({case.n for case in found})
    judged = [case for case in found if case.n >= 500 and case.truth["ece"] >= 0.0195]
    ece, resampled = [case.held["ece"] for case in judged], [case.resampled for case in judged]
    introduction = INTRODUCTION.format(
        command=command,
        machine=f"{platform.machine()} with {os.cpu_count()} cores, numpy {np.__version__}",
        enough=ReadingSettings().min_labels,
        least=min(ece),
        most=max(ece),
        mean=np.mean(ece),
        cases=len(ece),
        resampled_least=min(resampled),
        resampled_most=max(resampled),
    )
    by_measure = [[f"`{name}`", *(cell(found, name, n) for n in sizes)] for name in TABLED]
    by_gap: dict[tuple[str, float], list[str]] = {}
    for case in found:
        row = by_gap.setdefault((case.kind, case.gap), [case.kind, f"{case.gap:g}", f"{case.truth['ece']:.3f}"])
        row.append(f"{case.held['ece']:.2f} / {case.resampled:.2f}")
    bands = [[f"`{name}`", *(band_cell(found, name, n) for n in sizes)] for name in found[0].in_band]
    head = [f"n = {n:,}" for n in sizes]
    return "\n".join(
        [
            introduction,
            "## Share of intervals that hold the truth, over all kinds and gaps: mean (lowest case)\n",
            table(["measure", *head], by_measure),
            "## ECE by gap: closed form / resampled\n",
            table(["kind", "gap", "true ECE", *head], by_gap.values()),
            "## Null bands at 90 %: share of calibrated samples inside, mean over kinds (lowest)\n",
            table(["measure", *head], bands),
        ]
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown, with an empty line after it."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def band_cell(found: Sequence[Case], name: str, n: int) -> str:
    """Mean and lowest share of calibrated samples inside the null band at one n."""
    inside = [case.in_band[name] for case in found if case.gap == 0 and case.n == n]
    return f"{np.mean(inside):.2f} ({min(inside):.2f})"


def cell(found: Sequence[Case], name: str, n: int) -> str:
    """Mean and lowest coverage of a measure at one n; where it was not always known, how often."""
    held = [case.held[name] for case in found if case.n == n and case.shown[name] > 0]
    shown = float(np.mean([case.shown[name] for case in found if case.n == n]))
    return f"{np.mean(held):.2f} ({min(held):.2f})" + (f" [{shown:.2f}]" if shown < 0.995 else "")


def main(arguments: list[str]) -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(prog="bench coverage", description=__doc__)
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="few draws, three sizes; prints instead of writing")
    given = parser.parse_args(arguments)
    draws, sizes, gaps = (100, (100, 500, 2_000), (0.0, 0.05)) if given.quick else (given.draws, SIZES, GAPS)
    found = list(cases(draws, sizes, gaps, np.random.default_rng(given.seed)))
    command = f"python -m bench coverage --draws {draws} --seed {given.seed}"
    if given.quick:
        print(page(found, command + " --quick"))
    else:
        PAGE.write_text(page(found, command), encoding="utf-8")
        print(PAGE)


if __name__ == "__main__":
    main(sys.argv[1:])

"""How often confidence sequences ever miss the truth, and how wide they are: writes docs/confidence-sequences.md.

    python -m bench sequences [--histories 200] [--quick] [--seed 1]

Histories of labels are looked at again and again as they grow; an interval or sequence misses if it misses at any look.
"""

import argparse
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.special import lambertw

from bench.charpage import table
from bench.streams import ACCEPTED_WORLD, CELLS, GRID, HIGH_WORLD, STATED_WORLD, Floats, Stream, World, drawn, gap
from monitor.calibration import means, sequences
from monitor.calibration.bins import run_starts
from monitor.calibration.cells import UNIT, bin_of_cells, fixed
from monitor.calibration.closed_form import bands_of_many
from monitor.calibration.estimates import Estimates
from monitor.calibration.panel import Panel, bins_of_panel, panel_of
from monitor.calibration.sketch import ROWS, Row, Sketch

PAGE = Path(__file__).parents[1] / "docs" / "confidence-sequences.md"
LEVEL, BINS = 0.95, 10
ALPHA = 1 - LEVEL
FIRST, STEP, GROWTH = 100, 20, 1.02
WIDTHS_AT = (500, 2_000, 10_000, 100_000)
WINDOW = 2_000
DRIFT, DRIFTS_AT = 0.1, 5_000
WORLDS = (STATED_WORLD, HIGH_WORLD, ACCEPTED_WORLD)
TUNED_AT = 1_000

Ends = tuple[Floats, Floats]
Triple = tuple[float, ...]
GAPS = (
    "interval of one look",
    "asymptotic sequence",
    "Hoeffding mixture",
    "empirical Bernstein",
    "betting, `sequences`",
)
ECES = ("interval of one look", "a sequence for each bin", "patterns of signs, `sequences`")


@dataclass(frozen=True, slots=True)
class Case:
    """Histories of one kind: what share each way ever missed, and its median width by labels."""

    name: str
    missed: Mapping[str, float]
    width: Mapping[str, Mapping[int, float]]
    missed_ece: Mapping[str, float]
    ends_of_ece: Mapping[str, Mapping[int, Triple]]
    """The true ECE and both ends."""
    missed_rolling: float
    missed_fixed_windows: float


class History:
    """R histories with what is known of them only here: the chance of every answer."""

    def __init__(self, stream: Stream, chance: Floats) -> None:
        self.stream = stream
        drift = stream.confidence - chance
        self._gap = np.cumsum(np.concatenate([np.zeros((len(stream), 1)), drift], axis=1), axis=1)
        bins = bin_of_cells(BINS, "right_closed")[CELLS][stream.place]
        self._ece = np.zeros(drift.shape)
        for number in range(BINS):
            self._ece += np.abs(np.cumsum(np.where(bins == number, drift, 0.0), axis=1))

    def panel(self, start: int, stop: int) -> Panel:
        """The panel of labels start..stop-1."""
        return panel(*self.stream.counts(start, stop))

    def gap(self, start: int, stop: int) -> Floats:
        """(R,) their mean of confidence minus chance."""
        return np.asarray((self._gap[:, stop] - self._gap[:, start]) / (stop - start))

    def ece(self, stop: int) -> Floats:
        """(R,) the mean over the first labels of |mean of confidence minus chance of their bin|."""
        return np.asarray(self._ece[:, stop - 1] / stop)


def panel(n: Floats, right: Floats) -> Panel:
    """The panel of R series from their counts at each place of the grid, (R, 201)."""
    sums = np.zeros((ROWS, *n.shape), np.int64)
    for row, value in (
        (Row.N, n),
        (Row.C, n * fixed(GRID)),
        (Row.C2, n * fixed(GRID * GRID)),
        (Row.Y, right * UNIT),
        (Row.CY, right * fixed(GRID)),
    ):
        sums[row] = value
    no_delays = np.zeros(0, np.int16), np.zeros((3, 0), np.int64)
    order = np.argsort(CELLS)
    sketches = []
    for series in range(len(n)):
        used = order[n[series, order] > 0]
        sketches.append(Sketch(CELLS[used], sums[:, series, used], *no_delays))
    return panel_of(sketches)


def one_look(panel: Panel) -> Ends:
    """The interval that a reading shows."""
    found = means.signed_gap(panel, LEVEL)
    return found.low, found.high


def normal_mixture(panel: Panel, variance: Floats) -> Ends:
    """Robbins 1970: a mixture of normal bets, narrowest at `TUNED_AT` labels; (S,) variance of one label."""
    squared_spread = (-float(lambertw(-(ALPHA**2) * math.exp(-1), -1).real) - 1) / TUNED_AT
    n, centre = panel.labels, means.signed_gap(panel, LEVEL).value
    grown = n * squared_spread + 1
    half = np.sqrt(variance * 2 * grown / (n * n * squared_spread) * np.log(np.sqrt(grown) / ALPHA))
    return centre - half, centre + half


def asymptotic(panel: Panel) -> Ends:
    """Waudby-Smith et al. 2024: the normal mixture with the variance that was seen."""
    mean = means.signed_gap(panel, LEVEL).value
    square = panel.of_row(Row.C2) - 2 * panel.of_row(Row.CY) + panel.of_row(Row.Y)
    return normal_mixture(panel, square - mean**2)


def hoeffding(panel: Panel) -> Ends:
    """The same with 1/4, the largest variance of an outcome: exact, the confidences given."""
    return normal_mixture(panel, np.full(len(panel), 0.25))


def bernstein(panel: Panel) -> Ends:
    """From the labels, their gap and their Brier score alone (Howard et al. 2021, around 0)."""
    centre, half = means.signed_gap(panel, LEVEL).value, sequences.half_width(panel, math.log(1 / ALPHA))
    return centre - half, centre + half


def betting(panel: Panel) -> Ends:
    """What `monitor.calibration.sequences` offers."""
    found = sequences.signed_gap(panel, LEVEL)
    return found.low, found.high


def ece_one_look(panel: Panel) -> Ends:
    """The interval that a reading shows, in closed form."""
    found = bands_of_many(bins_of_panel(panel, BINS, "right_closed"), LEVEL)
    return found.low, found.high


def ece_by_bin(panel: Panel) -> Ends:
    """A sequence for the gap of each bin, with a tenth of alpha each."""
    key = panel.series * BINS + bin_of_cells(BINS, "right_closed")[panel.cells]
    first = run_starts(key)
    place = np.repeat(np.arange(len(first)), np.diff(first, append=len(key)))
    of_bins = Panel(
        first, place, panel.cells, panel.position, panel.sums, panel.n, panel.right,
        np.add.reduceat(panel.n, first),
    )  # fmt: skip
    found: Estimates = sequences.signed_gap(of_bins, 1 - ALPHA / BINS)
    series = panel.series[first]
    share = of_bins.labels / panel.labels[series]
    farthest = np.maximum(np.abs(found.low), np.abs(found.high))
    nearest = np.maximum.reduce([found.low, -found.high, np.zeros(len(first))])
    return np.bincount(series, share * nearest, len(panel)), np.bincount(series, share * farthest, len(panel))


def ece_patterns(panel: Panel) -> Ends:
    """What `monitor.calibration.sequences` offers."""
    found = sequences.ece(panel, BINS, "right_closed", LEVEL)
    return found.low, found.high


WAYS: Mapping[str, Callable[[Panel], Ends]] = dict(
    zip(GAPS, (one_look, asymptotic, hoeffding, bernstein, betting), strict=True)
)
ECE_WAYS: Mapping[str, Callable[[Panel], Ends]] = dict(zip(ECES, (ece_one_look, ece_by_bin, ece_patterns), strict=True))


def looks(length: int) -> list[int]:
    """Every pane of 20 labels from 100 on, later every fiftieth part more; and where widths are read."""
    found, at = {n for n in WIDTHS_AT if n <= length}, float(FIRST)
    while at <= length:
        found.add(int(at))
        at = max(at + STEP, STEP * round(at * GROWTH / STEP))
    return sorted(found)


def history(world: World, shape: tuple[int, int], rng: np.random.Generator, *, drifting: bool) -> History:
    """Histories of one kind; drifting ones are right less often by .1 from label 5,000 on."""
    drift = gap(DRIFT) if drifting else None
    stream = drawn(world, shape, rng, drift=drift, at=DRIFTS_AT)
    chance = world.chance(stream.confidence)
    if drift is not None:
        chance[:, DRIFTS_AT:] = drift(chance[:, DRIFTS_AT:])
    return History(stream, chance)


def outside(ends: Ends, truth: Floats) -> npt.NDArray[np.bool_]:
    """(R,) whether the truth is outside."""
    return np.asarray((truth < ends[0] - 1e-12) | (truth > ends[1] + 1e-12))


def measured(name: str, past: History) -> Case:
    """One kind of histories."""
    none = np.zeros(len(past.stream), dtype=bool)
    missed, missed_ece = dict.fromkeys(WAYS, none), dict.fromkeys(ECE_WAYS, none)
    width: dict[str, dict[int, float]] = {way: {} for way in WAYS}
    ends_of_ece: dict[str, dict[int, Triple]] = {way: {} for way in ECE_WAYS}
    n, right, seen = np.zeros((len(none), len(GRID))), np.zeros((len(none), len(GRID))), 0
    for until in looks(past.stream.length):
        more, more_right = past.stream.counts(seen, until)
        n, right, seen = n + more, right + more_right, until
        so_far = panel(n, right)
        for way, of_gap in WAYS.items():
            ends = of_gap(so_far)
            missed[way] = missed[way] | outside(ends, past.gap(0, until))
            width[way][until] = float(np.median(ends[1] - ends[0]))
        for way, of_ece in ECE_WAYS.items():
            ends = of_ece(so_far)
            missed_ece[way] = missed_ece[way] | outside(ends, past.ece(until))
            ends_of_ece[way][until] = float(np.median(past.ece(until))), *(float(np.median(end)) for end in ends)
    return Case(
        name,
        {way: float(each.mean()) for way, each in missed.items()},
        width,
        {way: float(each.mean()) for way, each in missed_ece.items()},
        ends_of_ece,
        rolling(past),
        tumbling(past),
    )


def rolling(past: History) -> float:
    """The share of histories that miss the gap of the last 2,000 labels at some look, one every 200 labels."""
    missed = np.zeros(len(past.stream), dtype=bool)
    for stop in range(WINDOW, past.stream.length + 1, WINDOW // 10):
        missed |= outside(betting(past.panel(stop - WINDOW, stop)), past.gap(stop - WINDOW, stop))
    return float(missed.mean())


def tumbling(past: History) -> float:
    """The share of windows of 2,000 labels, one after the other, that are missed while they fill, looks every 100."""
    shares = []
    for start in range(0, past.stream.length - WINDOW + 1, WINDOW):
        missed = np.zeros(len(past.stream), dtype=bool)
        for stop in range(start + FIRST, start + WINDOW + 1, FIRST):
            missed |= outside(betting(past.panel(start, stop)), past.gap(start, stop))
        shares.append(missed.mean())
    return float(np.mean(shares))


def cost() -> tuple[float, float]:
    """Microseconds a series of both sequences, among 500 series of 2,000 labels on twelve stated values."""
    stream = drawn(STATED_WORLD, (500, 2_000), np.random.default_rng(0))
    many = panel(*stream.counts(0, 2_000))
    taken = []
    for way in (betting, ece_patterns):
        began = time.perf_counter()
        way(many)
        taken.append((time.perf_counter() - began) / len(many) * 1e6)
    return taken[0], taken[1]


INTRODUCTION = """
# Confidence sequences

A reading shows an interval with each value: at 95 % it holds the truth in nineteen readings of twenty. That is a
promise about **one** look. Whoever looks every hour, and acts on the first interval that leaves 0, looks until chance
has been unkind: below, in up to {worst:.0%} of histories of one kind some interval missed the truth. A **confidence
sequence** at 95 % is a promise about all looks together: in nineteen histories of twenty it holds the truth **every
time**, from the first label on, whenever one looks and whatever one does because of what one saw. The price is width:
it is about {ratio:.1f} times as wide as the interval, at any number of labels.

## What it is over

All labels since **a start that was fixed before they came** (a baseline, a release, the first of a month), taken in
order of prediction, once they are mature. What was seen before may choose the start, as an alarm begins a new baseline;
what comes after may not. With d = c - y, the confidence of a label minus its outcome, and m_i the mean of d_i
given everything before it, the sequence holds the mean of m_1..m_n at every n: the gap that the model really had, on
average since the start. Nothing is assumed of the m_i. The model may get worse, labels may depend on earlier ones, the
mix of confidences may change.

- **A rolling window is not covered.** The last 2,000 labels have another start at every look, and so many starts are so
  many chances to miss: see the last table. A window that begins at a fixed moment and fills is covered while it fills;
  of many such windows, one after the other, at most one in twenty is ever missed, on average.
- What is not independent given the past is not covered: twenty answers that share one outcome must be declared as one
  cluster, as for the detectors. A label that comes late or is corrected belongs to its place in the order; a sequence
  that was read before it came was one of other labels.
- Labels must not be chosen by their outcome: see [measures](measures.md), "Labels that are no fair sample".

## The formula

For a stake k between -1 and 1, the product of (1 + k d_i) / (1 + k m_i) is 1 on average at every n: a bet at fair
odds. So is the mean of such products over sixteen stakes that are chosen beforehand, ±.9, ±.45, ... ±.007, and a bet at
fair odds ever multiplies its money by 20 with a chance of at most 1 / 20 (Ville 1939). A logarithm is concave, so the
product of (1 + k m_i) is at most (1 + k m)^n, where m is the mean of the m_i. Therefore, with a chance of at least
95 %, at every n

    mean over k of  prod over i (1 + k d_i) / (1 + k m)^n  <  20 ,

and the sequence is all m for which that is so: an interval that holds the value, found by Newton steps. The products
need the counts of right and wrong labels by cell of confidence and nothing else, so a sketch is enough, and the sum of
the panes gives the same digits as the labels one by one. No variance is estimated, and no n has to be large.

**ECE** is the largest of the means of d in which each bin has a sign, + or -. With ten bins there are 512 pairs of such
patterns. Half of the 5 % is for the signed gap, the other half in equal parts for the patterns; where the sequences of
all of them hold, ECE lies between the lower end of any and the largest of the upper ends. It is the ECE of the m_i by
bin, with the confidences as they came. For the upper end all patterns are given the same width, from the number of
labels and the Brier score alone.
"""

SOURCES = """
## Sources

- Fan, Grama, Liu 2015. Exponential inequalities for martingales with applications. Electronic Journal of Probability
  20.
- Howard, Ramdas, McAuliffe, Sekhon 2021. Time-uniform, nonparametric, nonasymptotic confidence sequences. Annals of
  Statistics 49. (empirical Bernstein)
- Robbins 1970. Statistical methods related to the law of the iterated logarithm. Annals of Mathematical Statistics 41.
- Ville 1939. Étude critique de la notion de collectif. Gauthier-Villars.
- Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas 2024. Time-uniform central limit theory and asymptotic confidence
  sequences. Annals of Statistics 52.
- Waudby-Smith, Ramdas 2024. Estimating means of bounded random variables by betting. Journal of the Royal Statistical
  Society B 86.
"""


def page(found: Sequence[Case], length: int, histories: int, command: str, minutes: float) -> str:
    """The page, in Markdown."""
    ours = GAPS[-1]
    ratios = [case.width[ours][n] / case.width[GAPS[0]][n] for case in found for n in WIDTHS_AT if n <= length]
    introduction = INTRODUCTION.format(worst=max(case.missed[GAPS[0]] for case in found), ratio=float(np.mean(ratios)))
    parts = [introduction, _missed(found, length), _widths(found, length), _eces(found, length), _windows(found)]
    of_gap, of_ece = cost()
    how = f"""
## How this page was made

Every number above comes from one run of `{command}`
({platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; {minutes:.1f} minutes):
{histories} histories of each kind, so a share of .05 is known to ±{1.96 * math.sqrt(0.05 * 0.95 / histories):.2f}.
Among hundreds of series of twelve stated values, the sequence of the gap took {of_gap:.0f} microseconds a series, that
of ECE {of_ece:.0f}.
"""
    return "\n\n".join(part.strip() for part in [*parts, how, SOURCES]) + "\n"


def _missed(found: Sequence[Case], length: int) -> str:
    rows = [[way, *(f"{case.missed[way]:.3f}" for case in found)] for way in WAYS]
    return f"""
## Signed gap: share of histories missed at any look

Histories of {length:,} labels, looked at from 100 labels on, first every 20 labels, then whenever a fiftieth has been
added. `stated`: twelve stated values from .3 to .99; `high`: confidences crowded around .9; `accepted`: a model that
is over-confident in a stable way. `drifting`: answers are right less often by .1 from label 5,000 on, so the truth that
must be held moves. At most .05 is promised by all but the interval.

{table(["", *(case.name for case in found)], rows)}

- *interval of one look*: what a reading shows; it promises one look.
- *asymptotic sequence* (Waudby-Smith et al. 2024): Robbins' mixture of normal bets with the variance seen, here
  narrowest at 1,000 labels. Its promise is one for large n.
- *Hoeffding mixture*: the same with the largest variance that outcomes can have; exact.
- *empirical Bernstein*: our stakes with the bound of Fan et al. instead of the products; needs four sums; exact.
- *betting*: the formula above; exact. **This is the one that is offered.**
"""


def _widths(found: Sequence[Case], length: int) -> str:
    sizes = [n for n in WIDTHS_AT if n <= length]
    rows = [
        [
            way,
            *(
                f"{np.mean([case.width[way][n] / case.width[GAPS[0]][n] for case in found]):.2f}"
                f" ({np.mean([case.width[way][n] for case in found]):.3f})"
                for n in sizes
            ),
        ]
        for way in WAYS
    ]
    return f"""
## Signed gap: width

As a multiple of the interval of one look; in brackets from end to end, in units of confidence. Means over the kinds
above of the medians over histories.

{table(["", *(f"n = {n:,}" for n in sizes)], rows)}
"""


def _eces(found: Sequence[Case], length: int) -> str:
    sizes = [n for n in WIDTHS_AT if n <= length]
    missed = [[way, *(f"{case.missed_ece[way]:.3f}" for case in found)] for way in ECE_WAYS]
    rows = [
        [case.name, f"{n:,}", f"{case.ends_of_ece[ECES[0]][n][0]:.3f}", *(_between(case, way, n) for way in ECE_WAYS)]
        for case in found
        for n in sizes
    ]
    return f"""
## ECE in ten bins: share of histories missed at any look

{table(["", *(case.name for case in found)], missed)}

Median ends:

{table(["histories", "n", "true ECE", *ECE_WAYS], rows)}

The patterns of signs are much narrower than a sequence for each bin, whose widths add up over the bins. Neither is
narrow: the truth of ten bins is held at every look, the worst pattern included. The lower end is the useful one: when
it is above a limit, so is ECE, at the stated level and however often one looked before.
"""


def _between(case: Case, way: str, n: int) -> str:
    _, low, high = case.ends_of_ece[way][n]
    return f"{low:.3f} to {high:.3f}"


def _windows(found: Sequence[Case]) -> str:
    rows = [
        ["histories in which the window of the last 2,000 labels was missed at some look"]
        + [f"{case.missed_rolling:.3f}" for case in found],
        ["windows of 2,000 labels, one after the other, that were missed while they filled"]
        + [f"{case.missed_fixed_windows:.3f}" for case in found],
    ]
    return f"""
## What happens when a sequence is read off a window that forgets

The formula applied to the last 2,000 labels at a look every 200 labels, which it is not made for, and to windows that
start at fixed labels, for which the promise is .05 for each window.

{table(["share of", *(case.name for case in found)], rows)}
"""


def main(arguments: list[str]) -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(prog="bench sequences", description=__doc__)
    parser.add_argument("--histories", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="short histories; prints instead of writing")
    given = parser.parse_args(arguments)
    histories, length = (60, 10_000) if given.quick else (given.histories, 100_000)
    rng, began = np.random.default_rng(given.seed), time.perf_counter()
    found = [
        measured(
            f"{world.name}, {'drifting' if drifting else 'steady'}",
            history(world, (histories, length), rng, drifting=drifting),
        )
        for world in WORLDS
        for drifting in (False, True)
    ]
    command = f"python -m bench sequences --histories {histories} --seed {given.seed}" + " --quick" * given.quick
    written = page(found, length, histories, command, (time.perf_counter() - began) / 60)
    if given.quick:
        print(written)
    else:
        PAGE.write_text(written, encoding="utf-8")
        print(PAGE)


if __name__ == "__main__":
    main(sys.argv[1:])

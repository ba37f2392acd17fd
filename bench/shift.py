"""How often a change of the confidences is seen where there is one and where there is none: writes a page.

    python -m bench shift [--series 100] [--quick] [--seed 1]

Writes docs/confidence-shift.md: false warnings, power and delay, and what a warning without labels does not see.
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
from scipy.stats import chi2, kstwobign

from bench.characteristics import watched
from bench.charpage import table
from bench.confidences import begun, step, sums
from bench.streams import HIGH_WORLD, STATED_WORLD, Floats, Stream
from monitor.calibration.shift import Shift, predictions_by_place, shift
from monitor.calibration.sketch import Sketch, sketch_of
from tests.calibration.streams import stream

PAGE = Path(__file__).parents[1] / "docs" / "confidence-shift.md"
Draw = Callable[[np.random.Generator, tuple[int, int]], Floats]
Bools = npt.NDArray[np.bool_]

LEVEL = 0.9
"""Two-sided, so one distance in twenty lies above its band by chance."""
REFERENCE = 2_000
WINDOWS = (100, 500, 2_000)
SHIFTS = (0.02, 0.05, 0.1)
FACTOR = 0.75
PANE, BASELINE = 50, 1_000
CHANGE, AFTER = 2_000, 8_000
OFTEN, SELDOM = 10_000, 100_000
"""Predictions to a false warning: where warnings are counted, where delays are measured."""
LABELS = 4_000


def _token(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return stream("logit", shape[0] * shape[1], rng)[0].reshape(shape)


@dataclass(frozen=True, slots=True)
class Kind:
    """How confidences of a kind are drawn, and that lowered ones are multiples of 1 / `grid`."""

    name: str
    draw: Draw
    grid: int

    def lowered(self, c: Floats, share: float | Floats, rng: np.random.Generator) -> Floats:
        """With so large a share of the confidences a quarter lower: harder questions among the others."""
        return np.where(rng.random(c.shape) < share, np.round(c * FACTOR * self.grid) / self.grid, c)

    def share_for(self, size: float, rng: np.random.Generator) -> float:
        """The share that must be lowered for the mean to fall by `size`."""
        c = self.draw(rng, (1, 100_000))
        return size / float(np.mean(c - self.lowered(c, 1.0, rng)))


STATED = Kind("stated", STATED_WORLD.draw, 20)
KINDS = (STATED, Kind("high", HIGH_WORLD.draw, 200), Kind("token", _token, 1_000_000_000))


@dataclass(frozen=True, slots=True)
class Look:
    """One comparison of a window with a reference: how often each way said that they differ; the distances."""

    kind: str
    size: float
    n: int
    said: Mapping[str, float]
    truth: float
    median: float
    held: float


@dataclass(frozen=True, slots=True)
class Watched:
    """Confidences of one kind, pane by pane: false warnings against those promised, and median delays by shift."""

    kind: str
    panes: int
    allowed: float
    warnings: int
    delays: Mapping[float, float]


@dataclass(frozen=True, slots=True)
class Story:
    """Something that happens, and which share of series was warned or paged; the median distance and the mean gap."""

    name: str
    warned: float
    paged: float
    distance: float
    gap: float


# --- One look


def unlabelled(rows: Floats) -> list[Sketch]:
    return [sketch_of(row, np.full(len(row), np.nan)) for row in rows]


def _by_tenth(sketches: Sequence[Sketch]) -> Floats:
    counts = predictions_by_place(sketches)[:, 1:]
    return np.asarray(counts.reshape(len(sketches), 10, -1).sum(axis=2))


def population_stability(before: Sequence[Sketch], after: Sequence[Sketch]) -> tuple[Floats, Floats]:
    """(S,) the population stability index over ten equal bins, and its p value (Yurdakul 2018: chi-square)."""
    first, second = (_by_tenth(each) for each in (before, after))
    n, m = first.sum(axis=1), second.sum(axis=1)
    p, q = (first + 0.5) / (n[:, None] + 5), (second + 0.5) / (m[:, None] + 5)
    index = ((p - q) * np.log(p / q)).sum(axis=1)
    freedom = ((first + second) > 0).sum(axis=1) - 1
    noise = 1 / n + 1 / m
    return index, np.asarray(chi2.sf(index / noise, freedom))


def kolmogorov_smirnov(before: Sequence[Sketch], after: Sequence[Sketch]) -> Floats:
    """(S,) the p value of the largest distance of the distributions, as if there were no ties (conservative)."""
    first, second = predictions_by_place(before), predictions_by_place(after)
    n, m = first.sum(axis=1), second.sum(axis=1)
    apart = np.abs(np.cumsum(first, axis=1) / n[:, None] - np.cumsum(second, axis=1) / m[:, None]).max(axis=1)
    return np.asarray(kstwobign.sf(apart * np.sqrt(n * m / (n + m))))


DISTANCE = "distance above its null band, `shift`"
STABILITY = "stability index > .1"
WAYS = (DISTANCE, "Kolmogorov-Smirnov, p < .05", STABILITY, "stability index, p < .05")


def look(kind: Kind, size: float, n: int, pairs: int, rng: np.random.Generator) -> Look:
    """Windows of n predictions beside references of 2,000."""
    share = kind.share_for(size, rng)
    before = unlabelled(kind.draw(rng, (pairs, REFERENCE)))
    after = unlabelled(kind.lowered(kind.draw(rng, (pairs, n)), share, rng))
    found: Shift = shift(before, after, LEVEL)
    whole = kind.draw(rng, (1, 200_000))
    truth = float(shift(unlabelled(whole), unlabelled(kind.lowered(whole, share, rng)), LEVEL).distance.value[0])
    index, p_value = population_stability(before, after)
    said = (
        found.distance.value > found.null_high,
        kolmogorov_smirnov(before, after) < 0.05,
        index > 0.1,
        p_value < 0.05,
    )
    held = (found.distance.low <= truth + 1e-12) & (truth <= found.distance.high)
    return Look(
        kind.name,
        size,
        n,
        {way: float(each.mean()) for way, each in zip(WAYS, said, strict=True)},
        truth,
        float(np.median(found.distance.value)),
        float(held.mean()),
    )


# --- Pane by pane


def fed(reference: Floats, c: Floats, run_length: float) -> Bools:
    """(R, panes) in which pane of 50 predictions each series warned; reference (R, k), c (R, T)."""
    state, alpha = begun(sums(unlabelled(reference))), np.full(len(c), PANE / run_length)
    warned = []
    for start in range(0, c.shape[1] - PANE + 1, PANE):
        found = step(state, sums(unlabelled(c[:, start : start + PANE])), alpha)
        state = found.state
        warned.append(found.warned)
    return np.stack(warned, axis=1)


def delay(warned: Bools, change: int) -> float:
    """Median predictions from the change to the first warning after it; infinite where fewer than half were warned."""
    after = warned[:, change // PANE :]
    first = np.where(after.any(axis=1), (after.argmax(axis=1) + 1) * PANE, np.inf)
    return float(np.median(first))


def watch(kind: Kind, series: int, length: int, rng: np.random.Generator) -> Watched:
    """Series without a change, and with each."""
    quiet = fed(kind.draw(rng, (series, BASELINE)), kind.draw(rng, (series, length)), OFTEN)
    delays = {}
    for size in SHIFTS:
        c = kind.draw(rng, (series, CHANGE + AFTER))
        c[:, CHANGE:] = kind.lowered(c[:, CHANGE:], kind.share_for(size, rng), rng)
        delays[size] = delay(fed(kind.draw(rng, (series, BASELINE)), c, SELDOM), CHANGE)
    return Watched(kind.name, quiet.size, quiet.size * PANE / OFTEN, int(quiet.sum()), delays)


def placed(c: Floats, chance: Floats, rng: np.random.Generator) -> Stream:
    return Stream(np.round(c * 200).astype(np.int64), (rng.random(c.shape) < chance).astype(np.float64))


def stories(series: int, rng: np.random.Generator) -> list[Story]:
    """What happens to a calibrated model that states one of twelve values, after its baseline."""
    shape, share = (series, LABELS), STATED.share_for(0.1, rng)
    plain, worse, harder, cycle = (STATED.draw(rng, shape) for _ in range(4))
    harder = STATED.lowered(harder, share, rng)
    night = (np.arange(LABELS) // PANE) % 24 >= 12
    cycle = STATED.lowered(cycle, np.where(night, share, 0.0), rng)
    return [
        story("nothing changes", placed(plain, plain, rng), rng),
        story("answers are right less often by .1, confidences stay", placed(worse, worse - 0.1, rng), rng),
        story("about half of the traffic is harder, and the model says so", placed(harder, harder, rng), rng),
        story("the same for twelve panes of every twenty-four", placed(cycle, cycle, rng), rng),
    ]


def story(name: str, happened: Stream, rng: np.random.Generator) -> Story:
    """One story, against baselines of 1,000 calibrated labels."""
    c = STATED.draw(rng, (len(happened), BASELINE))
    before = placed(c, c, rng)
    alarms = watched(happened, before.baselines(BASELINE), PANE / SELDOM, PANE)
    paged = {alarm.series for alarm in alarms if alarm.tier == "page"}
    warned = fed(before.confidence, happened.confidence, SELDOM).any(axis=1)
    found = shift(unlabelled(before.confidence), unlabelled(happened.confidence), LEVEL)
    gap = float((happened.confidence - happened.outcome).mean())
    return Story(name, float(warned.mean()), len(paged) / len(happened), float(np.median(found.distance.value)), gap)


INTRODUCTION = """
# The confidences changed

Labels come late, and some never. Confidences come with every prediction. So the first thing that can be seen is that
the **confidences changed**: this page says how far, how surely, how soon, and what it does not mean.

**It does not mean that calibration drifted.** Calibration is about confidences **and** outcomes. A model may become
wrong while it goes on as sure as before: no look at confidences can see that. And other questions, harder ones by night
or from a new customer, change the confidences of a model that is as calibrated as ever. The last table shows both. A
change is a reason to look, to label some of the new traffic, and to read the windows before and after apart.

## How far: the distance

A reading of a window after the baseline of the drift detectors has it (`confidence_shift`), against the predictions
that taught the baseline. `monitor.calibration.shift` compares the predictions of two sketches, labelled or not. Its
**distance** is that of Wasserstein of order 1, the area between the two distribution functions: by how much confidence
a prediction must be moved, on average, to make the one set of the other. .03 means that confidences moved by three
points on average. Beside it stand the change of the mean with its sign (the distance is at least that, and more where
some rose and others fell) and

- the **null band**: where the distance would lie if both were drawn from one distribution. From the area under a
  Brownian bridge (mean and variance in closed form, a gamma distribution between); it takes the atoms of stated
  confidences as they are, and so is not conservative where these crowd on tenths;
- an **interval**, normal from the influence of each prediction. Up to the top of the null band it starts at 0.

Other measures were tried. The largest difference of the distribution functions (Kolmogorov-Smirnov) is no amount of
confidence, and its usual p value is too large where confidences are tied; where they are not, as with token
probabilities, it sees small changes sooner. The population stability index has no unit, depends on bins, and grows with
noise: its usual limit of .1 is passed by chance in small windows, and often not by a small real change in large ones;
its chi-square approximation fails where bins are nearly empty.

## How soon: a warning with a stated rate

`bench/confidences.py` is fed each pane as soon as its hour is over, and compares it with everything before, the
reference first. It bets that the mean confidence, the share below .75 or the share from .9 on rises or falls, with five
stakes each. If nothing changed, each way to divide the predictions into before and now is equally likely, and over all
of them no bet wins on average: that is exact, for any distribution and any size of the reference. The bets are summed
over all panes at which a change may have begun (Shiryaev-Roberts), and warn when the sum reaches 1 / alpha. Then at
most alpha warnings a pane are to be expected without a change; for the count of many warnings this also takes the
panes' results as independent of each other, as they nearly are.

**On what it is conditional**: predictions are independent and their order does not matter. A day has its hours: where
the traffic of the night differs from that of the day, panes of an hour are no random parts of the day, and it warns,
rightly and uselessly. Such series are for panes of a day, or for the distance between equal hours. Therefore the
service shows the distance, and does not feed this warning: it was tried, and stands here as a measured try.
"""

SOURCES = """
## Sources

- del Barrio, Gine, Matran 1999. Central limit theorems for the Wasserstein distance between the empirical and the true
  distributions. Annals of Probability 27.
- Hoeffding 1963. Probability inequalities for sums of bounded random variables. JASA 58. (section 6)
- Shin, Ramdas, Rinaldo 2022. E-detectors: a nonparametric framework for sequential change detection. arXiv:2203.03532.
- Vovk, Gammerman, Shafer 2005. Algorithmic Learning in a Random World. Springer. (testing exchangeability)
- Yurdakul 2018. Statistical properties of population stability index. Western Michigan University.
"""


def page(looks: Sequence[Look], watches: Sequence[Watched], told: Sequence[Story], series: int, how: str) -> str:
    """The page, in Markdown."""
    parts = [INTRODUCTION, _looks(looks), _distances(looks), _watches(watches), _stories(told, series), how, SOURCES]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _looks(looks: Sequence[Look]) -> str:
    rows = [
        [
            found.kind,
            f"{found.size:g}" if found.size else "none",
            f"{found.n:,}",
            *(f"{found.said[way]:.2f}" for way in WAYS),
        ]
        for found in looks
    ]
    return f"""
## One look: how often each way says that a window differs

References of {REFERENCE:,} predictions. `stated`: twelve stated values; `high`: crowded around .9; `token`: token
probabilities, from 0 to 1. The change lowers a share of the confidences by a quarter, so that the mean falls by so
much. Where there is none, .05 is due, except for the fixed limit of .1, which promises nothing.

{table(["kind", "change of the mean", "predictions", *WAYS], rows)}
"""


def _distances(looks: Sequence[Look]) -> str:
    rows = [
        [
            found.kind,
            f"{found.size:g}",
            f"{found.n:,}",
            f"{found.truth:.3f}",
            f"{found.median:.3f}",
            f"{found.held:.2f}",
        ]
        for found in looks
        if found.size
    ]
    return f"""
## The distance and its interval at 90 %

{table(["kind", "change of the mean", "predictions", "true distance", "median", "intervals that hold it"], rows)}
"""


def _watches(watches: Sequence[Watched]) -> str:
    rows = [
        [found.kind, f"{found.panes:,}", f"{found.allowed:.0f}", str(found.warnings)]
        + [f"{found.delays[size]:,.0f}" if math.isfinite(found.delays[size]) else "-" for size in SHIFTS]
        for found in watches
    ]
    head = [
        "kind",
        "panes",
        "false warnings promised at most",
        "seen",
        *(f"change of the mean {size:g}" for size in SHIFTS),
    ]
    return f"""
## Pane by pane: false warnings, and predictions until a change is seen

References of {BASELINE:,} predictions, panes of {PANE}. Warnings are counted at one per {OFTEN:,} predictions, delays
are medians at one per {SELDOM:,}, the change coming {CHANGE:,} predictions after the reference; `-`: fewer than half
were seen within {AFTER:,}.

{table(head, rows)}
"""


def _stories(told: Sequence[Story], series: int) -> str:
    rows = [
        [each.name, f"{each.gap:.2f}", f"{each.distance:.3f}", f"{each.warned:.2f}", f"{each.paged:.2f}"]
        for each in told
    ]
    return f"""
## What it sees and what it does not

A calibrated model with twelve stated values, {LABELS:,} predictions after a baseline of {BASELINE:,}, all labelled at
last; {series} series. *Warned*: that the confidences changed, by this page's warning. *Paged*: that calibration
drifted, by the detectors of [operating-characteristics](operating-characteristics.md), which need the labels. Both at
one false alarm per {SELDOM:,}.

{table(["what happens", "signed gap now", "distance", "warned", "paged"], rows)}

Calibration that drifts under confidences that stay is invisible without labels: there the warning is as rare as where
nothing happens. Harder traffic that a model owns up to is no fault, and yet it warns.
"""


def main(arguments: list[str]) -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(prog="bench shift", description=__doc__)
    parser.add_argument("--series", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="few series; prints instead of writing")
    given = parser.parse_args(arguments)
    series, length = (30, 5_000) if given.quick else (given.series, 20_000)
    rng, began = np.random.default_rng(given.seed), time.perf_counter()
    looks = [look(kind, size, n, 2 * series, rng) for kind in KINDS for size in (0.0, *SHIFTS) for n in WINDOWS]
    watches = [watch(kind, series, length, rng) for kind in KINDS]
    told = stories(series, rng)
    command = f"python -m bench shift --series {series} --seed {given.seed}" + " --quick" * given.quick
    minutes = (time.perf_counter() - began) / 60
    how = f"""
## How this page was made

Every number above comes from one run of `{command}`
({platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; {minutes:.1f} minutes).
"""
    written = page(looks, watches, told, series, how)
    if given.quick:
        print(written)
    else:
        PAGE.write_text(written, encoding="utf-8")
        print(PAGE)


if __name__ == "__main__":
    main(sys.argv[1:])

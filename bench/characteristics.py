"""How often the drift detectors cry wolf against what is promised, and how soon they see a drift.

    python -m bench characteristics [--quick] [--seed 1]

Writes docs/operating-characteristics.md and its pictures; `--quick` prints a small version and writes nothing.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench import drawing
from bench.charpage import Delay, Onset, Page, Promise, Real, written
from bench.rivals import Rival, adwin, cusum, frozen, page_hinkley, windowed_ece
from bench.streams import (
    ACCEPTED_WORLD,
    HIGH_WORLD,
    SHRUNK_WORLD,
    STATED_WORLD,
    Chance,
    Floats,
    Stream,
    World,
    certain,
    drawn,
    fast_errors,
    flatter,
    gap,
    real_answers,
    shuffled,
    spoilt,
)
from monitor.drift.alarms import Alarm
from monitor.drift.baseline import Baseline, stacked
from monitor.drift.budget import alphas
from monitor.drift.detectors import TOLERANCE, Limits, step
from monitor.drift.labels import Labels, of_clusters
from monitor.drift.state import begun

DOCS = Path(__file__).parents[1] / "docs"
PANE = 20
SHORT, LONG = 10_000, 100_000  # promised labels to a false alarm: where alarms are counted, where delays are measured
CHANGE, AFTER = 2_000, 8_000
GAPS = (0.03, 0.05, 0.1, 0.15)
REAL_GAPS = (0.03, 0.05, 0.065, 0.1, 0.15)
REAL_BASELINE, REAL_LABELS, REAL_PROMISE = 1_500, 4_500, 28 / 300
BUDGET = 12.0

Feed = Callable[[int, int], Labels]
"""The labels from and up to a place of every stream, as one pane."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is simulated."""

    streams: int
    null_labels: int
    shuffles: int
    years: Mapping[int, int]


FULL = Size(200, 20_000, 27, {1: 400, 100: 6, 1000: 2})
QUICK = Size(30, 4_000, 2, {1: 30, 100: 1})


def watched(
    stream: Stream,
    baselines: Sequence[Baseline],
    alpha: float,
    pane: int = PANE,
    *,
    tolerance: float = TOLERANCE,
    labels: Feed | None = None,
) -> list[Alarm]:
    """Every alarm of both tiers when the stream is fed pane by pane; panes are numbered from 0."""
    feed = labels or stream.pane
    both, size = stacked(baselines), len(stream)
    state, limits = begun(both), Limits(np.full(size, alpha), np.full(size, alpha), tolerance)
    alarms: list[Alarm] = []
    for number, start in enumerate(range(0, stream.length - pane + 1, pane)):
        done = step(state, both, feed(start, start + pane), np.full(size, number), limits)
        state, alarms = done.state, alarms + list(done.alarms)
    return alarms


def promise(
    name: str,
    stream: Stream,
    baselines: Sequence[Baseline],
    alpha: float,
    pane: int = PANE,
    *,
    labels: Feed | None = None,
) -> list[Promise]:
    """How many false alarms each tier raised where nothing drifts, and how many it may on average."""
    alarms = watched(stream, baselines, alpha, pane, labels=labels)
    panes = len(stream) * (stream.length // pane)
    return [
        Promise(name, tier, panes * pane, alpha * panes, sum(alarm.tier == tier for alarm in alarms))
        for tier in ("page", "warn")
    ]


def fitted(
    world: World, baseline: int, shape: tuple[int, int], rng: np.random.Generator, drift: Chance | None = None
) -> tuple[Stream, list[Baseline]]:
    """Streams of a world, which drift after `CHANGE` labels, and the baselines of the labels before them."""
    before = drawn(world, (shape[0], baseline), rng)
    return drawn(world, shape, rng, drift=drift, at=CHANGE), before.baselines(baseline)


def promises(size: Size, answers: list[Floats], rng: np.random.Generator) -> list[Promise]:
    """Every scenario without drift."""
    shape, alpha = (size.streams, size.null_labels), PANE / SHORT
    found: list[Promise] = []
    for world in (STATED_WORLD, HIGH_WORLD):
        found += promise(
            f"known baseline, {world.name}", drawn(world, shape, rng), [certain(world, rng)] * shape[0], alpha
        )
    for n in (1000, 2000):
        stream, baselines = fitted(ACCEPTED_WORLD, n, shape, rng)
        found += promise(f"baseline fitted on {n:,}, simulated", stream, baselines, alpha)
    stream, baselines = fitted(SHRUNK_WORLD, 1000, shape, rng)
    found += promise("fitted on 1,000, no line in log odds", stream, baselines, alpha)
    stream, baselines = fitted(ACCEPTED_WORLD, 1000, shape, rng)
    found += promise("fitted on 1,000, panes of 200", stream, baselines, 200 / SHORT, 200)
    for n in (1000, 1500, 2000) if answers else ():
        whole = shuffled(answers, size.shuffles, n + 4000, rng)
        found += promise(f"fitted on {n:,}, real answers", whole.part(n, whole.length), whole.baselines(n), alpha)
    stream, exact = drawn(STATED_WORLD, shape, rng), [certain(STATED_WORLD, rng)] * shape[0]
    found += promise("errors labelled 10x faster, mature panes", stream, exact, alpha)
    arrived = fast_errors(stream, rng, 2000, 200).part(0, 4000)
    found += promise("the same in order of arrival (not offered)", arrived, exact, alpha)
    return found + clustered(size, rng)


def clustered(size: Size, rng: np.random.Generator) -> list[Promise]:
    """Panes of 100 rows, each a label that 20 rows share, with the clusters declared and not."""
    rows, alike = 100, 20
    some = drawn(STATED_WORLD, (size.streams, size.null_labels // alike), rng)
    stream = Stream(np.repeat(some.place, alike, axis=1), np.repeat(some.outcome, alike, axis=1))
    series, cluster = np.divmod(np.arange(size.streams * rows), rows)

    def declared(start: int, stop: int) -> Labels:
        both = stream.part(start, stop)
        return of_clusters(series, both.confidence.ravel(), both.outcome.ravel(), cluster // alike)

    exact, alpha = [certain(STATED_WORLD, rng)] * size.streams, rows / SHORT
    name = "20 rows share each outcome"
    return [
        *promise(f"{name}, declared", stream, exact, alpha, rows, labels=declared),
        *promise(f"{name}, not declared (not offered)", stream, exact, alpha, rows),
    ]


def first_alarms(alarms: list[Alarm], tier: str, streams: int, change: int, pane: int = PANE) -> Floats:
    """Labels from the change to the first alarm of each stream, infinite for none; earlier alarms do not count."""
    delay = np.full(streams, np.inf)
    for alarm in alarms:
        if alarm.tier == tier and alarm.pane * pane >= change:
            delay[alarm.series] = min(delay[alarm.series], (alarm.pane + 1) * pane - change)
    return delay


def delays(size: Size, world: World, rng: np.random.Generator) -> tuple[list[Delay], list[Onset]]:
    """Delay of every detector in a world, and where the page tier places the onset."""
    drifts: dict[str, Chance] = {f"{each:g}": gap(each) for each in GAPS}
    if world is not HIGH_WORLD:
        drifts["slope x .5"] = flatter(world, 0.5)
    rows: dict[tuple[str, str], dict[str, float]] = {}
    onsets: list[Onset] = []
    exact = [certain(world, rng)] * size.streams
    for name, drift in drifts.items():
        for n, pane in ((None, 5), (None, PANE), (1000, PANE), (2000, PANE)):
            stream, baselines = fitted(world, n or 100, (size.streams, CHANGE + AFTER), rng, drift)
            bases = baselines if n else exact
            alarms = watched(stream, bases, pane / LONG, pane, tolerance=TOLERANCE if n else 0.0)
            for tier in ("page", "warn"):
                delay = first_alarms(alarms, tier, size.streams, CHANGE, pane)
                label = f"fitted on {n:,}" if n else f"known, tolerance 0{', panes of 5' if pane == 5 else ''}"
                rows.setdefault((tier, label), {})[name] = float(np.median(delay))
            if n == 1000 and name in {"0.05", "0.1", "0.15"}:
                onsets.append(onset(name, alarms))
    return [Delay(tier, base, LONG, by_drift) for (tier, base), by_drift in rows.items()], onsets


def onset(drift: str, alarms: list[Alarm]) -> Onset:
    """How well the first page of each stream after the change places its onset, and its size."""
    true, first = CHANGE // PANE, {}
    for alarm in alarms:
        if alarm.tier == "page" and alarm.pane >= true:
            first.setdefault(alarm.series, alarm)
    held = [each.onset_interval[0] <= true <= each.onset_interval[1] for each in first.values()]
    off = [abs(each.onset - true) for each in first.values()]
    sign = [each.sign == 1 for each in first.values()]
    sizes = [each.size for each in first.values()]
    spans = [each.size_interval for each in first.values()]
    return Onset(
        drift,
        len(first),
        float(np.mean(sign)),
        float(np.mean(held)),
        float(np.median(off)),
        float(np.median(sizes)),
        float(np.mean([low <= float(drift) <= high for low, high in spans])),
    )


def rivals(size: Size, world: World, rng: np.random.Generator) -> list[Delay]:
    """The usual detectors on a calibrated stream: labels to a false alarm as measured, and delays."""
    contenders: dict[str, Rival] = {
        "windowed ECE > .06": windowed_ece(0.06),
        "windowed ECE > .08": windowed_ece(0.08),
        "ADWIN(.002)": adwin(0.002),
        "ADWIN(.05)": adwin(0.05),
        "Page-Hinkley": page_hinkley(),
        "CUSUM k=.025 h=8": cusum(0.025, 8.0),
    }
    quiet = drawn(world, (size.streams, size.null_labels), rng)
    streams = {
        f"{each:g}": drawn(world, (size.streams, CHANGE + AFTER), rng, drift=gap(each), at=CHANGE) for each in GAPS
    }
    if world is not HIGH_WORLD:
        streams["slope x .5"] = drawn(world, (size.streams, CHANGE + AFTER), rng, drift=flatter(world, 0.5), at=CHANGE)
    rows = []
    for name, rival in contenders.items():
        alarm = rival(quiet)
        run = np.where(alarm >= 0, alarm + 1, quiet.length).sum() / max((alarm >= 0).sum(), 1)
        by_drift = {}
        for drift, stream in streams.items():
            found = rival(stream)
            late = found[(found < 0) | (found >= CHANGE)]
            by_drift[drift] = (
                float(np.median(np.where(late < 0, np.inf, late - CHANGE + 1))) if len(late) else float("nan")
            )
        rows.append(Delay("rival", name, float(run) if (alarm >= 0).any() else float("inf"), by_drift))
    return rows


def real(size: Size, answers: list[Floats], rng: np.random.Generator) -> list[Real]:
    """Shuffled real answers: false alarms against the promise, and delays, of the tiers and of frozen baselines."""
    whole = shuffled(answers, size.shuffles, REAL_BASELINE + REAL_LABELS, rng)
    baselines, quiet = whole.baselines(REAL_BASELINE), whole.part(REAL_BASELINE, whole.length)
    alpha, change = REAL_PROMISE / (REAL_LABELS // PANE), 400
    found: dict[str, tuple[int, dict[str, float]]] = {}
    flat, careful = (frozen(baselines, alpha, PANE, careful=each) for each in (False, True))
    for name, rival in (("frozen, tolerance .02", flat), ("frozen, moved, tolerance 2 SE", careful)):
        found[name] = (int((rival(quiet) >= 0).sum()), {})
    alarms = watched(quiet, baselines, alpha)
    for tier in ("page", "warn"):
        found[tier] = (len({alarm.series for alarm in alarms if alarm.tier == tier}), {})
    for each in REAL_GAPS:
        stream = spoilt(quiet, each, change, rng)
        for name, rival in (("frozen, tolerance .02", flat), ("frozen, moved, tolerance 2 SE", careful)):
            first = rival(stream)
            late = first[(first < 0) | (first >= change)]
            found[name][1][f"{each:g}"] = float(np.median(np.where(late < 0, np.inf, late - change + 1)))
        alarms = watched(stream, baselines, alpha)
        for tier in ("page", "warn"):
            delay = first_alarms(alarms, tier, len(stream), change)
            found[tier][1][f"{each:g}"] = float(np.median(delay))
    return [Real(name, len(quiet), REAL_PROMISE * len(quiet), paged, by_gap) for name, (paged, by_gap) in found.items()]


def budgets(size: Size, rng: np.random.Generator) -> list[Promise]:
    """A year of one pane a day without drift, baselines fitted on 1,000 labels: false pages against the budget."""
    rows = []
    for series, years in size.years.items():
        alpha = float(alphas(BUDGET, [365.0] * series)[0])
        pages = 0
        for _ in range(max(1, series * years // 1000)):
            streams = min(series * years, 1000)
            stream, baselines = fitted(ACCEPTED_WORLD, 1000, (streams, 365 * PANE), rng)
            pages += sum(alarm.tier == "page" for alarm in watched(stream, baselines, alpha))
        rows.append(Promise(f"{series:,}", "page", series * years * 365 * PANE, BUDGET * years, pages))
    return rows


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="bench characteristics")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    size, rng, began = QUICK if given.quick else FULL, np.random.default_rng(given.seed), time.monotonic()
    answers = real_answers()
    if not answers:
        print("real answers are left out: CALDRIFT_LIFEEVAL names no folder with them", file=sys.stderr)
    kept = promises(size, answers, rng)
    print(f"promises {time.monotonic() - began:.0f} s", file=sys.stderr)
    by_world, onsets = {}, []
    for world in (STATED_WORLD, HIGH_WORLD):
        ours, found = delays(size, world, rng)
        by_world[world.name] = [*ours, *rivals(size, world, rng)]
        onsets += found if world is STATED_WORLD else []
        print(f"delays, {world.name} {time.monotonic() - began:.0f} s", file=sys.stderr)
    page = Page(
        command=f"python -m bench characteristics{' --quick' if given.quick else ''} --seed {given.seed}",
        machine=f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        streams=size.streams,
        promises=kept,
        delays=by_world,
        onsets=onsets,
        real=real(size, answers, rng) if answers else [],
        budget=BUDGET,
        budgets=budgets(size, rng),
        minutes=(time.monotonic() - began) / 60,
    )
    text = written(page)
    if given.quick:
        print(text)
        return
    (DOCS / "operating-characteristics.md").write_text(text)
    for name, picture in pictures(page).items():
        (DOCS / "pictures" / name).write_text(picture)


def name_of(row: Delay) -> str:
    """Tier and baseline, or the rival."""
    return row.name if row.tier == "rival" else f"{row.tier}, {row.name}"


def pictures(page: Page) -> dict[str, str]:
    """The pictures by file name."""
    curves = {
        f"{row.tier}, {row.name}" if row.tier != "rival" else row.name: [
            (float(g), row.delay[g]) for g in map(str, GAPS)
        ]
        for row in page.delays[STATED_WORLD.name]
        if row.name in {"known, tolerance 0", "fitted on 1,000", "ADWIN(.05)", "CUSUM k=.025 h=8"}
    }
    shares = {f"{row.name}: {row.tier}": row.alarms / row.allowed for row in page.promises if row.offered}
    return {
        "detection-delay.svg": drawing.lines(
            "Labels until a drift is seen (median)", "rise of the signed gap", "labels", curves
        ),
        "false-alarms.svg": drawing.bars("False alarms against the promise", "alarms seen / alarms promised", shares),
    }

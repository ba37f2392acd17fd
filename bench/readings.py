"""Reading thousands of series: every measure with its interval, and a pane through the detectors, against a stack of
libraries on the raw rows.

    python -m bench readings [--series 10000] [--windows 3] [--traffic stated mixed] [--stack 40] [--parts .parts/peers]

Two kinds of traffic. `stated`: 800 to 10,000 labels a series, half of the confidences one of 20 values as language
models state them, half in steps of 1/300. `mixed`: 1,000 labels a series, stated values, two digits and token
probabilities, so that nearly every label has a cell of its own. A series is read over so many windows and its pane goes
through the detectors once; what is compared is a window read.

The stack reads `--stack` of the series, evenly by their number of labels, in an environment of its own, made on first
use: without any interval, and the one in the middle with an interval of each measure by `--resamples` resamples, which
is how its users come to what a reading has. Both run on one core each: with more threads than that the stack is slower
wherever anything else runs. They take turns of about a second, and each turn has a ratio of its own, since machines
that are shared change their pace from minute to minute: the median of these ratios is what counts. Times are medians
over the turns too.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.calibration.figures import figures
from monitor.calibration.panel import panel_of, parts_of
from monitor.calibration.reading import ReadingSettings, Subject, reading_to_json
from monitor.calibration.readout import read_many
from monitor.calibration.sketch import Sketch, sketch_of
from monitor.drift.detectors import Limits
from monitor.drift.watches import Pane, Watch, anew, feed
from monitor.workers.detection import SERIES_AT_ONCE
from monitor.workers.memory import keep_freed_memory, pass_over_startup

Floats = npt.NDArray[np.float64]
STATED = np.array([0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99])
SAID = np.array(
    [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.92, 0.95, 0.97, 0.98, 0.99, 1.0]
)  # fmt: skip
SAID_OFTEN = np.array([1, 1, 1, 1, 1, 3, 1, 3, 1, 5, 4, 10, 14, 16, 4, 22, 2, 5, 4, 6]) / 105
LIBRARIES = (
    "calibstats", "uncertainty-calibration", "relplot", "scikit-learn", "model-diagnostics",
)  # fmt: skip
WANTED = 500.0
TURNS = 20
SERIES_A_TURN = 4_000
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
COMPUTING = "computing: all measures, intervals, null bands"
DETECTORS = "detectors: a pane of 20 labels"
DISTINCT = 400
"""Series that differ; more are these again."""


def stated(rng: np.random.Generator) -> tuple[Floats, Floats]:
    """As a language model states them, and answers that are less certain, by a slope of .5 to 1.1 on the logit."""
    labels = int(np.exp(rng.uniform(np.log(800), np.log(10_000))))
    other = np.round(rng.beta(rng.uniform(4, 10), 1.6, labels) * 300) / 300
    c = np.where(rng.random(labels) < 0.5, rng.choice(SAID, labels, p=SAID_OFTEN), other)
    inside = np.clip(c, 1e-3, 1 - 1e-3)
    odds = rng.uniform(0.5, 1.1) * np.log(inside / (1 - inside)) + rng.uniform(-0.3, 0.3)
    return c, (rng.random(labels) < 1 / (1 + np.exp(-odds))).astype(np.float64)


def mixed(rng: np.random.Generator) -> tuple[Floats, Floats]:
    """1,000 labels over confidences of every kind."""
    return stream(1_000, rng)


def stream(labels: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Mostly stated confidences, some with two digits, some token probabilities; over-confident by .05."""
    token = 1 / (1 + np.exp(-rng.normal(1.5, 1.5, labels)))
    kind = rng.random(labels)
    c = np.where(kind < 0.6, rng.choice(STATED, labels), np.where(kind < 0.8, np.round(token, 2), token))
    c = np.clip(c, 1e-6, 1 - 1e-6)
    return c, (rng.random(labels) < np.clip(c - 0.05, 0, 1)).astype(np.float64)


def stack(parts: Path) -> Path | None:
    """The Python of an environment with the libraries; None when they do not install here."""
    python = parts / "stack" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(parts / "stack")], check=True)
        if subprocess.run([str(python), "-m", "pip", "install", "--quiet", *LIBRARIES], check=False).returncode:
            shutil.rmtree(parts / "stack")
            return None
    return python


TRAFFIC: dict[str, Callable[[np.random.Generator], tuple[Floats, Floats]]] = {"stated": stated, "mixed": mixed}


def microseconds(work: Callable[[], object], series: int) -> float:
    """Of wall time a series."""
    started = time.perf_counter()
    work()
    return 1e6 * (time.perf_counter() - started) / series


def main(arguments: list[str]) -> None:
    """Print what a series costs, by part and beside the libraries."""
    parser = argparse.ArgumentParser(prog="bench readings", description=__doc__)
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--windows", type=int, default=3)
    parser.add_argument("--traffic", nargs="+", choices=TRAFFIC, default=list(TRAFFIC))
    parser.add_argument("--stack", type=int, default=40)
    parser.add_argument("--resamples", type=int, default=100)
    parser.add_argument("--parts", type=Path, default=Path(".parts/peers"), help="where the environment lies")
    given = parser.parse_args(arguments)
    keep_freed_memory()
    pass_over_startup()
    given.parts.mkdir(parents=True, exist_ok=True)
    python = stack(given.parts.resolve())
    for kind in given.traffic:
        compared(kind, given, python)


def compared(kind: str, given: argparse.Namespace, python: Path | None) -> None:
    """Print what a window of a series costs on this kind of traffic."""
    rng = np.random.default_rng(1)
    streams = [TRAFFIC[kind](rng) for _ in range(min(DISTINCT, given.series))]
    distinct = [sketch_of(c, y) for c, y in streams]
    sketches = [distinct[place % len(distinct)] for place in range(given.series)]
    cells = np.mean([len(each.cells) for each in distinct])
    labels = np.mean([len(c) for c, _ in streams])
    print(f"{kind}: {given.series:,} series of {labels:,.0f} labels on average, {cells:.0f} cells each")
    by_labels = sorted(streams, key=lambda pair: len(pair[0]))
    some = [by_labels[int((place + 0.5) * len(streams) / given.stack)] for place in range(given.stack)]
    with Libraries(python, some) as libraries:
        ours, theirs = turns(sketches, libraries)
        windows = ours[COMPUTING] + ours[DETECTORS] / given.windows
        for name, times in (ours | theirs).items():
            print(f"  {name:44} {np.median(times):9,.1f} us a series")
        alone(sketches)
        print(f"  a window of {given.windows}, with its share of the detectors: {np.median(windows):,.1f} us")
        if not theirs:
            print("the libraries do not install here: no comparison")
            return
        whole = np.sum(list(theirs.values()), axis=0)
        least, ratio, most = np.quantile(whole / windows, [0.25, 0.5, 0.75])
        verdict = "OK" if ratio >= WANTED else "MISSED"
        print(f"  all libraries, no interval: {np.median(whole):,.0f} us")
        spread = f"half of the turns {least:,.0f} to {most:,.0f}"
        print(f"  libraries / computing: {ratio:,.0f} (wanted 500) {verdict}; {spread}")
        if given.resamples:
            resampled = libraries.ask(f"resample {given.resamples}")
            print(
                f"  all libraries, an interval of each by {given.resamples} resamples: {resampled:,.0f} us; "
                f"{resampled / np.median(windows):,.0f} times"
            )


class Libraries:
    """The process of the libraries, which holds some series; without any where they do not install."""

    def __init__(self, python: Path | None, streams: list[tuple[Floats, Floats]]) -> None:
        self._python, self._streams = python, streams
        self._folder = tempfile.TemporaryDirectory()
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "Libraries":
        raw = Path(self._folder.name) / "raw.npz"
        ends = np.cumsum([len(c) for c, _ in self._streams])
        c, y = (np.concatenate(column) for column in zip(*self._streams, strict=True))
        np.savez(raw, c=c, y=y, ends=ends)
        if self._python is not None:
            command = [str(self._python), str(Path(__file__).with_name("stack.py")), str(raw)]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | ONE_THREAD
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.communicate()
        self._folder.cleanup()

    def ask(self, question: str) -> Any:
        """Its answer; None without libraries."""
        if self._process is None or self._process.stdin is None or self._process.stdout is None:
            return None
        self._process.stdin.write(question + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def turns(sketches: list[Sketch], libraries: Libraries) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Microseconds a series by part and turn: ours, and the libraries'."""
    size = min(SERIES_A_TURN, len(sketches))
    watches, panes = watched(sketches[:DISTINCT], size)
    ours: dict[str, list[float]] = {COMPUTING: [], DETECTORS: []}
    theirs: dict[str, list[float]] = {}
    for turn in range(TURNS):
        first = turn * size % (len(sketches) - size + 1)
        some = sketches[first : first + size]
        ours[COMPUTING].append(microseconds(lambda some=some: computed(some), size))
        ours[DETECTORS].append(microseconds(lambda: detected(watches, panes), size))
        for name, spent in (libraries.ask("measure") or {}).items():
            theirs.setdefault(name, []).append(spent)
    return tuple({name: np.array(times) for name, times in each.items()} for each in (ours, theirs))


def alone(sketches: list[Sketch]) -> None:
    """Print what the libraries have no like of, and whether the computing is linear in the series: least of three."""
    settings, subjects = ReadingSettings(), [Subject(model="m")] * len(sketches)
    tenth = len(sketches) // 10
    readings = read_many(sketches[:tenth], settings, subjects[:tenth])
    work: dict[str, tuple[Callable[[], object], int]] = {
        "computing, all series at once": (lambda: computed(sketches), len(sketches)),
        "computing, a tenth of the series": (lambda: computed(sketches[:tenth]), tenth),
        "computing and assembling readings": (lambda: read_many(sketches, settings, subjects), len(sketches)),
        "readings to JSON": (lambda: [reading_to_json(each) for each in readings], tenth),
    }
    for name, (function, series) in work.items():
        print(f"  {name:44} {min(microseconds(function, series) for _ in range(3)):9,.1f} us a series")


def watched(distinct: list[Sketch], series: int) -> tuple[tuple[Watch, ...], list[list[Pane]]]:
    """So many series under watch, and the next pane of each."""
    rng = np.random.default_rng(2)
    off = Limits(np.zeros(len(distinct)), np.zeros(len(distinct)))
    taught = feed([anew()] * len(distinct), [[Pane(0, each)] for each in distinct], off, 100).watches
    panes = [[Pane(1, sketch_of(*stream(20, rng)))] for _ in distinct]
    return (
        tuple(taught[place % len(distinct)] for place in range(series)),
        [panes[place % len(distinct)] for place in range(series)],
    )


def detected(watches: tuple[Watch, ...], panes: list[list[Pane]]) -> None:
    """A pane of each series through the detectors, some series at a time as the leader feeds them."""
    for first in range(0, len(watches), SERIES_AT_ONCE):
        some = slice(first, first + SERIES_AT_ONCE)
        rates = np.full(len(watches[some]), 1e-6)
        feed(watches[some], panes[some], Limits(rates, rates), 100)


def computed(sketches: list[Sketch]) -> None:
    """Every figure of every series, as `read_many` computes them."""
    for some in parts_of(sketches):
        figures(panel_of(sketches[some]), 10, "right_closed", 0.95)


if __name__ == "__main__":
    main(sys.argv[1:])

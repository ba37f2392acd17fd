"""Reading thousands of series: every measure with its interval, and a pane through the detectors, against a stack of
libraries on the raw rows.

    python -m bench readings [--series 10000] [--labels 1000] [--stack 40] [--parts .parts/peers]

The stack reads `--stack` series in an environment of its own, made on first use: without any interval, and one series
with an interval of each measure by `--resamples` resamples, which is how its users come to what a reading has. Both run
in turns in the same run, on one core each: with more threads than that the stack is slower wherever anything else runs.
Times are the least of five rounds.
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

import numpy as np
import numpy.typing as npt

from monitor.calibration.figures import figures
from monitor.calibration.panel import panel_of
from monitor.calibration.reading import ReadingSettings, Subject, reading_to_json
from monitor.calibration.readout import AT_ONCE, read_many
from monitor.calibration.sketch import Sketch, sketch_of
from monitor.drift.detectors import Limits
from monitor.drift.watches import Pane, Watch, anew, feed
from monitor.workers.detection import SERIES_AT_ONCE
from monitor.workers.memory import keep_freed_memory

Floats = npt.NDArray[np.float64]
STATED = np.array([0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99])
LIBRARIES = (
    "calibstats", "uncertainty-calibration", "relplot", "scikit-learn", "model-diagnostics",
)  # fmt: skip
WANTED = 500.0
ROUNDS = 5
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
COMPUTING = "computing: all measures, intervals, null bands"
DETECTORS = "detectors: a pane of 20 labels"
DISTINCT = 400
"""Series that differ; more are these again."""


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


def microseconds(work: Callable[[], object], series: int) -> float:
    """Of wall time a series."""
    started = time.perf_counter()
    work()
    return 1e6 * (time.perf_counter() - started) / series


def main(arguments: list[str]) -> None:
    """Print what a series costs, by part and beside the libraries."""
    parser = argparse.ArgumentParser(prog="bench readings", description=__doc__)
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--labels", type=int, default=1_000)
    parser.add_argument("--stack", type=int, default=40)
    parser.add_argument("--resamples", type=int, default=100)
    parser.add_argument("--parts", type=Path, default=Path(".parts/peers"), help="where the environment lies")
    given = parser.parse_args(arguments)
    keep_freed_memory()
    rng = np.random.default_rng(1)
    streams = [stream(given.labels, rng) for _ in range(min(DISTINCT, given.series))]
    distinct = [sketch_of(c, y) for c, y in streams]
    sketches = [distinct[place % len(distinct)] for place in range(given.series)]
    cells = np.mean([len(each.cells) for each in distinct])
    print(f"{given.series:,} series of {given.labels:,} labels, {cells:.0f} cells each")
    given.parts.mkdir(parents=True, exist_ok=True)
    python = stack(given.parts.resolve())
    ours, theirs, resampled = rounds(sketches, streams[: given.stack], python, given.resamples)
    for name, times in ours.items():
        print(f"  {name:44} {min(times):9,.1f} us a series")
    if not theirs:
        print("the libraries do not install here: no comparison")
        return
    for name in theirs[0]:
        print(f"  {name:44} {min(each[name] for each in theirs):9,.1f} us a series")
    whole = min(sum(each.values()) for each in theirs)
    ratio = whole / sum(min(ours[part]) for part in (COMPUTING, DETECTORS))
    verdict = "OK" if ratio >= WANTED else "MISSED"
    print(f"  all libraries, no interval: {whole:,.0f} us; libraries / computing: {ratio:,.0f} (wanted 500) {verdict}")
    if resampled is not None:
        print(
            f"  all libraries, an interval of each by {given.resamples} resamples: {resampled:,.0f} us; "
            f"libraries / computing: {ratio * resampled / whole:,.0f}"
        )


def rounds(
    sketches: list[Sketch], streams: list[tuple[Floats, Floats]], python: Path | None, resamples: int
) -> tuple[dict[str, list[float]], list[dict[str, float]], float | None]:
    """Ours and the libraries in turns, and the libraries on one series with intervals, once."""
    settings, subjects = ReadingSettings(), [Subject(model="m")] * len(sketches)
    tenth = len(sketches) // 10
    readings = read_many(sketches[:tenth], settings, subjects[:tenth])
    watches, panes = watched(sketches[:DISTINCT], max(tenth, 1))
    work: dict[str, tuple[Callable[[], object], int]] = {
        COMPUTING: (lambda: computed(sketches), len(sketches)),
        "computing, a tenth of the series": (lambda: computed(sketches[:tenth]), tenth),
        DETECTORS: (lambda: detected(watches, panes), len(watches)),
        "computing and assembling readings": (lambda: read_many(sketches, settings, subjects), len(sketches)),
        "readings to JSON": (lambda: [reading_to_json(each) for each in readings], tenth),
    }
    ours: dict[str, list[float]] = {name: [] for name in work}
    theirs: list[dict[str, float]] = []
    resampled: float | None = None
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw.npz"
        ends = np.cumsum([len(c) for c, _ in streams])
        np.savez(raw, c=np.concatenate([c for c, _ in streams]), y=np.concatenate([y for _, y in streams]), ends=ends)
        for number in range(ROUNDS):
            for name, (function, series) in work.items():
                ours[name].append(microseconds(function, series))
            if python is not None:
                drawn = str(0 if number else resamples)
                command = [str(python), str(Path(__file__).with_name("stack.py")), str(raw), drawn]
                ran = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | ONE_THREAD)
                found = json.loads(ran.stdout)
                theirs.append(found["parts"])
                resampled = found["resampled"] if resampled is None else resampled
    return ours, theirs, resampled


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
    for first in range(0, len(sketches), AT_ONCE):
        figures(panel_of(sketches[first : first + AT_ONCE]), 10, "right_closed", 0.95)


if __name__ == "__main__":
    main(sys.argv[1:])

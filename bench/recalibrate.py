"""Fitting and gating the maps of many segments from their cells, against scikit-learn and betacal on the raw rows.

    python -m bench recalibrate [--segments 1000] [--labels 1000] [--rivals 100] [--parts .parts/peers]

Of the labels of each segment the last three tenths are held out. From cells, every method is a candidate of its own
with a map for each segment: fitted, written as JSON, and judged by the gate. On raw rows a segment is fitted, applied
to the held-out rows and scored; `--rivals` segments of that, times as many as there are. CPU time, one thread each.
Once with `--labels` in a segment, once with `--large`.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypedDict, get_args

import numpy as np
import numpy.typing as npt

from monitor.calibration.calibrators.artefact import Calibrator, Method, encode
from monitor.calibration.calibrators.fitting import Origin, Part, fit
from monitor.calibration.calibrators.lookup import Lookup
from monitor.calibration.calibrators.sample import sample_of
from monitor.calibration.calibrators.scoring import applied, mean_loss
from monitor.calibration.gate import Gate, judge
from monitor.calibration.odds import logit, sigmoid
from monitor.calibration.sketch import sketch_of

Floats = npt.NDArray[np.float64]
Rows = tuple[Floats, Floats]


class Rival(TypedDict):
    """CPU seconds, and the log loss of each segment."""

    seconds: float
    losses: list[float]


STATED = np.array([0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.92, 0.95, 0.97, 0.98, 0.99, 1.0])
HELD = 0.3
ROUNDS = 3
LARGE = 2
"""Large segments that differ; more are these again."""
WANTED = 100.0
"""How many times faster it should be at a million labels."""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
LIBRARIES = ("betacal==1.1.0", "scikit-learn")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
FIT = Origin("m", "confidence", BEGIN, BEGIN + timedelta(days=21))
LATER = Origin("m", "confidence", FIT.until, BEGIN + timedelta(days=30))


def stated(n: int, rng: np.random.Generator) -> Floats:
    return rng.choice(STATED, n)


def token(n: int, rng: np.random.Generator) -> Floats:
    return 1 / (1 + np.exp(-rng.normal(1.5, 1.5, n)))


def rows_of(draw: Callable[[int, np.random.Generator], Floats], n: int, rng: np.random.Generator) -> Rows:
    """A segment's confidences, right by a line on the log odds of its own."""
    c = draw(n, rng)
    return c, (rng.random(n) < sigmoid(rng.uniform(0.5, 0.9) * logit(c) - rng.uniform(0.0, 0.4))).astype(np.float64)


def parts_of(rows: Sequence[Rows], segments: int, *, later: bool) -> list[Part]:
    """The sketches that a service holds of so many segments, some of them alike: of the fit, or of the hold-out."""
    sketches = []
    for c, y in rows:
        cut = int(len(c) * (1 - HELD))
        of = slice(cut, None) if later else slice(cut)
        sketches.append(sketch_of(c[of], y[of]))
    return [Part({"segment": f"{number:05}"}, sketches[number % len(rows)], {}) for number in range(segments)]


def losses_of(candidate: Calibrator, holdout: Sequence[Part]) -> Floats:
    sample, lookup = sample_of([part.sketch for part in holdout], candidate.clip), Lookup(candidate)
    return mean_loss(sample, applied([lookup.map_of(part.segment).curve for part in holdout], sample, candidate.clip))


def from_cells(fits: Sequence[Part], holdout: Sequence[Part], method: Method) -> tuple[float, Floats]:
    """Seconds, the least of some rounds, and the log loss of each segment."""
    seconds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        candidate = fit(fits, FIT, method=method, code_version="bench")
        encode(candidate)
        judge(candidate, None, holdout, LATER, Gate())
        seconds.append(time.process_time() - began)
    return min(seconds), losses_of(candidate, holdout)


def rivals(rows: Sequence[Rows], python: Path, folder: Path) -> Mapping[str, Rival]:
    """What the libraries took for these segments."""
    raw = folder / "raw.npz"
    ends = np.cumsum([len(c) for c, _ in rows])
    np.savez(raw, c=np.concatenate([c for c, _ in rows]), y=np.concatenate([y for _, y in rows]), ends=ends, held=HELD)
    command = [str(python), str(Path(__file__).with_name("maprivals.py")), str(raw)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | ONE_THREAD)
    found: Mapping[str, Rival] = json.loads(ran.stdout)
    return found


def libraries(parts: Path) -> Path | None:
    """The Python of an environment with the libraries; None when they do not install here."""
    python = parts / "maps" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(parts / "maps")], check=True)
        if subprocess.run([str(python), "-m", "pip", "install", "--quiet", *LIBRARIES], check=False).returncode:
            shutil.rmtree(parts / "maps")
            return None
    return python


def compare(name: str, rows: Sequence[Rows], segments: int, some: int, python: Path | None) -> None:
    """Print what each method takes for so many segments, and what the libraries take, from `some` of them."""
    fits, holdout = parts_of(rows, segments, later=False), parts_of(rows, segments, later=True)
    cells = np.mean([len(part.sketch.cells) for part in fits])
    print(f"{name}: {segments:,} segments of {len(rows[0][0]):,} labels, {cells:.0f} cells each")
    ours = {
        method: from_cells(fits, holdout, method) for method in get_args(Method) if method != "adaptive_temperature"
    }
    if python is None:
        theirs: Mapping[str, Rival] = {}
        print("  the libraries do not install here: no comparison")
    else:
        with tempfile.TemporaryDirectory() as folder:
            theirs = rivals(rows[:some], python, Path(folder))
    total = [0.0, 0.0]
    for method, (seconds, losses) in ours.items():
        line = f"  {method:16} {seconds * 1e3:9,.1f} ms"
        if rival := theirs.get(method):
            took = rival["seconds"] * segments / some
            off = losses[:some] - np.array(rival["losses"])
            total = [total[0] + seconds, total[1] + took]
            line += f"   raw rows {took * 1e3:11,.1f} ms   {took / seconds:8,.0f} times"
            mean, theirs_off = losses[:some].mean(), np.abs(off).max()
            line += f"   log loss {mean:.4f}, theirs {-off.mean():+.1e}, {theirs_off:.1e} at most"
        print(line)
    if theirs:
        ratio = total[1] / total[0]
        print(f"  together {ratio:,.0f} times faster ({'reaches' if ratio >= WANTED else 'misses'} {WANTED:.0f})")


def main(arguments: list[str]) -> None:
    """Print both, for stated confidences and for token probabilities, and for a million labels in each segment."""
    parser = argparse.ArgumentParser(prog="bench recalibrate", description=__doc__)
    parser.add_argument("--segments", type=int, default=1_000)
    parser.add_argument("--labels", type=int, default=1_000)
    parser.add_argument("--rivals", type=int, default=100)
    parser.add_argument("--large", type=int, default=1_000_000, help="labels of a large segment")
    parser.add_argument("--parts", type=Path, default=Path(".parts/peers"), help="where the environment lies")
    given = parser.parse_args(arguments)
    given.parts.mkdir(parents=True, exist_ok=True)
    python = libraries(given.parts.resolve())
    rng = np.random.default_rng(1)
    for name, draw in (("stated confidences", stated), ("token probabilities", token)):
        small = [rows_of(draw, given.labels, rng) for _ in range(given.segments)]
        compare(name, small, given.segments, min(given.rivals, given.segments), python)
        compare(name, [rows_of(draw, given.large, rng) for _ in range(LARGE)], given.segments, LARGE, python)


if __name__ == "__main__":
    main(sys.argv[1:])

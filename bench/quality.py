"""How much each recalibration map helps on real answers, and what the gate lets through: writes two tables.

    python -m bench recalibration-quality [--orders 12] [--trials 100] [--seed 1] [--quick]

The tables stand in docs/recalibrators.md, between marks that name this command.
"""

import argparse
import platform
import re
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from bench.charpage import table
from monitor.calibration.calibrators.artefact import Calibrator
from monitor.calibration.calibrators.curves import IDENTITY, Curve, Steps
from monitor.calibration.calibrators.fitting import METHODS, Origin, Part, fit
from monitor.calibration.calibrators.lookup import Lookup
from monitor.calibration.calibrators.sample import sample_of
from monitor.calibration.calibrators.scoring import applied, mean_loss
from monitor.calibration.gate import Gate, judge
from monitor.calibration.odds import CLIP, logit, sigmoid
from monitor.calibration.sketch import Sketch, sketch_of
from monitor.errors import NotEnoughData
from tests.calibration.streams import STATED
from tests.oracles import lifeeval

Floats = npt.NDArray[np.float64]
PAGE = Path(__file__).parents[1] / "docs" / "recalibrators.md"
LABELS = (30, 100, 300, 1000)
LATER = 200
"""Answers at least that a segment keeps to judge its map."""
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
FIRST = Origin("m", "confidence", BEGIN, BEGIN + timedelta(days=31))
SECOND = Origin("m", "confidence", FIRST.until, BEGIN + timedelta(days=62))


@dataclass(frozen=True, slots=True)
class Quality:
    """Of one method at one number of labels: mean log loss, and the gain over the confidences as stated by segment.

    `worse`: segments in which the gain lies below 0 by more than two standard deviations over the orders.
    """

    loss: float
    gain: float
    least: float
    worse: int


def segments() -> Mapping[str, Floats]:
    """(k, 2) stated confidences and outcomes by model and question set."""
    rows = defaultdict[str, list[tuple[float, float]]](list)
    for answer in lifeeval.answers():
        if answer.question_set != "life_eval":
            rows[f"{answer.model}/{answer.question_set}"].append((answer.stated, answer.outcome))
    return {name: np.array(pairs) for name, pairs in rows.items()}


def maps(fits: Mapping[str, Sketch]) -> Iterator[tuple[str, list[Curve]]]:
    """What every method makes of the first labels. Where it has no map, confidences stay as stated."""
    yield "as stated", [IDENTITY] * len(fits)
    for name, method in METHODS.items():
        found = method(sample_of(list(fits.values()), CLIP))
        yield name, [IDENTITY if isinstance(curve, str) else curve for curve in found]
    parts = [Part({"segment": name}, sketch, {}) for name, sketch in fits.items()]
    lookup = Lookup(fit(parts, FIRST, code_version="bench"))
    yield "by_labels", [lookup.map_of(part.segment).curve for part in parts]
    yield "one map for all", [lookup.map_of({}).curve] * len(parts)


def qualities(n: int, orders: int, rng: np.random.Generator) -> tuple[dict[str, Quality], int]:
    """Every method fitted on the first n answers of each segment and scored on the later ones; the segments."""
    rows = [each for each in segments().values() if len(each) >= n + LATER]
    losses = defaultdict[str, list[Floats]](list)
    for _ in range(orders):
        shuffled = [rng.permutation(each) for each in rows]
        later = sample_of([sketch_of(each[n:, 0], each[n:, 1]) for each in shuffled], CLIP)
        fits = {f"{place:02}": sketch_of(each[:n, 0], each[:n, 1]) for place, each in enumerate(shuffled)}
        for name, curves in maps(fits):
            losses[name].append(mean_loss(later, applied(curves, later, CLIP)))
    stated = np.array(losses["as stated"])
    found = {}
    for name, each in losses.items():
        gain = stated - np.array(each)
        mean, spread = gain.mean(axis=0), gain.std(axis=0, ddof=1)
        found[name] = Quality(
            float(np.mean(each)), float(mean.mean()), float(mean.min()), int((mean + 2 * spread < 0).sum())
        )
    return found, len(rows)


def quality_table(orders: int, seed: int) -> str:
    """Log loss by method and number of labels."""
    by_labels = {n: qualities(n, orders, np.random.default_rng((seed, n))) for n in LABELS}
    header = ["map", *(f"{n:,} labels ({count} segments)" for n, (_, count) in by_labels.items())]
    rows = []
    for name in by_labels[LABELS[0]][0]:
        cells = []
        for found, _ in by_labels.values():
            each = found[name]
            least = min(other.loss for other in found.values())
            loss = f"**{each.loss:.4f}**" if each.loss == least else f"{each.loss:.4f}"
            cells.append(
                loss if name == "as stated" else f"{loss}, least gain {each.least:+.3f}, worse in {each.worse}"
            )
        rows.append([f"`{name}`" if name in METHODS or name == "by_labels" else name, *cells])
    return table(header, rows)


# --- What the gate lets through

Line = tuple[float, float]
WORLDS: Mapping[str, Line] = {
    "over-confident (slope .6, intercept -.3)": (0.6, -0.3),
    "poor: a constant beats what it states (.3, -1)": (0.3, -1.0),
    "calibrated (1, 0)": (1.0, 0.0),
}
OTHER: Line = (1.5, 1.0)
"""Of another model: under-confident."""
SIZES = (200, 500, 2_000)


def answers(n: int, line: Line, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Stated confidences, right with the chance of a line on their log odds."""
    c = rng.choice(STATED, n)
    return c, (rng.random(n) < sigmoid(line[0] * logit(c) + line[1])).astype(np.float64)


def honest(n: int, line: Line, rng: np.random.Generator) -> Calibrator:
    return fitted(*answers(n, line, rng))


def constant(n: int, line: Line, rng: np.random.Generator) -> Calibrator:
    found = fitted(*answers(n, (1.0, 0.0), rng))
    level = float(answers(n, line, rng)[1].mean())
    return msgspec.structs.replace(found, maps=(msgspec.structs.replace(found.maps[0], curve=Steps((), (level,))),))


def shuffled(n: int, line: Line, rng: np.random.Generator) -> Calibrator:
    c, y = answers(n, line, rng)
    return fitted(c, rng.permutation(y))


def of_another(n: int, line: Line, rng: np.random.Generator) -> Calibrator:  # noqa: ARG001
    return fitted(*answers(n, OTHER, rng))


CANDIDATES: Mapping[str, Callable[[int, Line, np.random.Generator], Calibrator]] = {
    "fitted on earlier labels": honest,
    "a constant": constant,
    "fitted on shuffled labels": shuffled,
    "fitted on another model, under this one's name": of_another,
}


def fitted(c: Floats, y: Floats) -> Calibrator:
    return fit([Part({}, sketch_of(c, y), {})], FIRST, code_version="bench")


def passes(
    make: Callable[[int, Line, np.random.Generator], Calibrator], n: int, line: Line, trials: int, seed: int
) -> int:
    """How many of so many candidates the gate lets through, fitted on n labels and judged by n later ones."""
    count = 0
    for trial in range(trials):
        rng = np.random.default_rng((seed, n, trial))
        try:
            candidate = make(n, line, rng)
        except NotEnoughData:
            continue
        count += judge(candidate, None, [Part({}, sketch_of(*answers(n, line, rng)), {})], SECOND, Gate()).passed
    return count


def gate_table(trials: int, seed: int) -> str:
    """The share of candidates that pass, by world, candidate and number of labels."""
    rows = []
    for world, line in WORLDS.items():
        for name, make in CANDIDATES.items():
            counts = [passes(make, n, line, trials, seed) for n in SIZES]
            rows.append([world, name, *(f"{count / trials:.0%}" for count in counts)])
    return table(["model", "candidate", *(f"{n:,} labels" for n in SIZES)], rows)


def placed(page: str, name: str, text: str) -> str:
    """The page with what stands between the marks of a table replaced. Raises ValueError without such marks."""
    marks = rf"(<!-- {name}: .*? -->\n).*?(<!-- end of {name} -->)"
    found, count = re.subn(marks, lambda at: f"{at[1]}\n{text}\n\n{at[2]}", page, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"{PAGE} has no marks of the table {name}")
    return found


def main(arguments: Sequence[str]) -> None:
    """Measure, and write or print the tables."""
    parser = argparse.ArgumentParser(prog="bench recalibration-quality", description=__doc__)
    parser.add_argument("--orders", type=int, default=12)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="few of both; prints instead of writing")
    given = parser.parse_args(arguments)
    orders, trials = (2, 10) if given.quick else (given.orders, given.trials)
    began = time.perf_counter()
    tables = {"quality": quality_table(orders, given.seed), "gate": gate_table(trials, given.seed)}
    minutes = (time.perf_counter() - began) / 60
    if given.quick:
        print("\n\n".join(tables.values()))
        return
    page = PAGE.read_text(encoding="utf-8")
    for name, text in tables.items():
        page = placed(page, name, text)
    PAGE.write_text(page, encoding="utf-8")
    print(f"{PAGE}: {minutes:.1f} minutes on {platform.machine()}, Python {platform.python_version()}")


if __name__ == "__main__":
    main(sys.argv[1:])

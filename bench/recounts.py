"""What one writes by hand to keep the calibration of a window: recounts in numpy and SQL, and river's Rolling."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import duckdb
import numpy as np
import numpy.typing as npt
import psycopg

SERIES = 50
BINS = 10
BATCH = 5_000
ROOM = 20  # batches that are added while the clock runs
CHUNK = 1_000_000
RIVER = "river==0.26.1"
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Connection = psycopg.Connection[tuple[float]]


@dataclass(frozen=True, slots=True)
class Rows:
    """Labelled predictions as columns, in order of time; the last BATCH of them come while the clock runs."""

    series: Ints
    confidence: Floats
    outcome: Floats

    def __len__(self) -> int:
        return len(self.series)

    def part(self, start: int, stop: int) -> "Rows":
        return Rows(self.series[start:stop], self.confidence[start:stop], self.outcome[start:stop])


def simulated(kind: str, n: int, seed: int = 1) -> Rows:
    """stated: twentieths that crowd at the top, as language models say them; token: probabilities that crowd near 1."""
    rng = np.random.default_rng(seed)
    series = rng.integers(0, SERIES, n)
    if kind == "stated":
        confidence = np.round(rng.beta(6, 1.5, n) * 20) / 20
    else:
        confidence = 1 / (1 + np.exp(-rng.normal(3, 3, n)))
    outcome = (rng.random(n) < confidence - 0.05 * (series % 3)).astype(np.float64)
    return Rows(series, confidence, outcome)


class Contender(Protocol):
    """Something that keeps a window of labelled predictions."""

    name: str

    def read(self) -> Floats:
        """ECE of each series."""
        ...

    def add(self, rows: Rows) -> None:
        """Take newer predictions and their labels."""
        ...

    def correct(self, place: int, old: float, new: float) -> None:
        """The outcome of the place-th prediction was wrong."""
        ...


class Numpy:
    """By hand: columns of the window, counted again at every reading. Rows beyond the window's end are room to grow."""

    name = "numpy, recount"

    def __init__(self, rows: Rows) -> None:
        self.series, self.confidence, self.outcome = (
            np.concatenate([column, np.empty(BATCH * ROOM, column.dtype)])
            for column in (rows.series, rows.confidence, rows.outcome)
        )
        self.end, self.window = len(rows), len(rows)

    def add(self, rows: Rows) -> None:
        start, self.end = self.end, self.end + len(rows)
        self.series[start : self.end] = rows.series
        self.confidence[start : self.end] = rows.confidence
        self.outcome[start : self.end] = rows.outcome

    def correct(self, place: int, old: float, new: float) -> None:
        assert self.outcome[place] == old
        self.outcome[place] = new

    def read(self) -> Floats:
        return ece_of_keys(
            self.series[: self.end] * BINS + bins_of(self.confidence[: self.end]),
            self.confidence[: self.end] - self.outcome[: self.end],
        )


class NumpyKept(Numpy):
    """The same with the bin of every row worked out when it comes: the best that a recount in numpy can do."""

    name = "numpy, bins kept"

    def __init__(self, rows: Rows) -> None:
        super().__init__(rows)
        self.key = np.concatenate([rows.series * BINS + bins_of(rows.confidence), np.empty(BATCH * ROOM, np.int64)])
        self.gap = self.confidence - self.outcome

    def add(self, rows: Rows) -> None:
        start = self.end
        super().add(rows)
        self.key[start : self.end] = rows.series * BINS + bins_of(rows.confidence)
        self.gap[start : self.end] = rows.confidence - rows.outcome

    def correct(self, place: int, old: float, new: float) -> None:
        self.gap[place] += old - new

    def read(self) -> Floats:
        return ece_of_keys(self.key[: self.end], self.gap[: self.end])


def bins_of(confidence: Floats) -> Ints:
    """Right-closed bins, zero in the first."""
    return np.maximum(np.ceil(confidence * BINS - 1e-9).astype(np.int64) - 1, 0)


def ece_of_keys(key: Ints, gap: Floats) -> Floats:
    """ECE of each series from series * BINS + bin and confidence - outcome of each row."""
    n = np.bincount(key, minlength=SERIES * BINS).reshape(SERIES, BINS)
    gaps = np.bincount(key, gap, SERIES * BINS).reshape(SERIES, BINS)
    return np.asarray(np.abs(gaps).sum(axis=1) / n.sum(axis=1))


ECE_IN_SQL = f"""
SELECT sum(abs(gap)) / sum(n) FROM (
    SELECT series, greatest(ceil(confidence * {BINS} - 1e-9)::int - 1, 0) AS bin, sum(confidence - outcome) AS gap,
        count(*) AS n
    FROM labelled GROUP BY 1, 2
) AS b GROUP BY series ORDER BY series
"""


class DuckDB:
    """SQL over raw rows in DuckDB, in memory, on two threads."""

    name = "DuckDB, 2 threads"

    def __init__(self, rows: Rows) -> None:
        self.connection = duckdb.connect(config={"threads": 2})
        self.n = 0
        self.connection.execute("CREATE TABLE labelled (id BIGINT, series INTEGER, confidence DOUBLE, outcome DOUBLE)")
        self.add(rows)

    def add(self, rows: Rows) -> None:
        new = {
            "id": np.arange(self.n, self.n + len(rows)),
            "series": rows.series.astype(np.int32),
            "confidence": rows.confidence,
            "outcome": rows.outcome,
        }
        self.n += len(rows)
        self.connection.register("new", new)
        self.connection.execute("INSERT INTO labelled SELECT * FROM new")
        self.connection.unregister("new")

    def correct(self, place: int, old: float, new: float) -> None:
        self.connection.execute("UPDATE labelled SET outcome = ? WHERE id = ? AND outcome = ?", [new, place, old])

    def read(self) -> Floats:
        return np.array([ece for (ece,) in self.connection.execute(ECE_IN_SQL).fetchall()])


class Postgres:
    """SQL over raw rows in Postgres, with a primary key for corrections."""

    name = "Postgres"

    def __init__(self, connection: Connection, rows: Rows) -> None:
        self.connection, self.n = connection, 0
        connection.execute("DROP TABLE IF EXISTS labelled")
        connection.execute("CREATE TABLE labelled (id bigint, series int, confidence float8, outcome float8)")
        for start in range(0, len(rows), CHUNK):
            self.add(rows.part(start, start + CHUNK))
        connection.execute("ALTER TABLE labelled ADD PRIMARY KEY (id)")
        connection.execute("VACUUM ANALYZE labelled")

    def add(self, rows: Rows) -> None:
        fields = [("id", ">i8"), ("series", ">i4"), ("confidence", ">f8"), ("outcome", ">f8")]
        layout = [("fields", ">i2")]
        for name, kind in fields:
            layout += [(f"{name}_size", ">i4"), (name, kind)]
        block = np.empty(len(rows), dtype=layout)
        block["fields"] = len(fields)
        columns = (np.arange(self.n, self.n + len(rows)), rows.series, rows.confidence, rows.outcome)
        for (name, kind), column in zip(fields, columns, strict=True):
            block[f"{name}_size"], block[name] = np.dtype(kind).itemsize, column
        self.n += len(rows)
        with self.connection.cursor().copy("COPY labelled FROM STDIN (FORMAT binary)") as copy:
            copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8) + block.tobytes() + b"\xff\xff")

    def correct(self, place: int, old: float, new: float) -> None:
        self.connection.execute("UPDATE labelled SET outcome = %s WHERE id = %s AND outcome = %s", (new, place, old))

    def read(self) -> Floats:
        return np.array([ece for (ece,) in self.connection.execute(ECE_IN_SQL).fetchall()])


IN_RIVER = f"""
import sys, time, random
from river import utils
class BinnedEce:
    def __init__(self): self.n = [0] * {BINS}; self.gap = [0.0] * {BINS}
    def update(self, c, y, sign=1):
        b = min(int(c * {BINS}), {BINS - 1}); self.n[b] += sign; self.gap[b] += sign * (c - y)
    def revert(self, c, y): self.update(c, y, -1)
    def get(self): return sum(map(abs, self.gap)) / sum(self.n)
size, series = int(sys.argv[1]), {SERIES}
rows = [(random.randrange(series), random.random(), random.randrange(2)) for _ in range(size + 100000)]
rolling = [utils.Rolling(BinnedEce, window_size=size // series) for _ in range(series)]
for s, c, y in rows[:size]: rolling[s].update(c, y)
start = time.perf_counter()
for s, c, y in rows[size:]: rolling[s].update(c, y)
print((time.perf_counter() - start) / 100000)
start = time.perf_counter()
for _ in range(100): [r.get() for r in rolling]
print((time.perf_counter() - start) / 100)
"""


def in_river(folder: Path, size: int) -> tuple[float, float] | None:
    """Seconds of one event and of one reading in river, or None where it does not install. It cannot correct."""
    python = folder / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    if subprocess.run([str(python), "-m", "pip", "install", "--quiet", RIVER], check=False).returncode:
        print("river: left out, it does not install here")
        return None
    done = subprocess.run([str(python), "-c", IN_RIVER, str(size)], check=True, capture_output=True, text=True)
    event, reading = done.stdout.split()
    return float(event), float(reading)

"""Run caldrift and its peers on the same topics of one broker: events a second, and three stories each must get right.

    python -m bench peers --kafka 127.0.0.1:9092 [--events 800000]

Every rate is the difference of two whole runs, a long and a short one, so that starting up does not count. Each peer
lives in a virtual environment of its own, made on first use; one that does not install is left out with a line.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic

from monitor.demo.postgres_server import start_postgres
from monitor.postgres.migration import upgrade

HERE = Path(__file__).parent
PACKAGES = {"pathway": "pathway==0.33.0", "bytewax": "bytewax[kafka]==0.21.1", "quixstreams": "quixstreams==3.28.1"}
LIMIT_SECONDS = 240.0
SHORT = 0.25
"""Of the long run: what happens once while a system starts must not hide how long the rest takes."""
Counts = tuple[int, int]


@dataclass(frozen=True)
class Story:
    """Messages as (topic number, id, body), and the joined pairs and correct ones that a right answer counts."""

    name: str
    messages: list[tuple[int, str, dict[str, object]]]
    answer: Counts


@dataclass
class Contender:
    """One system: how to start it on two topics, and how to read the counts it has reached."""

    name: str
    start: Callable[[tuple[str, str], Path], subprocess.Popen[bytes]]
    counts: Callable[[Path], Counts]
    rate: float = 0.0
    seconds: float = 0.0
    verdicts: dict[str, str] = field(default_factory=dict)


def prediction(name: str, confidence: float, number: int) -> dict[str, object]:
    return {
        "prediction_id": name, "model": "m", "predicted_at": 1_790_000_000_000 + number, "confidence": confidence,
        "segments": {"difficulty": ("easy", "medium", "hard")[number % 3]},
    }  # fmt: skip


def label(name: str, correct: int, number: int, version: int = 0) -> dict[str, object]:
    return {
        "prediction_id": name,
        "labelled_at": 1_790_000_100_000 + number + version,
        "correct": correct,
        "version": version,
    }


def traffic(pairs: int, seed: int = 5) -> Story:
    """Every prediction once, every label once, labels a little behind."""
    rng = random.Random(seed)
    names = [str(uuid.UUID(int=rng.getrandbits(128), version=4)) for _ in range(pairs)]
    right = [int(rng.random() < 0.8) for _ in names]
    messages: list[tuple[int, str, dict[str, object]]] = []
    for number, name in enumerate(names):
        messages.append((0, name, prediction(name, round(rng.random(), 3), number)))
        if number >= 1000:
            messages.append((1, names[number - 1000], label(names[number - 1000], right[number - 1000], number)))
    messages += [(1, names[k], label(names[k], right[k], k)) for k in range(max(0, pairs - 1000), pairs)]
    return Story(f"{len(messages)} events", messages, (pairs, sum(right)))


def stories() -> list[Story]:
    """Small ones with one right answer each."""
    names = [str(uuid.UUID(int=k, version=4)) for k in range(1000)]
    made = [(0, name, prediction(name, 0.9, k)) for k, name in enumerate(names)]
    right = [(1, name, label(name, 1, k)) for k, name in enumerate(names)]
    wrong = [(1, name, label(name, 0, k, 1)) for k, name in enumerate(names)]
    return [
        Story("a correction", [*made, *right, *wrong], (1000, 0)),
        Story("a label first", [*right, *made], (1000, 1000)),
        Story("a label twice", [*made, *right, *right], (1000, 1000)),
    ]


@contextmanager
def topics(bootstrap: str) -> Iterator[tuple[str, str]]:
    """A new pair of topics of four partitions, deleted afterwards."""
    mark = uuid.uuid4().hex[:8]
    pair = (f"peers-p-{mark}", f"peers-l-{mark}")
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
        admin.create_topics([NewTopic(name, 4, 1) for name in pair])
        try:
            yield pair
        finally:
            admin.delete_topics(list(pair))


def publish(bootstrap: str, pair: tuple[str, str], story: Story) -> None:
    """Send the story in order; an id goes to the same partition of both topics."""
    with closing(KafkaProducer(bootstrap_servers=bootstrap, linger_ms=20, batch_size=1 << 18)) as producer:
        for topic, name, body in story.messages:
            producer.send(pair[topic], key=name.encode(), value=json.dumps(body).encode())
        producer.flush()


def last_counts(path: Path) -> Counts:
    """The counts that a system printed last, in whole lines `joined N SUM`."""
    if not path.exists():
        return (0, 0)
    written, _, _ = path.read_text(errors="replace").rpartition("\n")
    lines = [line.split() for line in written.splitlines() if line.startswith("joined ")]
    return (int(lines[-1][1]), int(lines[-1][2])) if lines else (0, 0)


def environment(name: str, parts: Path) -> Path | None:
    """The Python of a peer's own environment; None when it does not install here."""
    python = parts / name / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(parts / name)], check=True)
        if subprocess.run([str(python), "-m", "pip", "install", "--quiet", PACKAGES[name]], check=False).returncode:
            shutil.rmtree(parts / name)
            print(f"{name}: left out, it does not install here")
            return None
    return python


def peers(bootstrap: str, parts: Path) -> Iterator[Contender]:
    """Every peer that installs, in memory and with its state on disk."""

    def launch(command: list[str], folder: Path, extra: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        with (folder / "out").open("ab") as out, (folder / "log").open("ab") as log:
            return subprocess.Popen(command, stdout=out, stderr=log, cwd=HERE, env={**os.environ, **(extra or {})})

    def script(python: Path, name: str, state: str) -> Callable[[tuple[str, str], Path], subprocess.Popen[bytes]]:
        return lambda pair, folder: launch(
            [str(python), str(HERE / name), bootstrap, *pair, state.format(folder=folder)], folder
        )

    if python := environment("pathway", parts):
        yield Contender("pathway, in memory", script(python, "with_pathway.py", "-"), lambda f: last_counts(f / "out"))
        yield Contender(
            "pathway, with state", script(python, "with_pathway.py", "{folder}/state"), lambda f: last_counts(f / "out")
        )
    if with_bytewax := environment("bytewax", parts):

        def bytewax(pair: tuple[str, str], folder: Path) -> subprocess.Popen[bytes]:
            recovery = folder / "state"
            if not recovery.exists():
                recovery.mkdir()
                subprocess.run([str(with_bytewax), "-m", "bytewax.recovery", str(recovery), "1"], check=True)
            run = ["-m", "bytewax.run", "with_bytewax:flow", "-r", str(recovery), "-s", "1", "-b", "0"]
            extra = {"BOOTSTRAP": bootstrap, "PREDICTIONS": pair[0], "LABELS": pair[1], "SINK": str(folder / "sink")}
            return launch([str(with_bytewax), *run], folder, extra)

        yield Contender("bytewax, with state", bytewax, lambda f: last_counts(f / "sink"))
    if python := environment("quixstreams", parts):
        yield Contender(
            "quix streams", script(python, "with_quix.py", "{folder}/state"), lambda f: last_counts(f / "out")
        )


def ours(bootstrap: str, server: Path) -> Contender:
    """The installed command, one ingest process, on a Postgres of its own; durable, and read from its database."""
    postgres = start_postgres(server)
    upgrade(postgres.dsn)

    def start(pair: tuple[str, str], folder: Path) -> subprocess.Popen[bytes]:
        extra = {
            "CALDRIFT_KAFKA__BOOTSTRAP_SERVERS": bootstrap, "CALDRIFT_KAFKA__PREDICTIONS_TOPIC": pair[0],
            "CALDRIFT_KAFKA__LABELS_TOPIC": pair[1], "CALDRIFT_KAFKA__GROUP_ID": pair[0],
            "CALDRIFT_RETENTION__LABEL_HORIZON": "3650d", "CALDRIFT_POSTGRES__DSN": postgres.dsn,
        }  # fmt: skip
        marker = folder / "started"
        if not marker.exists():
            with psycopg.connect(postgres.dsn) as connection:
                connection.execute("TRUNCATE pair, statistics_delta, kafka_offset")
            marker.touch()
        with (folder / "log").open("ab") as log:
            command = [str(Path(sys.executable).with_name("caldrift")), "ingest"]
            return subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **extra})

    def counts(_: Path) -> Counts:
        with psycopg.connect(postgres.dsn) as connection:
            bodies = [bytes(body) for (body,) in connection.execute("SELECT body FROM statistics_delta")]
        return delta_counts(bodies)

    return Contender("caldrift", start, counts)


def delta_counts(bodies: list[bytes]) -> Counts:
    """Labelled pairs and correct ones in the deltas: what the leader would add to the panes."""
    from monitor.rolling.deltas import decode  # noqa: PLC0415

    sums = [decode(body).sums for body in bodies]
    return sum(int(part[1].sum()) for part in sums), sum(int(part[4].sum()) for part in sums) // 1_000_000_000


def reach(contender: Contender, process: subprocess.Popen[bytes], folder: Path, answer: Counts, limit: float) -> float:
    """Seconds until the counts are right; raises TimeoutError, or RuntimeError when the process ended before."""
    started = time.perf_counter()
    while contender.counts(folder) != answer:
        if process.poll() is not None:
            raise RuntimeError(
                f"ended with {process.returncode}: {(folder / 'log').read_text(errors='replace')[-400:]}"
            )
        if time.perf_counter() - started > limit:
            raise TimeoutError
        time.sleep(0.05)
    return time.perf_counter() - started


def end(process: subprocess.Popen[bytes], which: signal.Signals = signal.SIGKILL) -> None:
    process.send_signal(which)
    process.wait()


def measure(contender: Contender, bootstrap: str, events: int) -> None:
    """Events a second between a short and a long run."""
    seconds = {}
    for size in (int(SHORT * events), events):
        story = traffic(size // 2)
        with topics(bootstrap) as pair, tempfile.TemporaryDirectory() as name:
            publish(bootstrap, pair, story)
            process = contender.start(pair, Path(name))
            try:
                seconds[size] = reach(contender, process, Path(name), story.answer, LIMIT_SECONDS)
            except (TimeoutError, RuntimeError) as failure:
                counts = contender.counts(Path(name))
                print(f"  {contender.name}: {story.answer} expected, reached {counts} {failure}")
                return
            finally:
                end(process)
    short, long = sorted(seconds)
    contender.rate = (long - short) / (seconds[long] - seconds[short])
    contender.seconds = seconds[long]


def tell(contender: Contender, bootstrap: str, story: Story) -> None:
    """Whether the story ends with the right counts and stays there."""
    with topics(bootstrap) as pair, tempfile.TemporaryDirectory() as name:
        publish(bootstrap, pair, story)
        process = contender.start(pair, Path(name))
        try:
            reach(contender, process, Path(name), story.answer, 25)
            time.sleep(1.5)
        except (TimeoutError, RuntimeError):
            pass
        finally:
            end(process)
        counts = contender.counts(Path(name))
    contender.verdicts[story.name] = (
        "right" if counts == story.answer else f"{counts[0]} pairs, {counts[1]} correct of {story.answer}"
    )


def kill(contender: Contender, bootstrap: str, events: int, seed: int) -> None:
    """SIGKILL at random moments while it works, start again each time: how far off the count is at the end."""
    rng, story = random.Random(seed), traffic(events // 2, seed)
    with topics(bootstrap) as pair, tempfile.TemporaryDirectory() as name:
        publish(bootstrap, pair, story)
        for _ in range(3):
            process = contender.start(pair, Path(name))
            deadline = time.monotonic() + 30
            while contender.counts(Path(name))[0] == 0 and time.monotonic() < deadline:
                time.sleep(0.02)
            time.sleep(rng.uniform(0.1, 1.0))
            end(process)
        process = contender.start(pair, Path(name))
        try:
            reach(contender, process, Path(name), story.answer, 60)
            time.sleep(1.5)
        except (TimeoutError, RuntimeError):
            pass
        finally:
            end(process)
        off = contender.counts(Path(name))[0] - story.answer[0]
    contender.verdicts["killed"] = "exact" if off == 0 else f"{off:+d} pairs of {story.answer[0]}"


def main(arguments: list[str]) -> None:
    """Run everything, and print what each does."""
    parser = argparse.ArgumentParser(prog="bench peers", description=__doc__)
    parser.add_argument("--kafka", required=True, help="bootstrap address of a real Kafka")
    parser.add_argument("--events", type=int, default=800_000)
    parser.add_argument("--parts", type=Path, default=Path(".parts/peers"), help="where the peers' environments lie")
    parser.add_argument("--only", nargs="*", default=[], help="of the peers only these: pathway, bytewax, quix streams")
    given = parser.parse_args(arguments)
    parts = given.parts.resolve()
    parts.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o711)
        contenders = [ours(given.kafka, Path(folder) / "postgres"), *peers(given.kafka, parts)]
        wanted = {"caldrift", *given.only}
        contenders = [each for each in contenders if not given.only or each.name.split(",")[0] in wanted]
        for contender in contenders:
            print(f"{contender.name} ...", flush=True)
            measure(contender, given.kafka, given.events)
            for story in stories():
                tell(contender, given.kafka, story)
            kill(contender, given.kafka, given.events // 4, seed=11)
            report(contender, contenders[0].rate)


def report(contender: Contender, our_rate: float) -> None:
    """One line of what a system does; the ratio is ours to theirs."""
    ratio = f"{our_rate / contender.rate:.2f}" if contender.rate else "-"
    verdicts = ", ".join(f"{name}: {verdict}" for name, verdict in contender.verdicts.items())
    whole = f"the long run took {contender.seconds:.1f} s from the start of the process"
    print(f"  {contender.rate:,.0f} events/s once started, ours / theirs {ratio}; {whole}; {verdicts}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

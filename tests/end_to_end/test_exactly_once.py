"""Exactly once: the installed service, hurt in every way we know, against a sequential pass over the same log.

The seed of a failing run is in the test's name; CALDRIFT_SEEDS=7,8,9 runs others, CALDRIFT_EVENTS makes the log longer.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator

import psycopg
import pytest

from tests.embedded import Topics
from tests.end_to_end.fleet import wait_for
from tests.end_to_end.scene import PATIENCE_SECONDS, Scene, cut_commits, frozen_owner, publish, staged, two_owners

pytestmark = pytest.mark.timeout(900)  # real servers and processes, on a machine that may be busy

SEEDS = [int(seed) for seed in os.environ.get("CALDRIFT_SEEDS", "1").split(",")]
PREDICTIONS = int(os.environ.get("CALDRIFT_EVENTS", "4000"))
ROUNDS = 40


@pytest.fixture(params=SEEDS, ids=lambda seed: f"seed{seed}")
def scene(request: pytest.FixtureRequest, broker: str, topics: Topics) -> Iterator[Scene]:
    """A log not yet published, and a service that has not started."""
    with staged(request.param, PREDICTIONS, broker, topics) as made:
        yield made


def test_two_owners_of_one_partition_count_nothing_twice(scene: Scene) -> None:
    assert two_owners(scene) == ""
    assert scene.fleet.stop("second") == 0
    assert scene.fleet.stop("evaluate") == 0


def test_a_process_that_stays_frozen_in_the_middle_of_a_batch_holds_nobody_up(scene: Scene) -> None:
    assert frozen_owner(scene) == ""
    assert scene.fleet.stop("first") == 0
    assert scene.complaint() == ""


def test_connections_cut_around_a_commit_lose_and_double_nothing(scene: Scene) -> None:
    assert cut_commits(scene) == ""


def test_kills_rebalances_zombies_and_cut_commits_change_no_number(
    scene: Scene, request: pytest.FixtureRequest
) -> None:
    rng = random.Random(request.node.name)
    names = ["ingest-0", "ingest-1", "ingest-2"]
    for name in names:
        scene.fleet.start(name, "ingest")
    scene.fleet.start("evaluate", "evaluate")
    scene.proxy.armed = True
    faults = Counter[str]()
    step = len(scene.log) // ROUNDS + 1
    for start in range(0, len(scene.log), step):
        publish(scene.broker, scene.topics, scene.log[start : start + step])
        faults[_hurt(scene, rng, names)] += 1
        time.sleep(rng.uniform(0.2, 1.5))
    scene.restart_postgres()
    scene.proxy.armed = False
    for name in names:
        scene.fleet.signal(name, signal.SIGCONT)
    try:
        wait_for(scene.is_done, PATIENCE_SECONDS, f"everything joined after {dict(faults)}")
    except TimeoutError:
        print("\n".join(scene.fleet.log_of(name) for name in [*names, "evaluate"]))
        raise
    print(f"faults {dict(faults)}, cut {scene.proxy.rolled_back} before and {scene.proxy.committed} after a COMMIT")
    assert scene.complaint() == ""


def _hurt(scene: Scene, rng: random.Random, names: list[str]) -> str:
    """One fault; its name is for the report."""
    victim = rng.choice(names)
    fault = rng.choices(["kill", "pause", "resume", "terminate", "leader", "restart"], [6, 3, 2, 4, 2, 0.3])[0]
    if fault == "kill":
        scene.fleet.kill(victim)
        scene.fleet.start(victim, "ingest")
    elif (
        fault == "pause"
    ):  # longer than the session: the partitions get a second owner, and this one wakes up as a zombie
        scene.fleet.signal(victim, signal.SIGSTOP)
    elif fault == "resume":
        for name in names:
            scene.fleet.signal(name, signal.SIGCONT)
    elif fault == "terminate":
        with psycopg.connect(scene.direct_dsn, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1"
            )
    elif fault == "leader":
        scene.fleet.kill("evaluate")
        scene.fleet.start("evaluate", "evaluate")
    else:
        scene.restart_postgres()
    return fault

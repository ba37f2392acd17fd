"""Kill -9 of any process while a real Apache Kafka is read, the broker's among them: no number changes, and no message
is published again."""

import random
import time
from collections.abc import Iterator

import pytest

from tests import real_kafka
from tests.embedded import fresh_topics, missing
from tests.end_to_end.fleet import wait_for
from tests.end_to_end.scene import PATIENCE_SECONDS, Scene, publish, staged
from tests.real_kafka import RealKafka

pytestmark = [pytest.mark.timeout(900), pytest.mark.ci]

SEED = 5
PREDICTIONS = 3000
ROUNDS = 8


@pytest.fixture
def node() -> Iterator[RealKafka]:
    """A node of this test's own, to be killed."""
    reason = real_kafka.why_not() or real_kafka.why_not_yet()
    if reason is not None:
        missing(reason)
    with real_kafka.running_kafka() as made:
        yield made


@pytest.fixture
def scene(node: RealKafka) -> Iterator[Scene]:
    """A log not yet published, and a service that has not started."""
    with fresh_topics(node.address) as topics, staged(SEED, PREDICTIONS, node.address, topics) as made:
        yield made


def test_any_process_may_be_killed_the_broker_too(scene: Scene, node: RealKafka) -> None:
    rng = random.Random(SEED)
    for name in ("ingest-0", "ingest-1"):
        scene.fleet.start(name, "ingest")
    scene.fleet.start("evaluate", "evaluate")
    step = len(scene.log) // ROUNDS + 1
    for start in range(0, len(scene.log), step):
        publish(scene.broker, scene.topics, scene.log[start : start + step])
        time.sleep(rng.uniform(0.1, 0.8))
        node.kill()
        for name in ("ingest-0", "evaluate"):
            scene.fleet.kill(name)
        time.sleep(rng.uniform(0, 1))
        node.start()
        scene.fleet.start("ingest-0", "ingest")
        scene.fleet.start("evaluate", "evaluate")
    scene.restart_postgres()
    wait_for(scene.is_done, PATIENCE_SECONDS, "everything joined")
    assert scene.complaint() == ""
    assert scene.fleet.stop("ingest-1") == 0, scene.fleet.log_of("ingest-1")

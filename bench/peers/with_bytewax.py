"""Bytewax: keyed join of the last of each side, emitted when complete.

Environment: BOOTSTRAP, PREDICTIONS, LABELS, SINK.
The counts are appended to the file SINK as `joined N SUM`, since a sink of Bytewax is part of its flow.
"""

import json
import os

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition

BROKERS = [os.environ["BOOTSTRAP"]]


class Count(StatelessSinkPartition):
    def __init__(self) -> None:
        self.n = self.correct = 0
        self.file = open(os.environ["SINK"], "a")  # noqa: PTH123, SIM115

    def write_batch(self, items: list) -> None:
        for _, (_, label) in items:
            self.n += 1
            self.correct += label["correct"]
        self.file.write(f"joined {self.n} {self.correct}\n")
        self.file.flush()


class Counting(DynamicSink):
    def build(self, step_id: str, worker_index: int, worker_count: int) -> Count:  # noqa: ARG002
        return Count()


def keyed(name: str, topic: str):
    source = op.input(name, flow, KafkaSource(BROKERS, [topic], tail=True, batch_size=5000))
    return op.map(f"{name}-decode", source, lambda message: (message.key.decode(), json.loads(message.value)))


flow = Dataflow("peers")
both = op.join("join", keyed("p", os.environ["PREDICTIONS"]), keyed("l", os.environ["LABELS"]), emit_mode="complete")
op.output("count", both, Counting())

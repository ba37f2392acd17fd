"""Pathway: a plain join and counts. Arguments: bootstrap, predictions, labels, folder of state or '-'.

Prints `joined N SUM` whenever the counts changed.
"""

import sys

import pathway as pw

BOOTSTRAP, PREDICTIONS, LABELS, STATE = sys.argv[1:5]
SETTINGS = {"bootstrap.servers": BOOTSTRAP, "group.id": f"pathway-{PREDICTIONS}", "auto.offset.reset": "earliest"}


class Prediction(pw.Schema):
    prediction_id: str
    confidence: float
    difficulty: str


class Label(pw.Schema):
    prediction_id: str
    correct: int
    version: int


predictions = pw.io.kafka.read(
    SETTINGS, topic=PREDICTIONS, format="json", schema=Prediction, autocommit_duration_ms=100, name="predictions",
    json_field_paths={"difficulty": "/segments/difficulty"},
)  # fmt: skip
labels = pw.io.kafka.read(
    SETTINGS, topic=LABELS, format="json", schema=Label, autocommit_duration_ms=100, name="labels"
)
joined = predictions.join(labels, predictions.prediction_id == labels.prediction_id).select(
    predictions.difficulty, bin=pw.apply(lambda c: int(c * 15), predictions.confidence), correct=labels.correct
)
cells = joined.groupby(joined.difficulty, joined.bin).reduce(
    joined.difficulty, joined.bin, n=pw.reducers.count(), correct=pw.reducers.sum(joined.correct)
)
total = {"n": 0, "correct": 0}


def count(key: object, row: dict, time: int, is_addition: bool) -> None:  # noqa: ARG001, FBT001
    sign = 1 if is_addition else -1
    total["n"] += sign * row["n"]
    total["correct"] += sign * row["correct"]


def show(moment: int) -> None:  # noqa: ARG001
    print("joined", total["n"], total["correct"], flush=True)


pw.io.subscribe(cells, on_change=count, on_time_end=show)
persistence = None if STATE == "-" else pw.persistence.Config(
    pw.persistence.Backend.filesystem(STATE), snapshot_interval_ms=1000
)  # fmt: skip
pw.run(persistence_config=persistence, monitoring_level=pw.MonitoringLevel.NONE)

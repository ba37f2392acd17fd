"""The whole service as one composition: its roles, its own servers where it is embedded, and the order of stopping."""

import http.client
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from monitor.cli import context
from monitor.config.connections import kafka_access
from monitor.config.sections import Settings
from monitor.demo.embedded import EmbeddedServers
from monitor.demo.ports import LOOPBACK
from monitor.errors import CaldriftError, Unavailable
from monitor.kafka.topics import create_topics, topic_spans
from monitor.postgres.database import answering, connect
from monitor.postgres.offsets import Reader, begin, read_offsets
from monitor.workers.progress import published, wait_until_applied
from monitor.workers.supervisor import Role, Supervisor

log = logging.getLogger("caldrift.supervisor")

TICK_SECONDS: Final = 0.05
DRAIN_PATIENCE_SECONDS: Final = 10.0
MEMORY_SECONDS: Final = 10.0
MEMORY_BOUND: Final = 1 << 30
"""Bytes of the embedded broker after which its growth is worth a warning: some three million messages."""
EXIT_PARTIAL: Final = 4


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run: the settings in force, how many ingest processes, where the page is, and what the roles are told."""

    settings: Settings
    ingest_processes: int
    listener: socket.socket
    """Where the page listens: held open here, so that the address outlives a restart of the web role."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    drains: bool = False
    reload: threading.Event = field(default_factory=threading.Event)
    """Set when the rules are to be read again."""

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
        shown = _reachable(self.settings.web.host)
        return f"http://{f'[{shown}]' if ':' in shown else shown}:{self.listener.getsockname()[1]}"

    def roles(self) -> list[Role]:
        """One process a role: the command that a person would type, tied to this process by its standard input."""
        command = (sys.executable, "-P", "-m", "monitor.cli.app", *context.repeated())
        environment = {**os.environ, **self.environment, context.SUPERVISED: "1"}
        listener = self.listener.fileno()
        return [
            *(Role(name, (*command, "ingest", "--supervised"), environment) for name in self.ingest),
            Role("evaluate", (*command, "evaluate", "--supervised"), environment),
            Role("deliver", (*command, "deliver", "--supervised"), environment),
            Role("web", (*command, "web", "--supervised", "--descriptor", str(listener)), environment, (listener,)),
        ]


def _reachable(host: str) -> str:
    """An address at which this machine reaches a socket that listens at `host`."""
    return LOOPBACK if host in {"0.0.0.0", "::", ""} else host  # noqa: S104 - compared, not bound


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
        self._page = threading.Event()
        self._adopted = True
        self._memory_due = 0.0
        self._memory_bound = MEMORY_BOUND

    def run(self) -> int:
        """Keep every role and server running; returns the exit status once all roles have stopped.

        0 after an orderly stop, 4 when a role had refused to go on, 2 when the settings let no role start.
        """
        status = 0
        threading.Thread(target=self._look_at_page, name="page", daemon=True).start()
        try:
            while not self._stop.is_set():
                changed = self._supervisor.tick()
                changed = self._mend() or changed
                if self._plan.reload.is_set():
                    self._plan.reload.clear()
                    self._supervisor.signal(signal.SIGHUP, "evaluate", "deliver")
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
            for kind in ("ingest", "evaluate", "deliver", "web"):
                self._supervisor.stop(*self._supervisor.names(kind))
            log.info("stopped", extra={"exit_status": status})
        return status

    def _announce(self, changed: bool) -> None:
        """Say once that the page is there; keep servers.json and the list of processes true."""
        if changed and self._servers is not None:
            for name, pid in self._supervisor.pids().items():
                self._servers.ledger.record(name, pid)
        first = not self._ready and self._page.is_set()
        if first:
            self._ready = True
            log.info("ready", extra={"web": self._plan.web})
        if (first or (changed and self._ready)) and self._servers is not None:
            self._servers.publish(self._plan.web, self._supervisor.pids())

    def _look_at_page(self) -> None:
        """Set the event once the page answers: the socket is open from the start, so only an answer says so."""
        host, port = self._plan.listener.getsockname()[:2]
        while not self._stop.wait(TICK_SECONDS):
            connection = http.client.HTTPConnection(_reachable(host), port, timeout=5.0)
            try:
                connection.request("GET", "/livez")
                connection.getresponse()
            except (http.client.HTTPException, OSError):
                continue
            finally:
                connection.close()
            self._page.set()
            return

    def _mend(self) -> bool:
        """Bring back an embedded server that has ended. Returns whether there was one."""
        if self._servers is None:
            return False
        mended = self._servers.mend_postgres()
        if not self._servers.broker.server.is_alive:
            self._supervisor.stop(*self._plan.ingest, seconds=2.0)
            self._adopted = not self._servers.mend_broker()
        if not self._adopted:
            try:
                self.adopt_broker(self._servers)
            except Unavailable as failure:
                log.warning("waiting", extra={"cause": str(failure)})
                self._stop.wait(1.0)
                return mended
            self._supervisor.resume(*self._plan.ingest)
            self._adopted = mended = True
        self._watch_broker_memory(self._servers)
        return mended

    def _watch_broker_memory(self, servers: EmbeddedServers) -> None:
        """Warn when the embedded broker, which forgets nothing, has grown past a bound, and at each doubling."""
        now = time.monotonic()
        if now < self._memory_due:
            return
        self._memory_due = now + MEMORY_SECONDS
        held = servers.broker_memory()
        if held > self._memory_bound:
            self._memory_bound *= 2
            said = "the embedded broker keeps every message in memory; stop and start to empty it"
            log.warning(said, extra={"megabytes": held >> 20})

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

"""A folder with an embedded Postgres and an embedded broker: one owner at a time, and nothing left running after it.

DIR/lock              held by the running owner
DIR/processes.json    every process started for the folder; what survived a SIGKILL is ended by the next start
DIR/servers.json      addresses, and process ids by role: there while the service is ready
DIR/postgres          data, log and password of the database
DIR/broker            log file of the broker, and the id of its present cluster
"""

import fcntl
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from monitor.demo.broker import Broker, start_broker
from monitor.demo.postgres_server import PostgresServer, start_postgres
from monitor.demo.processes import Ledger, write_atomically
from monitor.errors import Refused, Unavailable

log = logging.getLogger("caldrift.embedded")


@dataclass(slots=True)
class EmbeddedServers:
    """The servers of one folder, started. The owner calls `mend` now and then, and `stop` at the end."""

    folder: Path
    hasty: bool
    ledger: Ledger
    postgres: PostgresServer
    broker: Broker
    lock: IO[str] = field(repr=False)
    clock: Mapping[str, str | float] = field(default_factory=dict)

    def pids(self) -> dict[str, int]:
        """Process ids of the servers themselves, not of their guards."""
        return {"postgres": self.postgres.server.pid, "broker": self.broker.server.pid}

    def mend_postgres(self) -> bool:
        """Start Postgres again on its data and its port when it has ended. Returns whether it had."""
        if self.postgres.server.is_alive:
            return False
        log.warning("ended", extra={"server": "postgres", "last_words": self.postgres.server.last_words(2)})
        self.postgres.stop()
        self.ledger.await_end("postgres")
        wanted = self.postgres.port
        self.postgres = start_postgres(self.folder / "postgres", wanted, hasty=self.hasty)
        self.record()
        _same_port("Postgres", wanted, self.postgres.port)
        return True

    def mend_broker(self) -> bool:
        """Start a broker on the same port when it has ended: a new and empty cluster. Returns whether it had."""
        if self.broker.server.is_alive:
            return False
        log.warning("ended", extra={"server": "broker", "last_words": self.broker.server.last_words(2)})
        self.broker.stop()
        self.ledger.await_end("broker")
        wanted = self.broker.port
        self.broker = start_broker(self.folder / "broker", wanted)
        self.record()
        _same_port("the broker", wanted, self.broker.port)
        return True

    def broker_memory(self) -> int:
        """Bytes of memory that the broker holds now, nearly all of it messages; 0 when it has ended."""
        try:
            pages = int(Path(f"/proc/{self.broker.server.pid}/statm").read_text().split()[1])
        except (OSError, IndexError, ValueError):
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE")

    def publish(self, web: str, pids: Mapping[str, int]) -> None:
        """Write servers.json, which `--embedded DIR` reads: the service is ready."""
        content = {
            "kafka": self.broker.address,
            "postgres": self.postgres.dsn,
            "web": web,
            "cluster_id": self.broker.cluster_id,
            "clock": dict(self.clock),
            "pids": {"supervisor": os.getpid(), **self.pids(), **pids},
        }
        write_atomically(self.folder / "servers.json", json.dumps(content, indent=1).encode())

    def stop(self) -> None:
        """Stop the broker, then Postgres; the folder then holds data, logs and the password, and no addresses."""
        (self.folder / "servers.json").unlink(missing_ok=True)
        self.broker.stop()
        self.postgres.stop()
        self.ledger.clear()
        self.lock.close()

    def record(self) -> None:
        """Write down every process and the present cluster."""
        for name, server in (("postgres", self.postgres.server), ("broker", self.broker.server)):
            self.ledger.record(name, server.pid)
            self.ledger.record(f"{name}-guard", server.guard.pid)
        write_atomically(self.folder / "broker" / "cluster_id", self.broker.cluster_id.encode())


def start_embedded(folder: Path, *, hasty: bool = False) -> EmbeddedServers:
    """Take the folder, end what an earlier owner left running there, and start both servers.

    Raises Refused when another process owns the folder or it cannot be used, Unavailable when a server does not start.
    """
    _create(folder)
    lock = _take(folder)
    ledger = Ledger(folder / "processes.json")
    left = ledger.end_survivors()
    if left:
        log.warning("ended what an earlier start left running", extra={"names": left})
    before = _ports_before(folder)
    (folder / "servers.json").unlink(missing_ok=True)
    postgres = start_postgres(folder / "postgres", before.get("postgres"), hasty=hasty)
    try:
        broker = start_broker(folder / "broker", before.get("kafka"))
    except BaseException:
        postgres.stop()
        raise
    servers = EmbeddedServers(folder, hasty, ledger, postgres, broker, lock)
    servers.record()
    write_atomically(folder / "ports.json", json.dumps({"postgres": postgres.port, "kafka": broker.port}).encode())
    return servers


@contextmanager
def embedded_servers(folder: Path, *, hasty: bool = False) -> Iterator[EmbeddedServers]:
    """`start_embedded`, and `stop` at the end of the block."""
    servers = start_embedded(folder, hasty=hasty)
    try:
        yield servers
    finally:
        servers.stop()


def is_owned(folder: Path) -> bool:
    """Whether a running process owns the folder."""
    try:
        with (folder / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _create(folder: Path) -> None:
    """Create the folder, closed to others; as root, others may pass through, since Postgres runs as another account."""
    if folder.exists():
        if not folder.is_dir():
            raise Refused(f"{folder} must be a folder, and is a file")
        return
    folder.mkdir(parents=True, mode=0o700)
    if os.geteuid() == 0:
        folder.chmod(0o711)


def _take(folder: Path) -> IO[str]:
    lock = (folder / "lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        owner = lock.read().strip() or "unknown"
        lock.close()
        raise Refused(
            f"{folder} is in use by process {owner}; stop that one, or choose another folder for --embedded"
        ) from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _ports_before(folder: Path) -> dict[str, int]:
    """The ports of the last start: taken again where they are free, so that addresses stay as they were."""
    try:
        found = json.loads((folder / "ports.json").read_text())
        return {str(name): int(port) for name, port in found.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _same_port(name: str, wanted: int, started: int) -> None:
    """The roles know the old port: a server that came back on another one is of no use to them."""
    if started != wanted:
        raise Unavailable(f"{name} ended, and another program took its port {wanted} on loopback before it was back")

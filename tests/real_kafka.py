"""A real Apache Kafka 4 without Docker: jars by Maven, one node in KRaft mode on loopback, for CI and for crash tests.

    python -m tests.real_kafka --fetch                 fetch the jars (once; about 56 MB)
    python -m tests.real_kafka --run COMMAND...        run a command with CALDRIFT_TEST_KAFKA=host:port of a fresh node

The jars lie in $CALDRIFT_PARTS/kafka, by default .parts/kafka of this checkout. The same folder again is the same
cluster with the same port and data; SIGTERM is a clean stop, SIGKILL a crash of the broker.
"""

import argparse
import base64
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from monitor.demo.ports import is_open
from monitor.demo.processes import GuardedServer, start_guarded
from tests.embedded import in_ci

VERSION: Final = "4.4.0"
LOG4J: Final = "2.25.3"
START_SECONDS: Final = 90.0
JVM: Final = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

POM: Final = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>caldrift.tests</groupId><artifactId>kafka-node</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version>
      <exclusions>
        <!-- {VERSION} declares it, but it was never published; a node does not need it -->
        <exclusion><groupId>org.apache.kafka</groupId><artifactId>kafka-tools-api</artifactId></exclusion>
      </exclusions>
    </dependency>
    <dependency>
      <!-- the binding for slf4j 1.7 -->
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>{LOG4J}</version>
    </dependency>
  </dependencies>
</project>
"""

LOGGING: Final = """status = error
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c{1} %m%n
"""


def properties(port: int, controller_port: int, data: Path) -> str:
    """server.properties of one node that is broker and controller. Old events must survive: no retention by time."""
    values = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller_port}",
        "log.dirs": data,
        "log.retention.ms": -1,
        "log.cleaner.dedupe.buffer.size": 2_097_152,
        "num.partitions": 4,
        "offsets.topic.num.partitions": 1,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.num.partitions": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500,
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


def parts_folder() -> Path:
    """Where downloaded parts are kept between runs."""
    named = os.environ.get("CALDRIFT_PARTS")
    return Path(named) if named else Path(__file__).resolve().parent.parent / ".parts"


def why_not() -> str | None:
    """Why no real Kafka can run here, in one line; None when it can."""
    if shutil.which("java") is None:
        return "a real Apache Kafka needs Java 17 or newer (Debian: openjdk-17-jre-headless)"
    if not _jars(parts_folder() / "kafka") and shutil.which("mvn") is None:
        return "a real Apache Kafka needs Maven to fetch its jars (Debian: maven)"
    return None


def why_not_yet() -> str | None:
    """Why a test should not wait for the jars: outside CI nobody asked for the download."""
    if _jars(parts_folder() / "kafka") or in_ci():
        return None
    return "a real Apache Kafka is not fetched yet: `make parts`"


def fetch(folder: Path | None = None) -> Path:
    """The folder with the jars, fetched where they are missing. A fetch that breaks off leaves nothing half done."""
    folder = folder or parts_folder() / "kafka"
    if _jars(folder):
        return folder / "lib"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as draft:
        (Path(draft) / "pom.xml").write_text(POM)
        command = ["mvn", "--batch-mode", "--quiet", "dependency:copy-dependencies", "-DincludeScope=runtime"]
        repository = os.environ.get("MAVEN_REPO")
        if repository:
            command.append(f"-Dmaven.repo.local={repository}")
        subprocess.run([*command, "-DoutputDirectory=lib"], cwd=draft, check=True, stdin=subprocess.DEVNULL)
        shutil.rmtree(folder / "lib", ignore_errors=True)
        (Path(draft) / "lib").rename(folder / "lib")
    return folder / "lib"


def _jars(folder: Path) -> bool:
    return (folder / "lib" / f"kafka_2.13-{VERSION}.jar").is_file()


@dataclass(slots=True)
class RealKafka:
    """One node with its folder. `start` and `stop` or `kill` may follow each other; port, cluster id and data stay."""

    folder: Path
    lib: Path
    port: int
    heap_megabytes: int = 256
    server: GuardedServer | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process id of the running node."""
        if self.server is None:
            raise RuntimeError("the node does not run")
        return self.server.pid

    def start(self) -> None:
        """Start the node and wait until it accepts connections, which it does when it is ready.

        It ends with this process, even when this process is killed.
        """
        java = shutil.which("java") or "java"
        command = [java, *_options(self.folder, self.lib, self.heap_megabytes), "kafka.Kafka", "server.properties"]
        self.server = start_guarded("kafka", command, self.folder / "kafka.log", [signal.SIGTERM], grace_seconds=30.0)
        deadline = time.monotonic() + START_SECONDS
        while not is_open(self.port):
            if not self.server.is_alive or time.monotonic() > deadline:
                raise RuntimeError(f"Kafka did not start: {self.server.last_words(20)}")
            time.sleep(0.05)

    def stop(self) -> None:
        """A clean stop."""
        if self.server is not None:
            self.server.stop()
            self.server = None

    def kill(self) -> None:
        """A crash of the broker."""
        if self.server is not None:
            if self.server.is_alive:
                os.kill(self.server.pid, signal.SIGKILL)
            self.stop()


def _options(folder: Path, lib: Path, heap_megabytes: int) -> list[str]:
    heap = [f"-Xms{heap_megabytes}m", f"-Xmx{heap_megabytes}m"]
    logging = f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}"
    return [*heap, *JVM, logging, "-cp", f"{lib}/*"]


def new_node(folder: Path, lib: Path) -> RealKafka:
    """Format an empty node in the folder, not yet started."""
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        port, controller_port = first.getsockname()[1], second.getsockname()[1]
    (folder / "server.properties").write_text(properties(port, controller_port, folder / "data"))
    (folder / "log4j2.properties").write_text(LOGGING)
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    command = [
        "java",
        *_options(folder, lib, 128),
        "kafka.tools.StorageTool",
        "format",
        "--standalone",
        f"--cluster-id={cluster_id}",
    ]
    result = subprocess.run(
        [*command, "-c", "server.properties"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise RuntimeError(f"Kafka's folder could not be formatted: {result.stdout}{result.stderr}")
    return RealKafka(folder, lib, port)


@contextmanager
def running_kafka(attempts: int = 3) -> Iterator[RealKafka]:
    """A fresh node in a folder of its own, stopped and removed afterwards. A port that was lost is tried again."""
    lib = fetch()
    for attempt in range(1, attempts + 1):
        with tempfile.TemporaryDirectory(prefix="caldrift-kafka-") as folder:
            node = new_node(Path(folder), lib)
            try:
                node.start()
            except RuntimeError:
                node.kill()
                if attempt == attempts:
                    raise
                continue
            try:
                yield node
            finally:
                node.stop()
            return


def run_with_kafka(command: Sequence[str]) -> int:
    """Run the command against a fresh node; returns its exit status."""
    with running_kafka() as node:
        print(f"Apache Kafka {VERSION} at {node.address}", file=sys.stderr, flush=True)
        return subprocess.run(
            command, env={**os.environ, "CALDRIFT_TEST_KAFKA": node.address}, stdin=subprocess.DEVNULL, check=False
        ).returncode


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="tests.real_kafka", description="A real Apache Kafka for tests.")
    parser.add_argument("--fetch", action="store_true", help="only fetch the jars")
    parser.add_argument("--run", nargs=argparse.REMAINDER, default=[], help="the command to run against a fresh node")
    options = parser.parse_args(arguments)
    reason = why_not()
    if reason is not None:
        print(reason, file=sys.stderr)
        return 1
    if options.fetch or not options.run:
        print(fetch(), file=sys.stderr)
        return 0
    return run_with_kafka(options.run)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

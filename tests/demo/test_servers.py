"""Embedded servers start, stop, and never outlive the process that started them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from kafka import KafkaAdminClient

from monitor.demo.broker import start_broker
from monitor.demo.ports import is_open
from monitor.demo.postgres_server import start_postgres
from monitor.demo.processes import Ledger, identity, start_guarded, write_atomically
from monitor.errors import Unavailable
from tests.embedded import private_folder

PARENT = """
import sys, time
from pathlib import Path
from monitor.demo.broker import start_broker
from monitor.demo.postgres_server import start_postgres
from monitor.demo.processes import Ledger
folder = Path(sys.argv[1])
ledger = Ledger(folder / "processes.json")
postgres, broker = start_postgres(folder / "postgres", hasty=True), start_broker(folder / "broker")
for name, server in (("postgres", postgres.server), ("broker", broker.server)):
    ledger.record(name, server.pid)
    ledger.record(name + "-guard", server.guard.pid)
print(postgres.server.pid, postgres.server.guard.pid, broker.server.pid, broker.server.guard.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with private_folder() as path:
        yield path


def wait_until_gone(*pids: int, seconds: float = 20.0) -> list[int]:
    deadline = time.monotonic() + seconds
    while (left := [pid for pid in pids if identity("", pid) is not None]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def start_parent(folder: Path) -> tuple[subprocess.Popen[str], list[int]]:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(folder)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        pids = [int(word) for word in parent.stdout.readline().split()]
    assert len(pids) == 4
    return parent, pids


def test_postgres_keeps_its_data_and_its_password_over_a_restart(folder: Path) -> None:
    first = start_postgres(folder / "postgres", hasty=True)
    with psycopg.connect(first.dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    first.stop()
    assert not is_open(first.port)
    second = start_postgres(folder / "postgres", first.port, hasty=True)
    try:
        assert second.dsn == first.dsn
        with psycopg.connect(second.dsn) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
    finally:
        second.stop()


def test_postgres_lets_nobody_in_without_the_password(folder: Path) -> None:
    server = start_postgres(folder / "postgres", hasty=True)
    try:
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(f"postgresql://caldrift:wrong@127.0.0.1:{server.port}/caldrift")
    finally:
        server.stop()


def test_a_killed_postgres_starts_again_on_the_same_port_with_what_was_committed(folder: Path) -> None:
    first = start_postgres(folder / "postgres")
    with psycopg.connect(first.dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    os.kill(first.server.pid, signal.SIGKILL)
    first.server.guard.wait()
    second = start_postgres(folder / "postgres", first.port)
    try:
        assert second.port == first.port
        with psycopg.connect(second.dsn) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
    finally:
        second.stop()


def test_every_start_of_the_broker_is_a_new_cluster_and_says_so_to_its_clients(folder: Path) -> None:
    seen = set()
    for _start in range(2):
        broker = start_broker(folder / "broker")
        try:
            with closing(KafkaAdminClient(bootstrap_servers=broker.address)) as admin:
                assert admin.describe_cluster()["cluster_id"] == broker.cluster_id
        finally:
            broker.stop()
        seen.add(broker.cluster_id)
        assert not is_open(broker.port)
    assert len(seen) == 2


def test_the_broker_listens_on_loopback_alone(folder: Path) -> None:
    broker = start_broker(folder / "broker")
    try:
        listening = {
            line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines() if f":{broker.port:04X} " in line
        }
        assert "00000000" not in {address.partition(":")[0] for address in listening}
        assert f"0100007F:{broker.port:04X}" in listening
    finally:
        broker.stop()


def test_a_wanted_port_that_is_taken_is_replaced_by_a_free_one(folder: Path) -> None:
    first = start_broker(folder / "one")
    second = start_broker(folder / "two", first.port)
    try:
        assert second.port != first.port
    finally:
        first.stop()
        second.stop()


def test_servers_end_when_the_process_that_started_them_is_killed(folder: Path) -> None:
    parent, pids = start_parent(folder)
    parent.kill()
    parent.wait()
    assert wait_until_gone(*pids) == []


def test_servers_end_when_their_guard_is_killed(folder: Path) -> None:
    parent, pids = start_parent(folder)
    try:
        os.kill(pids[1], signal.SIGKILL)
        os.kill(pids[3], signal.SIGKILL)
        assert wait_until_gone(pids[0], pids[2]) == []
    finally:
        parent.kill()
        parent.wait()


def test_the_next_start_ends_what_a_kill_left_behind(folder: Path) -> None:
    parent, pids = start_parent(folder)
    os.kill(pids[1], signal.SIGSTOP)
    os.kill(pids[3], signal.SIGSTOP)
    parent.kill()
    parent.wait()
    assert wait_until_gone(*pids, seconds=0.5) == pids
    names = Ledger(folder / "processes.json").end_survivors(patience_seconds=0.1)
    assert sorted(names) == ["broker", "broker-guard", "postgres", "postgres-guard"]
    assert wait_until_gone(*pids) == []


def test_a_process_id_that_was_given_out_again_is_left_alone(folder: Path) -> None:
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        ledger = Ledger(folder / "processes.json")
        ledger.record("broker", stranger.pid)
        content = (folder / "processes.json").read_bytes()
        write_atomically(folder / "processes.json", content.replace(b"sleep 60", b"tansu --x"))
        assert Ledger(folder / "processes.json").end_survivors(patience_seconds=0.0) == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_nothing_outside_the_folder_changes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = folder / "home"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(home))
    before = folder.parent.stat().st_mode
    postgres, broker = start_postgres(folder / "postgres", hasty=True), start_broker(folder / "broker")
    broker.stop()
    postgres.stop()
    assert list(home.iterdir()) == []
    assert folder.parent.stat().st_mode == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to change its account")
def test_root_hears_which_folder_the_unprivileged_account_cannot_enter(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(Exception, match="cannot enter"):
        start_postgres(closed / "postgres")
    assert closed.stat().st_mode & 0o777 == 0o700


def test_a_command_that_does_not_exist_is_named_in_the_log(folder: Path) -> None:
    server = start_guarded("nothing", ["/nonexistent/server"], folder / "log", [signal.SIGTERM])
    assert server.guard.wait() == 127
    assert "/nonexistent/server" in server.last_words()
    server.stop()


def test_servers_that_are_not_installed_are_named_with_the_mend(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(Unavailable, match=r"caldrift\[embedded\]"):
        start_broker(folder / "broker")

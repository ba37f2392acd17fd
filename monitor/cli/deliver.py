"""`caldrift deliver`: the role that tells people and other systems of alerts."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final

import typer

from monitor.cli import context

if TYPE_CHECKING:
    from monitor.config.sections import Settings
    from monitor.notify.channel import Sender


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("deliver")(deliver)


def deliver(
    supervised: Annotated[
        bool, typer.Option("--supervised", hidden=True, help="End when standard input does.")
    ] = False,
) -> None:
    """Tell of alerts until Ctrl-C: one thread a channel. SIGHUP reads secrets again. Several processes may run."""
    import os
    import socket
    import threading

    from monitor.config.values import kept
    from monitor.postgres.heartbeats import Process
    from monitor.web.pictures import reliability
    from monitor.workers.deliver import Role, run
    from monitor.workers.keeper import Keeping
    from monitor.workers.lifeline import stop_event
    from monitor.workers.logs import configure
    from monitor.workers.messenger import Telling

    configure()
    settings = context.settings()
    reload = threading.Event()
    stop = stop_event(supervised=supervised, reload=reload)
    telling = Telling(
        dsn=settings.postgres.dsn,
        sender=sender_of(settings),
        picture=lambda notice: reliability(notice, settings.readings.confidence_level),
        fresh_for=FRESH_EVALUATIONS * settings.windows.evaluate_every + settings.clock.rate * LONGEST_PASS,
    )
    keeping = Keeping(
        settings.postgres.dsn, kept(settings), settings.windows.evaluate_every, settings.web.public_url or ""
    )
    role = Role(telling, kept(settings), Process("deliver", os.getpid(), socket.gethostname()), keeping)
    run(role, stop, reload)


FRESH_EVALUATIONS: Final = 3
LONGEST_PASS: Final = timedelta(minutes=10)
"""A sign of life is given while the last evaluation began no longer ago than so many are apart, and one may take."""


def sender_of(settings: "Settings") -> "Sender":
    """Who tells: known by where its pages are or, where nobody said, by the name of the host."""
    import socket
    from urllib.parse import urlsplit

    from monitor.notify.channel import Sender
    from monitor.notify.exchange import Transport

    pages = settings.web.public_url or f"http://{settings.web.host}:{settings.web.port}"
    name = urlsplit(pages).netloc if settings.web.public_url else socket.gethostname()
    return Sender(name, pages, Transport())

"""`caldrift notify test`: one notice to one channel, at once, to see whether it arrives."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli import context
from monitor.errors import BadInput, BadSettings, CaldriftError, Unavailable

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.alerting.notice import Notice

notify = typer.Typer(name="notify", help="Channels that alerts are told on.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.add_typer(notify)


@notify.callback()
def _group() -> None:
    """Keeps `test` a command of the group, which has only the one."""


@notify.command("test")
def try_channel(
    channel: Annotated[str, typer.Argument(help="Name of a channel of the rules.")],
    rules: Annotated[
        Path | None, typer.Option(help="The file of rules; default the one that the service would read.")
    ] = None,
) -> None:
    """Send a test notice now, past the outbox, and print what came of it.

    Exit code 2 when the channel refuses it or cannot be used, 3 when it may take it later.
    """
    from monitor.cli.deliver import sender_of
    from monitor.config.rules import rule_book, rule_path
    from monitor.forms.refusals import meant
    from monitor.notify.channel import Errand, deliver
    from monitor.notify.outcome import Delivered, Retry
    from monitor.workers.clock import wall_now
    from monitor.workers.secrets import place_of

    settings = context.settings(servers=False)
    channels = rule_book(settings, rules or rule_path(settings, context.embedded())).file.channels
    if channel not in channels:
        hint = meant(sorted(channels), channel) or "; the rules have none"
        raise BadInput(f'CHANNEL must be one of channels, got "{channel}"{hint}', "channel")
    now, sender = wall_now(), sender_of(settings)
    place = place_of(channel, channels[channel])
    outcome = deliver(place, Errand(trial(now, sender.name), now, f"test {now.isoformat()}"), sender)
    if isinstance(outcome, Delivered):
        typer.echo(f"{channel}: delivered" + (f", {outcome.flaw}" if outcome.flaw else ""))
        _forgive(channel)
        return
    if isinstance(outcome, Retry):
        raise Unavailable(f"{channel}: not now: {outcome.reason}")
    raise BadSettings([f"channels.{channel}: refused: {outcome.reason}"])


def trial(now: "datetime", sender: str) -> "Notice":
    """A notice that says that it is a test."""
    from monitor.alerting.notice import Alert, Counts, Incident, Notice, Series

    said = f"A test of caldrift at {sender}: nothing is the matter."
    alert = Alert(
        rule="CaldriftTest",
        severity="info",
        series=Series("", "", ""),
        state="firing",
        started_at=now,
        summary=said,
    )
    incident = Incident(f"caldrift test {sender} {now.isoformat()}", said)
    return Notice(
        kind="test",
        incident=incident,
        alerts=(alert,),
        counts=Counts(firing=1, resolved=0),
        group=(("rule", alert.rule),),
        at=now,
    )


def _forgive(channel: str) -> None:
    """Have the service try a channel again that it thinks refuses everything, if there is a service yet."""
    from monitor.postgres.database import answering, connect
    from monitor.postgres.outbox import forgive

    try:
        dsn = context.settings().postgres.dsn
        with answering(dsn), connect(dsn, "caldrift notify") as connection:
            forgive(connection, [channel])
    except CaldriftError as failure:
        print(f"caldrift: the service was not told that the channel works: {failure}", file=sys.stderr)

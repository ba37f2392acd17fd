"""`caldrift outbox`: notices on their way to channels."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli import context
from monitor.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.postgres.database import Connection
    from monitor.postgres.deliveries import Choice, Delivery

    Change = Callable[[Connection, Choice], list[str]]

outbox = typer.Typer(name="outbox", help="Notices on their way to channels.", no_args_is_help=True)

_STATES = ("waiting", "told", "dead", "dropped")
Notices = Annotated[
    list[int] | None, typer.Argument(metavar="NOTICE", help="Numbers of notices, as `outbox list` shows them.")
]
Channel = Annotated[str | None, typer.Option(help="Only those of this channel.")]
All = Annotated[bool, typer.Option("--all", help="Those of all channels.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(outbox)


@outbox.command("list")
def list_deliveries(
    channel: Channel = None,
    state: Annotated[
        list[str] | None,
        typer.Option(metavar="STATE", help=f"One of {', '.join(_STATES)}, or several; default waiting and dead."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most, the newest first.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
) -> None:
    """List notices by channel: which wait and why, which are dead."""
    from monitor.postgres.database import answering, connect
    from monitor.postgres.deliveries import Choice, counted, listed

    states = tuple(state or ("waiting", "dead"))
    wrong = sorted(set(states) - set(_STATES))
    if wrong:
        raise BadInput(f"--state must be one of {', '.join(_STATES)}, got {wrong[0]}", "state")
    dsn = context.settings().postgres.dsn
    with answering(dsn), connect(dsn, "caldrift outbox") as connection:
        found = listed(connection, Choice(channel), states, limit)
        totals = counted(connection)
    for each in found:
        typer.echo(json.dumps(_document(each), ensure_ascii=False) if as_json else _line(each))
    if not as_json:
        said = ", ".join(f"{n} {name}" for name, n in totals.items())
        typer.echo(f"{len(found)} shown; in the outbox: {said}", err=True)


@outbox.command("retry")
def retry(notices: Notices = None, channel: Channel = None, everything: All = False) -> None:
    """Have dead notices told after all, and try at once what waits.

    Not those after which the channel was told more of the same incident: old news would contradict it.
    """
    from monitor.postgres.deliveries import retry as put_back

    n = _changed("outbox retry", _choice(notices, channel, everything=everything), put_back)
    typer.echo(f"{n} to be tried now")


@outbox.command("drop")
def drop(notices: Notices = None, channel: Channel = None, everything: All = False) -> None:
    """Never tell notices that wait or are dead. A receiver that was told of an incident may not hear of its end."""
    from monitor.postgres.deliveries import drop as take_out

    n = _changed("outbox drop", _choice(notices, channel, everything=everything), take_out)
    typer.echo(f"{n} dropped")


def _choice(notices: list[int] | None, channel: str | None, *, everything: bool) -> "Choice":
    from monitor.postgres.deliveries import Choice

    if everything == bool(notices or channel):
        raise BadInput("name notices or --channel, or say --all", "notices")
    return Choice(channel, tuple(notices) if notices else None)


def _changed(did: str, choice: "Choice", change: "Change") -> int:
    """Make the change, and write down who did; channels that something waits for again are tried again."""
    from monitor.cli.person import person
    from monitor.postgres.audit import note
    from monitor.postgres.database import answering, connect
    from monitor.postgres.outbox import forgive

    dsn = context.settings().postgres.dsn
    with answering(dsn), connect(dsn, "caldrift outbox") as connection, connection.transaction():
        channels = change(connection, choice)
        if channels:
            detail = {"channels": sorted(set(channels)), "deliveries": len(channels)}
            note(connection, person(), did, {**detail, "notices": list(choice.notices or ())})
            if did == "outbox retry":
                forgive(connection, sorted(set(channels)))
    return len(channels)


def _line(each: "Delivery") -> str:
    when = each.settled_at or each.due_at
    meant = {"waiting": "being told" if each.under_way else f"due {when:%Y-%m-%d %H:%M:%S}"}
    state = meant.get(each.state, f"{each.state} {when:%Y-%m-%d %H:%M:%S}")
    tries = f", {each.attempts} attempt{'s' if each.attempts != 1 else ''}" if each.attempts else ""
    reason = f": {each.error}" if each.error else ""
    return f"{each.notice:>6}  {each.channel}  {each.kind}  {each.title}  {state}{tries}{reason}"


def _document(each: "Delivery") -> dict[str, object]:
    return {
        "schema": 1,
        "notice": each.notice,
        "channel": each.channel,
        "incident": each.incident,
        "rule": each.rule,
        "title": each.title,
        "kind": each.kind,
        "state": each.state,
        "under_way": each.under_way,
        "attempts": each.attempts,
        "queued_at": each.queued_at.isoformat(),
        "due_at": each.due_at.isoformat() if each.state == "waiting" else None,
        "settled_at": each.settled_at.isoformat() if each.settled_at else None,
        "error": each.error,
    }

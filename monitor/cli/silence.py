"""`caldrift silence`: nobody is told of some alerts for a time, with a reason and an end."""

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from monitor.cli import context
from monitor.errors import BadInput

if TYPE_CHECKING:
    from datetime import timedelta, tzinfo

    from monitor.alerting.routes import Match
    from monitor.postgres.silences import SilenceRow

silence = typer.Typer(name="silence", help="Alerts that nobody is told of for a time.", no_args_is_help=True)

_MATCHED: Final = ("rule", "model", "segment", "signal", "severity")
Patterns = Annotated[
    list[str] | None, typer.Option(metavar="PATTERN", help="A pattern; * is any text, ! takes out. May be repeated.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(silence)


@silence.command("add")
def add(
    *,
    reason: Annotated[str, typer.Option(help="Why. Whoever looks at the alerts reads it.")],
    rule: Patterns = None,
    model: Patterns = None,
    segment: Annotated[
        list[str] | None, typer.Option(metavar="DIM=VALUE", help='lang=de, lang=*, or "" for the whole model.')
    ] = None,
    signal: Patterns = None,
    severity: Annotated[
        list[str] | None, typer.Option(metavar="SEVERITY", help="info, warning, error or critical.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All alerts.")] = False,
    length: Annotated[str | None, typer.Option("--for", help="How long, say 2h or 7d.")] = None,
    until: Annotated[datetime | None, typer.Option(help="When it ends, UTC unless it says otherwise.")] = None,
    start: Annotated[datetime | None, typer.Option("--from", help="When it begins; default now.")] = None,
) -> None:
    """Silence alerts that match all that is said. Times are of the service's clock."""
    from datetime import UTC

    from monitor.cli.person import person
    from monitor.postgres.database import answering, connect
    from monitor.postgres.silences import add_silence
    from monitor.workers.clock import load_clock

    match = _match(dict(zip(_MATCHED, (rule, model, segment, signal, severity), strict=True)), everything=everything)
    if (length is None) == (until is None):
        raise BadInput("a silence needs an end: give --for or --until, one of them", "until")
    if not reason.strip():
        raise BadInput("a silence needs a reason, got an empty one", "reason")
    dsn = context.settings().postgres.dsn
    with answering(dsn), connect(dsn, "caldrift silence") as connection:
        now = load_clock(connection).now()
        starts = now if start is None else _aware(start, UTC)
        ends = starts + _length(length) if length is not None else _aware(until or now, UTC)
        if ends <= now:
            raise BadInput(f"a silence must end after now, {now:%Y-%m-%d %H:%M} UTC, got {ends:%Y-%m-%d %H:%M} UTC")
        made = add_silence(connection, match, starts, ends, reason=reason.strip(), by=person(), now=now)
    typer.echo(f"silence {made} until {ends:%Y-%m-%d %H:%M} UTC")


@silence.command("list")
def list_silences(
    everything: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
) -> None:
    """List silences that hold or are to come, the newest first."""
    from monitor.postgres.database import answering, connect
    from monitor.postgres.silences import silences
    from monitor.workers.clock import load_clock

    dsn = context.settings().postgres.dsn
    with answering(dsn), connect(dsn, "caldrift silence") as connection:
        now = load_clock(connection).now()
        found = silences(connection, now, past=everything)
    for each in found:
        typer.echo(json.dumps(_document(each, now), ensure_ascii=False) if as_json else _line(each, now))
    if not as_json:
        typer.echo(f"{len(found)} shown", err=True)


@silence.command("expire")
def expire(
    number: Annotated[int, typer.Argument(metavar="ID", help="Its number, as `silence list` shows it.")],
) -> None:
    """End a silence now: what still fires is told."""
    from monitor.cli.person import person
    from monitor.postgres.database import answering, connect
    from monitor.postgres.silences import expire_silence
    from monitor.workers.clock import load_clock

    dsn = context.settings().postgres.dsn
    with answering(dsn), connect(dsn, "caldrift silence") as connection:
        expire_silence(connection, number, by=person(), now=load_clock(connection).now())
    typer.echo(f"silence {number} is over")


def _match(given: dict[str, list[str] | None], *, everything: bool) -> "Match":
    from pydantic import ValidationError

    from monitor.alerting.routes import Match

    said = {name: values for name, values in given.items() if values}
    if everything == bool(said):
        raise BadInput(f"say what to silence: one of --{', --'.join(_MATCHED)}, or --all", "rule")
    try:
        return Match.model_validate(said)
    except ValidationError as failure:
        first = failure.errors()[0]
        raise BadInput(f"--{first['loc'][0]}: {first['msg']}, got {first['input']!r}", str(first["loc"][0])) from None


def _length(text: str) -> "timedelta":
    from monitor.forms.durations import parse

    try:
        return parse(text)
    except ValueError as failure:
        raise BadInput(f"--for {failure}", "for") from None


def _aware(at: datetime, zone: "tzinfo") -> datetime:
    return at.replace(tzinfo=zone) if at.tzinfo is None else at.astimezone(zone)


def _state(each: "SilenceRow", now: datetime) -> str:
    if each.expired_at is not None:
        return "expired"
    if each.ends_at <= now:
        return "over"
    return "holds" if each.is_active(now) else "to come"


def _line(each: "SilenceRow", now: datetime) -> str:
    parts = ", ".join(f"{name}={' '.join(values) or '(whole model)'}" for name, values in each.match.items())
    times = f"{each.starts_at:%Y-%m-%d %H:%M} to {each.ends_at:%Y-%m-%d %H:%M}"
    ended = "" if each.expired_by is None else f" (ended by {each.expired_by})"
    return (
        f"{each.id:>5}  {_state(each, now):<7}  {times}  {parts or 'everything'}  {each.made_by}: {each.reason}{ended}"
    )


def _document(each: "SilenceRow", now: datetime) -> dict[str, object]:
    return {
        "schema": 1,
        "silence": each.id,
        "state": _state(each, now),
        "match": each.match,
        "starts_at": each.starts_at.isoformat(),
        "ends_at": each.ends_at.isoformat(),
        "reason": each.reason,
        "made_by": each.made_by,
        "expired_at": None if each.expired_at is None else each.expired_at.isoformat(),
        "expired_by": each.expired_by,
    }

"""`caldrift dead-letters`: the messages that could not be used."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli import context
from monitor.errors import BadInput

if TYPE_CHECKING:
    from monitor.postgres.dead_letters import StoredDeadLetter

dead_letters = typer.Typer(name="dead-letters", help="Messages that could not be used.", no_args_is_help=True)

Reason = Annotated[str | None, typer.Option(help="Only those rejected for this reason, say confidence_out_of_range.")]
Topic = Annotated[str | None, typer.Option(help="Only those of this topic.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(dead_letters)


@dead_letters.command("list")
def list_letters(
    reason: Reason = None,
    topic: Topic = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most, the newest first.")] = 20,
    bodies: Annotated[bool, typer.Option("--bodies", help="With the messages themselves.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
) -> None:
    """List dead letters. Where each came from, and what was wrong with it."""
    from monitor.postgres.database import answering, connect
    from monitor.postgres.dead_letters import counts, read

    _check(reason)
    dsn = context.settings().postgres.dsn
    with connect(dsn, "caldrift dead-letters") as connection, answering(dsn):
        found = read(connection, reason=reason, topic=topic, limit=limit, newest_first=True)
        totals = counts(connection)
    if as_json:
        for each in found:
            typer.echo(json.dumps(_document(each, bodies=bodies), ensure_ascii=False))
        return
    for each in found:
        letter = each.letter
        place = f"{letter.topic}/{letter.part} offset {letter.kafka_offset}"
        typer.echo(f"{letter.received_at:%Y-%m-%d %H:%M:%S}  {place}  {letter.reason}: {letter.message}")
        if bodies:
            typer.echo(f"    {_text(letter.value)}")
    typer.echo(
        f"{len(found)} shown; stored: {', '.join(f'{name} {n}' for name, n in totals.items()) or 'none'}", err=True
    )


@dead_letters.command("replay")
def replay(
    reason: Reason = None,
    topic: Topic = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most, the oldest first.")] = 10_000,
) -> None:
    """Publish dead letters again, and drop them. Each into its own partition, say after a field mapping was mended.

    One that still cannot be used comes back as a new dead letter.
    """
    from monitor.config.connections import kafka_access
    from monitor.kafka.publisher import Publisher
    from monitor.postgres.database import answering, connect
    from monitor.postgres.dead_letters import delete, read

    _check(reason)
    settings = context.settings()
    dsn = settings.postgres.dsn
    done = after = 0
    with connect(dsn, "caldrift dead-letters") as connection, answering(dsn), Publisher(kafka_access(settings)) as out:
        newest = max((each.id for each in read(connection, limit=1, newest_first=True)), default=0)
        while done < limit:
            found = read(connection, reason=reason, topic=topic, after=after, limit=min(1000, limit - done))
            found = [each for each in found if each.id <= newest]  # those that come back must not go round and round
            if not found:
                break
            for each in found:
                out.send(each.letter.topic, each.letter.key, each.letter.value, each.letter.part)
            out.flush()
            delete(connection, [each.id for each in found])
            done, after = done + len(found), found[-1].id
    typer.echo(f"{done} messages published again")


def _check(reason: str | None) -> None:
    from monitor.events.messages import REASONS

    if reason is not None and reason not in REASONS:
        raise BadInput(f"--reason must be one of {', '.join(REASONS)}, got {reason}", "reason")


def _document(stored: "StoredDeadLetter", *, bodies: bool) -> dict[str, object]:
    letter = stored.letter
    document: dict[str, object] = {
        "schema": 1,
        "id": stored.id,
        "topic": letter.topic,
        "partition": letter.part,
        "offset": letter.kafka_offset,
        "reason": letter.reason,
        "message": letter.message,
        "received_at": letter.received_at.isoformat(),
    }
    return document | {"key": _text(letter.key), "value": _text(letter.value)} if bodies else document


def _text(body: bytes | None) -> str | None:
    """A body for the eye: what is no UTF-8 is shown as escapes."""
    return None if body is None else body.decode("utf-8", "backslashreplace")

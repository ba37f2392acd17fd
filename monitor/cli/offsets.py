"""`caldrift offsets`: what has been read of Kafka, and an operator's decision to read on from elsewhere."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli import context
from monitor.errors import BadInput, Refused

if TYPE_CHECKING:
    from monitor.config.sections import Settings

offsets = typer.Typer(name="offsets", help="What has been read of Kafka.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(offsets)


@offsets.command("show")
def show(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show next offsets, ends and lag. The end of each partition is that when it was last seen."""
    from monitor.cli.figures import instant_words, table
    from monitor.postgres.database import answering, connect
    from monitor.postgres.offsets import read_offsets

    settings = context.settings()
    dsn = settings.postgres.dsn
    with connect(dsn, "caldrift offsets") as connection, answering(dsn):
        stored = read_offsets(connection, settings.kafka.group_id)
    if as_json:
        documents = [
            {
                "topic": each.topic,
                "partition": each.part,
                "next_offset": each.next_offset,
                "high_water": each.high_water,
                "lag": each.lag,
                "cluster_id": each.cluster_id,
                "updated_at": each.updated_at.isoformat(),
            }
            for each in stored
        ]
        typer.echo(json.dumps({"schema": 1, "group_id": settings.kafka.group_id, "offsets": documents}))
        return
    if not stored:
        typer.echo(f"group {settings.kafka.group_id} has read nothing yet", err=True)
        return
    rows = [
        [f"{each.topic}/{each.part}", str(each.next_offset), _known(each.high_water), _known(each.lag),
         instant_words(each.updated_at, "never")]
        for each in stored
    ]  # fmt: skip
    typer.echo(table(["topic/partition", "next offset", "end seen", "lag", "last batch"], rows, right=(1, 2, 3)))


def _known(value: int | None) -> str:
    return "-" if value is None else str(value)


@offsets.command("reset")
def reset(
    topic: Annotated[str | None, typer.Option(help="Topic of the partition.")] = None,
    partition: Annotated[int | None, typer.Option(min=0, help="Number of the partition.")] = None,
    to: Annotated[str | None, typer.Option(help="Where to read on: an offset, earliest or latest.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Forget all offsets of the group: it begins anew, on whichever cluster.")
    ] = False,
) -> None:
    """Read a partition on from another offset, or begin anew. Reading twice changes nothing; what is skipped is lost.

    It may be done while `caldrift ingest` runs: the process sees it with its next batch.
    """
    settings = context.settings()
    if everything:
        if topic is not None or partition is not None or to is not None:
            raise BadInput("--all must stand alone, without --topic, --partition and --to", "offsets")
        _forget(settings)
    elif topic is None or partition is None or to is None:
        raise BadInput("give --topic, --partition and --to, or --all", "offsets")
    else:
        _reset(settings, topic, partition, to)


def _forget(settings: "Settings") -> None:
    from monitor.postgres.database import answering, connect
    from monitor.postgres.offsets import forget

    dsn = settings.postgres.dsn
    topics = [settings.kafka.predictions_topic, settings.kafka.labels_topic]
    with connect(dsn, "caldrift offsets") as connection, answering(dsn):
        n = forget(connection, settings.kafka.group_id, topics)
    typer.echo(f"{n} offsets of group {settings.kafka.group_id} forgotten; it begins at {settings.kafka.start_from}")


def _reset(settings: "Settings", topic: str, partition: int, to: str) -> None:
    from monitor.config.connections import kafka_access
    from monitor.kafka.topics import topic_spans
    from monitor.postgres.database import answering, connect
    from monitor.postgres.offsets import reset
    from monitor.workers.progress import published

    first, ends = topic_spans(kafka_access(settings), [topic]).first, published(kafka_access(settings), (topic,))
    place = (topic, partition)
    if place not in ends:
        raise Refused(f"topic {topic} has no partition {partition}; it has {len(ends)}")
    named = {"earliest": first[place], "latest": ends[place]}
    if to not in named and not to.isdecimal():
        raise BadInput(f"--to must be an offset, earliest or latest, got {to}", "offsets")
    offset = named[to] if to in named else int(to)
    if not first[place] <= offset <= ends[place]:
        raise Refused(f"{topic}/{partition} holds the offsets {first[place]} to {ends[place]}, not {offset}")
    dsn = settings.postgres.dsn
    with connect(dsn, "caldrift offsets") as connection, answering(dsn):
        before = reset(connection, settings.kafka.group_id, topic, partition, offset)
    change = f"{offset - before} messages are skipped" if offset > before else f"{before - offset} are read again"
    typer.echo(f"{topic}/{partition}: next offset {before} -> {offset}; {change}")

"""`caldrift review`: confident errors and spot checks, from the command line."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from monitor.cli import context, options

if TYPE_CHECKING:
    from monitor.postgres.database import Connection
    from monitor.postgres.reviews import Item
    from monitor.review.matrix import Cell

review = typer.Typer(name="review", help="Answers that people look at.", no_args_is_help=True)

Model = Annotated[str, typer.Argument(help="Name of the model.", show_default=False)]
Segment = Annotated[
    list[str] | None, typer.Option(metavar="DIM=VALUE", help="Only of this slice, as lang=de. May be repeated.")
]
Window = Annotated[str | None, typer.Option(help="Only predictions of this window: 12h, 7d, all.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(review)


@review.command("find")
def find(model: Model, *, window: Window = None, segment: Segment = None, as_json: options.Json = False) -> None:
    """Put confident errors in the queue. With a control sample, drawn at random from all answers."""
    from monitor.cli.person import person
    from monitor.postgres.labelled import Selection
    from monitor.postgres.lookup import find_model
    from monitor.postgres.retention import read_floor
    from monitor.postgres.reviews import add_errors
    from monitor.web.links import segment_of
    from monitor.web.reviewpage import since
    from monitor.workers.clock import load_clock

    settings = context.settings()
    with _connected(settings.postgres.dsn) as connection:
        find_model(connection, model)
        now = load_clock(connection).now()
        begins = since(window or "", now) or read_floor(connection)
        main = settings.events.main_signal
        added = add_errors(
            connection,
            Selection(model, begins, now, segment_of(segment or []), main_signal=main),
            limit=settings.review.queue_size,
            control_share=settings.review.control_share,
            now=now,
            by=person(),
        )
    typer.echo(json.dumps({"schema": 1, "added": added}) if as_json else f"{added} added to the queue of {model}")


@review.command("draw")
def draw(model: Model, *, as_json: options.Json = False) -> None:
    """Draw spot checks from what came since the last draw."""
    from monitor.cli.person import person
    from monitor.postgres.lookup import find_model
    from monitor.postgres.spot_checks import draw as draw_from
    from monitor.workers.clock import load_clock

    settings = context.settings()
    with _connected(settings.postgres.dsn) as connection:
        find_model(connection, model)
        made = draw_from(
            connection,
            model,
            settings.review.spot_check_share,
            main_signal=settings.events.main_signal,
            now=load_clock(connection).now(),
            by=person(),
        )
    if as_json:
        typer.echo(json.dumps({"schema": 1, "drawn": made.drawn, "of": made.n, "strata": made.strata}))
    else:
        typer.echo(f"{made.drawn} of {made.n} predictions of {model} drawn")


@review.command("list")
def list_items(
    model: Model,
    *,
    queue: Annotated[Literal["errors", "spot_check"], typer.Option(help="Which queue.")] = "errors",
    window: Window = None,
    segment: Segment = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
) -> None:
    """List what waits for somebody, in the order of the queue."""
    from monitor.postgres.lookup import find_model
    from monitor.postgres.reviews import waiting
    from monitor.web.links import segment_of
    from monitor.web.reviewapi import document
    from monitor.web.reviewpage import since
    from monitor.workers.clock import load_clock

    with _connected(context.settings().postgres.dsn) as connection:
        find_model(connection, model)
        begins = since(window or "", load_clock(connection).now())
        found = waiting(connection, model, queue, since=begins, segment=segment_of(segment or []), limit=limit)
    for each in found:
        typer.echo(json.dumps({"schema": 1, **document(each)}, ensure_ascii=False) if as_json else _line(each))
    if not as_json:
        typer.echo(f"{len(found)} shown", err=True)


@review.command("answer")
def answer(
    item: Annotated[int, typer.Argument(help="Its number, as `review list` shows it.", show_default=False)],
    reason: Annotated[str, typer.Argument(help="What is the matter, or right / wrong.", show_default=False)],
    *,
    truth: Annotated[str, typer.Option(help="The right answer.")] = "",
    note: Annotated[str, typer.Option(help="For whoever reads it later.")] = "",
) -> None:
    """Answer an item. A wrong label is corrected, and a spot check becomes a label, by Kafka."""
    from monitor.cli.person import person
    from monitor.config.connections import kafka_access
    from monitor.config.values import event_rules
    from monitor.kafka.outlet import Outlet
    from monitor.postgres.reviews import Answer
    from monitor.review.corrections import message_of
    from monitor.web.answering import answer as give
    from monitor.workers.clock import load_clock

    settings = context.settings()
    rules, outlet = event_rules(settings), Outlet(kafka_access(settings), settings.kafka.labels_topic)
    with _connected(settings.postgres.dsn) as connection:

        @contextmanager
        def transaction() -> Iterator["Connection"]:
            with connection.transaction():
                yield connection

        given = give(
            transaction,
            lambda label, model: outlet.send(*message_of(label, model, rules)),
            item,
            Answer(reason, person(), truth.strip(), note.strip()),
            load_clock(connection).now(),
        )
    outlet.close()
    typer.echo(f"item {item}: {given.reason}" + ("; its label was sent" if given.label else ""))


@review.command("matrix")
def show_matrix(
    model: Model,
    dimension: Annotated[str, typer.Argument(help="Of segments, say lang.", show_default=False)],
    *,
    window: options.Window = "all",
    signal: options.Signal = None,
    as_json: options.Json = False,
) -> None:
    """Show how often each value of a dimension is right. By how sure the model was."""
    from monitor.cli.figures import table
    from monitor.errors import BadInput
    from monitor.postgres.lookup import find_model
    from monitor.postgres.matrices import counts_by_value, dimensions
    from monitor.review.matrix import BANDS, matrix

    settings = context.settings()
    of_signal, level = signal or settings.events.main_signal, settings.readings.confidence_level
    with _connected(settings.postgres.dsn) as connection:
        find_model(connection, model)
        known = dimensions(connection, model, of_signal)
        if dimension not in known:
            raise BadInput(f"{model} has no dimension {dimension}; there is: {', '.join(known) or 'none'}", "dimension")
        rows = matrix(counts_by_value(connection, model, of_signal, window, dimension), level)
    if as_json:
        found = [
            {"value": row.value, "bands": [_cell(each) for each in row.cells], "all": _cell(row.total)} for row in rows
        ]
        typer.echo(json.dumps({"schema": 1, "model": model, "dimension": dimension, "from": BANDS, "rows": found}))
        return
    head = [dimension, *(f"from {low:g}" for low in BANDS), "all"]
    typer.echo(table(head, [[row.value, *map(_text, (*row.cells, row.total))] for row in rows], range(1, len(head))))
    typer.echo(f"\n* the stated confidence lies outside the {100 * level:g} % interval of this share")


@contextmanager
def _connected(dsn: str) -> Iterator["Connection"]:
    from monitor.postgres.database import answering, connect

    with answering(dsn), connect(dsn, "caldrift review") as connection:
        yield connection


def _cell(cell: "Cell") -> dict[str, object]:
    return {"n": cell.n, "accuracy": cell.accuracy, "interval": [cell.low, cell.high], "gap": cell.gap}


def _text(cell: "Cell") -> str:
    return "" if cell.accuracy is None else f"{100 * cell.accuracy:.0f} % of {cell.n}{'*' if cell.off else ' '}"


def _line(item: "Item") -> str:
    segment = ",".join(f"{name}={value}" for name, value in sorted(item.segments.items()))
    unsent = f"  (answered {item.reason}, its label was not sent)" if item.reason else ""
    return f"{item.id:>6}  {item.predicted_at:%Y-%m-%d %H:%M}  {segment}  {item.reference or item.prediction}{unsent}"

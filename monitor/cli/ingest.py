"""`caldrift ingest`: one process that reads the topics and joins what they bring."""

from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli import context

if TYPE_CHECKING:
    from monitor.config.sections import Settings
    from monitor.workers.ingest import IngestPlan


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("ingest")(ingest)


def ingest(
    supervised: Annotated[
        bool, typer.Option("--supervised", hidden=True, help="End when standard input ends.")
    ] = False,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=2,
            help="2: decode while Postgres works; 1: not. Default 2 where cores are more than ingest processes.",
        ),
    ] = None,
) -> None:
    """Read predictions and labels, and join them, until SIGTERM. From Kafka into Postgres; run as many as you like."""
    from monitor.workers.ingest import Ingest
    from monitor.workers.lifeline import stop_event
    from monitor.workers.logs import configure

    configure()
    stop = stop_event(supervised=supervised)
    Ingest(ingest_plan(context.settings(), threads), stop).run()


def ingest_plan(settings: "Settings", threads: int | None = None) -> "IngestPlan":
    """What an ingest process of these settings depends on."""
    import os
    from functools import partial

    from monitor.config.connections import intake_settings, kafka_access
    from monitor.config.values import event_rules, is_primary_source, segment_scheme, series_bound
    from monitor.events.decoding import label_decoder, prediction_decoder
    from monitor.postgres.database import Database
    from monitor.workers.apply import JoinRules
    from monitor.workers.batch import Decoders
    from monitor.workers.flood import FloodLimit
    from monitor.workers.ingest import IngestPlan

    rules = event_rules(settings)
    cores = len(os.sched_getaffinity(0))
    return IngestPlan(
        database=Database(settings.postgres.dsn),
        kafka=kafka_access(settings),
        intake=intake_settings(settings),
        decoders=Decoders(
            settings.kafka.predictions_topic,
            prediction_decoder(rules),
            settings.kafka.labels_topic,
            label_decoder(rules),
        ),
        rules=lambda reader: JoinRules(
            reader=reader,
            scheme=segment_scheme(settings),
            bound=partial(series_bound, settings),
            is_primary=partial(is_primary_source, settings),
            id_scope=rules.id_scope,
        ),
        flood=FloodLimit(settings.ingest.dead_letter_share, settings.ingest.dead_letter_run),
        stall_after_seconds=settings.ingest.stall_after.total_seconds(),
        start_from=settings.kafka.start_from,
        threaded=(settings.ingest.processes < cores) if threads is None else threads == 2,
    )

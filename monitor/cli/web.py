"""`caldrift web`: the pages, the API and /metrics."""

from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli import context

if TYPE_CHECKING:
    from monitor.config.sections import Settings
    from monitor.web.options import WebOptions


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("web")(web)


def web(
    host: Annotated[str | None, typer.Option(help="Address to listen at; default web.host.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="Port; 0 takes a free one.")] = None,
    supervised: Annotated[
        bool, typer.Option("--supervised", hidden=True, help="End when standard input does.")
    ] = False,
    descriptor: Annotated[
        int | None, typer.Option("--descriptor", hidden=True, help="Listening socket that is open already.")
    ] = None,
) -> None:
    """Serve the pages, the API and /metrics until Ctrl-C."""
    from monitor.config.connections import kafka_access
    from monitor.config.values import event_rules
    from monitor.kafka.outlet import Outlet
    from monitor.postgres.database import connect
    from monitor.postgres.migration import head
    from monitor.review.corrections import message_of
    from monitor.web.app import create_app
    from monitor.web.connections import Connections
    from monitor.web.pulse import beating
    from monitor.web.server import serve
    from monitor.workers.lifeline import stop_event
    from monitor.workers.logs import configure

    configure()
    settings = context.settings({"web.host": host, "web.port": port})
    options = web_options(settings)
    dsn = settings.postgres.dsn
    connections = Connections(lambda: connect(dsn, "caldrift web", statement_timeout_seconds=STATEMENT_SECONDS))
    rules, outlet = event_rules(settings), Outlet(kafka_access(settings), settings.kafka.labels_topic)
    app = create_app(options, connections, head(), lambda label, model: outlet.send(*message_of(label, model, rules)))
    stop = stop_event(supervised=supervised)
    with beating(lambda: connect(dsn, "caldrift web pulse"), f"{options.host}:{settings.web.port}"):
        status = serve(app, options.host, settings.web.port, stop, descriptor)
    connections.close()
    outlet.close()
    raise typer.Exit(status)


STATEMENT_SECONDS = 10.0


def web_options(settings: "Settings") -> "WebOptions":
    """What the web role is told, from the settings."""
    from monitor.config.values import segment_scheme, windows
    from monitor.web.options import WebOptions

    return WebOptions(
        windows=tuple(window.name for window in windows(settings)),
        group_id=settings.kafka.group_id,
        labels_topic=settings.kafka.labels_topic,
        main_signal=settings.events.main_signal,
        dimensions=segment_scheme(settings).dimensions,
        min_labels=settings.readings.min_labels,
        host=settings.web.host,
        token=settings.web.token.get_secret_value() if settings.web.token else None,
        operator_token=settings.web.operator_token.get_secret_value() if settings.web.operator_token else None,
        open=settings.web.open,
        allowed_hosts=settings.web.allowed_hosts,
        maturity=settings.windows.maturity,
        public_url=settings.web.public_url or "",
        max_metric_series=settings.web.max_metric_series,
        queue_size=settings.review.queue_size,
        control_share=settings.review.control_share,
        spot_check_share=settings.review.spot_check_share,
    )

"""`caldrift evaluate`: the role that keeps panes, windows and readings."""

from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli import context

if TYPE_CHECKING:
    from monitor.calibration.reading import ReadingSettings
    from monitor.config.sections import Settings
    from monitor.postgres.retention import Horizons
    from monitor.workers.standing import Evaluation


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("evaluate")(evaluate)


def evaluate(
    supervised: Annotated[
        bool, typer.Option("--supervised", hidden=True, help="End when standard input does.")
    ] = False,
) -> None:
    """Keep panes, windows and readings up to date until Ctrl-C. One process leads, further ones stand by."""
    import os
    import socket

    from monitor.cli.recalibrating import recalibrating_of
    from monitor.config.rules import read_rules, rule_book, rule_path
    from monitor.postgres.heartbeats import Process
    from monitor.workers.evaluate import Role, run
    from monitor.workers.lifeline import stop_event
    from monitor.workers.logs import configure
    from monitor.workers.rulesource import RuleSource

    configure()
    settings = context.settings()
    path = rule_path(settings, context.embedded())
    rule_book(settings, path)
    rules = RuleSource(
        lambda text: rule_book(settings, path) if text is None else read_rules(settings, text, "rules in force"),
        settings.windows.evaluate_every,
        settings.web.public_url or "",
    )
    role = Role(
        settings.postgres.dsn,
        evaluation_of(settings),
        horizons_of(settings),
        Process("evaluate", os.getpid(), socket.gethostname()),
        rules,
        recalibrating=recalibrating_of(settings),
    )
    run(role, stop_event(supervised=supervised, reload=rules.wanted))


def evaluation_of(settings: "Settings") -> "Evaluation":
    """What is evaluated, and how."""
    from monitor.config.detectors import detector_rules
    from monitor.config.values import windows
    from monitor.workers.standing import Evaluation

    return Evaluation(
        windows=windows(settings),
        maturity=settings.windows.maturity,
        every=settings.windows.evaluate_every,
        reading=reading_settings(settings),
        main_signal=settings.events.main_signal,
        drift=detector_rules(settings),
    )


def reading_settings(settings: "Settings", bins: int | None = None, edges: str | None = None) -> "ReadingSettings":
    """How sketches are read; `bins` and `edges` where a command asks for others. Raises BadInput."""
    from typing import cast

    from monitor.calibration.cells import Edges
    from monitor.calibration.reading import ReadingSettings

    own = settings.readings
    return ReadingSettings(
        bins=own.bins if bins is None else bins,
        edges=cast("Edges", own.edges if edges is None else edges),
        confidence_level=own.confidence_level,
        min_labels=own.min_labels,
    )


def horizons_of(settings: "Settings") -> "Horizons":
    """How long things are kept."""
    from monitor.postgres.retention import Horizons

    kept, windows = settings.retention, settings.windows
    return Horizons(
        label=kept.label_horizon,
        correction=kept.correction_horizon,
        history=kept.history_horizon,
        readings=kept.readings,
        dead_letters=kept.dead_letters,
        hour_panes=windows.maturity + max(windows.lengths) + kept.label_horizon + kept.correction_horizon,
    )

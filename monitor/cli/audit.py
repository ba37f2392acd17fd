"""`caldrift audit`: what the gates that a team has today really buy."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli import context, options
from monitor.cli.choice import Choice, choose
from monitor.cli.files import Files
from monitor.cli.measure import PARTIAL
from monitor.errors import BadInput

if TYPE_CHECKING:
    from monitor.calibration.audit import Gate


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("audit")(audit)


def audit(
    model: Annotated[str | None, typer.Argument(help="Name of the model.", show_default=False)] = None,
    *,
    gate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GATE", help="0.9, or with what it promises: 0.9=0.95; repeatable; default 0.8, 0.9, 0.95."
        ),
    ] = None,
    promised: Annotated[
        float | None, typer.Option(help="What gates without a promise of their own promise; default their threshold.")
    ] = None,
    level: Annotated[float | None, typer.Option(help="Of the intervals; default readings.confidence_level.")] = None,
    predictions: options.Predictions = None,
    labels: options.Labels = None,
    pairs: options.Pairs = None,
    confidence_column: options.ConfidenceColumn = "confidence",
    correct_column: options.CorrectColumn = "correct",
    model_column: options.ModelColumn = None,
    by: options.By = None,
    signal: options.Signal = None,
    segment: options.Segment = "",
    window: options.Window = "all",
    maturity: options.Maturity = None,
    as_of: options.AsOf = None,
    as_json: options.Json = False,
    shown: options.Shown = 20,
    rejects: options.Rejects = None,
) -> None:
    """Audit gates: what does "auto-approve from 0.9 on" buy?

    The accuracy above it, with its interval, from files or from the store.

    Exit code 1 when a gate surely breaks its promise, or there was nothing to audit; 4 when some rows were bad.
    """
    import msgspec

    from monitor.calibration.audit import Audits
    from monitor.calibration.audit import audit as audited
    from monitor.calibration.reading import ReadingSettings
    from monitor.calibration.sampling import labelling_of
    from monitor.cli.thresholding import audits_text

    gates = [_gate(text, promised) for text in gate or ("0.8", "0.9", "0.95")]
    files = Files(predictions, labels, pairs, confidence_column, correct_column, model_column)
    settings = context.settings(servers=not files.paths)
    asked = Choice(files, model, signal, tuple(by or ()), (), segment, window, maturity, as_of, shown, rejects)
    series, some_bad = choose(settings, asked)
    at = ReadingSettings(confidence_level=settings.readings.confidence_level if level is None else level)
    found = [
        audited(one.whole, gates, at.confidence_level, one.subject, warnings=labelling_of(one.whole, at).warnings)
        for one in series
    ]
    if as_json:
        sys.stdout.write(msgspec.json.encode(Audits(audits=found)).decode() + "\n")
    elif found:
        print(audits_text(found))
    else:
        print("no prediction: nothing to audit", file=sys.stderr)
    if not found or any(each.verdict == "breaks" for one in found for each in one.gates):
        raise typer.Exit(1)
    if some_bad:
        raise typer.Exit(PARTIAL)


def _gate(text: str, promised: float | None) -> "Gate":
    from monitor.calibration.audit import Gate

    threshold, _, own = text.partition("=")
    try:
        at = float(threshold)
        return Gate(at, float(own) if own else at if promised is None else promised)
    except ValueError:
        raise BadInput(f"--gate must be a threshold such as 0.9, or 0.9=0.95, got {text}", "gate") from None

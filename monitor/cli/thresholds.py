"""`caldrift thresholds`: thresholds of confidence that keep a promise, certified."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli import context, options
from monitor.cli.choice import Choice, Chosen, bars, choose
from monitor.cli.deployed import on_deployed, put_in_force
from monitor.cli.files import Files
from monitor.cli.measure import PARTIAL
from monitor.errors import BadInput

if TYPE_CHECKING:
    from monitor.calibration.bands import Bands
    from monitor.calibration.certificates import Promise


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("thresholds")(thresholds)


def thresholds(
    model: Annotated[str | None, typer.Argument(help="Name of the model.", show_default=False)] = None,
    *,
    target: Annotated[float, typer.Option(help="Accept where at least this share is right.")] = 0.95,
    reject: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Reject where at most this share is right.")
    ] = None,
    delta: Annotated[float, typer.Option(help="Chance that a certificate is wrong, at most.")] = 0.05,
    start: Annotated[
        float, typer.Option(help="Threshold at which the walk begins; choose it before you see the labels.")
    ] = 0.95,
    jointly: Annotated[
        bool, typer.Option("--jointly", help="Delta is for all certificates together, in equal parts.")
    ] = False,
    also: Annotated[
        list[str] | None,
        typer.Option(metavar="RULE", help='Accept only where another signal is high too: "consistency >= 0.8".'),
    ] = None,
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
    deploy: Annotated[
        bool, typer.Option("--deploy", help="Put what is certified in force: its promise is watched from now on.")
    ] = False,
    deployed: Annotated[
        bool, typer.Option("--deployed", help="Show the certificates in force and how their promises stand.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="With --deployed: those that were retired, too.")] = False,
    retire: Annotated[int | None, typer.Option(metavar="ID", help="Take a certificate out of force.")] = None,
) -> None:
    """Certify thresholds above which enough answers are right.

    At least this share, with a guarantee, from files or from the store.

    Exit code 1 when nothing could be certified or, of --deployed, a promise is broken; 4 when some rows of files were
    bad.
    """
    if deployed or retire is not None:
        if on_deployed(model, deployed=deployed, retire=retire, deploy=deploy, past=everything, as_json=as_json):
            raise typer.Exit(1)
        return
    import msgspec

    from monitor.calibration.bands import ManyBands
    from monitor.cli.thresholding import thresholds_text

    promises = _promises(target, reject, delta, start)
    files = Files(predictions, labels, pairs, confidence_column, correct_column, model_column)
    if deploy and files.paths:
        raise BadInput("--deploy needs a series of the store: there its promise can be watched", "deploy")
    settings = context.settings(servers=not files.paths)
    asked = Choice(
        files, model, signal, tuple(by or ()), tuple(also or ()), segment, window, maturity, as_of, shown, rejects
    )
    series, some_bad = choose(settings, asked)
    parts = len(series) * len(promises) if jointly else 1
    found = [_bands(each, promises, parts, asked.also) for each in series]
    if as_json:
        sys.stdout.write(msgspec.json.encode(ManyBands(thresholds=found)).decode() + "\n")
    elif found:
        print(thresholds_text(found))
    else:
        print("no prediction: nothing to certify", file=sys.stderr)
    if deploy:
        print("\n".join(put_in_force(settings, series, found)), file=sys.stderr)
    _leave(found, some_bad=some_bad)


def _leave(found: "list[Bands]", *, some_bad: bool) -> None:
    if some_bad:
        raise typer.Exit(PARTIAL)
    if not any(each.certified for one in found for each in one.certificates):
        raise typer.Exit(1)


def _promises(target: float, reject: float | None, delta: float, start: float) -> "list[Promise]":
    from monitor.calibration.certificates import Promise

    accept = Promise(target, delta, start)
    return [accept] if reject is None else [accept, Promise(reject, delta, 1.0, "reject")]


def _bands(chosen: Chosen, promises: "list[Promise]", parts: int, also: tuple[str, ...]) -> "Bands":
    from dataclasses import replace

    from monitor.calibration.bands import bands_of
    from monitor.calibration.reading import ReadingSettings
    from monitor.calibration.sampling import labelling_of

    return bands_of(
        chosen.sketch,
        [replace(promise, delta=promise.delta / parts) for promise in promises],
        chosen.subject,
        whole=chosen.whole,
        also=[bar.words for bar in bars(also)],
        warnings=labelling_of(chosen.whole, ReadingSettings()).warnings,
    )

"""`caldrift compare`: is one release worse calibrated than the one before it? By exit code, for a pipeline."""

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from monitor.cli import context, options
from monitor.cli.choice import Choice, choose
from monitor.cli.files import Files, pair_columns, reader
from monitor.errors import BadInput

if TYPE_CHECKING:
    from monitor.calibration.comparison import Answers, Sides
    from monitor.config.sections import Settings
    from monitor.files.rejections import Rejections

WORSE: Final = 1
UNTOLD: Final = 4


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options said."""

    before: str
    after: str
    files: Files
    id_column: str | None
    model: str | None
    dimension: str
    signal: str | None
    segment: str
    window: str
    maturity: str | None


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("compare")(compare)


def compare(
    *,
    before: Annotated[str, typer.Option(metavar="X", help="A file of pairs or predictions, a model, or a version.")],
    after: Annotated[str, typer.Option(metavar="Y", help="The same of the new release.")],
    limit: Annotated[float, typer.Option(help="The change of ECE up to which nobody minds.")] = 0.03,
    model: Annotated[str | None, typer.Option(help="X and Y are versions of this model.")] = None,
    dimension: Annotated[str, typer.Option(help="With --model: the dimension of its versions.")] = "model_version",
    level: Annotated[float | None, typer.Option(help="Of the interval; default readings.confidence_level.")] = None,
    labels: options.Labels = None,
    predictions: Annotated[
        Path | None, typer.Option("--predictions", help="File of predictions in which X and Y are models.")
    ] = None,
    pairs: Annotated[Path | None, typer.Option("--pairs", help="File of pairs in which X and Y are models.")] = None,
    id_column: Annotated[
        str | None,
        typer.Option(help="Of pairs: what tells the question; default prediction_id, question_id, id or question."),
    ] = None,
    confidence_column: options.ConfidenceColumn = "confidence",
    correct_column: options.CorrectColumn = "correct",
    model_column: options.ModelColumn = None,
    signal: options.Signal = None,
    segment: options.Segment = "",
    window: options.Window = "all",
    maturity: options.Maturity = None,
    as_json: options.Json = False,
    shown: options.Shown = 20,
    rejects: options.Rejects = None,
) -> None:
    """Compare the calibration of two releases. Better, same, worse, or cannot tell.

    Exit code 0 for better and same, 1 for worse, 4 when it cannot be told.
    """
    import msgspec

    from monitor.calibration.comparison import compare as compared
    from monitor.calibration.reading import ReadingSettings
    from monitor.cli.thresholding import comparison_text
    from monitor.files.rejections import Rejections

    files = Files(predictions, labels, pairs, confidence_column, correct_column, model_column)
    asked = Asked(before, after, files, id_column, model, dimension, signal, segment, window, maturity)
    stored = not files.paths and not all(map(is_file, (before, after)))
    settings = context.settings(servers=stored)
    kept = settings.readings
    how = ReadingSettings(kept.bins, kept.edges, kept.confidence_level if level is None else level, kept.min_labels)
    with Rejections(lambda line: print(line, file=sys.stderr), shown, rejects) as refused:
        sides = _stored(settings, asked) if stored else _of_files(settings, asked, refused)
        refused.finish()
    found = compared(sides, limit, how)
    if as_json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    else:
        print(comparison_text(found))
    if found.verdict == "worse":
        raise typer.Exit(WORSE)
    if found.verdict == "cannot tell" or refused.counts:
        raise typer.Exit(UNTOLD)


def is_file(text: str) -> bool:
    """Whether a side names a file: one that is there, or a name that ends like one."""
    from monitor.files.formats import is_named_like_a_file

    return Path(text).is_file() or is_named_like_a_file(Path(text))


def _stored(settings: "Settings", asked: Asked) -> "Sides":
    """Two series of the store, as two samples."""
    from monitor.calibration.comparison import Sides

    found = []
    for name in (asked.before, asked.after):
        if is_file(name):
            raise BadInput(f"both sides must be files or both names of the store, got {asked.before}, {asked.after}")
        segment = asked.segment
        if asked.model is not None:
            segment = ",".join(part for part in (f"{asked.dimension}={name}", segment) if part)
        choice = Choice(
            model=asked.model or name,
            signal=asked.signal,
            segment=segment,
            window=asked.window,
            maturity=asked.maturity,
        )
        [chosen], _ = choose(settings, choice)
        found.append(chosen.whole)
    return Sides(asked.before, asked.after, (found[0], found[1]))


def _of_files(settings: "Settings", asked: Asked, refused: "Rejections") -> "Sides":
    from dataclasses import replace

    from monitor.calibration.comparison import sides_of

    one, again = _answers(settings, asked, asked.before, refused)
    other, again_after = _answers(settings, asked, asked.after, refused)
    sides = sides_of((asked.before, one), (asked.after, other))
    if again + again_after:
        sides = replace(
            sides, notes=(*sides.notes, f"{again + again_after} answers without a question or to one that came before")
        )
    return sides


def _answers(settings: "Settings", asked: Asked, side: str, refused: "Rejections") -> "tuple[Answers, int]":
    from monitor.files.answers import event_answers, id_column, pair_answers
    from monitor.files.formats import source
    from monitor.files.measure import Wanted
    from monitor.files.slices import Slices

    files, of_events = asked.files, asked.files.labels is not None
    together = files.predictions if of_events else files.pairs
    if files.pairs is not None and files.model_column is None:
        raise BadInput("--pairs needs --model-column, to tell both sides apart", "usage")
    path, only = (Path(side), asked.model) if together is None else (together, side)
    file = source(path)
    if of_events and files.labels is not None:
        both = (file, source(files.labels))
        now = datetime.now(UTC)
        return event_answers(both, reader(settings), now, told=_silent, rejections=refused, only=only)
    columns = pair_columns(settings, files, Wanted(Slices(), None if files.model_column else only))
    question = asked.id_column or id_column(file)
    return pair_answers(file, columns, question, told=_silent, rejections=refused, only=only)


def _silent(_: int) -> None:
    """Two files of answers are read before a bar would be drawn."""

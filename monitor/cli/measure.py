"""`caldrift measure`: calibration of files, without any server."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from monitor.cli import context
from monitor.errors import BadInput

if TYPE_CHECKING:
    from monitor.calibration.reading import Reading, ReadingSettings
    from monitor.files.measure import Measured

PARTIAL = 4


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("measure")(measure)


def measure(
    *,
    predictions: Annotated[
        Path | None, typer.Option("--predictions", help="File of predictions: JSON lines, CSV or Parquet.")
    ] = None,
    labels: Annotated[Path | None, typer.Option("--labels", help="File of labels.")] = None,
    pairs: Annotated[
        Path | None, typer.Option("--pairs", help="One file with confidence and outcome in a row, instead of both.")
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option("--by", metavar="DIM", help="Also by this dimension, or DIM*DIM; repeatable.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Only this model; without a model column, its name.")
    ] = None,
    signal: Annotated[str | None, typer.Option("--signal", help="Only this signal.")] = None,
    bins: Annotated[int | None, typer.Option("--bins", help="Number of bins; default readings.bins.")] = None,
    edges: Annotated[str | None, typer.Option("--edges", help="right_closed or left_closed.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    html: Annotated[Path | None, typer.Option("--html", metavar="OUT", help="Write a page with diagrams.")] = None,
    bins_table: Annotated[bool, typer.Option("--bins-table", help="Print each series in full.")] = False,
    confidence_column: Annotated[str, typer.Option(help="Of --pairs.")] = "confidence",
    correct_column: Annotated[str, typer.Option(help="Of --pairs: true, false, or a share 0 to 1.")] = "correct",
    model_column: Annotated[str | None, typer.Option(help="Of --pairs.")] = None,
    segment_column: Annotated[
        list[str] | None, typer.Option(metavar="DIM", help="Of --pairs: the same as --by; repeatable.")
    ] = None,
    shown: Annotated[int, typer.Option("--shown", min=0, help="Bad rows to name, of each reason.")] = 20,
    rejects: Annotated[Path | None, typer.Option("--rejects", metavar="OUT", help="Write every bad row here.")] = None,
) -> None:
    """Measure calibration from files: no server. Exit code 4 when some rows were bad, 1 when nothing was measured."""
    from monitor.cli.files import Files, measured_files
    from monitor.config.values import reading_settings
    from monitor.files.measure import Wanted, unknown_slices
    from monitor.files.rejections import Rejections
    from monitor.files.slices import slices

    settings = context.settings(servers=False)
    how = reading_settings(settings, bins, cast('Literal["right_closed", "left_closed"] | None', edges))
    wanted = Wanted(slices([*(by or []), *(segment_column or [])]), model)
    given = Files(predictions, labels, pairs, confidence_column, correct_column, model_column)
    with Rejections(lambda line: print(line, file=sys.stderr), shown, rejects) as refused:
        measured = measured_files(settings, given, wanted, refused)
        refused.finish()
    readings = [each for each in _readings(measured, how, settings.windows.maturity) if signal in {None, each.signal}]
    for name in unknown_slices(measured, wanted.slices):
        print(f"no prediction has a value of {name}", file=sys.stderr)
    _show(readings, measured, given.paths, as_json=as_json, html=html, bins_table=bins_table)
    nothing = not any(reading.n_predictions for reading in readings)
    if nothing:
        asked = " and ".join(f"{what} {name}" for what, name in (("model", model), ("signal", signal)) if name)
        print(f"no prediction{asked and ' of '}{asked}: nothing to measure", file=sys.stderr)
    if refused.counts:
        raise typer.Exit(PARTIAL)
    if nothing:
        raise typer.Exit(1)


def _readings(measured: "Measured", how: "ReadingSettings", maturity: timedelta) -> "list[Reading]":
    """A reading of each series over all time, whatever the age of its labels: `reading --window all --maturity 0`.

    They are as of the latest event, so that one file always gives one text; mature is what is old enough today.
    """
    from msgspec.structs import replace

    from monitor.calibration.readout import read
    from monitor.rolling.subjects import subject_of

    today = datetime.now(UTC)
    readings = []
    for name, whole in measured.series.items():
        length = timedelta(0) if measured.latest_at is None else maturity
        subject = replace(subject_of(name, "all", whole.span, today, length), as_of=measured.latest_at)
        readings.append(read(whole.sketch, how, subject))
    return readings


def _show(
    readings: "list[Reading]",
    measured: "Measured",
    files: list[Path],
    *,
    as_json: bool,
    html: Path | None,
    bins_table: bool,
) -> None:
    """Print what was asked for: JSON or a table on standard output, a page in a file, a summary on stderr."""
    from monitor.calibration.reading import to_json
    from monitor.cli.figures import reading_text, readings_table

    if html is not None:
        _write_page(html, readings, " and ".join(path.name for path in files))
    if as_json:
        sys.stdout.write(to_json(readings, measured.input).decode() + "\n")
        return
    if bins_table or len(readings) == 1:
        print("\n\n".join(reading_text(reading) for reading in readings))
    elif readings:
        print(readings_table(readings))
    print(_summary(measured), file=sys.stderr)


def _write_page(path: Path, readings: "list[Reading]", source: str) -> None:
    from monitor.web.document import html_document

    try:
        path.write_text(html_document(readings, "Calibration", source), encoding="utf-8")
    except OSError as failure:
        raise BadInput(f"{path}: cannot be written: {failure.strerror}", "usage") from None


def _summary(measured: "Measured") -> str:
    """`1,000 predictions, 900 labels (3 duplicates); 5 bad rows`."""
    from monitor.cli.figures import plural

    found = measured.input
    bad = found["dead_letters"]
    n_bad = sum(bad.values()) if isinstance(bad, dict) else bad
    more = [f"{n:,} {name.replace('_', ' ')}" for name, n in list(found.items())[2:] if isinstance(n, int) and n]
    extra = f" ({', '.join(more)})" if more else ""
    held = ", ".join(plural(n, name[:-1]) for name, n in list(found.items())[:2] if isinstance(n, int))
    return f"{held}{extra}; {plural(n_bad, 'bad row')}"

"""Options that several commands share: which files, and which series."""

from pathlib import Path
from typing import Annotated

import typer

Predictions = Annotated[
    Path | None, typer.Option("--predictions", help="File of predictions: JSON lines, CSV or Parquet.")
]
Labels = Annotated[Path | None, typer.Option("--labels", help="File of labels.")]
Pairs = Annotated[
    Path | None, typer.Option("--pairs", help="One file with confidence and outcome in a row, instead of both.")
]
ConfidenceColumn = Annotated[str, typer.Option("--confidence-column", help="Of --pairs.")]
CorrectColumn = Annotated[str, typer.Option("--correct-column", help="Of --pairs: true, false, or a share 0 to 1.")]
ModelColumn = Annotated[str | None, typer.Option("--model-column", help="Of --pairs.")]
By = Annotated[
    list[str] | None, typer.Option("--by", metavar="DIM", help="Also by this dimension, or DIM*DIM; repeatable.")
]
Signal = Annotated[str | None, typer.Option("--signal", help="Which confidence; default the main one.")]
Segment = Annotated[str, typer.Option("--segment", help="In the store: a slice, as lang=de; default all events.")]
Window = Annotated[str, typer.Option("--window", help="In the store: length of prediction time: 12h, 7d or all.")]
Maturity = Annotated[
    str | None, typer.Option("--maturity", help="In the store: leave out predictions younger than this; 0 takes all.")
]
AsOf = Annotated[str | None, typer.Option("--as-of", help="In the store: as it was known then (RFC 3339).")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Shown = Annotated[int, typer.Option("--shown", min=0, help="Bad rows to name, of each reason.")]
Rejects = Annotated[Path | None, typer.Option("--rejects", metavar="OUT", help="Write every bad row here.")]

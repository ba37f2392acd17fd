"""The files that a command was given, measured: one file of pairs, or predictions and labels to be joined."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.errors import BadInput

if TYPE_CHECKING:
    from monitor.config.sections import Settings
    from monitor.files.formats import Source
    from monitor.files.measure import Measured, Reader, Wanted
    from monitor.files.pairs import PairColumns
    from monitor.files.rejections import Rejections
    from monitor.rolling.agreement import Agreement
    from monitor.rolling.segments import Dimension


@dataclass(frozen=True, slots=True)
class Extra:
    """Dimensions and pairs of signals that a command asks for; they go before declared ones of their names."""

    dimensions: "tuple[Dimension, ...]" = ()
    agreements: "tuple[Agreement, ...]" = ()


@dataclass(frozen=True, slots=True)
class Files:
    """What the options name."""

    predictions: Path | None = None
    labels: Path | None = None
    pairs: Path | None = None
    confidence_column: str = "confidence"
    correct_column: str = "correct"
    model_column: str | None = None

    @property
    def paths(self) -> list[Path]:
        """The files, in order."""
        return [path for path in (self.pairs, self.predictions, self.labels) if path is not None]


def measured_files(
    settings: "Settings",
    files: Files,
    wanted: "Wanted",
    refused: "Rejections",
    extra: Extra = Extra(),
) -> "Measured":
    """Measure the files.

    Raises BadInput unless there is one file of pairs, or predictions and labels.
    """
    if files.pairs is not None and files.predictions is None and files.labels is None:
        columns = pair_columns(settings, files, wanted, extra)
        return _measure_pairs(settings, files.pairs, columns, wanted, refused)
    if files.pairs is None and files.predictions is not None and files.labels is not None:
        return _measure_events(settings, (files.predictions, files.labels), wanted, refused, extra)
    raise BadInput("give --predictions and --labels, or --pairs", "usage")


def pair_columns(settings: "Settings", files: Files, wanted: "Wanted", extra: Extra = Extra()) -> "PairColumns":
    """Which columns of a file of pairs are read."""
    from monitor.config.values import segment_scheme
    from monitor.files.pairs import PairColumns
    from monitor.rolling.segments import Dimension

    declared = {dimension.name: dimension for dimension in (*segment_scheme(settings).dimensions, *extra.dimensions)}
    of_slices = tuple(declared.get(name, Dimension(name)) for name in wanted.slices.dimensions)
    model = wanted.model or "model"
    return PairColumns(files.confidence_column, files.correct_column, files.model_column, model, of_slices)


def _measure_pairs(
    settings: "Settings", path: Path, columns: "PairColumns", wanted: "Wanted", refused: "Rejections"
) -> "Measured":
    from monitor.cli.progress import progress
    from monitor.files.formats import source
    from monitor.files.measure import measure_pairs

    file = source(path)
    with progress("reading", file.size) as told:
        return measure_pairs(file, columns, wanted, settings.events.main_signal, told=told, rejections=refused)


def _measure_events(
    settings: "Settings",
    paths: tuple[Path, Path],
    wanted: "Wanted",
    refused: "Rejections",
    extra: Extra,
) -> "Measured":
    from monitor.cli.progress import progress
    from monitor.files.formats import source
    from monitor.files.measure import measure_events

    files: tuple[Source, Source] = (source(paths[0]), source(paths[1]))
    with progress("reading", sum(file.size for file in files)) as told:
        return measure_events(files, reader(settings, extra), wanted, datetime.now(UTC), told=told, rejections=refused)


def reader(settings: "Settings", extra: Extra = Extra()) -> "Reader":
    """How events are read and grouped."""
    from dataclasses import replace
    from functools import partial

    from monitor.config.values import event_rules, is_primary_source, segment_scheme, series_bound
    from monitor.files.measure import Reader

    scheme = segment_scheme(settings)
    names, pairs = {each.name for each in extra.dimensions}, {each.dimension for each in extra.agreements}
    scheme = replace(
        scheme,
        dimensions=(*(each for each in scheme.dimensions if each.name not in names), *extra.dimensions),
        agreements=(*(each for each in scheme.agreements if each.dimension not in pairs), *extra.agreements),
    )
    return Reader(event_rules(settings), scheme, series_bound(settings), partial(is_primary_source, settings))

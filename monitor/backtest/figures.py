"""Figures: what the measures read of every series at one hour, each worked out once, and when it is asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from monitor.backtest.stretches import EVER, HeldSketches, HeldTallies, Stretch
from monitor.calibration.cells import FloatArray, Int64Array
from monitor.calibration.delays import median_delay
from monitor.calibration.estimates import Estimates
from monitor.calibration.measures import OF_CELLS, Sums, estimates
from monitor.calibration.panel import panel_of, parts_of
from monitor.calibration.reading import Bin, BinsSetting, Reading, ReadingSettings
from monitor.calibration.sketch import Row, Sketch
from monitor.calibration.tallies import TALLIED, Tallies
from monitor.errors import NotEnoughData
from monitor.rolling.stacks import sketches

COUNTS: Final = ("n", "n_predictions")
DELAY: Final = "label_delay_seconds"
NEED_SKETCHES: Final = frozenset({*OF_CELLS, DELAY})
"""Measures that tallies cannot tell."""


@dataclass(frozen=True, slots=True)
class Source:
    """What slides, by row: tallies of all series, and whole sketches of those whose rules need them, which are at the
    rows `sketched` (ascending)."""

    tallies: HeldTallies
    sketches: HeldSketches
    sketched: Int64Array
    settings: ReadingSettings


class Figures:
    """One hour's figures. It is of no use any more once the source has moved on."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._level = source.settings.confidence_level
        self._tallies: dict[Stretch, Tallies] = {}
        self._known: dict[tuple[Stretch, str], Estimates] = {}
        self._sketches: dict[Stretch, dict[int, Sketch]] = {}

    def tallies(self, stretch: Stretch) -> Tallies:
        """The sums of every series over a stretch."""
        if stretch not in self._tallies:
            self._tallies[stretch] = self._source.tallies.tallies(stretch)
        return self._tallies[stretch]

    @property
    def matured(self) -> Int64Array:
        """(S,) labels that have ever matured."""
        return self.tallies(EVER).n

    def estimates(self, stretch: Stretch, measure: str) -> Estimates:
        """(S,) a measure of every series, NaN where it is not known."""
        key = stretch, measure
        if key not in self._known:
            self._known[key] = self._estimates(stretch, measure)
        return self._known[key]

    def reading(self, stretch: Stretch, row: int, measure: str) -> Reading:
        """What a reading of one series says of one measure, to the last digit; `method` and the other measures are left
        out, and the name is."""
        of_row = self.tallies(stretch).of(np.array([row]))
        found = self.estimates(stretch, measure)
        value = float(found.value[row])
        coverage = float(of_row.coverage[0])
        known = {} if np.isnan(value) or measure in COUNTS else {measure: value}
        interval = (float(found.low[row]), float(found.high[row]))
        whole = {
            "n_predictions": int(of_row.n_predictions[0]),
            "n": int(of_row.n[0]),
            "coverage": None if np.isnan(coverage) else coverage,
        } | known
        return Reading(
            model="",
            bins_setting=BinsSetting(self._source.settings.bins, self._source.settings.edges),
            intervals={measure: interval} if known and not np.isnan(interval[0]) else {},
            missing={} if known else {measure: found.reason or "not known"},
            confidence_level=self._level,
            not_enough_labels=False,
            bins=self._bins(of_row),
            **whole,  # type: ignore[arg-type]  # the fields have these types
        )

    def _bins(self, of_row: Tallies) -> list[Bin]:
        return of_row.shown_bins(self._level)[0]

    def _estimates(self, stretch: Stretch, measure: str) -> Estimates:
        tallies = self.tallies(stretch)
        if measure in TALLIED:
            return tallies.measured([measure], self._level)[measure]
        if measure in COUNTS:
            value = (tallies.n if measure == "n" else tallies.n_predictions).astype(np.float64)
            return _exact(value, "")
        if measure == DELAY:
            return self._delays(stretch)
        return self._of_cells(stretch, measure)

    def _held(self, stretch: Stretch) -> Mapping[int, Sketch]:
        """The sketches by row."""
        if stretch not in self._sketches:
            rows = self._source.sketched.tolist()
            self._sketches[stretch] = {
                rows[place]: sketch for place, sketch in sketches(self._source.sketches.stack(stretch))
            }
        return self._sketches[stretch]

    def _delays(self, stretch: Stretch) -> Estimates:
        value, reason = self._blank(), ""
        for row, sketch in self._held(stretch).items():
            try:
                value[row] = median_delay(sketch)
            except NotEnoughData as failure:
                reason = str(failure)
        return _exact(value, reason)

    def _of_cells(self, stretch: Stretch, measure: str) -> Estimates:
        held = [(row, sketch) for row, sketch in self._held(stretch).items() if sketch.total(Row.N)]
        value, low, high, reason = self._blank(), self._blank(), self._blank(), "no labels"
        every = [sketch for _, sketch in held]
        for some in parts_of(every):
            rows = [row for row, _ in held[some]]
            found = self._read(every[some], measure)
            value[rows], low[rows], high[rows] = found.value, found.low, found.high
            reason = found.reason
        return Estimates(value, low, high, reason)

    def _read(self, given: Sequence[Sketch], measure: str) -> Estimates:
        settings = self._source.settings
        return estimates(Sums(panel_of(given), settings.bins, settings.edges, self._level), [measure])[measure]

    def _blank(self) -> FloatArray:
        return np.full(len(self.tallies(EVER).table), np.nan)


def _exact(value: FloatArray, reason: str) -> Estimates:
    unknown = np.full(len(value), np.nan)
    return Estimates(value, unknown, unknown, reason)

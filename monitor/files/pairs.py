"""Files of pairs, confidence and whether it was right: straight into sketches, a run of rows at a time."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from monitor.calibration.cells import CELLS, cell_index
from monitor.calibration.sketch import ROWS, Sketch, contributions, empty, gather
from monitor.errors import BadInput
from monitor.events.checks import share, text
from monitor.events.mapping import look_up
from monitor.files.fields import number_of, switch_of, typed
from monitor.files.formats import Format, Source
from monitor.files.rows import BadRow, Records, Told, encodable, lines, records
from monitor.files.slices import Segment, Slices
from monitor.rolling.segments import Dimension

Floats = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]

_RANGE: Final = "confidence_out_of_range"
_MOST_KEPT: Final = 100_000


@dataclass(frozen=True, slots=True)
class PairColumns:
    """Which column holds what. Without a column for the model, all rows belong to `model_name`."""

    confidence: str = "confidence"
    correct: str = "correct"
    model: str | None = None
    model_name: str = "model"
    dimensions: tuple[Dimension, ...] = ()
    """The slices' dimensions; each reads the column of its `source`."""

    @property
    def names(self) -> tuple[str, ...]:
        first = (self.confidence, self.correct, *((self.model,) if self.model else ()))
        return tuple(dict.fromkeys((*first, *(dimension.source for dimension in self.dimensions))))


@dataclass(slots=True)
class PairSums:
    """What the rows add up to: sketches by model and slice, and how many rows there were."""

    predictions: int = 0
    labels: int = 0
    keys: Int64s = field(default_factory=lambda: np.zeros(0, np.int64))
    sums: Int64s = field(default_factory=lambda: np.zeros((ROWS, 0), np.int64))
    groups: dict[tuple[str, ...], int] = field(default_factory=dict)

    def sketches(self, columns: PairColumns, slices: Slices) -> dict[tuple[str, Segment], Sketch]:
        """The sketch of each model and slice, in order of name."""
        members: dict[tuple[str, Segment], list[int]] = {}
        for (model, *values), number in self.groups.items():
            known = zip(columns.dimensions, values, strict=True)
            named = {dimension.name: value for dimension, value in known if value}
            for segment in slices.of(named):
                members.setdefault((model, segment), []).append(number)
        group, cell = np.divmod(self.keys, CELLS)
        found = {}
        for name in sorted(members):
            rows = np.flatnonzero(np.isin(group, members[name]))
            cells, sums = gather(cell[rows], self.sums[:, rows])
            found[name] = replace(empty(), cells=cells.astype(np.int16), sums=sums)
        return found


def add_pairs(
    file: Source, columns: PairColumns, told: Told, refuse: Callable[[list[BadRow]], None], only: str | None = None
) -> PairSums:
    """Read a file of pairs to its end. `refuse` gets the bad rows as they are met; `only` keeps one model.

    Raises BadInput when a column is missing.
    """
    total = PairSums()
    read = _Reader(columns)
    for confidence, correct, groups in _kept(file, read, told, refuse, only):
        keys = groups * CELLS + cell_index(confidence)
        added, sums = gather(keys, contributions(confidence, correct))
        total.keys, total.sums = gather(np.concatenate([total.keys, added]), np.concatenate([total.sums, sums], axis=1))
        total.predictions += len(confidence)
        total.labels += int(np.count_nonzero(~np.isnan(correct)))
    total.groups = {name: number for name, number in read.groups.items() if only in {None, name[0]}}
    return total


@dataclass(frozen=True, slots=True, eq=False)
class PairRows:
    """The good rows of a file of pairs, in their order: all (n,)."""

    confidence: Floats
    outcome: Floats
    """NaN without a label."""
    group: Int64s
    """The place in `names` of the row's model and the values of its dimensions."""
    names: tuple[tuple[str, ...], ...]


def pair_rows(
    file: Source, columns: PairColumns, told: Told, refuse: Callable[[list[BadRow]], None], only: str | None = None
) -> PairRows:
    """Read a file of pairs and keep its rows; as `add_pairs`, which keeps their sums."""
    read = _Reader(columns)
    runs = [*_kept(file, read, told, refuse, only), (np.zeros(0), np.zeros(0), np.zeros(0, np.int64))]
    confidence, outcome, group = zip(*runs, strict=True)
    return PairRows(np.concatenate(confidence), np.concatenate(outcome), np.concatenate(group), tuple(read.groups))


def _kept(
    file: Source, read: "_Reader", told: Told, refuse: Callable[[list[BadRow]], None], only: str | None
) -> Iterator[tuple[Floats, Floats, Int64s]]:
    """Confidence, outcome and group of the good rows, in runs; `only` keeps one model."""
    for run in _runs(file, read.columns, told):
        confidence, correct, groups, bad = read.run(run)
        refuse(sorted((*run.bad, *bad), key=lambda each: each.row))
        kept = ~np.isnan(confidence)
        if only is not None:
            of_model = np.array([name[0] == only for name in read.groups] or [False])
            kept &= of_model[groups]
        if kept.any():
            yield confidence[kept], correct[kept], groups[kept]


def _runs(file: Source, columns: PairColumns, told: Told) -> Iterator[Records]:
    """Runs whose columns are those that are wanted, in order; empty values are None or ''."""
    if file.format is Format.JSON_LINES:
        for chunk in lines(file, told):
            yield _parsed(chunk.rows, chunk.bodies, chunk.bad, columns)
        return
    for records_chunk in records(file, told):
        places = _places(file, records_chunk.columns, columns)
        records_chunk.values = [tuple(values[place] for place in places) for values in records_chunk.values]
        yield Records(columns.names, records_chunk.rows, records_chunk.values, records_chunk.bad)


def _places(file: Source, held: Sequence[str], columns: PairColumns) -> list[int]:
    missing = [name for name in columns.names if name not in held]
    if missing:
        raise BadInput(f"{file.path}: has no column {', '.join(missing)}; it has {', '.join(held)}", "usage")
    return [held.index(name) for name in columns.names]


def _parsed(rows: list[int], bodies: list[bytes], bad: list[BadRow], columns: PairColumns) -> Records:
    made = Records(columns.names, [], [], bad)
    for row, body in zip(rows, bodies, strict=True):
        try:
            record = msgspec.json.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as failure:
            made.bad.append(BadRow(row, "undecodable", f"the body must be JSON text in UTF-8: {failure}", body))
            continue
        if not isinstance(record, dict):
            made.bad.append(BadRow(row, "schema", "a row must be a JSON object", body))
            continue
        made.rows.append(row)
        made.values.append(tuple(look_up(record, name) for name in columns.names))
    return made


class _Reader:
    """Turns runs of values into arrays; remembers what each text stands for."""

    def __init__(self, columns: PairColumns) -> None:
        self.columns = columns
        self.groups: dict[tuple[str, ...], int] = {}
        self._places = {name: place for place, name in enumerate(columns.names)}
        self._outcomes: dict[object, float] = {}
        self._group_of: dict[tuple[object, ...], int] = {}

    def run(self, run: Records) -> tuple[Floats, Floats, Int64s, list[BadRow]]:
        """Confidence (NaN for a bad row), outcome (NaN without a label) and group of each row, and the bad rows."""
        if not run.values:
            return np.zeros(0), np.zeros(0), np.zeros(0, np.int64), []
        by_column = list(zip(*run.values, strict=True))
        quick = self._quickly(by_column) if all(map(_is_unicode, by_column)) else None
        return self._one_by_one(run) if quick is None else (*quick, [])

    def _grouping(self, by_column: Sequence[Sequence[object]]) -> list[Sequence[object]]:
        names = [*([self.columns.model] if self.columns.model else []), *(d.source for d in self.columns.dimensions)]
        return [by_column[self._places[name]] for name in names]

    def _quickly(self, by_column: Sequence[Sequence[object]]) -> tuple[Floats, Floats, Int64s] | None:
        """The arrays of a run in which everything is as it should be; None when anything is not."""
        stated = by_column[self._places[self.columns.confidence]]
        judged = by_column[self._places[self.columns.correct]]
        try:
            confidence = np.array(list(map(float, stated)))  # type: ignore[arg-type]
            correct = np.array([self._outcomes[value] for value in judged])
        except (KeyError, TypeError, ValueError):
            return None
        if not bool(((confidence >= 0) & (confidence <= 1)).all()) or not _plain(stated):
            return None
        grouping = self._grouping(by_column)
        if not grouping:
            return confidence, correct, np.full(len(confidence), self._group(()), np.int64)
        try:
            groups = [self._group_of[values] for values in zip(*grouping, strict=True)]
        except (KeyError, TypeError):
            return None
        return confidence, correct, np.array(groups, np.int64)

    def _one_by_one(self, run: Records) -> tuple[Floats, Floats, Int64s, list[BadRow]]:
        size = len(run.rows)
        confidence, correct, groups = np.full(size, np.nan), np.full(size, np.nan), np.zeros(size, np.int64)
        bad: list[BadRow] = []
        for place, (row, values) in enumerate(zip(run.rows, run.values, strict=True)):
            try:
                stated = self._confidence(values)
                correct[place] = self._outcome(values[self._places[self.columns.correct]])
                groups[place] = self._group(tuple(column[0] for column in self._grouping([(each,) for each in values])))
                confidence[place] = stated
            except BadInput as failure:
                bad.append(BadRow(row, failure.reason, str(failure)))
        return confidence, correct, groups, bad

    def _confidence(self, values: tuple[object, ...]) -> float:
        if not _is_unicode(values):
            raise BadInput("the row must be text in UTF-8", "undecodable")
        raw = values[self._places[self.columns.confidence]]
        if raw is None or raw == "":
            raise BadInput(f"{self.columns.confidence} is missing", "schema")
        return share(_number(raw), self.columns.confidence, _RANGE)

    def _outcome(self, raw: object) -> float:
        if raw is None or raw == "":
            found = math.nan
        else:
            said = switch_of(raw) if isinstance(raw, str) else typed(raw)
            found = float(said) if isinstance(said, bool) else share(said, self.columns.correct)
        if len(self._outcomes) < _MOST_KEPT:
            self._outcomes[raw] = found
        return found

    def _group(self, raw: tuple[object, ...]) -> int:
        values = list(raw)
        model = self.columns.model_name
        if self.columns.model:
            given = values.pop(0)
            model = text(str(given) if isinstance(given, int) else given, self.columns.model)
        named = [model, *map(self._value, self.columns.dimensions, values)]
        number = self.groups.setdefault(tuple(named), len(self.groups))
        if len(self._group_of) < _MOST_KEPT:
            self._group_of[raw] = number
        return number

    def _value(self, dimension: Dimension, raw: object) -> str:
        """The value of a dimension; '' where the row has none."""
        if raw is None or raw == "":
            return ""
        read = _number(raw) if dimension.cuts else raw
        if isinstance(read, bool):
            read = "true" if read else "false"
        if isinstance(read, int | float) and not dimension.cuts:
            read = f"{read:g}" if isinstance(read, float) else str(read)
        if not isinstance(read, int | float):
            read = text(read, dimension.source)
        return dimension.value_of(read) or ""


def _number(raw: object) -> object:
    return number_of(raw) if isinstance(raw, str) else typed(raw)


def _is_unicode(values: Sequence[object]) -> bool:
    """Whether the texts among the values hold no bytes that are not UTF-8."""
    return encodable(tuple(value for value in values if isinstance(value, str)))


def _plain(values: Sequence[object]) -> bool:
    """Whether no value is something that only Python's float() takes for a number: true, or digits with underscores."""
    kinds = set(map(type, values))
    return kinds <= {float, int} or (kinds == {str} and "_" not in "".join(values))  # type: ignore[arg-type]

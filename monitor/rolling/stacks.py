"""Stacks: many sketches side by side in a few arrays, added and regrouped all at once.

A leader with thousands of series changes thousands of panes a second; one sketch object each would cost more than the
sums. Everything here is exact integer arithmetic, as in `monitor.calibration.sketch`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from monitor.calibration.sketch import DELAY_ROWS, ROWS, DelayRow, Sketch, added_in_place
from monitor.calibration.sketch import gather as add_up

Ints: TypeAlias = npt.NDArray[np.int64]
Shorts: TypeAlias = npt.NDArray[np.int16]
Mask: TypeAlias = npt.NDArray[np.bool_]

COUNT_ROWS: Final = slice(0, 2)
"""The rows of `sums` that hold counts, n_pred and n: below zero they are a defect."""

_MINOR: Final = 1 << 12  # more than there are cells or delay buckets
_NUMBERS: Final = 32  # bits for the number beside the series


@dataclass(frozen=True, slots=True)
class Stack:
    """Sketches by key. `keys` int64[m], ascending and unique; a key without cells is an empty sketch.

    `rows` int64[t] (index into keys), `cells` int16[t], `sums` int64[12, t]: ascending by (row, cell), no column all
    zero. `delay_rows` int64[d], `delay_buckets` int16[d], `delay_sums` int64[3, d] alike.
    """

    keys: Ints
    rows: Ints
    cells: Shorts
    sums: Ints
    delay_rows: Ints
    delay_buckets: Shorts
    delay_sums: Ints

    def __len__(self) -> int:
        return len(self.keys)


def code(series: npt.ArrayLike, number: npt.ArrayLike) -> Ints:
    """Keys of (series, number): the number, 0 to 2**32 - 1, is a pane's hour or a window's place in a list."""
    return np.asarray(series, np.int64) << _NUMBERS | np.asarray(number, np.int64)


def series_of(keys: Ints) -> Ints:
    """The series of keys made by `code`."""
    return keys >> _NUMBERS


def numbers_of(keys: Ints) -> Ints:
    """The numbers of keys made by `code`."""
    return keys & ((1 << _NUMBERS) - 1)


def no_sketches(keys: Ints | None = None) -> Stack:
    """A stack of empty sketches of these keys, ascending and unique; of none at all without them."""
    none, short = np.empty(0, np.int64), np.empty(0, np.int16)
    sums, delay_sums = np.empty((ROWS, 0), np.int64), np.empty((DELAY_ROWS, 0), np.int64)
    return Stack(none if keys is None else keys, none, short, sums, none, short, delay_sums)


def gather(
    keys: Ints,
    cells: Shorts,
    sums: Ints,
    *,
    delay_keys: Ints,
    delay_buckets: Shorts,
    delay_sums: Ints,
    also: Ints | None = None,
) -> Stack:
    """The sums of loose columns: keys int64[t] with cells[t] and sums[12, t]; delay_keys[d] with buckets and [3, d].

    Rows with one key and cell are added up. `also` names keys that are to be there even without a cell. Raises Refused
    when a sum might leave 64 bits.
    """
    every = np.unique(np.concatenate([keys, delay_keys, also if also is not None else keys[:0]]))
    rows, minor, added = _summed(np.searchsorted(every, keys), cells, sums)
    delay_rows, buckets, counted = _summed(np.searchsorted(every, delay_keys), delay_buckets, delay_sums)
    return Stack(every, rows, minor, added, delay_rows, buckets, counted)


def plus(*stacks: Stack) -> Stack:
    """The sum, key by key, over all keys that any of the stacks has."""
    if not stacks:
        return no_sketches()
    if len(stacks) == 2:
        changed = _changed(*stacks)
        if changed is not None:
            return changed
    return gather(
        np.concatenate([stack.keys[stack.rows] for stack in stacks]),
        np.concatenate([stack.cells for stack in stacks]),
        np.concatenate([stack.sums for stack in stacks], axis=1),
        delay_keys=np.concatenate([stack.keys[stack.delay_rows] for stack in stacks]),
        delay_buckets=np.concatenate([stack.delay_buckets for stack in stacks]),
        delay_sums=np.concatenate([stack.delay_sums for stack in stacks], axis=1),
        also=np.concatenate([stack.keys for stack in stacks]),
    )


def _changed(stack: Stack, change: Stack) -> Stack | None:
    """The sum where all changed cells are there already, for little more than a copy; None where one is not."""
    rows = np.searchsorted(stack.keys, change.keys)
    if len(rows) and (rows[-1] == len(stack) or not np.array_equal(stack.keys[rows], change.keys)):
        return None
    cells = added_in_place(
        stack.rows * _MINOR + stack.cells, stack.sums, rows[change.rows] * _MINOR + change.cells, change.sums
    )
    delays = added_in_place(
        stack.delay_rows * _MINOR + stack.delay_buckets,
        stack.delay_sums,
        rows[change.delay_rows] * _MINOR + change.delay_buckets,
        change.delay_sums,
    )
    if cells is None or delays is None:
        return None
    (kept, sums), (delays_kept, delay_sums) = cells, delays
    return Stack(
        stack.keys,
        stack.rows[kept],
        stack.cells[kept],
        sums,
        stack.delay_rows[delays_kept],
        stack.delay_buckets[delays_kept],
        delay_sums,
    )


def negative(stack: Stack) -> Stack:
    """Every sum with the other sign, so that adding it subtracts."""
    return replace(stack, sums=-stack.sums, delay_sums=-stack.delay_sums)


def regrouped(stack: Stack, taken: Mask, keys: Ints) -> Stack:
    """The sketches where `taken` (bool[m]) under other keys (int64[m]; ignored elsewhere); equal keys are added up."""
    cells, delays = taken[stack.rows], taken[stack.delay_rows]
    return gather(
        keys[stack.rows[cells]],
        stack.cells[cells],
        stack.sums[:, cells],
        delay_keys=keys[stack.delay_rows[delays]],
        delay_buckets=stack.delay_buckets[delays],
        delay_sums=stack.delay_sums[:, delays],
        also=keys[taken],
    )


def part(stack: Stack, taken: Mask) -> Stack:
    """The sketches where `taken`, bool[m]."""
    return regrouped(stack, taken, stack.keys)


def by_number(stack: Stack) -> Iterator[tuple[int, Stack]]:
    """Of keys made by `code`, each number in ascending order with the stack of its sketches, by series."""
    order = np.lexsort([stack.keys, numbers_of(stack.keys)])
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    keys, (rows, cells, sums) = stack.keys[order], _moved(place[stack.rows], stack.cells, stack.sums)
    delays = _moved(place[stack.delay_rows], stack.delay_buckets, stack.delay_sums)
    numbers, starts = np.unique(numbers_of(keys), return_index=True)
    for number, (start, stop) in zip(numbers.tolist(), pairwise([*starts.tolist(), len(keys)]), strict=True):
        inside, delayed = (slice(*np.searchsorted(each, [start, stop])) for each in (rows, delays[0]))
        yield (
            number,
            Stack(
                series_of(keys[start:stop]),
                rows[inside] - start,
                cells[inside],
                sums[:, inside],
                delays[0][delayed] - start,
                delays[1][delayed],
                delays[2][:, delayed],
            ),
        )


def _moved(rows: Ints, minor: Shorts, values: Ints) -> tuple[Ints, Shorts, Ints]:
    """The columns in ascending order of their rows."""
    order = np.argsort(rows, kind="stable")
    return rows[order], minor[order], values[:, order]


def pieces(stack: Stack, size: int) -> Iterator[Stack]:
    """The stack cut into stacks of at most `size` keys, in order of the keys."""
    if len(stack) <= size:
        yield stack
        return
    place = np.arange(len(stack))
    for first in range(0, len(stack), size):
        yield part(stack, (place >= first) & (place < first + size))


def defective(stack: Stack) -> Ints:
    """The keys with a count below zero somewhere: no sequence of events leads there."""
    cells = (stack.sums[COUNT_ROWS] < 0).any(axis=0)
    rows = np.concatenate([stack.rows[cells], stack.delay_rows[stack.delay_sums[DelayRow.N] < 0]])
    found: Ints = stack.keys[np.unique(rows)]
    return found


def sketches(stack: Stack) -> Iterator[tuple[int, Sketch]]:
    """Each key with its sketch, in order of the keys."""
    edges = np.searchsorted(stack.rows, np.arange(len(stack) + 1))
    delay_edges = np.searchsorted(stack.delay_rows, np.arange(len(stack) + 1))
    for row, key in enumerate(stack.keys.tolist()):
        inside = slice(edges[row], edges[row + 1])
        delayed = slice(delay_edges[row], delay_edges[row + 1])
        yield (
            key,
            Sketch(
                cells=stack.cells[inside],
                sums=stack.sums[:, inside],
                delay_buckets=stack.delay_buckets[delayed],
                delay_sums=stack.delay_sums[:, delayed],
            ),
        )


def stacked(sketches_by_key: Mapping[int, Sketch]) -> Stack:
    """The stack of sketches that come one by one."""
    keys = np.fromiter(sketches_by_key, np.int64, len(sketches_by_key))
    if not len(keys):
        return no_sketches()
    each = list(sketches_by_key.values())
    return gather(
        np.repeat(keys, [len(sketch.cells) for sketch in each]),
        np.concatenate([sketch.cells for sketch in each]),
        np.concatenate([sketch.sums for sketch in each], axis=1),
        delay_keys=np.repeat(keys, [len(sketch.delay_buckets) for sketch in each]),
        delay_buckets=np.concatenate([sketch.delay_buckets for sketch in each]),
        delay_sums=np.concatenate([sketch.delay_sums for sketch in each], axis=1),
        also=keys,
    )


def _summed(rows: Ints, minor: Shorts, values: Ints) -> tuple[Ints, Shorts, Ints]:
    """Columns of `values` with equal (row, minor) added up, in that order, without those that are all zero."""
    if not len(rows):
        return rows.astype(np.int64), minor, values
    place = rows.astype(np.int64) * _MINOR + minor
    if (place[1:] > place[:-1]).all():
        kept = values.any(axis=0)
        place, values = (place, values) if kept.all() else (place[kept], values[:, kept])
    else:
        place, values = add_up(place, values)
    return place // _MINOR, (place % _MINOR).astype(np.int16), values

"""Class tables: the probabilities of classes that the rows of a batch state, as columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Int64s: TypeAlias = npt.NDArray[np.int64]

NO_CLASS: Final = -1
"""The code of what is no class of any table, and the place of what is not there."""

_EMPTY: Final[Mapping[str, float]] = {}


@dataclass(frozen=True, slots=True, eq=False)
class ClassTables:
    """n tables class -> probability; the k entries of all stand one behind the other, row by row."""

    names: tuple[str, ...]
    """Every class, ascending by code point; a class's place here is its code."""
    size: Int64s
    """(n,) how many entries each row has; 0 where it states no class."""
    code: Int64s
    """(k,)"""
    probability: Floats
    """(k,)"""
    top: Int64s
    """(n,) the place among the entries of the most probable class of each row, NO_CLASS where it has none: of several
    with the greatest probability the first by code point, so that every route agrees."""

    def __len__(self) -> int:
        return len(self.size)

    def top_code(self) -> Int64s:
        """(n,) the most probable class of each row, NO_CLASS where it has none."""
        return np.where(self.top == NO_CLASS, NO_CLASS, self.code[self.top])

    def codes(self, texts: Sequence[str | None]) -> Int64s:
        """The code of each text, NO_CLASS where no row has such a class, and for None."""
        code_of: dict[str | None, int] = {name: code for code, name in enumerate(self.names)}
        return np.array([code_of.get(text, NO_CLASS) for text in texts], np.int64)


def class_tables(tables: Sequence[Mapping[str, float] | None]) -> ClassTables | None:
    """The columns of n tables; None where no row has a class."""
    if not any(tables):
        return None
    filled = [each or _EMPTY for each in tables]
    size = np.fromiter(map(len, filled), np.int64, len(filled))
    stated = list(chain.from_iterable(filled))
    names = tuple(sorted(set(stated)))
    code_of = {name: code for code, name in enumerate(names)}
    code = np.fromiter(map(code_of.__getitem__, stated), np.int64, len(stated))
    shares = chain.from_iterable(each.values() for each in filled)
    probability = np.fromiter(shares, np.float64, len(stated))
    return ClassTables(names, size, code, probability, _tops(size, code, probability))


def _tops(size: Int64s, code: Int64s, probability: Floats) -> Int64s:
    there = size > 0
    sizes = size[there]
    starts = np.cumsum(sizes) - sizes
    is_greatest = probability == np.repeat(np.maximum.reduceat(probability, starts), sizes)
    first = np.minimum.reduceat(np.where(is_greatest, code, np.iinfo(np.int64).max), starts)
    top = np.full(len(size), NO_CLASS, np.int64)
    top[there] = np.flatnonzero(code == np.repeat(first, sizes))
    return top

"""Which slices a person asked for: `--by lang --by lang*difficulty`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from monitor.errors import BadInput

Segment = tuple[tuple[str, str], ...]
"""(dimension, value), ascending; () is everything."""


@dataclass(frozen=True, slots=True)
class Slices:
    """Dimensions and crosses of dimensions; everything is always a slice."""

    crosses: tuple[tuple[str, ...], ...] = ()

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Every dimension that a slice needs."""
        return tuple(dict.fromkeys(name for cross in self.crosses for name in cross))

    def of(self, values: Mapping[str, str]) -> list[Segment]:
        """The slices that an event with these values belongs to."""
        found = [tuple((name, values[name]) for name in cross) for cross in self.crosses if values.keys() >= set(cross)]
        return [(), *found]


def slices(asked: Iterable[str]) -> Slices:
    """The slices of `--by` options. Raises BadInput when one names a dimension twice or none."""
    crosses: list[tuple[str, ...]] = []
    for text in asked:
        names = tuple(sorted(part.strip() for part in text.split("*")))
        if not all(names) or len(set(names)) < len(names):
            raise BadInput(f"--by must be DIM or DIM*DIM with different dimensions, got {text}", "usage")
        if names not in crosses:
            crosses.append(names)
    return Slices(tuple(crosses))

"""Targets: what rules look at, and which alert a rule has on each."""

from dataclasses import dataclass, field
from hashlib import md5
from typing import Final, Literal, TypeAlias
from uuid import UUID

import msgspec

from monitor.rolling.segments import SeriesName, parse_segment

About: TypeAlias = Literal["series", "rollup", "model", "service"]


@dataclass(frozen=True, slots=True)
class Target:
    """A series in one of its windows, a rollup of a model's series, a model, or the service. What does not apply is
    empty.

    `segment` is the canonical text of a series' name. `series`: its number in the store, which is no part of the name.
    """

    about: About
    model: str = ""
    signal: str = ""
    segment: str = ""
    source: str = ""
    window: str = ""
    series: int | None = field(default=None, compare=False)

    @property
    def labels(self) -> dict[str, str]:
        """Its name in parts, as people read them."""
        return {
            "model": self.model,
            "signal": self.signal,
            "segment": segment_words(self.segment),
            "source": self.source,
            "window": self.window,
        }


SERVICE: Final = Target("service")


def target_of(name: SeriesName, window: str, series: int | None = None) -> Target:
    """A series in a window; detectors, which have none, look at it in the window of no name."""
    return Target("series", name.model, name.signal, name.segment, name.source_group, window, series)


def alert_id(rule: str, target: Target) -> UUID:
    """The alert of a rule on a target: the same in every run, and in every replay."""
    parts = (target.about, target.model, target.signal, target.segment, target.source, target.window)
    return UUID(bytes=md5(msgspec.json.encode((rule, *parts)), usedforsecurity=False).digest())


def segment_words(segment: str) -> str:
    """`lang=de,difficulty=hard`; empty for the whole model."""
    return ",".join(f"{name}={value}" for name, value in parse_segment(segment).items())

"""Mistakes of a rule file: where, and what is allowed."""

from dataclasses import dataclass

from monitor.alerting.nodes import Path, Place


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One mistake. `text` says of which value it is, what is allowed, and what came."""

    place: Place
    text: str

    def line(self, file: str) -> str:
        """For a person: `alerts.yaml:14:13: text`."""
        return f"{file}:{self.place[0]}:{self.place[1]}: {self.text}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What does not fit the rest of the file: at `path`, of its value or, with `of_key`, of its key.

    Nothing is missing where one of `unless` has been refused: with what was meant there it would be right.
    """

    path: Path
    text: str
    of_key: bool = False
    unless: tuple[Path, ...] = ()

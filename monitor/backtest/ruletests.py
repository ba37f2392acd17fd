"""Files of time-line tests that users write for their rules: what a file may say, and where in it what is wrong."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_core import ErrorDetails

from monitor.alerting.document import document
from monitor.alerting.kinds import PATTERNS, RuleName, limit_text
from monitor.alerting.mistakes import Mistake
from monitor.alerting.nodes import Node, Place, at, descended, plain
from monitor.alerting.states import StateName
from monitor.forms.durations import parse
from monitor.forms.kinds import Count, Name, Number, Section
from monitor.forms.refusals import first_causes, meant, rule, shown

_HOUR: Final = timedelta(hours=1)
_PART: Final = re.compile(r"\d+(?:\.\d+)?(?:ms|s|m|h|d|w)")


def _moment(value: object) -> timedelta:
    """A length of time since the start, as `90m` or `1d6h30m`."""
    if isinstance(value, timedelta):
        return value
    parts = _PART.findall(value) if isinstance(value, str) else []
    if not parts or "".join(parts) != value:
        raise ValueError("must be a time since the start such as 90m or 1d6h")
    return sum(map(parse, parts), timedelta(0))


def moment_text(since: timedelta) -> str:
    """A length of time since the start as tests write it: `1h35m`."""
    hours = since // _HOUR * _HOUR
    return "".join(limit_text(part) for part in (hours, since - hours) if part) or limit_text(since)


Moment = Annotated[timedelta, BeforeValidator(_moment)]


def _said(value: object) -> object:
    """`1h35m fired`."""
    at_text, _, what = value.partition(" ") if isinstance(value, str) else ("", "", "")
    if what not in {"fired", "reminder", "resolved"}:
        raise ValueError("must be a time and fired, reminder or resolved, such as: 1h35m fired")
    return {"at": at_text, "what": what}


def _figure(value: object) -> object:
    if isinstance(value, str):
        return _moment(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ValueError("must be a number, or a duration of a measure of time")


Figure = Annotated[float | timedelta, BeforeValidator(_figure)]


class Expected(Section):
    """What is told, and when."""

    at: Moment
    what: Literal["fired", "reminder", "resolved"]


class Line(Section):
    """What every evaluation finds from the end of the line before up to `until`, and what is expected then."""

    until: Moment
    value: Figure | None = None
    """Of the rule's metric; None where no reading knows it."""
    give_or_take: Number = Field(default=0.0, ge=0)
    """Half the width of its interval."""
    baseline: Figure | None = None
    """What a rule of change compares with; None while there is nothing."""
    labels: Count = Field(default=10_000, ge=0)
    coverage: Number = Field(default=1.0, ge=0, le=1)
    new_labels: Count = Field(default=10, ge=0)
    """That mature from one evaluation to the next."""
    alarm: Literal["none", "stands", "over", "learning"] | None = None
    """Of a rule on drift."""
    error: str | None = Field(default=None, min_length=1)
    """An error of caldrift's own."""
    ends: Literal["series", "rule"] | None = None
    """The series is retired, or the rule removed."""
    state: StateName | None = None
    """At the end of the line."""
    tells: tuple[Annotated[Expected, BeforeValidator(_said)], ...] = ()
    """Everything that is told in it."""


class RuleTest(Section):
    """One time line of one rule on one series."""

    name: Name
    rule: RuleName
    timeline: tuple[Line, ...] = Field(min_length=1, max_length=1000)


class RuleTests(Section):
    """A whole file. `rules` is the path of the rule file, from where this file is."""

    rules: Name = "alerts.yaml"
    evaluate_every: Moment = timedelta(minutes=5)
    tests: tuple[RuleTest, ...] = Field(min_length=1, max_length=1000)


@dataclass(frozen=True, slots=True)
class Written:
    """A file of tests, and where everything stands in it."""

    tests: RuleTests
    root: Node

    def place(self, *path: str | int) -> Place:
        """Where the value at a path stands, or the nearest thing around it."""
        return _place(self.root, path)


def read(text: str) -> tuple[Written | None, list[Mistake]]:
    """The tests of a file's text, or every mistake in it."""
    root, mistakes = document(text)
    if root is None or mistakes:
        return None, mistakes
    try:
        tests = RuleTests.model_validate(plain(root))
    except ValidationError as failure:
        return None, sorted({_mistake(root, error) for error in first_causes(failure.errors())})
    mistakes = list(_misplaced(tests, root))
    return (None, mistakes) if mistakes else (Written(tests, root), [])


def _misplaced(tests: RuleTests, root: Node) -> Iterator[Mistake]:
    """Names that come twice; times that do not go forward, or do not fall on an evaluation."""
    names = [test.name for test in tests.tests]
    for number, name in enumerate(names):
        if name in names[:number]:
            yield Mistake(_place(root, ("tests", number, "name")), f"name: another test is called {name}")
    if tests.evaluate_every <= timedelta(0):
        yield Mistake(_place(root, ("evaluate_every",)), "evaluate_every: must be more than 0")
        return
    for number, test in enumerate(tests.tests):
        before = timedelta(0)
        for place, line in enumerate(test.timeline):
            path = ("tests", number, "timeline", place, "until")
            if line.until <= before:
                yield Mistake(_place(root, path), f"until: must be after {moment_text(before)}, where the line begins")
            elif line.until % tests.evaluate_every:
                every = limit_text(tests.evaluate_every)
                yield Mistake(_place(root, path), f"until: must be a whole number of evaluations, one every {every}")
            before = line.until


def _mistake(root: Node, error: ErrorDetails) -> Mistake:
    location = tuple(part for part in error["loc"] if not (isinstance(part, str) and part.endswith("()")))
    place, kind = _place(root, location), error["type"]
    name = ".".join(str(part) for part, _ in descended(root, location) if isinstance(part, str))
    if kind == "missing":
        return Mistake(place, f"{location[-1]} is needed")
    if kind == "extra_forbidden":
        entry, group = at(root, location), _group(location)
        return Mistake(entry.place if entry else place, f"{name}: unknown key{meant(group.model_fields, location[-1])}")
    got = at(root, location)
    return Mistake(place, f"{name}: {rule(error, PATTERNS)}, got {shown(plain(got.node) if got else error['input'])}")


def _group(location: tuple[str | int, ...]) -> type[Section]:
    """What the key at a location stands in."""
    if "timeline" in location[:-1]:
        return Line
    return RuleTest if "tests" in location[:-1] else RuleTests


def _place(root: Node, path: tuple[str | int, ...]) -> Place:
    steps = [entry for _, entry in descended(root, path)]
    return steps[-1].node.place if steps else root.place

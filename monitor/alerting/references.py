"""Names in a file that must be those of something in it."""

from collections.abc import Iterable, Iterator
from typing import Final

from monitor.alerting.mistakes import Finding
from monitor.alerting.nodes import Node, Path, texts
from monitor.alerting.patterns import matches
from monitor.alerting.routes import Match
from monitor.alerting.rulefile import RuleFile
from monitor.forms.refusals import meant

BEATS: Final[Path] = ("heartbeat", "notify")
NEWS: Final[Path] = ("recalibration", "tell")
TAKE_BEATS: Final = ("webhook", "alertmanager")
"""Kinds of channels that can do something with a sign of life; people would get one a minute."""
TAKES_NO_NEWS: Final = "alertmanager"
"""The kind of channels that know alerts only."""


def references(file: RuleFile, written: Node) -> Iterator[Finding]:
    """Names that nothing has, names that two things have, and rules that extend each other in a circle.

    `written` has the names of what is left out of `file` for its own mistakes too: those are no further mistakes.
    """
    rules, routes = texts(written, "rules", "*", "name"), texts(written, "routes")
    yield from _unique(file)
    yield from _inherited(file, rules)
    yield from _routes(file, routes)
    yield from _channels(file, texts(written, "channels"))
    yield from _matched(file, rules)


def _unique(file: RuleFile) -> Iterator[Finding]:
    for kind, names in (
        ("rules", [each.name for each in file.rules]),
        ("mute_times", [each.name for each in file.mute_times]),
    ):
        for number, name in enumerate(names):
            if name in names[:number]:
                yield Finding((kind, number, "name"), f"must differ from the names before it, got {name} again")


def _inherited(file: RuleFile, rules: set[str]) -> Iterator[Finding]:
    parents = {entry.name: entry.extends for entry in file.rules}
    reported: set[str] = set()
    for number, entry in enumerate(file.rules):
        path: Path = ("rules", number, "extends")
        if entry.extends is not None and entry.extends not in rules:
            yield Finding(path, _unknown("a rule", rules, entry.extends))
            continue
        line = [entry.name]
        while (parent := parents.get(line[-1])) is not None and parent not in line:
            line.append(parent)
        if parent == entry.name and not reported.intersection(line):
            yield Finding(path, f"must not lead back to the rule itself, got {' -> '.join([*line, entry.name])}")
            reported.update(line)


def _routes(file: RuleFile, routes: set[str]) -> Iterator[Finding]:
    named: list[tuple[Path, str | None]] = [(("rules", n, "route"), each.route) for n, each in enumerate(file.rules)]
    named += [(("defaults", "route"), file.defaults.route), (("fallback_route",), file.fallback_route)]
    for path, route in named:
        if route is not None and route not in routes:
            yield Finding(path, _unknown("one of routes", routes, route))
    if len(routes) > 1 and file.fallback_route is None:
        yield Finding(("fallback_route",), f"is needed where there are several routes: {', '.join(sorted(routes))}")


def _channels(file: RuleFile, channels: set[str]) -> Iterator[Finding]:
    named: list[tuple[Path, tuple[str, ...]]] = [
        (("routes", name, "notify"), each.notify) for name, each in file.routes.items()
    ]
    if file.heartbeat is not None:
        named.append((BEATS, file.heartbeat.notify))
    if file.recalibration is not None:
        named.append((NEWS, file.recalibration.tell))
    for path, names in named:
        for number, name in enumerate(names):
            if name not in channels:
                yield Finding((*path, number), _unknown("one of channels", channels, name))
            elif name in names[:number]:
                yield Finding((*path, number), f"must name each channel once, got {name} again")
            elif path == BEATS and name in file.channels and file.channels[name].kind not in TAKE_BEATS:
                said = f"must be a channel of kind {' or '.join(TAKE_BEATS)}, got {name}"
                yield Finding((*path, number), f"{said}, of kind {file.channels[name].kind}")
            elif path == NEWS and name in file.channels and file.channels[name].kind == TAKES_NO_NEWS:
                said = f"must be a channel that takes more than alerts, got {name}"
                yield Finding((*path, number), f"{said}, of kind {TAKES_NO_NEWS}")


def _matched(file: RuleFile, rules: set[str]) -> Iterator[Finding]:
    found: list[tuple[Path, Match]] = [
        (("mute_times", n, "match"), each.match) for n, each in enumerate(file.mute_times)
    ]
    for number, each in enumerate(file.inhibit):
        found += [(("inhibit", number, "when"), each.when), (("inhibit", number, "mute"), each.mute)]
    for path, match in found:
        for number, pattern in enumerate(match.rule or ()):
            bare = pattern.removeprefix("!")
            if not any(matches((bare,), name) for name in rules):
                yield Finding((*path, "rule", number), _unknown("the name of a rule, or a pattern of one", rules, bare))


def _unknown(kind: str, known: Iterable[str], got: str) -> str:
    return f'must be {kind}, got "{got}"{meant(sorted(known), got) or "; there is none"}'

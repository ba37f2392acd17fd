"""Where the leader's rules come from: the rule file, read again on request; where it is refused, what held before."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from monitor.alerting.force import force_of
from monitor.alerting.rulebook import RuleBook
from monitor.errors import BadSettings
from monitor.postgres.database import Connection
from monitor.postgres.installation import read_installation
from monitor.postgres.leader import leading, wall_time
from monitor.postgres.rule_sets import forget_rules, put_rule_set, rule_set
from monitor.workers.judging import Judging, load_judging

log = logging.getLogger("caldrift.evaluate")


@dataclass(slots=True)
class RuleSource:
    """The rule file of a process."""

    read: Callable[[str | None], RuleBook]
    """Reads the file, or what such a file said once; raises BadSettings."""
    every: timedelta
    """How often rules are judged."""
    pages: str = ""
    """Where people find the pages, "" if nowhere."""
    wanted: threading.Event = field(default_factory=threading.Event)
    """Set when the file is to be read again."""
    refused: str | None = None
    """What is wrong with the file as it was read the last time."""


def begin(source: RuleSource, connection: Connection, epoch: int) -> Judging:
    """Judging by the file or, where that is refused, by the rules that held last. Raises BadSettings without any."""
    try:
        book = _read(source)
    except BadSettings:
        last = rule_set(connection)
        if last is None:
            raise
        book = source.read(last.body)
    return _in_force(source, book, connection, epoch)


def again(source: RuleSource, connection: Connection, epoch: int) -> Judging | None:
    """Judging by the file as it is now; None where it is refused, and the rules in force stay."""
    source.wanted.clear()
    try:
        book = _read(source)
    except BadSettings:
        return None
    log.info("rules read again", extra={"rules": len(book.file.rules)})
    return _in_force(source, book, connection, epoch)


def _read(source: RuleSource) -> RuleBook:
    source.refused = None
    try:
        return source.read(None)
    except BadSettings as failure:
        source.refused = str(failure)
        log.error("the rules are refused; those in force stay", extra={"mistakes": str(failure)})  # noqa: TRY400
        raise


def _in_force(source: RuleSource, book: RuleBook, connection: Connection, epoch: int) -> Judging:
    installation = read_installation(connection)
    force = force_of(book.file, source.every, installation.created_at.isoformat(), source.pages)
    with leading(connection, epoch):
        put_rule_set(connection, book.text, installation.clock.at(wall_time(connection)))
        forget_rules(connection, sorted(force.rules))
        return load_judging(connection, force, installation.clock)

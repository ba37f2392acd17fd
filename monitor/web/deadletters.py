"""What the page of dead letters shows. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from monitor.postgres.pipeline import DeadLetter, DeadLetterCount
from monitor.web.scales import plain
from monitor.web.sentences import plural

PAGE_SIZE = 100


@dataclass(frozen=True, slots=True)
class ReasonView:
    """One reason to choose; the first is all of them."""

    words: str
    url: str
    here: bool


@dataclass(frozen=True, slots=True)
class DeadLettersView:
    """The whole page."""

    sentence: str
    reasons: Sequence[ReasonView]
    rows: Sequence[DeadLetter]
    older: str


def view_of(counts: Sequence[DeadLetterCount], rows: Sequence[DeadLetter], reason: str) -> DeadLettersView:
    """The page of up to PAGE_SIZE rows; one row more means that there are older ones."""
    by_reason: dict[str, int] = defaultdict(int)
    for count in counts:
        by_reason[count.reason] += count.n
    total = sum(by_reason.values())
    if not total:
        return DeadLettersView("Every message so far could be used: there is no dead letter.", [], [], "")
    reasons = [ReasonView(f"all, {plain(total)}", "/dead-letters", not reason)]
    reasons += [
        ReasonView(f"{name}, {plain(n)}", f"/dead-letters?{urlencode({'reason': name})}", name == reason)
        for name, n in sorted(by_reason.items(), key=lambda pair: (-pair[1], pair[0]))
    ]
    shown = rows[:PAGE_SIZE]
    more = {"reason": reason, "before": str(shown[-1].id)} if len(rows) > PAGE_SIZE else {}
    older = f"/dead-letters?{urlencode({key: value for key, value in more.items() if value})}" if more else ""
    sentence = (
        f"{plural(total, 'message')} could not be used, for {plural(len(by_reason), 'reason')}. Nothing was lost: "
        "each is kept here."
    )
    return DeadLettersView(sentence, reasons, shown, older)

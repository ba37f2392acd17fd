"""The sentences on top of the pages, and small texts about time. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from markupsafe import Markup

from monitor.alerting.conduct import Severity
from monitor.alerting.notice import SEVERITIES
from monitor.postgres.alert_views import Count
from monitor.postgres.listings import Totals
from monitor.postgres.offsets import StoredOffset
from monitor.postgres.pipeline import Beat, Progress
from monitor.web.scales import duration_text, instant_text, plain, window_text
from monitor.web.svg import tag
from monitor.web.verdicts import percent


def plural(n: int, one: str, many: str | None = None) -> str:
    """`1 label`, `2 labels`; series is its own plural."""
    return f"{plain(n)} {one if n == 1 else many or one + 's'}"


def ago(at: datetime | None, now: datetime) -> str:
    """`3 min ago`, `never`."""
    return "never" if at is None else f"{duration_text(now - at)} ago"


def lag_of(partitions: Sequence[StoredOffset]) -> int | None:
    """Messages behind over all partitions; None while no end is known."""
    known = [partition.lag for partition in partitions if partition.lag is not None]
    return sum(known) if known else None


def newest_batch(partitions: Sequence[StoredOffset], topic: str) -> datetime | None:
    """When the topic last gave something, on the service's clock."""
    return max((partition.updated_at for partition in partitions if partition.topic == topic), default=None)


def overview(
    found: Totals, window: str, partitions: Sequence[StoredOffset], labels_topic: str, now: datetime
) -> Markup:
    """How many series are off, how old the labels are, how many predictions have one, and how far the intake is."""
    parts = [_standing(found, window), _labels(found, partitions, labels_topic, now), _lag(partitions)]
    return Markup(" ").join(parts)


def firing(counts: Sequence[Count], *, has_rules: bool, url: str = "") -> Markup:
    """How many alerts fire, and how bad they are; `url` is where they are listed."""
    if not has_rules:
        return tag("span", "No rules are in force yet.")
    by_severity = Counter[Severity]()
    for count in counts:
        if count.state == "firing":
            by_severity[count.severity] += count.n
    n = by_severity.total()
    if not n:
        return tag("span", "No alert fires.")
    kinds = [f"{plain(by_severity[each])} {each}" for each in reversed(SEVERITIES) if by_severity[each]]
    words = f"{plural(n, 'alert')} {'fires' if n == 1 else 'fire'}"
    strong = tag("strong", words, class_="firing")
    return tag("span", tag("a", strong, href=url) if url else strong, f" ({', '.join(kinds)}).")


def _standing(found: Totals, window: str) -> Markup:
    if not found.series:
        return Markup("There are no readings of this window yet.")
    if not found.judged:
        return tag("span", f"No series has enough labels over {window_text(window)} to be judged yet.")
    if not found.outside:
        words = f"None of {plural(found.judged, 'series', 'series')}"
        return tag(
            "span", tag("strong", words, class_="fine"), f" is outside its null band over {window_text(window)}."
        )
    clearly = "" if not found.clearly_outside else f", {plain(found.clearly_outside)} of them clearly"
    words = f"{plain(found.outside)} of {plural(found.judged, 'series', 'series')}"
    verb = "is" if found.outside == 1 else "are"
    band = "its null band" if found.outside == 1 else "their null bands"
    if found.outside == 1 and found.clearly_outside:
        clearly = ", and clearly so"
    return tag(
        "span", tag("strong", words, class_="off"), f" {verb} outside {band} over {window_text(window)}{clearly}."
    )


def _labels(found: Totals, partitions: Sequence[StoredOffset], topic: str, now: datetime) -> Markup:
    newest = newest_batch(partitions, topic)
    came = "No label has come yet" if newest is None else f"The last labels came {ago(newest, now)}"
    if not found.n_predictions:
        return tag("span", f"{came}.")
    share = percent(found.n / found.n_predictions)
    return tag("span", f"{came}; {share} of the {plain(found.n_predictions)} predictions in the window are labelled.")


def _lag(partitions: Sequence[StoredOffset]) -> Markup:
    lag = lag_of(partitions)
    if lag is None:
        return tag(
            "span",
            "The intake has not read anything yet."
            if not partitions
            else "How far the intake is behind is not known yet.",
        )
    if lag == 0:
        return tag("span", "The intake is up to date.")
    return tag("span", f"The intake is {plural(lag, 'message')} behind.")


def intake_facts(progress: Progress, partitions: Sequence[StoredOffset]) -> list[tuple[str, str]]:
    """What the intake panel lists: lag and last batch of each topic, the deltas that wait, the last evaluation."""
    facts = []
    for topic in sorted({partition.topic for partition in partitions}):
        of_topic = [partition for partition in partitions if partition.topic == topic]
        lag = lag_of(of_topic)
        behind = (
            "end not seen yet" if lag is None else "nothing behind" if lag == 0 else f"{plural(lag, 'message')} behind"
        )
        read = plain(sum(partition.next_offset for partition in of_topic))
        newest = ago(newest_batch(of_topic, topic), progress.now)
        facts.append((topic, f"{behind}; {read} read in {plural(len(of_topic), 'partition')}, last batch {newest}"))
    if not facts:
        facts.append(("topics", "nothing read yet"))
    waiting = progress.deltas_waiting
    facts.append(("batches to evaluate", "none waiting" if not waiting else f"{plain(waiting)} waiting"))
    if progress.evaluated_at is None:
        facts.append(("last evaluation", "none yet"))
    else:
        took = "" if progress.took_seconds is None else f", took {progress.took_seconds:.2g} s"
        facts.append(
            (
                "last evaluation",
                f"{instant_text(progress.evaluated_at)}, {ago(progress.evaluated_at, progress.now)}{took}",
            )
        )
    return facts


SILENT_SECONDS = 60
"""A process that has not been heard of for so long is in trouble; each says so every few seconds."""

_STANDS = {
    "evaluate": "the readings below are those of its last evaluation",
    "ingest": "what is published waits in the topics",
}


def warnings(beats: Sequence[Beat]) -> list[str]:
    """One sentence for every role whose work stands still, and what that means for the page."""
    found = []
    for role, meaning in _STANDS.items():
        silences = [beat.silent_seconds for beat in beats if beat.name == role]
        if silences and min(silences) < SILENT_SECONDS:
            continue
        since = f"has been silent for {duration_text(timedelta(seconds=min(silences)))}" if silences else "does not run"
        found.append(f"The {role} role {since}: {meaning}. Start it with caldrift run, or ask caldrift doctor.")
    return found


def beat_words(silent_seconds: float) -> str:
    """`alive`, or for how long a process has been silent."""
    if silent_seconds < SILENT_SECONDS:
        return "alive"
    return f"silent for {duration_text(timedelta(seconds=silent_seconds))}"

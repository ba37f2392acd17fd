"""What a message shows: the reliability diagram of an incident's worst alert, or those before and after a change."""

from typing import Final

from monitor.alerting.notice import Change, Notice, named
from monitor.notify.slack import Picture
from monitor.notify.wording import cut, figures, series_name
from monitor.web.charts import bins_diagram, diagrams_beside
from monitor.web.rasters import WIDTH, png

_BEFORE_AND_AFTER: Final = 2 * WIDTH
_TITLE: Final = 300
_DESCRIBED: Final = 1000


def reliability(notice: Notice, confidence_level: float) -> Picture | None:
    """The diagram of the first alert that has bins, whose intervals are of the level, or those of the last change that
    has any; None without one.

    Raises Unavailable where no font that we know is installed.
    """
    for alert in notice.alerts:
        evidence = alert.evidence
        if evidence is not None and evidence.bins:
            name = series_name(alert.series)
            drawn = png(str(bins_diagram(evidence.bins, confidence_level, "reliability").picture))
            over = f", window {evidence.bins_of}" if evidence.bins_of else ""
            about = f"Reliability diagram of {name}{over}: {figures(evidence)}"
            return Picture(drawn, f"Reliability{over}: {name}", about)
    changed = (each.change for each in notice.changes)
    found = next((change for change in changed if change.before or change.after), None)
    return None if found is None else _before_and_after(found)


def _before_and_after(change: Change) -> Picture:
    names = _names(change)
    title = f"Reliability of {change.model} / {change.signal}"
    sides = list(zip(names, (change.before, change.after), strict=True))
    shown = [name for name, bins in sides if bins]
    drawn = png(str(diagrams_beside(sides, "reliability", title)), WIDTH if len(shown) == 1 else _BEFORE_AND_AFTER)
    labels = max(sum(each.n for each in bins) for _, bins in sides)
    described = f"{' and '.join(shown)}; {labels:,} labels; {change.sentence}"
    return Picture(drawn, cut(f"{title}: {change.happened}", _TITLE), cut(f"{title}, {described}", _DESCRIBED))


def _names(change: Change) -> tuple[str, str]:
    """What is drawn on the left and on the right."""
    mapped = named(change.previous if change.version is None else change.version)
    return "as stated", "a map that was not taken" if change.what == "kept" else f"with {mapped}"

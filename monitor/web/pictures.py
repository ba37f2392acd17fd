"""What a message shows: the reliability diagram of an incident's worst alert."""

from monitor.alerting.notice import Notice
from monitor.notify.slack import Picture
from monitor.notify.wording import figures, series_name
from monitor.web.charts import bins_diagram
from monitor.web.rasters import png


def reliability(notice: Notice, confidence_level: float) -> Picture | None:
    """The diagram of the first alert that has bins, whose intervals are of the level; None without one.

    Raises Unavailable where no font is installed.
    """
    for alert in notice.alerts:
        evidence = alert.evidence
        if evidence is not None and evidence.bins:
            name = series_name(alert.series)
            drawn = png(str(bins_diagram(evidence.bins, confidence_level, "reliability").picture))
            return Picture(drawn, f"Reliability: {name}", f"Reliability diagram of {name}: {figures(evidence)}")
    return None

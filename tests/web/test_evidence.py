"""Evidence on a page: what was measured, and the series as it stood then."""

from msgspec import structs

from monitor.alerting.verdict import Diagram
from monitor.web.evidence import evidence_view
from tests.alerting.test_wording import BINS, alarmed


def test_an_alarm_shows_the_diagram_of_its_series_and_says_of_which_window_it_is() -> None:
    drawn = Diagram(window="1d", confidence_level=0.95, bins=BINS)
    view = evidence_view(structs.replace(alarmed(), diagram=drawn), "then", "Then")
    assert ("diagram", "window 1d") in view.facts
    assert "<svg" in view.diagram
    assert not evidence_view(alarmed(), "then", "Then").diagram

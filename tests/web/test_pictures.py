"""What a message shows."""

from dataclasses import replace

from monitor.calibration.reading import Bin
from monitor.web import rasters
from monitor.web.pictures import reliability
from tests.notify.samples import EVIDENCE, alert, notice
from tests.web.test_rasters import pixels

BINS = (Bin(0.5, 0.6, 100, 0.55, 0.5, (0.4, 0.6)), Bin(0.9, 1.0, 300, 0.95, 0.7, (0.65, 0.75)))


def test_the_picture_is_the_diagram_of_the_worst_alert_that_has_bins() -> None:
    drawn = alert("fr", evidence=replace(EVIDENCE, bins=BINS))
    milder = alert("it", evidence=replace(EVIDENCE, bins=BINS[:1]))
    found = reliability(notice(alerts=(alert("de"), drawn, milder)), 0.95)
    assert found is not None
    assert pixels(found.png).shape[1] == rasters.WIDTH
    assert found.title == "Reliability: triage-v3 / stated / lang=fr"
    assert "n 1,240" in found.described
    other = reliability(notice(alerts=(milder,)), 0.95)
    assert other is not None
    assert other.png != found.png


def test_without_bins_there_is_no_picture() -> None:
    assert reliability(notice(), 0.95) is None
    assert reliability(notice(alerts=(alert(evidence=None),)), 0.95) is None

"""What a message shows."""

from dataclasses import replace

import pytest

from monitor.alerting.notice import Change
from monitor.web import rasters
from monitor.web.pictures import reliability
from tests.notify.samples import AFTER, BEFORE, EVIDENCE, alert, change, news, notice
from tests.web.test_rasters import ORANGE, has, pixels

pytestmark = pytest.mark.usefixtures("font")


def test_the_picture_is_the_diagram_of_the_worst_alert_that_has_bins() -> None:
    drawn = alert("fr", evidence=replace(EVIDENCE, bins=BEFORE))
    milder = alert("it", evidence=replace(EVIDENCE, bins=BEFORE[:1]))
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


def test_a_change_is_shown_before_and_after_side_by_side() -> None:
    found = reliability(news(), 0.95)
    assert found is not None
    assert found.title == "Reliability of triage-v3 / stated: map 4 in force"
    said = "as stated and with map 4; 400 labels; On 4,310 later labels"
    assert found.described.startswith(f"Reliability of triage-v3 / stated, {said}")
    image = pixels(found.png)
    left, right = image[:, : image.shape[1] // 2], image[:, image.shape[1] // 2 :]
    assert (has(left, ORANGE), has(right, ORANGE)) == (True, False), "the error was before, and is gone"
    other = reliability(news(last=change(after=BEFORE)), 0.95)
    assert other is not None
    assert other.png != found.png


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (change(what="kept", version=3, previous=3), ", as stated and a map that was not taken;"),
        (change(what="proposed", previous=None), ", as stated and with map 4;"),
        (change(what="rolled_back", version=None, previous=3), ", as stated and with map 3;"),
        (change(what="kept", version=None, previous=None, after=()), ", as stated;"),
        (change(before=()), ", with map 4;"),
    ],
)
def test_the_picture_of_a_change_says_whose_word_each_side_takes(said: Change, shown: str) -> None:
    found = reliability(news(last=said), 0.95)
    assert found is not None
    assert shown in found.described
    one = not (said.before and said.after)
    assert found.png[16:20] == (rasters.WIDTH if one else 2 * rasters.WIDTH).to_bytes(4), "the width of a PNG"


def test_of_several_changes_the_last_that_has_bins_is_shown() -> None:
    bare = change(before=(), after=())
    found = reliability(news(change(version=2, after=AFTER), change(version=3), last=bare), 0.95)
    assert found is not None
    assert found.title.endswith("map 3 in force")
    assert reliability(news(last=bare), 0.95) is None

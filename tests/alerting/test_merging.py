"""What waited together is told as one: against a receiver that is told the whole story at once."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.alerting.merging import merged
from monitor.alerting.notice import Alert, Counts, Dated, Kind, Notice
from tests.notify.samples import NOW, alert, change, news, notice

NAMES = ("de", "fr", "it", "nl")
Firing = frozenset[str]
WORLDS = st.lists(st.frozensets(st.sampled_from(NAMES)), min_size=2, max_size=9)
"""Which alerts fire after each evaluation; nothing fires before the first."""


def told(states: list[Firing]) -> Iterator[tuple[Firing, Firing, Notice]]:
    """Each announcement: what fired before and after it, and its notice. An evaluation without a change reminds."""
    for place, (before, after) in enumerate(zip([frozenset[str](), *states], states, strict=False)):
        at = NOW + timedelta(minutes=place)
        if not before and not after:
            continue
        alerts = [alert(name) for name in sorted(after)]
        alerts += [alert(name, state="resolved", ended_at=at) for name in sorted(before - after)]
        kind: Kind = "reminder" if before == after else "changed" if before and after else "fired"
        counts = Counts(len(after), len(before - after))
        yield before, after, notice(kind if after else "resolved", tuple(alerts), counts=counts, at=at)


def by_state(found: tuple[Alert, ...], *states: str) -> set[str]:
    return {one.series.segment.removeprefix("lang=") for one in found if one.state in states}


@given(WORLDS, st.data())
def test_one_notice_tells_what_all_of_them_would_have_told(states: list[Firing], data: st.DataObject) -> None:
    story = list(told(states))
    first = data.draw(st.integers(0, max(0, len(story) - 1)))
    waited = story[first : data.draw(st.integers(first + 1, max(first + 1, len(story))))]
    if not waited:
        return
    found = merged([said for *_, said in waited])
    before, after = waited[0][0], waited[-1][1]
    seen = before.union(*(now for _, now, _ in waited))
    assert by_state(found.alerts, "firing", "recovering") == after
    assert by_state(found.alerts, "resolved") == seen - after
    assert len(found.alerts) == len(seen), "each alert stands in it once"
    assert found.counts == Counts(len(after), len(seen - after))
    unchanged = all(said.kind == "reminder" for *_, said in waited)
    expected = {
        (True, True): "reminder" if unchanged else "changed",
        (True, False): "resolved",
        (False, True): "fired",
        (False, False): "digest",
    }
    assert found.kind == expected[bool(before), bool(after)]
    assert (found.at, found.incident, found.link) == (waited[-1][2].at, waited[-1][2].incident, waited[-1][2].link)
    assert all(one.ended_at is not None and one.ended_at <= found.at for one in found.alerts if one.state == "resolved")


@pytest.mark.parametrize("kind", ["fired", "changed", "reminder", "resolved", "digest", "test"])
def test_a_notice_that_waits_alone_is_told_as_it_is(kind: Kind) -> None:
    assert merged([notice(kind)]) == notice(kind)


def test_an_alert_that_a_shortened_list_leaves_out_is_not_called_resolved() -> None:
    whole = notice(alerts=(alert("de"), alert("fr"), alert("it", state="resolved", ended_at=NOW)))
    short = notice("changed", (alert("de"),), counts=Counts(firing=2, resolved=0))
    found = merged([whole, short])
    assert by_state(found.alerts, "firing") == {"de"}
    assert by_state(found.alerts, "resolved") == {"it"}
    assert found.counts == Counts(firing=2, resolved=1)


def test_what_resolved_is_added_the_worst_first_and_after_what_the_last_notice_lists() -> None:
    mild, bad = alert("de", severity="info"), alert("fr", severity="critical")
    found = merged([notice(alerts=(mild, bad)), notice("changed", (alert("it"),), counts=Counts(1, 0))])
    assert [one.series.segment for one in found.alerts] == ["lang=it", "lang=fr", "lang=de"]


def test_the_same_series_in_two_windows_or_of_two_sources_is_two_alerts() -> None:
    day = alert("de", series=replace(alert("de").series, window="1d"))
    week = alert("de", series=replace(alert("de").series, window="7d"))
    other = alert("de", series=replace(alert("de").series, source="complaint"))
    found = merged([notice(alerts=(day, other)), notice("changed", (week,), counts=Counts(1, 0))])
    assert {(one.series.window, one.series.source, one.state) for one in found.alerts} == {
        ("1d", "", "resolved"),
        ("7d", "", "firing"),
        ("", "complaint", "resolved"),
    }


def test_changes_that_waited_together_are_all_told_by_the_last_one() -> None:
    proposed, promoted, back = change(what="proposed"), change(), change(what="rolled_back", version=3, previous=4)
    alone = [news(last=said, at=NOW + timedelta(hours=place)) for place, said in enumerate((proposed, promoted, back))]
    found = merged(alone)
    assert (found.kind, found.change, found.at) == ("change", back, alone[-1].at)
    assert found.earlier == (Dated(alone[0].at, proposed), Dated(alone[1].at, promoted))
    assert merged([merged(alone[:2]), alone[2]]) == found, "in whatever order they are put together"
    assert found.changes == (Dated(alone[2].at, back), *reversed(found.earlier))

"""A notice survives its JSON form, and a bad one is refused."""

import json
from dataclasses import replace
from datetime import UTC, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.alerting.notice import (
    FACTS,
    SEVERITIES,
    Alert,
    Change,
    Counts,
    Evidence,
    Incident,
    Notice,
    Series,
    decode,
    encode,
)
from monitor.calibration.reading import Bin
from monitor.errors import BadInput, Refused
from tests.notify.samples import EVIDENCE, NOTICES, alert, change, notice

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
MOMENTS = st.datetimes(timezones=st.just(UTC))
BINS = st.lists(
    st.builds(Bin, FINITE, FINITE, st.integers(0, 2**53), FINITE, FINITE, st.tuples(FINITE, FINITE)), max_size=3
).map(tuple)
EVIDENCES = st.builds(
    Evidence,
    measure=TEXT,
    unit=st.sampled_from(["ratio", "seconds", "count"]),
    estimate=FINITE,
    interval=st.none() | st.tuples(FINITE, FINITE),
    limit=FINITE,
    n=st.integers(0, 2**53),
    window=st.integers(0, 10**7).map(lambda seconds: timedelta(seconds=seconds)),
    as_of=MOMENTS,
    bins=BINS,
)
ALERTS = st.builds(
    Alert,
    rule=TEXT,
    severity=st.sampled_from(SEVERITIES),
    series=st.builds(Series, TEXT, TEXT, TEXT, TEXT, TEXT),
    state=st.sampled_from(["firing", "recovering", "resolved"]),
    started_at=MOMENTS,
    ended_at=st.none() | MOMENTS,
    evidence=st.none() | EVIDENCES,
    summary=TEXT,
    link=st.none() | TEXT,
    runbook=st.none() | TEXT,
    remark=st.none() | TEXT,
)
VERSIONS = st.none() | st.integers(1, 2**31 - 1)
CHANGES = st.builds(
    Change,
    what=st.sampled_from(["proposed", "promoted", "shadowed", "rolled_back", "kept"]),
    model=TEXT,
    signal=TEXT,
    version=VERSIONS,
    previous=VERSIONS,
    by=TEXT,
    sentence=TEXT,
    facts=st.lists(st.tuples(TEXT, TEXT), max_size=FACTS).map(tuple),
    before=BINS,
    after=BINS,
    report=st.none() | TEXT,
)
NEWS = st.builds(
    Notice,
    kind=st.just("change"),
    incident=st.builds(Incident, TEXT, TEXT),
    alerts=st.just(()),
    counts=st.just(Counts(0, 0)),
    group=st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple),
    at=MOMENTS,
    link=st.none() | TEXT,
    change=CHANGES,
)
NOTICE = NEWS | st.builds(
    Notice,
    kind=st.sampled_from(["fired", "changed", "reminder", "resolved", "digest", "test"]),
    incident=st.builds(Incident, TEXT, TEXT),
    alerts=st.lists(ALERTS, max_size=3).map(tuple),
    counts=st.builds(Counts, st.integers(0, 10**6), st.integers(0, 10**6)),
    group=st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple),
    at=MOMENTS,
    link=st.none() | TEXT,
)


@given(NOTICE)
def test_a_notice_is_the_same_after_its_json_form(found: Notice) -> None:
    assert decode(encode(found)) == found
    assert encode(decode(encode(found))) == encode(found)


def test_a_notice_that_an_earlier_version_stored_is_still_read() -> None:
    stored = (
        '{"version":1,"notice":{"kind":"resolved","incident":{"key":"k","title":"EceHigh"},"alerts":[],'
        '"counts":{"firing":0,"resolved":1},"group":[["rule","EceHigh"]],"at":"2026-11-22T10:00:00Z","link":null}}'
    )
    expected = notice(
        "resolved",
        (),
        incident=Incident("k", "EceHigh"),
        counts=Counts(firing=0, resolved=1),
        group=(("rule", "EceHigh"),),
        link=None,
    )
    assert decode(stored) == expected


def test_news_that_is_no_alert_is_not_over_and_pages_nobody() -> None:
    assert (NOTICES["change"].is_over, NOTICES["change"].severity) == (False, "info")


def test_a_notice_says_what_changed_if_and_only_if_it_is_of_a_change() -> None:
    with pytest.raises(BadInput, match="has a change"):
        replace(NOTICES["change"], change=None)
    with pytest.raises(BadInput, match="has a change"):
        replace(NOTICES["fired"], change=NOTICES["change"].change)


def test_a_change_with_more_facts_than_anybody_is_shown_is_refused() -> None:
    with pytest.raises(BadInput, match="at most 10 facts"):
        change(facts=(("n", "1"),) * 11)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_evidence_that_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(BadInput, match="finite"):
        replace(EVIDENCE, estimate=value)
    with pytest.raises(BadInput, match="finite"):
        replace(EVIDENCE, limit=value)
    with pytest.raises(BadInput, match="finite"):
        replace(EVIDENCE, interval=(0.0, value))


def _spoilt(**changes: object) -> bytes:
    written = json.loads(encode(NOTICES["fired"]))
    return json.dumps({**written, "notice": {**written["notice"], **changes}}).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        encode(NOTICES["fired"]).replace(b'"version":1', b'"version":2'),
        _spoilt(kind="exploded"),
        _spoilt(at="2026-11-22T10:00:00"),
        _spoilt(counts={"firing": -1, "resolved": 0}),
        _spoilt(alerts=None),
    ],
)
def test_what_is_no_notice_of_this_version_is_refused(body: bytes) -> None:
    with pytest.raises(Refused):
        decode(body)


def test_text_that_is_not_unicode_is_refused_when_it_is_written() -> None:
    with pytest.raises(BadInput, match="Unicode"):
        encode(notice(incident=Incident("key", "half a pair: \ud800")))


def test_a_notice_is_as_severe_as_the_worst_alert_that_still_fires() -> None:
    over = alert("de", severity="critical", state="resolved")
    assert notice(alerts=(over, alert("fr", severity="warning"), alert("it", severity="info"))).severity == "warning"
    assert notice(alerts=(over,)).severity == "critical"
    assert notice(alerts=()).severity == "info"

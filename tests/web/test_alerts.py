"""The pages, the API and the time lines of alerts: what they show is stored, and what is red fires."""

import re
from dataclasses import replace
from datetime import timedelta
from html import unescape
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb

from monitor.alerting.round import FIRING_SHARE
from monitor.alerting.target import SERVICE, Target, alert_id
from monitor.alerting.verdict import Estimate, Measured, Verdict
from monitor.calibration.reading import Reading, reading_from_json
from monitor.postgres.database import connect
from monitor.postgres.heartbeats import Process, beat
from monitor.postgres.pages import find_series, reading_body
from monitor.rolling.segments import segment_text
from monitor.web.scales import instant_text
from monitor.web.verdicts import Range, between, ratio
from tests.web.alert_seeding import (
    FIRING,
    GERMAN,
    load_rules,
    measured,
    rule_named,
    said,
    series_target,
    store,
    store_delivery,
    store_incident,
    store_notice,
)
from tests.web.conftest import client_of
from tests.web.seeding import EVIL, NOW, Stream, seed_intake, seed_readings
from tests.web.test_pages import DRIFTED, Outline, outline

STYLE = Path(__file__).parents[2] / "monitor" / "web" / "static" / "caldrift.css"
FIRED_AT = NOW - timedelta(hours=30)
RED = {"EvaluationLate", "Drift", "LabelsStale", "OverConfident", "DeadLetters", "EceHigh"}
"""The rules of which an alert fires in the seeded database, one each."""


def rows(text: str) -> list[str]:
    """The rows of the tables of a page, as words."""
    found = re.findall(r"<tr[ >].*?</tr>|<tr>.*?</tr>", text, re.DOTALL)
    return [re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", row))).strip() for row in found]


def firing_marks(text: str) -> list[str]:
    """The words of everything on a page that is marked as firing."""
    return [unescape(words) for words in re.findall(r'class="state firing"[^>]*>([^<]*)<', text)]


def test_the_page_lists_what_fires_first_the_worst_of_it_on_top_then_what_ended(pages: httpx.Client) -> None:
    words = outline(pages, "/alerts").words()
    assert "6 alerts fire (2 critical, 2 error, 2 warning). 1 is recovering and 2 are pending." in words
    assert "Of 3 alerts nobody is told." in words
    listed = rows(pages.get("/alerts").text)
    states = [state for row in listed for state in ("firing", "recovering", "pending") if f" {state} " in row]
    assert states == ["firing"] * 6 + ["recovering"] + ["pending"] * 2
    severities = [row.split()[row.split().index("firing") + 1] for row in listed if " firing " in row]
    assert [each for each in severities if each in {"critical", "error", "warning"}][:2] == ["critical", "critical"]
    (ended,) = (row for row in listed if row.startswith("ConfidentErrors"))
    assert "18 Nov 2026, 18:00 UTC 19 Nov 2026, 12:00 UTC, after 18 h it stayed within exit" in ended


def test_each_alert_is_listed_with_its_last_evidence_interval_and_n(pages: httpx.Client, newest: list[Reading]) -> None:
    reading = newest[1]
    (row,) = (row for row in rows(pages.get("/alerts?rule=EceHigh&state=firing").text) if row.startswith("EceHigh"))
    interval = between(Range(*reading.intervals["ece"]))
    assert f"ECE {ratio(reading.ece)} ({interval}), limit 0.050, n {reading.n}" in row
    assert "support-triage lang = de; confidence, over 7d" in row


def test_why_nobody_is_told_stands_beside_the_alert(pages: httpx.Client) -> None:
    listed = rows(pages.get("/alerts").text)
    hushed = {row.split()[0]: row.split("not told: ")[1].split(" error")[0] for row in listed if "not told" in row}
    assert {rule: words.split(" warning")[0] for rule, words in hushed.items()} == {
        "LabelsStale": "mute time nights",
        "OverConfident": "silence 1",
        "DeadLetters": "shadow",
    }
    assert "Nobody is told of it: silence 1." in outline(pages, f"/alerts/{alert_id('OverConfident', GERMAN)}").words()


@pytest.mark.parametrize(
    ("query", "rules"),
    [
        ("model=calibrated-judge", ["LabelsStale"]),
        ("rule=EceHigh", ["EceHigh", "EceHigh"]),
        ("severity=critical", ["EvaluationLate", "Drift"]),
        ("state=pending", ["OverConfident", "IntakeBehind"]),
        ("state=recovering", ["EceHigh"]),
        ("state=ended", ["ConfidentErrors"]),
        ("told=hushed", ["LabelsStale", "OverConfident", "DeadLetters"]),
        ("told=told&severity=warning&state=firing", ["EceHigh"]),
        ("model=nobody", []),
    ],
)
def test_the_address_chooses_the_same_alerts_on_the_page_and_in_the_api(
    pages: httpx.Client, query: str, rules: list[str]
) -> None:
    assert [alert["rule"] for alert in pages.get(f"/api/v1/alerts?{query}").json()["alerts"]] == rules
    text = pages.get(f"/alerts?{query}").text
    assert [row.split()[0] for row in rows(text) if not row.startswith("alert ")] == rules
    assert ("No alert fits this choice" in text) == (not rules)
    (link,) = re.findall(r'href="(/api/v1/alerts[^"]*)">JSON', text)
    assert [alert["rule"] for alert in pages.get(unescape(link)).json()["alerts"]] == rules


def test_an_alert_shows_its_evidence_when_it_fired_beside_that_of_now(
    pages: httpx.Client, seeded_database: tuple[str, list[Reading]]
) -> None:
    with connect(seeded_database[0], "test") as connection:
        key = find_series(connection, "support-triage", "confidence", {"lang": "de"})
        assert key is not None
        body = reading_body(connection, key.series, "7d", FIRED_AT)
    assert body is not None
    then, now = reading_from_json(body), seeded_database[1][1]
    assert then.as_of == FIRED_AT
    page = outline(pages, FIRING)
    parts = re.split(r"When it fired|Now, with later labels|The rule", page.words())
    for words, reading in ((parts[1], then), (parts[2], now)):
        assert f"{ratio(reading.ece)} ({between(Range(*reading.intervals['ece']))})" in words
        assert f"labels (n){reading.n}" in words
        for one in reading.bins:
            assert f"{ratio(one.mean_confidence)}{ratio(one.accuracy)}{between(Range(*one.interval))}" in words
    assert [each.get("role") for tag, each in page.tags if tag == "svg"].count("img") == 2


def test_an_alarm_of_the_detectors_is_shown_with_what_would_end_it(pages: httpx.Client) -> None:
    detectors = replace(GERMAN, window="")
    words = outline(pages, f"/alerts/{alert_id('Drift', detectors)}").words()
    assert "page: over-confident in all confidences, share right moved by" in words
    assert "210 of 600 without another one that end it" in words
    assert "a page of the drift detectors stands" in words


def test_an_alert_of_the_service_has_no_series_and_tells_its_value_as_a_duration(pages: httpx.Client) -> None:
    words = outline(pages, f"/alerts/{alert_id('EvaluationLate', SERVICE)}").words()
    assert "caldrift itself" in words
    assert "time since the last evaluation3 h" in words
    assert "limitabove 1 h" in words


def test_the_changes_of_an_alert_are_numbered_without_a_gap_newest_first(pages: httpx.Client) -> None:
    (table,) = re.findall(r"<caption>Newest first, each.*?</table>", pages.get(FIRING).text, re.DOTALL)
    numbers = [int(row.split()[0]) for row in rows(table)[1:]]
    assert numbers == list(range(numbers[0], 0, -1))
    assert "pending to firing it lasted ECE" in rows(table)[1]
    older = pages.get(f"/api/v1{FIRING}?before=3&limit=1").json()["changes"]
    assert [change["transition"]["number"] for change in older] == [2]


def test_an_alert_with_many_changes_leads_to_the_older_ones(database: str) -> None:
    rule = rule_named("DeadLetters", for_=timedelta(0), keep_firing_for=timedelta(0))
    with psycopg.connect(database, autocommit=True) as connection:
        hours = [NOW - timedelta(hours=hour) for hour in range(120, 0, -1)]
        verdicts = [
            measured(rule, at, 250.0 if place % 2 else 1.0, "crossed" if place % 2 else "below")
            for place, at in enumerate(hours)
        ]
        number = store(connection, rule, SERVICE, verdicts)
    with client_of(database) as client:
        text = client.get(f"/alerts/{number}").text
        (older,) = re.findall(r'href="([^"]+)" rel="next"', text)
        found = [
            int(row.split()[0]) for page in (text, client.get(older).text) for row in rows(page) if row[:1].isdigit()
        ]
    assert found == list(range(119, 0, -1))


def test_who_was_told_is_shown_by_channel_with_attempts_errors_and_what_waits(pages: httpx.Client) -> None:
    detectors = replace(GERMAN, window="")
    text = pages.get(f"/alerts/{alert_id('Drift', detectors)}").text
    listed = rows(text)
    assert "fired 19 Nov 2026, 12:00 UTC slack told 19 Nov 2026, 12:03 UTC 2" in listed
    waits = (
        "fired 19 Nov 2026, 12:00 UTC pagerduty next attempt 19 Nov 2026, 12:02 UTC 3 503 <b>Service Unavailable</b>"
    )
    assert waits in listed
    assert "<b>Service" not in text
    assert "closed: 5 failures in a row, next trial" in Outline(text).words()
    service = rows(pages.get(f"/alerts/{alert_id('EvaluationLate', SERVICE)}").text)
    assert any("given up" in row and "400: invalid routing key" in row for row in service)
    assert any(row.startswith("fired") and "dropped" in row for row in service)


def test_an_alert_shows_the_incidents_whose_group_it_belongs_to_and_no_other(database: str) -> None:
    rule = rule_named("EceHigh")
    with psycopg.connect(database, autocommit=True) as connection:
        seed_readings(connection, [Stream("m", {"lang": "de"}, n=60)], points=1)
        german = series_target(connection, "m", {"lang": "de"})
        number = store(connection, rule, german, [said("insufficient", NOW, "12 labels of 500")])
        for group in (
            [("model", "m"), ("segment", "lang=de")],
            [("model", "m"), ("severity", "warning"), ("window", "7d")],
            [("model", "n")],
            [("model", "m"), ("segment", "lang=en")],
            [("model", "m"), ("other", "x")],
        ):
            key = store_incident(connection, rule, group, ["slack"], NOW)
            store_delivery(connection, store_notice(connection, key, 1, "fired", NOW), "slack", "told")
        store_incident(connection, rule_named("OverConfident"), [("model", "m")], ["slack"], NOW)
    with client_of(database) as client:
        assert len(client.get(f"/api/v1/alerts/{number}").json()["incidents"]) == 2
        assert client.get(f"/alerts/{number}").text.count("Deliveries of") == 2


def test_what_no_one_is_told_says_why(pages: httpx.Client, database: str) -> None:
    behind = alert_id("IntakeBehind", SERVICE)
    assert "Nothing has been queued for it." in outline(pages, f"/alerts/{behind}").words()
    with psycopg.connect(database, autocommit=True) as connection:
        load_rules(connection, NOW, "rules: [{name: DeadLetters, metric: dead_letters, enter: 100}]")
        rule = rule_named("DeadLetters")
        number = store(connection, rule, SERVICE, [measured(rule, NOW, 250)])
    with client_of(database) as client:
        assert "the rule has no route, and there is no fallback route" in client.get(f"/alerts/{number}").text


def test_silences_that_cover_an_alert_stand_on_its_page_and_others_do_not(pages: httpx.Client) -> None:
    covered = outline(pages, f"/alerts/{alert_id('OverConfident', GERMAN)}").words()
    assert "Silence 1 (in force): retraining <b>today</b> (ada), from 20 Nov 2026, 11:00 UTC to" in covered
    assert "Silence 3" not in covered
    assert "None that is in force or planned." in outline(pages, FIRING).words()


@pytest.mark.parametrize(
    ("match", "covered"),
    [
        ({}, True),
        ({"segment": ["lang=*"]}, True),
        ({"segment": [""]}, False),
        ({"severity": ["error"]}, False),
        ({"rule": ["*", "!EceHigh"]}, False),
        ({"signal": ["confidence"], "model": ["m?"]}, False),
        ({"rule": ["Ece*"], "model": ["m"], "segment": ["*"], "signal": ["conf*"], "severity": ["warning"]}, True),
    ],
)
def test_a_silence_covers_an_alert_only_if_all_that_it_says_matches(
    database: str, match: dict[str, list[str]], covered: bool
) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        seed_intake(connection)
        seed_readings(connection, [Stream("m", {"lang": "de"}, n=60)], points=1)
        german = series_target(connection, "m", {"lang": "de"})
        number = store(connection, rule_named("EceHigh"), german, [said("insufficient", NOW, "few")])
        connection.execute(
            "INSERT INTO silence (match, starts_at, ends_at, reason, made_by, made_at)"
            " VALUES (%s, %s, %s, 'r', 'ada', %s)",
            (Jsonb(match), NOW, NOW + timedelta(hours=1), NOW),
        )
    with client_of(database) as client:
        assert ("Silence 1 (in force)" in client.get(f"/alerts/{number}").text) == covered


def test_a_pending_alert_says_how_much_of_its_wait_is_over(pages: httpx.Client) -> None:
    behind = outline(pages, f"/alerts/{alert_id('IntakeBehind', SERVICE)}").words()
    assert "The limit is crossed, so far for 0 s of 30 min." in behind
    markup = replace(GERMAN, model=EVIL, segment=segment_text({"=cmd|' /C calc'!A0": "<b>&\"'"}))
    words = outline(pages, f"/alerts/{alert_id('OverConfident', markup)}").words()
    assert "The limit is crossed, so far for 0 s of 30 min and over 0 of 25 new labels." in words


def test_a_rollup_is_about_its_model_and_tells_the_share_of_its_series(database: str) -> None:
    rule = rule_named("EceHigh")
    share = Estimate(0.75, None, 12)
    evidence = Measured(
        as_of=NOW, measure=FIRING_SHARE, estimate=share, judged=share, compare="above", proof="point", enter=0.5,
        exit=0.5, confidence_level=0.95,
    )  # fmt: skip
    with psycopg.connect(database, autocommit=True) as connection:
        number = store(connection, rule, Target("rollup", "m"), [Verdict("crossed", evidence)], hushed="no route")
    with client_of(database) as client:
        (row,) = rows(client.get("/alerts").text)[1:]
        assert "m its series together share of its series that fire 0.750, limit 0.500, of 12 series" in row
        assert "not told: no route" in row
        words = outline(client, f"/alerts/{number}").words()
        assert "series12" in words
        assert "Nobody was told: no route." in words


def test_what_another_version_stored_is_refused_in_words(database: str) -> None:
    rule = rule_named("DeadLetters")
    with psycopg.connect(database, autocommit=True) as connection:
        number = store(connection, rule, SERVICE, [measured(rule, NOW, 250)])
        connection.execute("UPDATE alert SET state = jsonb_set(state, '{version}', '9')")
    with client_of(database) as client:
        assert "must be of version 1, got 9" in outline(client, f"/alerts/{number}", 500).words()
        assert client.get(f"/api/v1/alerts/{number}").status_code == 500
        assert client.get("/alerts").status_code == 200


def test_a_rule_that_asks_for_no_wait_says_so_in_its_changes(pages: httpx.Client) -> None:
    listed = rows(pages.get(f"/alerts/{alert_id('EvaluationLate', SERVICE)}").text)
    assert any("ok to firing the limit was crossed, and no wait is asked" in row for row in listed)


def test_an_alert_that_there_is_not_is_named(pages: httpx.Client) -> None:
    url = "/alerts/00000000-0000-0000-0000-000000000000"
    assert "There is no alert 00000000-" in outline(pages, url, 404).words()
    answer = pages.get(f"/api/v1{url}")
    assert (answer.status_code, set(answer.json())) == (404, {"schema", "error"})


def test_the_rules_stand_in_words_with_what_came_of_judging_them(pages: httpx.Client) -> None:
    listed = {row.split()[0]: row for row in rows(pages.get("/rules").text)}
    ece = (
        "ECE is above 0.050 with its whole interval, for 30m and over 25 new labels over when ECE is below 0.030 for 2h"
    )
    assert ece in listed["EceHigh"]
    assert (
        "every model; every segment; the main signal; windows 7d tells the route team, again every 1d"
        in listed["EceHigh"]
    )
    assert "3 d ago 12 judged, 2 without enough data failed: no such version: v2" in listed["EceRoseSinceVersion"]
    assert "the change of ECE since the recalibration in force is above +0.030" in listed["EceRoseSinceRecalibration"]
    assert "number of messages that wait is above 100 000" in listed["IntakeBehind"]
    assert {rule for rule, row in listed.items() if row.endswith(" 1 alert")} == RED


def test_rules_that_are_no_longer_readable_are_said_to_be_so(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO rule_set (digest, body, loaded_at) VALUES ('d', 'rules: [{nam: x}]', %s)", (NOW,)
        )
    with client_of(database) as client:
        words = outline(client, "/rules").words()
        assert "The rules in force cannot be shown: the stored rule file has" in words
        assert client.get("/?window=7d").status_code == 200


def test_a_newer_file_that_is_refused_is_told_with_its_mistakes(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        load_rules(connection, NOW)
        beat(connection, Process("evaluate", 1, "h"), {"leads": True, "rules_refused": "alerts.yaml:3:1: <b>unknown"})
    with client_of(database) as client:
        text = client.get("/rules").text
        assert "The rule file is refused, and these rules stay: alerts.yaml:3:1" in text
        assert "<b>unknown" not in text
        assert "caldrift_rules_reload_failed 1.0" in client.get("/metrics").text


def test_before_any_rule_is_loaded_the_pages_say_so(empty_pages: httpx.Client) -> None:
    assert "No rules are in force yet" in outline(empty_pages, "/alerts").words()
    assert "No rules are in force yet" in outline(empty_pages, "/rules").words()
    assert "No rules are in force yet" in outline(empty_pages, "/").words()
    assert empty_pages.get("/api/v1/alerts").json() == {"schema": 1, "alerts": []}
    assert empty_pages.get("/api/v1/silences").json() == {"schema": 1, "silences": []}


def test_nothing_is_red_in_the_style_but_what_fires() -> None:
    rules = re.findall(
        r"([^{}]+)\{([^{}]*)\}", re.sub(r"/\*.*?\*/", "", STYLE.read_text(encoding="utf-8"), flags=re.DOTALL)
    )
    red = [selector.strip() for selector, body in rules if "var(--red)" in body]
    assert len(red) >= 3
    assert all(re.search(r"\.firing\b", each) for selector in red for each in selector.split(","))


def test_every_red_thing_is_a_firing_alert_and_every_firing_alert_is_red(pages: httpx.Client) -> None:
    assert len(firing_marks(pages.get("/alerts").text)) == len(RED)
    assert firing_marks(pages.get("/alerts?state=pending").text) == []
    assert sorted(firing_marks(pages.get("/?window=7d&sources=all").text)) == [
        "firing: Drift", "firing: EceHigh", "firing: OverConfident",
    ]  # fmt: skip
    series = pages.get(DRIFTED).text
    assert len(firing_marks(series)) == 3
    assert series.count('class="life firing"') == 3 * 4  # in three widths and the legend
    assert firing_marks(pages.get("/series?model=support-triage&window=7d").text) == []
    assert 'class="life firing"' not in pages.get("/series?model=support-triage&window=7d").text
    assert firing_marks(pages.get(FIRING).text) == ["firing"]


def test_once_nothing_fires_nothing_is_red(database: str) -> None:
    rule = rule_named("EceHigh", keep_firing_for=timedelta(0), for_new_labels=0)
    with psycopg.connect(database, autocommit=True) as connection:
        seed_readings(connection, [Stream("m", n=400)], points=6)
        load_rules(connection, NOW)
        subject = series_target(connection, "m", {})
        hours = [NOW - timedelta(hours=hour) for hour in (30, 24, 18, 12)]
        found = ("crossed", "crossed", "below", "below")
        number = store(
            connection, rule, subject,
            [measured(rule, at, 0.1, finding) for at, finding in zip(hours, found, strict=True)],  # type: ignore[arg-type]
        )  # fmt: skip
    with client_of(database) as client:
        for url in ("/", "/alerts", "/rules", "/series?model=m&window=7d", f"/alerts/{number}"):
            text = client.get(url).text
            assert not re.search(r'class="[^"]*\bfiring\b', text), url
        assert "No alert fires." in outline(client, "/").words()
        assert 'class="life"' in client.get("/series?model=m&window=7d").text


def test_the_overview_tells_what_fires_before_anything_else(pages: httpx.Client) -> None:
    page = outline(pages, "/?window=7d")
    assert re.search(r"Overview 6 alerts fire \(2 critical, 2 error, 2 warning\)\. ", page.words())
    assert "6 firing" in page.words()
    assert "/alerts?state=firing" in page.links
    assert "recovering: EceHigh" in page.words()


def test_the_page_of_a_series_lists_its_alerts_and_draws_their_lives_and_limits(pages: httpx.Client) -> None:
    text = pages.get(DRIFTED).text
    words = Outline(text).words()
    assert f"firing EceHigh since {instant_text(FIRED_AT)}, for 1 d 6 h; now ECE" in words
    assert "(not told: silence 1)" in words
    assert "EceHigh: enter 0.050, exit 0.030" in words
    assert f"<title>EceHigh since {instant_text(FIRED_AT)}: ECE" in text
    calm = outline(pages, "/series?model=support-triage&segment=lang%3Den&window=7d")
    assert (
        "ended ConfidentErrors from 18 Nov 2026, 18:00 UTC to 19 Nov 2026, 12:00 UTC (18 h; it stayed within exit)"
        in calm.words()
    )
    other = outline(pages, "/series?model=support-triage&segment=lang%3Dde&window=1d").words()
    assert "EceHigh: enter" not in other  # the rule looks at windows of 7d


def test_a_page_of_the_past_knows_only_the_alerts_of_then(pages: httpx.Client) -> None:
    before = pages.get(f"{DRIFTED}&as_of=2026-11-18T12:00:00Z").text
    assert "EceHigh</a> since" not in before
    assert 'class="life' not in before
    then = Outline(pages.get(f"{DRIFTED}&as_of=2026-11-19T08:00:00Z").text).words()
    assert f"firing EceHigh since {instant_text(FIRED_AT)}; ECE" in then
    assert "Drift since" not in then


def test_the_api_gives_one_alert_with_its_evidence_changes_and_deliveries(
    pages: httpx.Client, newest: list[Reading]
) -> None:
    found = pages.get(f"/api/v1{FIRING}").json()
    assert found["alert"]["evidence"]["estimate"]["value"] == newest[1].ece
    assert [each["n"] for each in found["alert"]["evidence"]["bins"]] == [each.n for each in newest[1].bins]
    assert found["state"]["type"] == "firing"
    assert found["begun"]["reason"] == "fired"
    assert found["begun"]["evidence"]["bins"] != found["alert"]["evidence"]["bins"]
    assert [each["kind"] for each in found["deliveries"]] == ["changed", "fired"]
    assert found["incidents"][0]["title"] == "EceHigh on support-triage"


def test_the_api_gives_silences_that_are_not_over_and_with_ended_all(pages: httpx.Client) -> None:
    found = pages.get("/api/v1/silences").json()["silences"]
    assert [(each["id"], each["is_active"]) for each in found] == [(3, False), (1, True)]
    assert found[1]["match"] == {"rule": ["OverConfident"], "model": ["support-*"]}
    assert [each["id"] for each in pages.get("/api/v1/silences?ended=true").json()["silences"]] == [3, 2, 1]


def test_five_thousand_alerts_are_listed_page_by_page_each_once(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        rule = rule_named("IntakeBehind")
        number = store(connection, rule, SERVICE, [measured(rule, NOW, 200_000)])
        connection.execute(
            """
            INSERT INTO alert SELECT gen_random_uuid(), rule, 'model', series, 'm' || step, signal, segment_text,
                source_group, window_name, severity, state_name, state, judged_at, fired_at, evidence, finding,
                labels_seen, hushed
            FROM alert, generate_series(1, 4999) AS step WHERE id = %s
            """,
            (number,),
        )
    with client_of(database) as client:
        seen: set[str] = set()
        url = "/alerts?state=pending"
        for _ in range(3):
            text = client.get(url).text
            seen |= set(re.findall(r"/alerts/[0-9a-f-]{36}", text))
            (url,) = (unescape(link) for link in re.findall(r'href="([^"]+)" rel="next"', text))
        assert len(seen) == 300
        assert "5 000 are pending" in outline(client, "/alerts").words()
        assert len(client.get("/api/v1/alerts?limit=10000").json()["alerts"]) == 5000

"""The pages show what the database holds, escape it, and stay friendly when there is nothing or nobody to ask."""

import re
from html.parser import HTMLParser
from urllib.parse import quote

import httpx
import msgspec
import psycopg
import pytest

from monitor.calibration.reading import Reading, reading_from_json
from monitor.errors import Unavailable
from monitor.postgres.database import Connection
from monitor.web.scales import plain
from monitor.web.verdicts import Range, between, ratio, signed
from tests.web.alert_seeding import FIRING
from tests.web.conftest import client_of, served
from tests.web.seeding import EVIL, NOW, STREAMS, Stream, seed_readings

VOID = {"meta", "link", "br", "input", "img", "hr"}
DRIFTED = "/series?model=support-triage&segment=lang%3Dde&window=7d"


class Outline(HTMLParser):
    """What a page is made of: texts, ids, links, headings; fails on elements that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.headings: list[int] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append((tag, given))
        if tag not in VOID:
            self.open.append(tag)
        if given.get("id"):
            self.ids.append(str(given["id"]))
        if tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def words(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.text))


def outline(pages: httpx.Client, url: str, status: int = 200) -> Outline:
    answer = pages.get(url)
    assert answer.status_code == status, answer.text
    return Outline(answer.text)


EVERY_PAGE = (
    "/?window=7d",
    DRIFTED,
    "/alerts",
    FIRING,
    "/rules",
    "/dead-letters",
    "/definitions",
    "/nothing-here",
    "/series?model=unknown",
)


def test_the_overview_says_how_many_series_are_outside_and_lists_the_surest_fault_first(
    pages: httpx.Client, newest: list[Reading]
) -> None:
    judged = [
        reading
        for reading in newest
        if not reading.source and not reading.not_enough_labels and reading.ece is not None
    ]
    off = [one for one in judged if one.ece is not None and one.ece > one.null_band["ece"][1]]
    words = outline(pages, "/?window=7d").words()
    assert f"{len(off)} of {len(judged)} series" in words
    worst = max(judged, key=lambda one: one.intervals["ece"][0] - one.null_band["ece"][1])
    first = re.search(r"<tbody>.*?<td", pages.get("/?window=7d").text, re.DOTALL)
    assert first is not None
    assert worst.model in first[0]
    assert all(f"{name} = {value}" in first[0] for name, value in worst.segment.items())


def test_the_overview_tells_the_age_of_the_labels_coverage_and_lag(pages: httpx.Client, newest: list[Reading]) -> None:
    whole = [one for one in newest if not one.segment and one.signal == "confidence" and not one.source]
    share = sum(one.n for one in whole) / sum(one.n_predictions for one in whole)
    words = outline(pages, "/?window=7d").words()
    assert "The last labels came 3 min ago" in words
    assert (
        f"{share * 100:.1f} % of the {plain(sum(one.n_predictions for one in whole))}".replace("\u202f", " ") in words
    )
    assert "The intake is 24 messages behind" in words
    assert "evaluate silent for 3 h" in words
    silent = (
        r"The evaluate role has been silent for 3 h( \d+ min)?: the readings below are those of its last evaluation"
    )
    assert re.search(silent, words)
    assert "The ingest role" not in words


def test_every_row_of_the_overview_shows_the_reading_that_is_stored(pages: httpx.Client, newest: list[Reading]) -> None:
    text = pages.get("/?window=7d&sources=all").text
    for reading in newest:
        assert ratio(reading.ece) in text
        assert between(Range(*reading.intervals["ece"])) in text
        assert between(Range(*reading.null_band["ece"])) in text
        assert signed(reading.signed_gap) in text


def test_series_of_other_label_sources_are_listed_only_when_asked_for(pages: httpx.Client) -> None:
    assert "labelled by complaint" not in pages.get("/?window=7d").text
    assert "labelled by complaint" in pages.get("/?window=7d&sources=all").text


@pytest.mark.parametrize("rank", ["excess", "gap", "ece", "n", "name"])
def test_series_without_enough_labels_stand_last_and_are_named_so(pages: httpx.Client, rank: str) -> None:
    rows = re.findall(
        r"<tr>\s*<th scope=\"row\" class=\"series-name\">.*?</tr>",
        pages.get(f"/?window=7d&rank={rank}").text,
        re.DOTALL,
    )
    few = ["not enough labels" in row for row in rows]
    assert sum(few) == 1
    assert few[-1] or rank in {"n", "name"}


def test_the_overview_can_be_narrowed_to_a_model_a_signal_and_a_text(pages: httpx.Client) -> None:
    def rows(query: str) -> int:
        return str(pages.get(f"/?window=7d&{query}").text).count('class="series-name"')

    assert rows("model=invoice-reader") == 2
    assert rows("signal=logprob") == 1
    assert rows("search=DE") == 2
    assert rows("search=%25") == 0
    assert "No series fits this choice" in pages.get("/?window=7d&model=none").text


def test_the_page_of_a_series_shows_the_stored_values_with_n_and_intervals(
    pages: httpx.Client, newest: list[Reading]
) -> None:
    reading = newest[1]
    words = outline(pages, DRIFTED).words()
    interval, band = Range(*reading.intervals["ece"]), Range(*reading.null_band["ece"])
    assert f"clearly outside the null band of {between(band)}, over-confident: ECE {ratio(reading.ece)}" in words
    assert f"({between(interval)}) from {reading.n} labels over 7d" in words
    for name in ("ece", "ece_equal_mass", "mce", "brier", "log_loss", "auroc", "accuracy", "mean_confidence"):
        assert ratio(getattr(reading, name)) in words, name
    for one in reading.bins:
        assert f"{ratio(one.mean_confidence)}{ratio(one.accuracy)}{between(Range(*one.interval))}" in words


def test_the_page_of_a_series_draws_three_charts_with_a_table_behind_each(pages: httpx.Client) -> None:
    page = outline(pages, DRIFTED)
    titles = [attributes.get("role") for tag, attributes in page.tags if tag == "svg"]
    assert titles.count("img") == 5  # the time line is drawn for three widths
    assert [tag for tag, _ in page.tags].count("figure") == 3
    assert [tag for tag, _ in page.tags].count("details") == 4


def test_a_series_with_few_labels_says_so_instead_of_a_verdict(pages: httpx.Client) -> None:
    words = outline(pages, "/series?model=support-triage&segment=lang%3Dpt&window=7d").words()
    assert "not enough labels (32 labels over 7d)" in words
    assert "too few" in words


def test_the_address_of_a_series_holds_window_and_time(pages: httpx.Client) -> None:
    assert "provisional" in pages.get(DRIFTED.replace("7d", "1d")).text
    words = outline(pages, f"{DRIFTED}&as_of={quote('2026-11-16T12:00:00Z')}").words()
    assert "This is how it was known at 16 Nov 2026, 12:00 UTC." in words
    assert "as of16 Nov 2026, 12:00 UTC" in words
    assert "20 Nov" not in re.sub(r"20 Nov 2026, 12:00 UTC · every", "", words)


def test_a_number_leads_to_the_address_of_its_series(pages: httpx.Client) -> None:
    places = [pages.get(f"/series/{number}?window=7d").headers["location"] for number in range(1, 1 + len(STREAMS))]
    assert len(set(places)) == len(STREAMS)
    assert "/series?model=support-triage&signal=confidence&window=7d&segment=lang%3Dde" in places
    assert all(pages.get(place).status_code == 200 for place in places)
    assert pages.get("/series/999999").status_code == 404


@pytest.mark.parametrize("url", EVERY_PAGE)
def test_every_page_is_well_formed_with_landmarks_ordered_headings_and_ids_of_its_own(
    pages: httpx.Client, url: str
) -> None:
    page = Outline(pages.get(url).text)
    tags = [tag for tag, _ in page.tags]
    assert (tags.count("main"), tags.count("header"), tags.count("footer"), page.headings.count(1)) == (1, 1, 1, 1)
    assert page.headings[0] == 1
    assert all(later - earlier <= 1 for earlier, later in zip(page.headings, page.headings[1:], strict=False))
    assert len(page.ids) == len(set(page.ids))
    referred = [
        ident
        for _, attributes in page.tags
        for key in ("aria-labelledby",)
        for ident in str(attributes.get(key) or "").split()
    ]
    assert set(referred) <= set(page.ids)
    assert page.links[0] == "#content"
    tables = len([tag for tag in tags if tag == "table"])
    assert tags.count("caption") == tables


@pytest.mark.parametrize("url", EVERY_PAGE)
def test_every_page_forbids_all_but_its_own_files_and_needs_none_inline(pages: httpx.Client, url: str) -> None:
    answer = pages.get(url)
    assert answer.headers["content-security-policy"].startswith("default-src 'self';")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert " style=" not in answer.text
    assert "<style" not in answer.text
    assert not re.search(r"\son\w+=", answer.text)
    assert re.findall(r"<script(?! src=\"/static/)", answer.text) == []


@pytest.mark.parametrize(
    "url",
    [
        "/?window=7d&sources=all",
        "/dead-letters",
        "/alerts",
        "/rules",
        f"/series?model={quote(EVIL)}&window=7d&segment={quote('=cmd')}",
    ],
)
def test_what_producers_send_is_escaped(pages: httpx.Client, url: str) -> None:
    text = pages.get(url).text
    assert EVIL not in text
    assert "<b>&" not in text


def test_dead_letters_are_listed_by_reason_without_their_payload(pages: httpx.Client) -> None:
    words = outline(pages, "/dead-letters").words()
    assert "6 messages could not be used, for 3 reasons" in words
    assert "payload" not in words.replace("Payloads are not shown", "")
    text = pages.get("/dead-letters?reason=undecodable").text
    assert text.count("<code>undecodable</code>") == 2
    assert "confidence must be" not in text
    assert "x" * 400 not in pages.get("/dead-letters").text


def test_every_why_link_leads_to_a_definition(pages: httpx.Client) -> None:
    defined = set(outline(pages, "/definitions").ids)
    links = [link for url in ("/?window=7d", DRIFTED, "/alerts", "/dead-letters") for link in outline(pages, url).links]
    wanted = {link.removeprefix("/definitions#") for link in links if link.startswith("/definitions#")}
    assert len(wanted) >= 10
    assert wanted <= defined


def test_every_link_of_a_page_leads_somewhere(pages: httpx.Client) -> None:
    for url in (
        "/?window=7d&sources=all",
        "/?model=support-triage",
        DRIFTED,
        "/alerts",
        FIRING,
        "/rules",
        "/thresholds/support-triage",
    ):
        for link in set(outline(pages, url).links):
            if not link.startswith("#"):
                assert pages.get(link).status_code == 200, link


def test_an_empty_database_is_explained_and_not_an_error(empty_pages: httpx.Client) -> None:
    words = outline(empty_pages, "/").words()
    assert "No readings yet" in words
    assert "caldrift replay" in words
    assert "No label has come yet" in words
    assert "No process has reported yet" in words
    assert "The ingest role" not in words
    assert "there is no dead letter" in outline(empty_pages, "/dead-letters").words()
    assert empty_pages.get("/metrics").status_code == 200
    assert empty_pages.get("/api/v1/series").json() == {"schema": 1, "readings": []}
    assert empty_pages.get("/readyz").status_code == 200


def test_a_window_without_a_reading_names_those_that_have_one(pages: httpx.Client) -> None:
    words = outline(pages, DRIFTED.replace("7d", "all")).words()
    assert "No reading of this window yet" in words
    assert "there are readings over 1d, 7d" in words


def away() -> Connection:
    raise Unavailable("Postgres at secret-host:5432 (database d, user u) does not answer")


@pytest.mark.parametrize("url", ["/?model=a%00", "/alerts?model=a%00", "/api/v1/review?model=m&segment=a%3D%00"])
def test_a_name_with_a_null_character_is_bad_input_and_no_outage(empty_pages: httpx.Client, url: str) -> None:
    answer = empty_pages.get(url)
    assert answer.status_code == 400
    assert "text must not hold the character U+0000" in answer.text


def test_while_the_database_is_away_pages_say_so_try_again_and_tell_no_secret() -> None:
    with served(away) as address:
        client = httpx.Client(base_url=address)
        for url in ("/", DRIFTED, "/alerts", FIRING, "/rules", "/dead-letters"):
            answer = client.get(url)
            assert (answer.status_code, answer.headers["refresh"], answer.headers["retry-after"]) == (503, "5", "5")
            assert "The database does not answer" in answer.text
            assert "secret-host" not in answer.text
        answer = client.get("/api/v1/series")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert set(answer.json()) == {"schema", "error"}
        assert (client.get("/livez").status_code, client.get("/readyz").status_code) == (200, 503)
        assert "caldrift_database_up 0.0" in client.get("/metrics").text


def test_the_pages_come_back_by_themselves_after_the_database_dropped_every_connection(
    postgres: str, database: str
) -> None:
    with client_of(database) as client:
        assert client.get("/").status_code == 200
        name = database.rpartition("/")[2]
        with psycopg.connect(postgres, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        assert client.get("/").status_code == 200


def test_a_database_without_tables_is_not_ready_and_says_what_to_do(empty_database: str) -> None:
    with client_of(empty_database) as client:
        assert client.get("/readyz").status_code == 503
        assert client.get("/").status_code == 503
        with psycopg.connect(empty_database, autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('v0')"
            )
        assert "caldrift db upgrade" in client.get("/readyz").text


@pytest.mark.parametrize(
    "url",
    [
        "/alerts?state=red",
        "/alerts/1",
        "/?page=0",
        "/?rank=worst",
        "/series",
        "/series?model=m&segment=x",
        "/series?model=m&as_of=2026-01-01T00:00:00",
    ],
)
def test_an_address_that_makes_no_sense_is_explained(pages: httpx.Client, url: str) -> None:
    page = outline(pages, url, 400)
    assert "cannot be read" in page.words()


def test_the_api_gives_the_stored_readings_in_the_form_of_the_command_line(
    pages: httpx.Client, newest: list[Reading]
) -> None:
    answer = pages.get("/api/v1/readings?model=support-triage&segment=lang%3Dde&window=7d").json()
    assert answer["schema"] == 1
    (reading,) = answer["readings"]
    assert reading_from_json(msgspec.json.encode(reading)) == newest[1]
    every = pages.get("/api/v1/series?window=7d").json()["readings"]
    assert len(every) == sum(not stream.source for stream in STREAMS)
    assert len(pages.get("/api/v1/series?window=7d&sources=all&limit=3").json()["readings"]) == 3


def test_the_api_gives_history_newest_first_and_a_reading_at_a_time(pages: httpx.Client) -> None:
    url = "/api/v1/readings?model=support-triage&window=7d"
    times = [one["as_of"] for one in pages.get(f"{url}&history=5").json()["readings"]]
    assert times == sorted(times, reverse=True)
    assert len(times) == 5
    (then,) = pages.get(f"{url}&as_of=2026-11-16T13:00:00Z").json()["readings"]
    assert then["as_of"] == "2026-11-16T12:00:00Z"
    assert pages.get("/api/v1/readings?model=none").status_code == 404


def test_no_text_in_a_csv_can_be_taken_for_a_formula(pages: httpx.Client) -> None:
    answer = pages.get("/api/v1/series.csv?window=7d")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "'=cmd" in answer.text
    assert all(not re.search(r"(^|,)\"?[=@+]", line) for line in answer.text.splitlines())
    assert "over-confident" not in answer.text
    bins = pages.get("/api/v1/bins.csv?model=support-triage&window=7d").text.splitlines()
    assert bins[0] == "low,high,n,mean_confidence,accuracy,interval_low,interval_high"
    history = pages.get("/api/v1/readings.csv?model=support-triage&window=7d").text.splitlines()
    assert len(history) == 25


def test_a_long_history_is_thinned_evenly_and_keeps_its_newest(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        seed_readings(connection, [Stream("m", n=50)], points=2)
        connection.execute(
            """
            INSERT INTO reading (series, window_name, as_of, computed_at, n, n_predictions, ece, body)
            SELECT series, window_name, as_of - step * interval '5 minutes', computed_at, 100, 100, 0.1, body
            FROM reading, generate_series(1, 5000) step WHERE as_of = %s
            ON CONFLICT DO NOTHING
            """,
            (NOW,),
        )
    with client_of(database) as client:
        times = [
            line.split(",")[0] for line in client.get("/api/v1/readings.csv?model=m&window=7d").text.splitlines()[1:]
        ]
    assert times[-1] == "2026-11-20T12:00:00Z"
    assert 60 <= len(times) <= 260
    assert times == sorted(times)


def test_refreshing_can_be_paused_and_is_part_of_the_address(pages: httpx.Client) -> None:
    going, paused = pages.get(DRIFTED).text, pages.get(f"{DRIFTED}&refresh=off").text
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in going
    assert "refresh=off" in going
    assert "http-equiv" not in paused
    assert "go on" in paused


def test_one_page_of_the_overview_leads_to_the_next(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        seed_readings(connection, [Stream("m", {"k": f"{n:03}"}, n=30) for n in range(60)], points=1)
    with client_of(database) as client:
        first = client.get("/?window=7d")
        assert first.text.count('class="series-name"') == 50
        (link,) = re.findall(r'href="([^"]+)" rel="next"', first.text)
        second = client.get(link.replace("&amp;", "&"))
        assert second.text.count('class="series-name"') == 10
        assert 'rel="prev"' in second.text
        assert 'rel="next"' not in second.text


def test_a_series_page_says_what_its_detectors_know_and_marks_their_alarms(pages: httpx.Client) -> None:
    drifted = pages.get("/series", params={"model": "support-triage", "segment": "lang=de", "window": "7d"}).text
    assert "over-confident in all confidences, share right moved by" in drifted
    assert "Alarms, newest first" in drifted
    assert 'class="onset"' in drifted
    assert 'class="alarm"' in drifted
    calm = pages.get("/series", params={"model": "invoice-reader", "window": "7d"}).text
    assert "labels were held against a baseline of" in calm
    assert "No alarm so far." in calm
    assert 'class="alarm"' not in calm
    unwatched = pages.get("/series", params={"model": "support-triage", "source": "complaint", "window": "7d"}).text
    assert "No detector watches this series yet" in unwatched


def test_the_overview_lists_the_newest_alarms_with_their_series(pages: httpx.Client) -> None:
    text = pages.get("/").text
    assert "The newest alarms of the detectors." in text
    assert "support-triage, confidence, lang = de</a>: " in text
    assert "The newest alarms" not in pages.get("/", params={"model": "calibrated-judge"}).text


def test_the_api_gives_detectors_and_alarms_of_one_series_of_a_model_or_of_all(pages: httpx.Client) -> None:
    one = pages.get("/api/v1/drift", params={"model": "support-triage", "segment": "lang=de"}).json()
    assert [row["segment"] for row in one["detectors"]] == [{"lang": "de"}]
    assert {alarm["tier"] for alarm in one["alarms"]} == {"page", "warn"}
    page = next(alarm for alarm in one["alarms"] if alarm["tier"] == "page")
    assert page["sign"] == 1
    assert page["size_low"] <= page["size"] <= page["size_high"]
    assert page["value"] * page["alpha"] >= 1
    of_model = pages.get("/api/v1/drift", params={"model": "support-triage"}).json()
    every = pages.get("/api/v1/drift").json()
    assert 1 < len(of_model["detectors"]) < len(every["detectors"])
    before = pages.get("/api/v1/drift", params={"as_of": "2026-11-01T00:00:00Z"}).json()
    assert before["alarms"] == []
    assert pages.get("/api/v1/drift", params={"model": "x", "segment": "lang=de"}).status_code == 404

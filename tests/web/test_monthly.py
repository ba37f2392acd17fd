"""The monthly report: what the store says of one month, in one file that loads nothing and runs nothing."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import httpx
import msgspec
import numpy as np
import psycopg
import pytest

from monitor.calibration.certificates import Promise, certify
from monitor.calibration.reading import ReadingSettings, Subject
from monitor.calibration.readout import read
from monitor.calibration.sketch import Sketch, sketch_of
from monitor.errors import BadInput
from monitor.postgres import panes
from monitor.postgres.calibrators import InForce, Run, note_run, promote
from monitor.postgres.certificates import deploy
from monitor.postgres.database import connect
from monitor.postgres.monthly import Month, month_of
from monitor.postgres.series import series_ids
from monitor.rolling.panes import hour_of
from monitor.rolling.segments import SeriesName
from monitor.rolling.stacks import code, stacked
from monitor.web.links import month_before
from monitor.web.monthly import html_document, month_between
from tests import embedded
from tests.cli.commands import Run as Caldrift
from tests.web.conftest import client_of
from tests.web.seeding import EVIL, NOW, seed_intake
from tests.web.test_pages import Outline

START, END = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
HOSTILE = "\"><img src=x onerror=alert(1)>{{ 7*7 }}</td></table><script>alert('r')</script>"


@dataclass(frozen=True, slots=True)
class Part:
    """Answers of one hour of the month: `gap` is how much more confident than right they are."""

    segment: dict[str, str]
    gap: float
    n: int = 400
    signal: str = "confidence"
    at: datetime = START + 3 * DAY
    model: str = "m"

    @property
    def name(self) -> SeriesName:
        return SeriesName(self.model, self.signal, msgspec.json.encode(self.segment).decode())

    @property
    def sketch(self) -> Sketch:
        rng = np.random.default_rng(len(self.segment) + self.n)
        confidence = np.round(rng.beta(6, 2, self.n), 2)
        return sketch_of(confidence, (rng.random(self.n) < confidence - self.gap).astype(float))


PARTS = (
    Part({}, 0.15, 2000),
    Part({}, 0.0, 1500, "calibrated"),
    Part({"calibrator": "3"}, 0.15, 1500),
    Part({"calibrator": "3"}, 0.0, 1500, "calibrated"),
    Part({"lang": "de"}, 0.3, 300),
    Part({"lang": "en"}, 0.02, 900),
    Part({"lang": "fr"}, 0.4, 60),
    Part({"topic": HOSTILE}, 0.2, 500),
    Part({"lang": "it"}, 0.5, 800, at=END + DAY),
    Part({}, 0.1, 300, model=EVIL),
)


@pytest.fixture(scope="module")
def store(postgres: str, database_template: str) -> Iterator[str]:
    """The DSN of a store with a month in it, and something before and after."""
    with embedded.fresh_database(postgres, database_template) as dsn:
        with psycopg.connect(dsn, autocommit=True) as connection:
            seed_intake(connection)
        with connect(dsn, "test") as connection:
            ids, _ = series_ids(connection, [part.name for part in PARTS])
            held = {int(code(ids[part.name], hour_of(part.at))): part.sketch for part in PARTS}
            panes.apply(connection, stacked(held), hour_of(NOW))
            row = connection.execute(
                "INSERT INTO segment_set (key, model, segments, signals) VALUES ('k', 'm', %s, '{}') RETURNING id",
                (f'{{"topic": {msgspec.json.encode(HOSTILE).decode()}}}',),
            ).fetchone()
            assert row is not None
            errors = [(START + n * DAY, 0.8 + n / 100, n < 15, f"{HOSTILE} {n}") for n in range(20)]
            errors += [(START - DAY, 0.999, True, "before"), (END, 0.999, True, "after")]
            for n, (at, confidence, wrong, reference) in enumerate(errors):
                connection.execute(
                    "INSERT INTO pair (id, predicted_at, confidence, labelled_at, label_version, label_number,"
                    " segment_set, label_kind, predicted, reference) VALUES (%s, %s, %s, %s, 1, %s, %s, 1, %s, %s)",
                    (UUID(int=n + 1), at, confidence, at, float(not wrong), row[0], HOSTILE, reference),
                )
            found = certify(sketch_of(np.full(400, 0.97), np.arange(400) % 50 > 0), Promise(0.9))
            name = SeriesName("m", "confidence", "{}")
            deploy(connection, name, found, parts=["{}"], by=EVIL, now=START + 2 * DAY)
            for at in (START - DAY, START + 5 * DAY):
                said = f"kept the old map: {EVIL} {at:%d}"
                run = Run(model="m", signal="confidence", cause="demand", at=at, outcome="kept", sentence=said)
                note_run(connection, run)
            promote(connection, InForce("m", "confidence", 1, None, "active", START + 6 * DAY, EVIL, "back to raw"))
            for rule, fired, ended in (("Old", -9, -2), ("Ongoing", -9, 2), ("Within", 3, 4), ("Later", 32, 33)):
                connection.execute(ALERT, {"rule": rule, "fired": START + fired * DAY, "ended": START + ended * DAY})
        yield dsn


ALERT = """
WITH made AS (
    INSERT INTO alert (id, rule, about, model, signal, segment_text, source_group, window_name, severity, state_name,
        state, finding, evidence, judged_at)
    VALUES (gen_random_uuid(), %(rule)s, 'model', 'm', '', '', '', '', 'error', 'ok', '{}', 'within', '{}', %(ended)s)
    RETURNING id)
INSERT INTO alert_transition (alert, number, at, before, after, reason, fired_at, body)
SELECT id, 1, %(ended)s, 'firing', 'ok', 'resolved', %(fired)s, '{}' FROM made
"""


@pytest.fixture
def month(store: str) -> Month:
    with connect(store, "test") as connection:
        return month_of(connection, "m", START, END, now=NOW, maturity=30 * DAY, main_signal="confidence")


def test_the_figures_are_those_of_the_month_alone(month: Month) -> None:
    shown = Outline(html_document(month, min_labels=30)).words()
    subject = Subject(model="m", window="2026-10")
    whole = read(PARTS[0].sketch, ReadingSettings(draws=200), subject)
    assert whole.ece is not None
    assert f"ECE {whole.ece:.3f}" in shown
    assert "from 2 000 labels" in shown
    assert "lang = it" not in shown
    mended = read(PARTS[3].sketch, ReadingSettings(draws=200), subject)
    assert "version 31 500" in shown
    assert f"{mended.ece:.3f}" in shown
    assert "Predictions of the month, with the labels known on 20 Nov 2026" in shown
    assert "Labels of its last days may still come" in shown
    assert "provisional" in shown


def test_segments_are_ranked_by_what_their_gap_is_at_least(month: Month) -> None:
    shown = Outline(html_document(month, min_labels=100)).words()
    places = [shown.index(f"lang = {lang}") for lang in ("de", "en")]
    assert places == sorted(places)
    assert "lang = fr" not in shown  # 60 labels
    assert "calibrator = 3" not in shown


def test_the_ten_most_confident_errors_of_the_month_are_shown_with_their_reference(month: Month) -> None:
    assert [round(each.confidence, 2) for each in month.errors] == [n / 100 for n in range(94, 84, -1)]
    shown = Outline(html_document(month, min_labels=30)).words()
    for n in range(5, 15):
        assert f"{HOSTILE} {n}" in shown
    assert f"{HOSTILE} 4 " not in shown


def test_recalibrations_promotions_certificates_and_alerts_of_the_month_are_listed(month: Month) -> None:
    shown = Outline(html_document(month, min_labels=30)).words()
    assert f"kept: kept the old map: {EVIL} 06" in shown
    assert f"{EVIL} 30" not in shown
    assert f"{EVIL}: back to raw" in shown
    assert "at least 0.9 right from 0.95" in shown
    assert [each.rule for each in month.alerts] == ["Ongoing", "Within"]
    assert "Within (error)" in shown


@pytest.mark.parametrize("pages", ["", "https://caldrift.example"])
def test_the_file_loads_nothing_runs_nothing_and_leads_nowhere_else(month: Month, pages: str) -> None:
    text = html_document(month, min_labels=30, pages=pages)
    outline = Outline(text)
    assert {tag for tag, _ in outline.tags}.isdisjoint({"script", "img", "iframe", "object", "link", "base", "form"})
    assert not [name for _, given in outline.tags for name in given if name.startswith("on") or name == "style"]
    assert "url(" not in text
    assert "@import" not in text
    for name in ("href", "src", "action", "xlink:href", "srcset", "poster"):
        for link in [str(given[name]) for _, given in outline.tags if name in given]:
            assert link.startswith("#") or (pages and link.startswith(f"{pages}/"))
    assert bool([link for link in outline.links if link.startswith("https")]) == bool(pages)
    assert len(outline.ids) == len(set(outline.ids))


def test_the_page_is_the_same_file_under_a_policy_that_allows_only_its_style(store: str, month: Month) -> None:
    with client_of(store) as client:
        answer = client.get("/reports/m/2026-10")
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        mature = replace(month, maturity=timedelta(0))
        assert Outline(answer.text).words() == Outline(html_document(mature, min_labels=100)).words()
        assert client.get("/reports/m").headers["location"] == "/reports/m/2026-10"
        assert "No prediction of this model was made in this month" in client.get("/reports/m/2026-08").text
        assert "The month is not over" in client.get("/reports/m/2026-11").text
        assert client.get("/reports/nobody/2026-10").status_code == 404
        for wrong, said in (("2026-13", "a month must look like 2026-10"), ("2026-12", "is yet to come")):
            refused = client.get(f"/reports/m/{wrong}")
            assert (refused.status_code, said in refused.text) == (400, True)
        hostile = client.get(f"/reports/{httpx.URL('', path=EVIL).raw_path.decode()}/2026-10")
        assert EVIL not in hostile.text
        assert EVIL in Outline(hostile.text).words()


def test_a_month_ends_where_the_next_begins_and_the_last_one_over_is_found() -> None:
    for text in ("2026-10", "2026-12", "2024-02"):
        start, end = month_between(text, datetime(2027, 1, 1, tzinfo=UTC))
        assert f"{start:%Y-%m}" == text
        assert end.day == 1
        assert timedelta(days=28) <= end - start <= timedelta(days=31)
        assert month_before(end) == text
        assert month_before(end + timedelta(days=27)) == text
    with pytest.raises(BadInput, match="must look like"):
        month_between("october", NOW)


def test_the_command_writes_the_file_and_says_when_a_month_is_empty(
    store: str, caldrift: Caldrift, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALDRIFT_POSTGRES__DSN", store)
    out = tmp_path / "m.html"
    done = caldrift("report", "--model", "m", "--month", "2026-10", "--out", str(out), "--json")
    assert done.returncode == 0, done.stderr
    assert "Most confident errors" in Outline(out.read_text(encoding="utf-8")).words()
    readings = msgspec.json.decode(done.stdout)["readings"]
    assert [(each["signal"], each["segment"]) for each in readings[:3]] == [
        ("confidence", {}), ("calibrated", {}), ("confidence", {"lang": "fr"}),
    ]  # fmt: skip
    empty = caldrift("report", "--model", "m", "--month", "2026-08", "--out", str(out))
    assert empty.returncode == 1
    assert "No prediction of this model was made" in out.read_text(encoding="utf-8")
    assert "no model x. There is: " in caldrift("report", "--model", "x", "--out", str(out)).stderr
    assert "say where to" in caldrift("report", "--model", "m").stderr
    refused = caldrift("report", "--model", "m", "--month", "2026-10", "--out", str(tmp_path / "no" / "m.html"))
    assert (refused.returncode, "cannot be written" in refused.stderr) == (2, True)

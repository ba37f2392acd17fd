"""In a real Chromium: the pages show what the database holds, fit every screen, light and dark, and renew."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from monitor.calibration.reading import Reading
from monitor.web.verdicts import Range, between, ratio
from tests.embedded import missing
from tests.web.alert_seeding import FIRING
from tests.web.conftest import client_of
from tests.web.seeding import NOW, Stream, seed_intake, seed_readings, seed_review

pytestmark = pytest.mark.ci
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DRIFTED = "/series?model=support-triage&segment=lang%3Dde&window=7d"
THRESHOLDS = "/thresholds/support-triage"
REVIEW = "/review/support-triage"
PAGES = (
    "/?window=7d&sources=all",
    DRIFTED,
    "/alerts",
    FIRING,
    "/rules",
    "/dead-letters",
    "/definitions",
    THRESHOLDS,
    "/reports/support-triage/2026-10",
    "/recalibration",
    "/recalibration/support-triage",
    REVIEW,
    "/review",
    "/trail",
)

SCREENS = ((380, "light"), (380, "dark"), (800, "light"), (1400, "light"), (1400, "dark"))

OVERFLOWING = """
const wide = document.documentElement.clientWidth;
return [...document.querySelectorAll('main *')].filter(e => {
  const box = e.getBoundingClientRect();
  return box.width > 0 && (box.right > wide + 1 || box.left < -1) && !e.closest('.scroller, .hidden, .skip, thead');
}).map(e => e.outerHTML.slice(0, 120));
"""
OVERLAPPING = """
const found = [];
for (const svg of document.querySelectorAll('figure svg.chart[role=img]')) {
  const all = [...svg.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()]);
  const texts = all.filter(pair => pair[1].width);
  const frame = svg.getBoundingClientRect();
  texts.forEach(([text, a], i) => {
    if (a.left < frame.left - 2 || a.right > frame.right + 2) found.push('cut: ' + text);
    for (const [other, b] of texts.slice(i + 1))
      if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 2 && b.top < a.bottom - 2)
        found.push(text + ' / ' + other);
  });
}
return found;
"""
CONTRAST = """
function luminance(color) {
  const linear = v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const [r, g, b] = color.match(/[\\d.]+/g).slice(0, 3).map(v => linear(v / 255));
  return .2126 * r + .7152 * g + .0722 * b;
}
function behind(e) {
  for (; e; e = e.parentElement) {
    const c = getComputedStyle(e).backgroundColor;
    if (!/, 0\\)$|transparent/.test(c)) return c;
  }
  return 'rgb(255, 255, 255)';
}
const low = [];
for (const e of document.querySelectorAll('body *')) {
  const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
  if (!own || !e.getBoundingClientRect().width || e.closest('title, desc, option, noscript, .hidden')) continue;
  const style = getComputedStyle(e);
  const color = e instanceof SVGElement ? style.fill : style.color;
  const [x, y] = [luminance(color), luminance(behind(e instanceof SVGElement ? e.closest('figure') ?? e : e))];
  const ratio = (Math.max(x, y) + .05) / (Math.min(x, y) + .05);
  if (ratio < 4.5) low.push(ratio.toFixed(2) + ' ' + e.textContent.trim().slice(0, 40));
}
return low;
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """A Chromium of our own with an empty profile; it asks nobody but the pages."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        missing("chromium and chromedriver (Debian's chromium-driver) look at the pages")
    options = Options()
    options.binary_location = str(chromium)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    found = webdriver.Chrome(options=options, service=Service(str(driver)))
    try:
        yield found
    finally:
        found.quit()


def show(browser: webdriver.Chrome, pages: httpx.Client, url: str, *, width: int = 1400, scheme: str = "light") -> None:
    features = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", features)
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(str(pages.base_url).rstrip("/") + url)


def seen(browser: webdriver.Chrome, selector: str) -> list[str]:
    return [element.text for element in browser.find_elements(By.CSS_SELECTOR, selector) if element.is_displayed()]


def test_the_overview_shows_every_stored_series_with_its_numbers(
    browser: webdriver.Chrome, pages: httpx.Client, newest: list[Reading]
) -> None:
    show(browser, pages, "/?window=7d&sources=all&refresh=off")
    rows = seen(browser, "table.listing tbody tr")
    assert len(rows) == len(newest)
    for reading in newest:
        fitting = [row for row in rows if f"\n{ratio(reading.ece)}\n" in row and reading.model in row]
        assert len(fitting) == 1
        assert between(Range(*reading.null_band["ece"])) in fitting[0]
        assert f"{reading.n:,}".replace(",", "\u202f") in fitting[0]


def test_a_click_on_the_worst_series_leads_to_its_charts(
    browser: webdriver.Chrome, pages: httpx.Client, newest: list[Reading]
) -> None:
    show(browser, pages, "/?window=7d&refresh=off")
    browser.find_element(By.CSS_SELECTOR, "table.listing tbody a").click()
    (sentence,) = seen(browser, "p.lead")
    assert "clearly outside" in sentence
    assert f"ECE {ratio(newest[1].ece)}" in sentence
    assert len(seen(browser, "figure svg.chart[role=img]")) == 3
    marks = browser.find_elements(By.CSS_SELECTOR, "#reading-reliability-title ~ g.point")
    assert len(marks) == len(newest[1].bins)


def test_the_numbers_behind_a_chart_unfold_by_keyboard(
    browser: webdriver.Chrome, pages: httpx.Client, newest: list[Reading]
) -> None:
    show(browser, pages, f"{DRIFTED}&refresh=off")
    summary = browser.find_element(By.CSS_SELECTOR, "figure details summary")
    summary.send_keys(Keys.ENTER)
    (table,) = seen(browser, "figure details[open] table")
    for one in newest[1].bins:
        assert f"{ratio(one.mean_confidence)} {ratio(one.accuracy)} {between(Range(*one.interval))}" in table


@pytest.mark.parametrize("url", PAGES)
@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_nothing_is_cut_nothing_overlaps_and_every_text_can_be_read(
    browser: webdriver.Chrome, pages: httpx.Client, url: str, width: int, scheme: str
) -> None:
    show(browser, pages, f"{url}{'&' if '?' in url else '?'}refresh=off", width=width, scheme=scheme)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.execute_script(OVERFLOWING) == []
    assert browser.execute_script(OVERLAPPING) == []
    assert browser.execute_script(CONTRAST) == []


def test_the_slider_of_thresholds_says_what_the_table_says(browser: webdriver.Chrome, pages: httpx.Client) -> None:
    show(browser, pages, THRESHOLDS)
    rows = pages.get(f"/api/v1{THRESHOLDS}").json()["passing"]
    slider = browser.find_element(By.CSS_SELECTOR, ".slider input")
    assert seen(browser, ".slider output")[0].startswith("from 0.9 on: ")
    slider.send_keys(Keys.HOME)
    assert seen(browser, ".slider output")[0] == (
        f"from 0 on: 100.0 % pass, {ratio(rows[-1]['accuracy'])} right "
        f"({between(Range(*rows[-1]['interval']))}), n {rows[-1]['n']}"
    )
    slider.send_keys(Keys.RIGHT)
    assert seen(browser, ".slider output")[0].startswith(f"from {rows[-2]['threshold']:.5g} on: ")


def test_dark_and_light_differ(browser: webdriver.Chrome, pages: httpx.Client) -> None:
    colours = []
    for scheme in ("light", "dark"):
        show(browser, pages, "/?window=7d", scheme=scheme)
        colours.append(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
    assert colours[0] != colours[1]


def test_a_page_renews_itself_in_place_and_keeps_open_tables(
    browser: webdriver.Chrome, database: str, tmp_path: Path
) -> None:
    with psycopg.connect(database, autocommit=True) as connection, client_of(database) as pages:
        seed_readings(connection, [Stream("m", n=400)], points=3)
        seed_intake(connection)
        show(browser, pages, "/series?model=m&window=7d")
        browser.find_element(By.CSS_SELECTOR, "figure details summary").send_keys(Keys.ENTER)
        browser.execute_script("window.untouched = true")
        connection.execute(
            """
            INSERT INTO reading
            SELECT series, window_name, as_of + interval '1 hour', computed_at, n, n_predictions, ece, ece_low,
                ece_high, null_low, null_high, signed_gap, coverage,
                jsonb_set(jsonb_set(body, '{n}', '777'), '{as_of}', '"2026-11-20T13:00:00Z"')
            FROM reading WHERE as_of = %s
            """,
            (NOW,),
        )
        patient = WebDriverWait(browser, 60, ignored_exceptions=[StaleElementReferenceException])
        patient.until(lambda _: any("from 777 labels" in text for text in seen(browser, "p.lead")))
        assert browser.execute_script("return window.untouched") is True
        assert len(seen(browser, "figure details[open] table")) == 1


def test_no_page_breaks_its_own_content_security_policy(browser: webdriver.Chrome, pages: httpx.Client) -> None:
    for url in PAGES:
        show(browser, pages, url)
    entries = [entry["message"] for entry in browser.get_log("browser")]  # type: ignore[no-untyped-call]
    assert [message for message in entries if "Content Security Policy" in message or "SEVERE" in message] == []


def test_a_queue_is_worked_through_with_the_keyboard_alone(browser: webdriver.Chrome, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection, client_of(database) as pages:
        connection.execute("SET TimeZone = 'UTC'")
        seed_readings(connection, [Stream("support-triage", n=400), Stream("support-triage", {"lang": "de"})], points=3)
        seed_intake(connection)
        seed_review(connection)
        show(browser, pages, REVIEW)
        (before,) = seen(browser, "section.review dl.facts")
        body = browser.find_element(By.TAG_NAME, "body")
        body.send_keys("n")
        browser.switch_to.active_element.send_keys("1: as the ticket says", Keys.ESCAPE)
        body.send_keys("3")
        WebDriverWait(browser, 30).until(lambda _: any("Ambiguous: " in text for text in seen(browser, "#answered")))
        (after,) = seen(browser, "section.review dl.facts")
        assert after != before
        answers = connection.execute("SELECT reason, note FROM review_answer ORDER BY item").fetchall()
        assert sorted(answers) == [("ambiguous", "1: as the ticket says"), ("model_wrong", "")]

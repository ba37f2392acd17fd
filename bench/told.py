"""Pictures of what Slack and PagerDuty are told: the demo's drift through the rules and the real channels.

    python -m bench told [--folder docs/pictures]

A day of simulated answers is read, judged by the demo's rules and told to the demo's stand-ins by the shipped channels.
Chromium takes their page: once while it fires, once when it is over. Writes told-firing.png and told-over.png.
"""

import argparse
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import numpy as np
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from monitor.alerting.alert import Alert
from monitor.alerting.channels import PagerDuty, Slack
from monitor.alerting.force import Force, force_of
from monitor.alerting.hushing import Hushing
from monitor.alerting.kept import Kept
from monitor.alerting.notice import Notice
from monitor.alerting.readingrule import reading_rule
from monitor.alerting.round import Look, decided
from monitor.alerting.target import target_of
from monitor.alerting.telling import Told, addressed, told
from monitor.alerting.validation import checked
from monitor.calibration.reading import Reading, ReadingSettings, Subject
from monitor.calibration.readout import read
from monitor.calibration.sketch import sketch_of
from monitor.demo.models import MODELS, answers
from monitor.demo.receivers import Receivers, receiving
from monitor.demo.rules import rule_file
from monitor.demo.slack import CHANNEL
from monitor.notify.channel import Errand, Place, Secrets, Sender, deliver
from monitor.notify.exchange import Transport
from monitor.notify.outcome import Delivered
from monitor.rolling.segments import SeriesName
from monitor.web.pictures import reliability

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
PAGES = "https://caldrift.example.com"
FROM = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
EVERY = timedelta(hours=2)
LEVEL = 0.95
SERIES = SeriesName("risk-scorer", "confidence", '{"lang":"fr"}', "")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
)


def reading(*, drifted: bool, n: int = 900, seed: int = 3) -> Reading:
    """A day of the drifting segment."""
    found = answers(MODELS[2], np.random.default_rng(seed), n, drifted=drifted)
    french = found.language == "fr"
    sketch = sketch_of(found.confidence[french], found.outcome[french])
    subject = Subject(model="risk-scorer", segment={"lang": "fr"}, window="1d")
    return read(sketch, ReadingSettings(confidence_level=LEVEL), subject)


def notices(force: Force, drifts: Sequence[bool]) -> list[Notice]:
    """What is told where the segment drifts, or does not, at evaluations that follow each other."""
    rule = reading_rule(force.rules["OverConfident"])
    if rule is None:
        raise RuntimeError("OverConfident is a rule on readings")
    alerts: dict[UUID, Alert] = {}
    known: dict[str, Told] = {}
    found = []
    for place, drifted in enumerate(drifts):
        now = FROM + place * EVERY
        verdict = rule.verdict(reading(drifted=drifted), now, new_labels=place * 20)
        own = rule.rule
        look = Look(
            rule=own.name,
            severity=own.severity,
            terms=force.terms[own.name],
            target=target_of(SERIES, "1d"),
            verdict=verdict,
        )
        changes = decided([look], alerts, Hushing(now))
        alerts |= {change.after.id: change.after for change in changes}
        letters, fresh = addressed(changes, known.values(), alerts, force)
        for telling in told(letters, fresh | known, alerts, force, now):
            known[telling.told.incident.key] = telling.told
            found += [telling.notice] if telling.notice is not None else []
    return found


def tell(receivers: Receivers, notice: Notice, reference: str | None) -> str | None:
    """Tell both; returns what Slack calls the incident."""
    slack = Slack(kind="slack", token_env="T", channel=CHANNEL, base_url=receivers.slack_url)
    pagerduty = PagerDuty(kind="pagerduty", routing_key_env="K", url=receivers.pagerduty_url)
    sender = Sender("caldrift.example.com", PAGES, Transport())
    picture = reliability(notice, LEVEL) if reference is None else None
    first = deliver(
        Place("slack", slack, Secrets(receivers.slack.token)),
        Errand(notice, notice.at, "", reference, picture),
        sender,
    )
    second = deliver(
        Place("pagerduty", pagerduty, Secrets(receivers.pagerduty.routing_key)), Errand(notice, notice.at, ""), sender
    )
    if not isinstance(first, Delivered) or not isinstance(second, Delivered) or first.flaw:
        raise RuntimeError(f"not told: {first}, {second}")
    return first.reference


def take(url: str, path: Path, scheme: str = "light", width: int = 1200) -> None:
    """The whole page as a picture."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        raise SystemExit("chromium and chromedriver (Debian's chromium-driver) take the pictures")
    options = Options()
    options.binary_location = chromium
    for flag in FLAGS:
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=Service(driver))
    try:
        scheme_asked = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme_asked)
        size = {"width": width, "height": 600, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get(url)
        height = int(browser.execute_script("return document.documentElement.scrollHeight"))
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**size, "height": height})
        browser.save_screenshot(str(path))
    finally:
        browser.quit()


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="bench told", description=__doc__)
    parser.add_argument("--folder", type=Path, default=PICTURES)
    parser.add_argument("--scheme", choices=("light", "dark"), default="light")
    chosen = parser.parse_args(arguments)
    with receiving(0) as receivers:
        kept = Kept(windows=("1d", "7d"), bins=10, edges="right_closed", false_pages_per_year=2.0)
        rules = checked(rule_file(receivers.slack_url, receivers.pagerduty_url, hooked=False), kept)
        if rules.file is None:
            raise SystemExit("\n".join(mistake.line("rules") for mistake in rules.mistakes))
        force = force_of(rules.file, EVERY, "told", PAGES)
        reference = None
        for notice, name in zip(notices(force, [True] * 3 + [False] * 6), ("firing", "over"), strict=True):
            reference = tell(receivers, notice, reference)
            take(receivers.url, chosen.folder / f"told-{name}.png", chosen.scheme)
            print(chosen.folder / f"told-{name}.png")


if __name__ == "__main__":
    main([])

"""Pictures of what Slack and PagerDuty are told: the demo's drift and its mending, through the real channels.

    python -m bench told [--folder docs/pictures]

A day of simulated answers is read, judged by the demo's rules and told to the demo's stand-ins by the shipped channels.
Chromium takes their page: once while it fires, once when it is over, and once when a map that was fitted on half of
other such answers, and judged on the rest, is proposed and put in force. Writes told-firing.png, told-over.png and
told-change.png.
"""

import argparse
import shutil
from collections.abc import Sequence
from dataclasses import replace
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
from monitor.alerting.notice import Change, Notice
from monitor.alerting.readingrule import reading_rule
from monitor.alerting.recalibrations import notice_of
from monitor.alerting.round import Look, decided
from monitor.alerting.target import target_of
from monitor.alerting.telling import Told, addressed, told
from monitor.alerting.validation import checked
from monitor.calibration.calibrators.curves import apply_all
from monitor.calibration.calibrators.fitting import Origin, Part, fit
from monitor.calibration.gate import Gate, judge
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
DAY = timedelta(days=1)
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


def changes() -> list[Change]:
    """A map for the drifted segment: proposed with what the gate says of it on labels that it was not fitted on, and
    then put in force by a person."""
    found = answers(MODELS[2], np.random.default_rng(8), 9000, drifted=True)
    french = found.language == "fr"
    confidence, outcome = found.confidence[french], found.outcome[french]
    half = len(confidence) // 2
    fitted, held_out = (
        Part({"lang": "fr"}, sketch_of(confidence[part], outcome[part]), {})
        for part in (slice(half), slice(half, None))
    )
    early = Origin("risk-scorer", "confidence", FROM - 14 * DAY, FROM - 7 * DAY)
    late = Origin("risk-scorer", "confidence", FROM - 7 * DAY, FROM)
    candidate = fit([fitted], early, code_version="told")
    verdict = judge(candidate, None, [held_out], late, Gate(level=LEVEL))
    if not verdict.passed:
        raise RuntimeError(verdict.sentence)
    own = candidate.maps[0]
    said = apply_all(own.curve, confidence[half:], candidate.clip)
    settings, subject = ReadingSettings(confidence_level=LEVEL), Subject(model="risk-scorer")
    before, after = (read(sketch_of(each, outcome[half:]), settings, subject) for each in (confidence[half:], said))
    gain = verdict.gains["in force"]
    facts = (
        ("Segment", "lang=fr"),
        ("Method", own.method),
        ("Labels", f"{fitted.labels:,} fitted, {held_out.labels:,} held out"),
        ("Log loss", f"lower by {gain.value:.3f} ({gain.low:.3f} to {gain.high:.3f})"),
        ("ECE", f"{before.ece or 0:.3f} before, {after.ece or 0:.3f} after"),
        ("Signed gap", f"{before.signed_gap or 0:+.3f} before, {after.signed_gap or 0:+.3f} after"),
    )
    proposed = Change(
        what="proposed",
        model="risk-scorer",
        signal="confidence",
        version=1,
        previous=None,
        by="the schedule",
        sentence=verdict.sentence,
        facts=facts,
        before=tuple(before.bins),
        after=tuple(after.bins),
        report=f"{PAGES}/reports/risk-scorer",
    )
    promoted = replace(proposed, what="promoted", by="ana@example.com", sentence="approved: the drift is here to stay")
    return [proposed, promoted]


def tell(receivers: Receivers, notice: Notice, reference: str | None) -> str | None:
    """Tell both; returns what Slack calls the incident."""
    slack = Slack(kind="slack", token_env="T", channel=CHANNEL, base_url=receivers.slack_url)
    pagerduty = PagerDuty(kind="pagerduty", routing_key_env="K", url=receivers.pagerduty_url)
    sender = Sender("caldrift.example.com", PAGES, Transport())
    picture = reliability(notice, LEVEL) if reference is None or notice.change is not None else None
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


def force_for(receivers: Receivers) -> Force:
    """The demo's rules."""
    kept = Kept(windows=("1d", "7d"), bins=10, edges="right_closed", false_pages_per_year=2.0)
    rules = checked(rule_file(receivers.slack_url, receivers.pagerduty_url, hooked=False), kept)
    if rules.file is None:
        raise SystemExit("\n".join(mistake.line("rules") for mistake in rules.mistakes))
    return force_of(rules.file, EVERY, "told", PAGES)


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
        force = force_for(receivers)
        reference = None
        for notice, name in zip(notices(force, [True] * 3 + [False] * 6), ("firing", "over"), strict=True):
            reference = tell(receivers, notice, reference)
            take(receivers.url, chosen.folder / f"told-{name}.png", chosen.scheme)
            print(chosen.folder / f"told-{name}.png")
    with receiving(0) as receivers:
        force, reference = force_for(receivers), None
        for place, change in enumerate(changes()):
            reference = tell(receivers, notice_of(change, force, FROM + place * EVERY), reference)
        take(receivers.url, chosen.folder / "told-change.png", chosen.scheme)
        print(chosen.folder / "told-change.png")


if __name__ == "__main__":
    main([])

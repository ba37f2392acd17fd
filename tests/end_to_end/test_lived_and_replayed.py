"""Acceptance: what a real service told while it lived, on a clock whose hours pass in a second, its backtest tells."""

import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self, TypeAlias

import psycopg
import pytest

from monitor.kafka.access import KafkaAccess
from monitor.kafka.publisher import Publisher
from monitor.postgres.installation import StoredClock
from monitor.rolling.segments import parse_segment, segment_text
from tests.end_to_end.test_embedded_run import Run, folder, running

__all__ = ["folder"]  # the fixture

HOUR = timedelta(hours=1)
SETTINGS = """
[windows]
lengths = ["6h"]
maturity = "1h"
evaluate_every = "1h"

[clock]
rate = 3600
"""
RULES = """
defaults: {select: {window: 6h, segment: "lang=*"}, min_labelled: 60, for: 2h, keep_firing_for: 2h, route: team}
rules:
  - {name: Gap, metric: signed_gap, compare: above, enter: 0.15, exit: 0.08}
  - {name: Ece, metric: ece, enter: 0.15, exit: 0.1}
  - {name: Wrong, metric: accuracy, compare: below, enter: 0.75, exit: 0.85, evidence: point}
  - {name: Few, metric: coverage, compare: below, enter: 0.6, exit: 0.8, min_labelled: 0, min_label_coverage: 0,
     for_new_labels: 0}
routes: {team: {notify: [hook], group_by: [rule]}}
channels: {hook: {kind: webhook, url: "http://127.0.0.1:1/"}}
"""
LANGUAGES = ("de", "en", "fr")
HOURS = 27
DRIFT = range(5, 14)
OUTAGE = range(5, 13)
AN_HOUR = 40
"""Predictions of a language in an hour."""
LATENESS = 6
"""Hours, which are seconds here: a service judges when a busy machine lets it, a backtest on the hour."""

Told: TypeAlias = dict[tuple[str, str], list[tuple[str, datetime]]]
"""Of a rule and a segment, what its alert did and when."""


class Traffic:
    """Answers stated with a confidence of .9: nine in ten are right, four in ten in German while it drifts; no English
    answer of the outage is labelled."""

    def __init__(self, run: Run) -> None:
        self.servers = json.loads((run.folder / "servers.json").read_text())
        clock = self.servers["clock"]
        epoch_at, started_at = (datetime.fromisoformat(clock[name]) for name in ("epoch_at", "started_at"))
        self.clock = StoredClock(epoch_at, started_at, float(clock["rate"]))

    def __enter__(self) -> Self:
        self.publisher = Publisher(KafkaAccess((self.servers["kafka"],)))
        return self

    def __exit__(self, *_: object) -> None:
        self.publisher.close()

    @property
    def now(self) -> datetime:
        return self.clock.at(datetime.now(UTC))

    def send(self, topic: str, name: str, event: Mapping[str, object]) -> None:
        self.publisher.send(topic, name.encode(), json.dumps({"prediction_id": name, **event}).encode())

    def live(self) -> None:
        """Hour after hour, each just after it has passed."""
        began = self.now.replace(minute=0, second=0, microsecond=0)
        for hour in range(HOURS):
            start = began + hour * HOUR
            while self.now < start + HOUR:
                time.sleep(0.02)
            for language in LANGUAGES:
                for number in range(AN_HOUR):
                    at = start + HOUR * number / AN_HOUR
                    self.answer(f"{language}/{hour}/{number}", language, at, hour)
            self.publisher.flush()

    def answer(self, name: str, language: str, at: datetime, hour: int) -> None:
        said = {"model": "m", "predicted_at": at.isoformat(), "confidence": 0.9, "segments": {"lang": language}}
        self.send("predictions", name, said)
        if language != "en" or hour not in OUTAGE:
            right = 4 if language == "de" and hour in DRIFT else 9
            number = int(name.rpartition("/")[2])
            self.send("labels", name, {"labelled_at": at.isoformat(), "correct": number % 10 < right})

    def correct(self) -> None:
        """All that was said of German while it drifted turns out to have been a mistake of the labellers."""
        at = self.now.isoformat()
        for hour in DRIFT:
            for number in range(AN_HOUR):
                self.send("labels", f"de/{hour}/{number}", {"labelled_at": at, "correct": True, "version": 2})
        self.publisher.flush()


def lived(run: Run, end: datetime) -> Told:
    """Alerts as the leader wrote them."""
    dsn = json.loads((run.folder / "servers.json").read_text())["postgres"]
    found: Told = defaultdict(list)
    with psycopg.connect(dsn) as connection:
        for rule, segment, reason, at in connection.execute(
            "SELECT a.rule, a.segment_text, t.reason, t.at FROM alert_transition AS t JOIN alert AS a ON a.id = t.alert"
            " WHERE t.reason IN ('fired', 'resolved') AND t.at <= %s ORDER BY t.at",
            (end,),
        ):
            found[rule, segment].append((reason, at))
    return dict(found)


def replayed(report: Mapping[str, Sequence[Mapping[str, object]]]) -> Told:
    """Alerts as a backtest tells them."""
    found: Told = defaultdict(list)
    for rule in report["rules"]:
        for span in rule["alerts"]:  # type: ignore[attr-defined]  # JSON
            series = str(rule["rule"]), segment_text(parse_segment(span["series"]["segment"]))
            for reason in ("fired", "resolved"):
                if span[f"{reason}_at"] is not None:
                    found[series].append((reason, datetime.fromisoformat(span[f"{reason}_at"])))
    return {series: sorted(events, key=lambda event: event[1]) for series, events in found.items()}


@pytest.mark.timeout(300)
def test_a_backtest_tells_the_alerts_that_the_service_told_and_no_later_correction_changes_them(folder: Path) -> None:
    rules = folder.parent / "alerts.yaml"
    rules.write_text(RULES)
    with running(folder, "--set", f"alerts.rules={rules}", settings=SETTINGS) as run, Traffic(run) as traffic:
        traffic.live()
        run.caldrift("status", "--wait", "60s")
        end = traffic.now.replace(minute=0, second=0, microsecond=0)
        backtest = "backtest", "--rules", str(rules), "--to", end.isoformat(), "--json"
        report = run.caldrift(*backtest)
        told, again = lived(run, end), replayed(json.loads(report))

        de, en = segment_text({"lang": "de"}), segment_text({"lang": "en"})
        assert set(told) == {("Gap", de), ("Ece", de), ("Wrong", de), ("Few", en)}
        for series, events in told.items():
            assert [reason for reason, _ in events] == ["fired", "resolved"], series
            assert [reason for reason, _ in again[series]] == ["fired", "resolved"], series
            for (_, live), (_, later) in zip(events, again[series], strict=True):
                assert abs(live - later) <= LATENESS * HOUR, (series, live, later)
        assert set(again) == set(told)

        def gap() -> float:
            reading = run.caldrift("reading", "m", "--segment", "lang=de", "--window", "all", "--json")
            return float(json.loads(reading)["readings"][0]["signed_gap"])

        before = gap()
        traffic.correct()
        run.caldrift("status", "--wait", "60s")
        assert gap() < before - 0.1
        assert run.caldrift(*backtest) == report
        assert run.stop() == 0, run.log()

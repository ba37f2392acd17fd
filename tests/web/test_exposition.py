"""/metrics: what is exported is documented, is what the database holds, is bounded, and goes away with its series."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from monitor import metrics
from monitor.calibration.reading import Reading
from monitor.metrics import FAMILIES
from monitor.postgres.delivery_log import CHANNEL_STATES
from monitor.web.options import WebOptions
from tests.embedded import missing
from tests.web.alert_seeding import load_rules
from tests.web.conftest import OPTIONS, client_of
from tests.web.seeding import NOW, STREAMS, Stream, seed_intake, seed_readings

Samples = dict[str, dict[tuple[tuple[str, str], ...], float]]
DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"


def scrape(client: httpx.Client) -> Samples:
    found: Samples = {}
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def key(**labels: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


def test_every_exported_family_is_declared_and_every_declared_one_is_exported(pages: httpx.Client) -> None:
    found = scrape(pages)
    assert set(found) == {family.name for family in FAMILIES}
    for family in FAMILIES:
        assert {tuple(sorted(family.labels))} == {tuple(name for name, _ in labels) for labels in found[family.name]}


def test_the_values_are_those_of_the_newest_readings(pages: httpx.Client, newest: list[Reading]) -> None:
    found = scrape(pages)
    for reading in newest:
        parts = [f"{name}={value}" for name, value in sorted(reading.segment.items())]
        parts += [f"label source={reading.source}"] if reading.source else []
        labels = key(model=reading.model, signal=reading.signal, segment=",".join(parts), window="7d")
        assert found["caldrift_calibration_ece_ratio"][labels] == reading.ece
        assert found["caldrift_calibration_ece_ci_lower_ratio"][labels] == reading.intervals["ece"][0]
        assert found["caldrift_calibration_ece_null_upper_ratio"][labels] == reading.null_band["ece"][1]
        assert found["caldrift_calibration_mean_gap_ratio"][labels] == reading.signed_gap
        assert found["caldrift_calibration_brier_score"][labels] == reading.brier
        assert found["caldrift_calibration_smooth_ece_ratio"][labels] == reading.smooth_ece
        assert found["caldrift_calibration_slope"][labels] == reading.calibration_slope
        assert found["caldrift_calibration_intercept"][labels] == reading.calibration_intercept
        assert found["caldrift_ranking_auroc_ratio"][labels] == reading.auroc
        assert found["caldrift_ranking_aurc_ratio"][labels] == reading.aurc
        assert found["caldrift_confident_error_ratio"][labels] == reading.confident_error_share
        assert found["caldrift_window_labelled_samples"][labels] == reading.n
    whole = next(one for one in newest if one.model == "calibrated-judge")
    assert found["caldrift_label_coverage_ratio"][key(model="calibrated-judge", window="7d")] == whole.coverage


def test_the_intake_is_told_in_base_units(pages: httpx.Client) -> None:
    found = scrape(pages)
    assert found["caldrift_kafka_consumer_lag_records"][key(topic="labels", partition="0")] == 12
    assert found["caldrift_kafka_records_total"][key(topic="labels")] == 10_001
    assert found["caldrift_dead_letter_records"][key(topic="predictions", reason="undecodable")] == 2
    assert found["caldrift_events_total"][key(model="support-triage", event="correction")] == 12
    assert found["caldrift_clock_timestamp_seconds"][()] == pytest.approx(NOW.timestamp(), abs=1)
    assert found["caldrift_evaluation_last_timestamp_seconds"][()] == NOW.timestamp() - 20
    assert found["caldrift_role_silence_seconds"][key(role="evaluate")] > 10_000
    assert found["caldrift_database_up"][()] == 1


def test_what_waits_for_reviewers_and_what_they_said_is_told(pages: httpx.Client) -> None:
    found = scrape(pages)
    waiting = found["caldrift_review_waiting_items"]
    assert 20 - 1 <= waiting[key(model="support-triage", queue="errors")] <= 20 + 5 - 1  # the samples may overlap
    assert waiting[key(model="support-triage", queue="spot_check")] == 0
    ((labels, n),) = found["caldrift_review_answers_total"].items()
    assert dict(labels)["reason"] == "model_wrong"
    assert n == 1


def test_the_detectors_are_told_by_model_and_their_evidence_by_series(pages: httpx.Client) -> None:
    found = scrape(pages)
    drifted = key(model="support-triage", signal="confidence", segment="lang=de", tier="page")
    assert found["caldrift_drift_last_alarm_timestamp_seconds"][drifted] == NOW.timestamp() - 30 * 3600
    assert found["caldrift_drift_alarms_total"][key(model="support-triage", tier="page")] >= 1
    assert found["caldrift_drift_alarms_total"][key(model="invoice-reader", tier="page")] == 0
    assert sum(found["caldrift_drift_series"].values()) == 6
    evidence = found["caldrift_drift_evidence_ratio"]
    calm = key(model="invoice-reader", signal="confidence", segment="", tier="page")
    assert 0 <= evidence[calm] < 1
    assert (
        abs(found["caldrift_drift_residual_ratio"][key(model="invoice-reader", signal="confidence", segment="")]) < 0.05
    )
    assert found["caldrift_drift_late_labels"][key(model="support-triage")] == 7


def test_rules_and_alerts_are_told_by_rule_severity_and_state(pages: httpx.Client) -> None:
    found = scrape(pages)
    alerts = found["caldrift_alerts"]
    assert alerts[key(rule="EceHigh", severity="warning", state="firing")] == 1
    assert alerts[key(rule="EceHigh", severity="warning", state="recovering")] == 1
    assert alerts[key(rule="OverConfident", severity="error", state="pending")] == 1
    assert alerts[key(rule="NoticesStuck", severity="error", state="firing")] == 0
    assert sum(value for labels, value in alerts.items() if dict(labels)["state"] == "firing") == 6
    assert sum(found["caldrift_alerts_hushed"].values()) == 3
    assert found["caldrift_rule_judged_subjects"][key(rule="EceRoseSinceVersion")] == 12
    assert found["caldrift_rule_insufficient_subjects"][key(rule="EceRoseSinceVersion")] == 2
    assert found["caldrift_rule_failed"][key(rule="EceRoseSinceVersion")] == 1
    assert found["caldrift_rule_failed"][key(rule="EceHigh")] == 0
    assert found["caldrift_rule_last_judged_timestamp_seconds"][key(rule="Drift")] == NOW.timestamp() - 3 * 86_400
    assert found["caldrift_incidents_open"][key(rule="Drift")] == 1
    assert found["caldrift_incidents_open"][key(rule="LabelsFew")] == 0
    assert found["caldrift_silences_in_force"][()] == 1
    assert found["caldrift_rules_loaded_timestamp_seconds"][()] == NOW.timestamp() - 3 * 86_400
    assert found["caldrift_rules_reload_failed"][()] == 0
    assert not any("support-triage" in str(labels) for labels in alerts)


def test_the_outbox_is_told_by_channel(pages: httpx.Client) -> None:
    found = scrape(pages)
    slack, pagerduty = key(channel="slack"), key(channel="pagerduty")
    assert (found["caldrift_notices_told_total"][slack], found["caldrift_notices_told_total"][pagerduty]) == (3, 0)
    assert found["caldrift_outbox_waiting_notices"][pagerduty] == 1
    assert found["caldrift_outbox_dead_notices"][pagerduty] == 1
    assert found["caldrift_outbox_oldest_waiting_seconds"][slack] == 0
    assert found["caldrift_outbox_oldest_waiting_seconds"][pagerduty] > 0
    assert found["caldrift_channel_failures"][pagerduty] == 5
    states = {state: found["caldrift_channel_state"][key(channel="pagerduty", state=state)] for state in CHANNEL_STATES}
    assert states == {"open": 0, "closed": 1, "refused": 0}
    assert slack in found["caldrift_heartbeat_last_timestamp_seconds"]
    assert pagerduty not in found["caldrift_channel_last_told_timestamp_seconds"]


def test_a_channel_that_was_never_used_is_open_and_has_told_nothing(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection, client_of(database) as client:
        load_rules(connection, NOW)
        found = scrape(client)
        assert found["caldrift_notices_told_total"] == {key(channel="pagerduty"): 0, key(channel="slack"): 0}
        assert found["caldrift_channel_state"][key(channel="slack", state="open")] == 1
        connection.execute("INSERT INTO channel (name, refused_at) VALUES ('slack', now())")
        assert scrape(client)["caldrift_channel_state"][key(channel="slack", state="refused")] == 1


def test_series_are_bounded_whole_models_stay_and_the_rest_is_counted(
    clients: Callable[[WebOptions], httpx.Client], newest: list[Reading]
) -> None:
    found = scrape(clients(replace(OPTIONS, max_metric_series=5)))
    shown = [dict(labels) for labels in found["caldrift_calibration_ece_ratio"] if dict(labels)["window"] == "7d"]
    assert len(shown) == 5
    whole = {(one.model, "") for one in newest if not one.segment and not one.source and one.signal == "confidence"}
    assert whole <= {(labels["model"], labels["segment"]) for labels in shown}
    active, dropped = found["caldrift_segments_active"], found["caldrift_segments_dropped"]
    assert sum(active.values()) == len(STREAMS)
    assert sum(dropped.values()) == len(STREAMS) - 5
    assert all(active[labels] >= dropped[labels] for labels in active)


def test_a_retired_series_vanishes_from_the_next_scrape(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection, client_of(database) as client:
        seed_readings(connection, [Stream("a", n=200), Stream("b", n=200)], points=1)
        seed_intake(connection)
        assert 'model="b"' in client.get("/metrics").text
        connection.execute("DELETE FROM reading USING series WHERE series.id = reading.series AND model = 'b'")
        connection.execute("DELETE FROM series WHERE model = 'b'")
        assert 'model="b"' not in client.get("/metrics").text


def test_names_keep_to_the_conventions() -> None:
    names = [family.name for family in FAMILIES]
    assert len(names) == len(set(names))
    for family in FAMILIES:
        assert re.fullmatch(r"caldrift_[a-z_]+", family.name)
        assert family.name.endswith("_total") == (family.kind == "counter")
        assert family.meaning.endswith(".")
        assert "id" not in family.labels
        assert not {"instance", "job"} & set(family.labels)
        if family.name.endswith("_ratio"):
            assert family.unit.startswith("ratio")
        if family.unit.startswith("seconds"):
            assert family.name.endswith("_seconds")


def test_the_reference_page_holds_the_table_of_all_metrics() -> None:
    assert metrics.reference() in DOCS.read_text(encoding="utf-8")


def test_openmetrics_is_given_to_who_asks_for_it(pages: httpx.Client) -> None:
    answer = pages.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


@pytest.mark.ci
def test_promtool_finds_nothing_wrong_with_the_metrics(pages: httpx.Client) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        missing("promtool (Debian's prometheus) checks the names of the metrics")
    checked = subprocess.run(
        [str(promtool), "check", "metrics"],
        input=pages.get("/metrics").text,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"]},
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")

"""What is shipped for Prometheus and Grafana works on the real ones: every query is run, and answers."""

import json
import os
import re
import runpy
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path

import httpx
import psycopg
import pytest
import yaml

from monitor.calibration.reading import Reading
from monitor.demo.ports import free_port
from monitor.metrics import FAMILIES
from tests.embedded import missing

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD = DEPLOY / "grafana" / "dashboards" / "caldrift-overview.json"
RULES = DEPLOY / "prometheus" / "caldrift_rules.yml"
RULE_TESTS = DEPLOY / "prometheus" / "caldrift_rules_test.yml"
VARIABLES = {
    "${model:sqlstring}": "'support-triage'",
    "${signal:sqlstring}": "'confidence'",
    "${window:sqlstring}": "'7d'",
    "${min_labels}": "30",
    "$min_labels": "30",
    "$model": "support-triage",
    "$window": "7d",
    "$signal": "confidence",
    "$segment": "lang=de",
    "$__rate_interval": "5s",
}


def dashboard() -> dict[str, object]:
    found: dict[str, object] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return found


def targets(kind: str) -> list[str]:
    """Every query of the dashboard of a kind (`expr` or `rawSql`), its variables filled in."""
    found = re.findall(rf'"{kind}": ("(?:[^"\\]|\\.)*")', DASHBOARD.read_text(encoding="utf-8"))
    queries = [str(json.loads(text)) for text in found]
    for name, value in VARIABLES.items():
        queries = [query.replace(name, value) for query in queries]
    return queries


def binary(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        missing(f"{name} (Debian's prometheus) checks what is shipped for Prometheus and Grafana")
    return str(path)


def test_the_dashboard_is_what_its_source_builds() -> None:
    build = runpy.run_path(str(DEPLOY / "grafana" / "build.py"))["build"]
    assert build() == DASHBOARD.read_text(encoding="utf-8")


def test_the_dashboard_fits_any_grafana_and_keeps_its_address() -> None:
    board, text = dashboard(), DASHBOARD.read_text(encoding="utf-8")
    assert "__inputs" not in text
    assert board["uid"] == "caldrift-overview"
    assert set(re.findall(r'"uid": "([^"]*)"', text)) == {
        "${datasource}",
        "${postgres}",
        "caldrift-overview",
    }
    panels = board["panels"]
    assert isinstance(panels, list)
    titles = [panel["title"] for panel in panels]
    assert len(titles) == len(set(titles))
    places = [panel["gridPos"] for panel in panels]
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]


def test_provisioning_names_the_folder_of_the_dashboards_and_keeps_no_password() -> None:
    provider = (DEPLOY / "grafana" / "provisioning" / "dashboards" / "caldrift.yaml").read_text(encoding="utf-8")
    sources = (DEPLOY / "grafana" / "provisioning" / "datasources" / "caldrift.yaml").read_text(encoding="utf-8")
    compose = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    folder = re.search(r"path: (\S+)", provider)
    assert folder is not None
    assert f"./grafana/dashboards:{folder[1]}:ro" in compose
    assert re.findall(r"password: (\S+)\}", sources) == ["$GRAFANA_READ_PASSWORD"]


def test_every_sql_query_of_the_dashboard_answers_to_the_role_that_reads_views_only(
    seeded_database: tuple[str, list[Reading]],
) -> None:
    queries = targets("rawSql")
    assert len(queries) == 5
    with psycopg.connect(seeded_database[0], autocommit=True) as connection:
        connection.execute("SET ROLE caldrift_read")
        found = [connection.execute(query.encode()).fetchall() for query in queries]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT 1 FROM dead_letter")
    fires, changes, alarms, bins, worst = found
    assert [row[2] for row in fires if row[0] == "firing"] == [
        "EvaluationLate",
        "Drift",
        "OverConfident",
        "DeadLetters",
        "EceHigh",
    ]
    assert [row[9] for row in fires][2:4] == ["silence 1", "shadow"]
    assert changes[0][0] == max(row[0] for row in changes)
    assert any((row[1], row[5], row[6], row[7]) == ("EceHigh", "pending", "firing", "fired") for row in changes)
    reading = seeded_database[1][0]
    assert [(row[0], row[1]) for row in bins] == [(one.mean_confidence, one.accuracy) for one in reading.bins]
    assert worst[0][2] == '{"lang":"de"}'
    pages = [row for row in alarms if row[1] == "page" and row[4] == '{"lang":"de"}']
    assert pages[0][6] == "over-confident"
    assert pages[0][8] <= pages[0][7] <= pages[0][9] < 0


@pytest.mark.ci
def test_promtool_accepts_the_scrape_configuration() -> None:
    path = DEPLOY / "prometheus" / "prometheus.yml"
    checked = subprocess.run(
        [binary("promtool"), "check", "config", "--syntax-only", str(path)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


@pytest.mark.ci
def test_promtool_accepts_the_shipped_rules_and_their_tests() -> None:
    for words in (["check", "rules", str(RULES)], ["test", "rules", str(RULE_TESTS)]):
        done = subprocess.run([binary("promtool"), *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_shipped_rule_reads_our_metrics_and_is_tried_both_ways() -> None:
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"][0]["rules"]
    tests = yaml.safe_load(RULE_TESTS.read_text(encoding="utf-8"))["tests"]
    tried = [each for test in tests for each in test["alert_rule_test"]]
    names = {family.name for family in FAMILIES}
    for rule in rules:
        used = set(re.findall(r"caldrift_[a-z_]+", rule["expr"]))
        assert used <= names, rule["alert"]
        assert used or "up{" in rule["expr"]
        assert set(rule["annotations"]) == {"summary", "description"}
        of_rule = [bool(each.get("exp_alerts")) for each in tried if each["alertname"] == rule["alert"]]
        assert set(of_rule) == {True, False}, rule["alert"]
    assert {each["alertname"] for each in tried} == {rule["alert"] for rule in rules}


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[httpx.Client]:
    """A real Prometheus that scrapes the target with the shipped configuration, faster and without a token."""
    shipped = (DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")
    config = re.sub(r"    # The token.*\n    authorization:\n.*\n", "", shipped).replace("caldrift:8321", target)
    for setting in ("scrape_interval: 15s", "scrape_timeout: 10s", "evaluation_interval: 15s"):
        assert setting in config
        config = config.replace(setting, f"{setting.partition(':')[0]}: 1s")
    assert target in config
    (folder / "prometheus.yml").write_text(config, encoding="utf-8")
    shutil.copy(RULES, folder)
    address = f"127.0.0.1:{free_port(0)}"
    command = [
        binary("prometheus"),
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address={address}",
        "--log.level=warn",
    ]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log, env={"PATH": os.environ["PATH"]}) as process,
        httpx.Client(base_url=f"http://{address}", timeout=10) as client,
    ):
        try:
            yield client
        finally:
            process.terminate()
            process.wait(30)


def ask(client: httpx.Client, query: str) -> list[object]:
    answer = client.get("/api/v1/query", params={"query": query}).json()
    assert answer["status"] == "success", (query, answer)
    result: list[object] = answer["data"]["result"]
    return result


def wait_for_scrapes(client: httpx.Client, count: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            is_ready = client.get("/-/ready").status_code == 200
            if is_ready and ask(
                client, f'count_over_time(up{{job="caldrift"}}[5m]) >= {count} and up{{job="caldrift"}} == 1'
            ):
                return
        except httpx.TransportError:
            pass
        time.sleep(0.3)
    raise AssertionError("Prometheus did not scrape within a minute")


@pytest.mark.ci
def test_every_promql_query_of_the_dashboard_answers_on_a_real_prometheus(pages: httpx.Client, tmp_path: Path) -> None:
    queries = targets("expr")
    assert len(queries) >= 15
    with prometheus(tmp_path, f"127.0.0.1:{pages.base_url.port}") as client:
        wait_for_scrapes(client, 4)
        for query in queries:
            assert "$" not in query
            assert ask(client, query), query
        values = client.get("/api/v1/label/segment/values").json()["data"]
    assert "lang=de" in values


@pytest.mark.ci
def test_the_shipped_rules_are_judged_by_a_real_prometheus_on_our_metrics(pages: httpx.Client, tmp_path: Path) -> None:
    with prometheus(tmp_path, f"127.0.0.1:{pages.base_url.port}") as client:
        wait_for_scrapes(client, 4)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            (group,) = client.get("/api/v1/rules").json()["data"]["groups"]
            if all(rule["health"] == "ok" for rule in group["rules"]):
                break
            time.sleep(0.3)
    judged = {rule["name"]: rule for rule in group["rules"]}
    assert {name: rule["health"] for name, rule in judged.items() if rule["health"] != "ok"} == {}
    assert judged["CaldriftRoleSilent"]["alerts"][0]["labels"]["role"] == "evaluate"
    assert judged["CaldriftRuleFails"]["alerts"][0]["labels"]["rule"] == "EceRoseSinceVersion"
    assert judged["CaldriftNoticesStuck"]["alerts"][0]["labels"]["channel"] == "pagerduty"
    assert judged["CaldriftRuleNotJudged"]["state"] == "pending"
    assert judged["CaldriftDown"]["state"] == "inactive"

"""News of recalibrations: who is told, what they are called, and where they lead."""

from dataclasses import replace

import pytest

from monitor.alerting.notice import Happening
from monitor.alerting.recalibrations import key_of, notice_of, takes, told_to
from tests.alerting.rounds import force_by
from tests.notify.samples import NOW, change

RULES = "rules: [{name: EceHigh, metric: ece, enter: 0.2}]"
CHANNELS = (
    "channels: {slack: {kind: slack_webhook, url_env: U}, pager: {kind: pagerduty, routing_key_env: K},"
    " prometheus: {kind: alertmanager, urls: ['http://a:9093']}}"
)
ONE = "routes: {team: {notify: [slack, prometheus]}}"
TWO = "routes: {team: {notify: [slack]}, oncall: {notify: [pager]}}\nfallback_route: oncall"


@pytest.mark.parametrize(
    ("routes", "told"),
    [
        ("", ()),
        (ONE, ("slack", "prometheus")),
        (TWO, ("pager",)),
        (f"{TWO}\nrecalibration: {{tell: [slack, pager]}}", ("slack", "pager")),
        (f"{ONE}\nrecalibration: {{tell: []}}", ()),
    ],
)
def test_those_are_told_whom_the_rules_name_or_else_whom_alerts_without_a_route_are_told(
    routes: str, told: tuple[str, ...]
) -> None:
    assert told_to(force_by(f"{RULES}\n{CHANNELS}\n{routes}")) == told


@pytest.mark.parametrize(
    ("what", "pager"),
    [("proposed", False), ("promoted", True), ("shadowed", True), ("rolled_back", True), ("kept", False)],
)
def test_pagerduty_is_told_only_of_what_changed(what: Happening, pager: bool) -> None:
    force = force_by(f"{RULES}\n{CHANNELS}\n{ONE}")
    said = change(what=what)
    assert [takes(force, name, said) for name in ("slack", "pager", "gone")] == [True, pager, False]


@pytest.mark.parametrize(
    ("what", "version", "words"),
    [
        ("proposed", 4, "map 4 waits for approval"),
        ("promoted", 4, "map 4 in force"),
        ("shadowed", 4, "map 4 in shadow"),
        ("rolled_back", 3, "back to map 3"),
        ("rolled_back", None, "back to confidences as stated"),
        ("kept", 3, "map 3 kept"),
        ("kept", None, "confidences as stated kept"),
    ],
)
def test_a_change_is_called_what_it_does(what: Happening, version: int | None, words: str) -> None:
    assert change(what=what, version=version).title == f"triage-v3 / stated: {words}"


def test_news_of_one_signal_have_one_key_whatever_they_say_and_others_have_another() -> None:
    said = change()
    assert key_of(said, "here") == key_of(replace(said, what="kept", version=9, by="somebody", sentence=""), "here")
    others = [replace(said, model="risk"), replace(said, signal="logprob"), replace(said, model="triage", signal="v3")]
    assert len({key_of(said, "here"), key_of(said, "there"), *(key_of(one, "here") for one in others)}) == 5


def test_a_link_leads_to_the_page_of_the_model_whatever_its_name() -> None:
    force = force_by(RULES)
    assert notice_of(change(), force, NOW).link == "https://caldrift.example/recalibration/triage-v3"
    odd = notice_of(change(model="a/b c?ü"), force, NOW)
    assert odd.link == "https://caldrift.example/recalibration/a%2Fb%20c%3F%C3%BC"
    assert notice_of(change(), replace(force, pages=""), NOW).link is None

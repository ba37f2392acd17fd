"""One round at a time: rollups, and what is left out."""

from collections import Counter
from dataclasses import replace
from time import process_time

import pytest

from monitor.alerting.alert import Alert
from monitor.alerting.hushing import Hushing
from monitor.alerting.notice import Counts
from monitor.alerting.round import Change, Look, Rollup, decided
from monitor.alerting.routes import Inhibit, Match
from monitor.alerting.states import Firing, Ok, name_of
from monitor.alerting.target import Target
from monitor.alerting.terms import Terms
from monitor.alerting.verdict import Finding
from monitor.notify import pagerduty, slack_blocks
from tests.alerting.making import MINUTE, START, verdict
from tests.alerting.rounds import Store, force_by

AT_ONCE = Terms(wait=0 * MINUTE, for_new_labels=0, keep_firing_for=0 * MINUTE)
SERIES = [Target("series", "m", "confidence", f'{{"lang":"{name}"}}', "", "7d") for name in ("de", "en", "es", "fr")]
WHOLE = Target("rollup", "m")


def look(target: Target, finding: Finding, minute: float = 5) -> Look:
    return Look(rule="A", severity="error", terms=AT_ONCE, target=target, verdict=verdict(finding, minute))


def rollup(selected: int, share: float = 0.5) -> dict[str, Rollup]:
    return {"A": Rollup("error", AT_ONCE, share, Counter({"m": selected} if selected else {}))}


def firing(target: Target) -> Alert:
    found = verdict("crossed", 0)
    state = Firing(judged_at=START, number=1, fired_at=START, told_at=START)
    return Alert(
        rule="A", target=target, severity="error", finding="crossed", evidence=found.evidence, state=state,
        fired_at=START,
    )  # fmt: skip


def round_of(looks: list[Look], *before: Alert, rollups: dict[str, Rollup] | None = None) -> dict[Target, Change]:
    changes = decided(looks, {each.id: each for each in before}, Hushing(START + 5 * MINUTE), rollups=rollups)
    return {change.after.target: change for change in changes}


def test_series_become_one_from_the_share_on_and_not_below_it() -> None:
    crossed = [look(target, "crossed") for target in SERIES[:2]]
    apart = round_of(crossed, rollups=rollup(5))
    assert {target.about: change.decision.notice for target, change in apart.items()} == {"series": "fired"}
    together = round_of(crossed, rollups=rollup(4))
    assert together[WHOLE].decision.notice == "fired"
    assert [together[target].decision.notice for target in SERIES[:2]] == [None, None]
    assert [together[target].after.hushed for target in SERIES[:2]] == ["rolled up"] * 2


def test_the_one_alert_of_a_model_that_is_not_selected_any_longer_ends() -> None:
    changed = round_of([], firing(WHOLE), rollups=rollup(0))
    assert changed[WHOLE].decision.notice == "resolved"
    assert changed[WHOLE].after.finding == "series_ended"


def test_the_one_alert_of_a_model_ends_where_none_of_its_series_fires() -> None:
    changed = round_of([look(SERIES[0], "below")], firing(WHOLE), firing(SERIES[0]), rollups=rollup(1))
    assert [changed[target].decision.notice for target in (WHOLE, SERIES[0])] == ["resolved", "resolved"]


def test_what_was_well_and_stays_so_is_left_out_though_it_is_known() -> None:
    known = replace(firing(SERIES[0]), state=Ok(judged_at=START, number=4))
    assert round_of([look(SERIES[0], "between")], known) == {}
    again = round_of([look(SERIES[0], "crossed")], known)[SERIES[0]]
    assert again.decision.transition is not None
    assert (again.decision.transition.number, name_of(again.after.state)) == (5, "firing")


def test_a_verdict_that_is_not_taken_leaves_the_alert_as_it_was() -> None:
    before = firing(SERIES[0])
    change = round_of([look(SERIES[0], "below", minute=0)], before)[SERIES[0]]
    assert change.after is before
    assert change.decision.counted == ("stale",)


def test_five_thousand_alerts_at_once_are_one_notice_a_group_and_take_seconds() -> None:
    force = force_by(
        "rules: [{name: A, metric: ece, enter: 0.1}]\n"
        "routes: {team: {notify: [hook], group_by: [rule, model]}}\n"
        'channels: {hook: {kind: webhook, url: "http://127.0.0.1:1/"}}\n'
    )
    targets = [
        Target("series", model, "confidence", f'{{"lang":"{number}"}}', "", "7d")
        for model in ("m", "n")
        for number in range(2_500)
    ]
    store, started = Store(), process_time()
    changes = store.carry_out(force, [look(each, "crossed") for each in targets], {}, Hushing(START + 5 * MINUTE), {})
    assert process_time() - started < 30
    assert len(changes) == 5_000
    notices = [each for notices in store.notices.values() for each in notices]
    assert sorted((each.group, each.counts) for each in notices) == [
        ((("model", model), ("rule", "A")), Counts(2_500, 0)) for model in ("m", "n")
    ]
    assert all(len(each.alerts) == 2_500 for each in notices)


@pytest.mark.parametrize(("told", "shown"), [("", 20), (", max_alerts_in_message: 3", 3)])
def test_a_message_lists_as_many_alerts_as_its_route_says_and_counts_the_rest(told: str, shown: int) -> None:
    force = force_by(
        "rules: [{name: A, metric: ece, enter: 0.1}]\n"
        f"routes: {{team: {{notify: [hook], group_by: [rule]{told}}}}}\n"
        'channels: {hook: {kind: webhook, url: "http://127.0.0.1:1/"}}\n'
    )
    targets = [Target("series", "m", "confidence", f'{{"lang":"x{n}"}}', "", "7d") for n in range(25)]
    store = Store()
    store.carry_out(force, [look(each, "crossed") for each in targets], {}, Hushing(START + 5 * MINUTE), {})
    ((told_of,),) = store.notices.values()
    blocks = slack_blocks.render(told_of)["root"]["blocks"]
    assert sum("lang=x" in str(block) for block in blocks) == shown
    assert f"and {25 - shown} more" in str(blocks)
    details = pagerduty.render(told_of, "here")["event"]["payload"]["custom_details"]
    assert (len(details["alerts"]), details["and_more"]) == (shown, 25 - shown)


INHIBIT = (Inhibit(when=Match(rule=("B",)), mute=Match(rule=("A",))),)


def told_beside(other: Look | Alert) -> str | None:
    """Why nobody is told of an alert of A beside one of B that fires, either looked at too or only stored."""
    looks = [look(SERIES[0], "crossed")]
    alerts = {}
    if isinstance(other, Look):
        looks.append(other)
    else:
        alerts[other.id] = other
    changes = decided(looks, alerts, Hushing(START + 5 * MINUTE, inhibit=INHIBIT))
    (change,) = [change for change in changes if change.after.rule == "A"]
    assert (change.decision.notice is None) == (change.after.hushed is not None)
    return change.after.hushed


def test_an_alert_that_fires_inhibits_whether_it_is_looked_at_or_stored_but_not_from_the_shadow() -> None:
    shadow = replace(AT_ONCE, mode="shadow")
    beside = replace(look(SERIES[1], "crossed"), rule="B")
    assert told_beside(beside) == "inhibited by B"
    assert told_beside(replace(beside, verdict=verdict("below", 5))) is None
    assert told_beside(replace(beside, terms=shadow, hushed="shadow")) is None
    stored = replace(firing(SERIES[1]), rule="B")
    assert told_beside(stored) == "inhibited by B"
    assert told_beside(replace(stored, hushed="silence 3")) == "inhibited by B", "it is known to whoever silenced it"
    assert told_beside(replace(stored, hushed="shadow")) is None
    assert told_beside(replace(stored, state=Ok(judged_at=START))) is None


def test_nobody_is_told_of_a_rule_that_says_so_itself() -> None:
    (change,) = decided([replace(look(SERIES[0], "crossed"), hushed="no route")], {}, Hushing(START + 5 * MINUTE))
    assert (change.decision.notice, change.after.hushed) == (None, "no route")
    assert name_of(change.after.state) == "firing"


def test_an_alert_that_recovers_still_counts_for_the_one_alert_of_its_model() -> None:
    slow = replace(AT_ONCE, keep_firing_for=60 * MINUTE)
    recovers = replace(look(SERIES[0], "below"), terms=slow)
    changed = round_of([recovers], firing(SERIES[0]), firing(WHOLE), rollups=rollup(1))
    assert name_of(changed[SERIES[0]].after.state) == "recovering"
    assert name_of(changed[WHOLE].after.state) == "firing"

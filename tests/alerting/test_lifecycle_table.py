"""Every state meets every verdict."""

from dataclasses import replace
from itertools import product
from typing import get_args

import pytest

from monitor.alerting.conduct import Insufficient, OnError
from monitor.alerting.lifecycle import decide
from monitor.alerting.states import Firing, Ok, Pending, Recovering, State, name_of
from monitor.alerting.terms import Terms
from monitor.alerting.verdict import Finding
from tests.alerting.making import MINUTE, START, verdict

STATES: dict[str, State] = {
    "ok": Ok(judged_at=START, number=7),
    "pending": Pending(judged_at=START, number=7, watched=24 * MINUTE, new_labels=20),
    "ripe": Pending(judged_at=START, number=7, watched=25 * MINUTE, new_labels=20),
    "firing": Firing(judged_at=START, number=7, fired_at=START, told_at=START, flaps=2),
    "recovering": Recovering(
        judged_at=START, number=7, fired_at=START, told_at=START, flaps=2, watched=114 * MINUTE
    ),
    "rested": Recovering(judged_at=START, number=7, fired_at=START, told_at=START, flaps=2, watched=115 * MINUTE),
}  # fmt: skip

# `ripe` is a pending alert that one more crossing makes fire, `rested` a recovering one that one more verdict below
# resolves; `pending` and `recovering` are a minute short of it. "-": no transition.
TABLE = """
state       verdict             after       because       told      counted
ok          crossed             pending     pending       -         -
ok          between             ok          -             -         -
ok          below               ok          -             -         -
ok          insufficient/hold   ok          -             -         insufficient
ok          insufficient/ok     ok          -             -         insufficient
ok          insufficient/alert  pending     pending       -         insufficient
ok          failed/hold         ok          -             -         failed
ok          failed/alert        pending     pending       -         failed
ok          series_ended        ok          -             -         -
ok          rule_ended          ok          -             -         -
pending     crossed             pending     -             -         -
pending     between             ok          withdrawn     -         -
pending     below               ok          withdrawn     -         -
pending     insufficient/hold   pending     -             -         insufficient
pending     insufficient/ok     ok          no_data       -         insufficient
pending     insufficient/alert  pending     -             -         insufficient
pending     failed/hold         pending     -             -         failed
pending     failed/alert        pending     -             -         failed
pending     series_ended        ok          series_ended  -         -
pending     rule_ended          ok          rule_ended    -         -
ripe        crossed             firing      fired         fired     -
ripe        between             ok          withdrawn     -         -
ripe        below               ok          withdrawn     -         -
ripe        insufficient/hold   pending     -             -         insufficient
ripe        insufficient/ok     ok          no_data       -         insufficient
ripe        insufficient/alert  firing      fired         fired     insufficient
ripe        failed/hold         pending     -             -         failed
ripe        failed/alert        firing      fired         fired     failed
ripe        series_ended        ok          series_ended  -         -
ripe        rule_ended          ok          rule_ended    -         -
firing      crossed             firing      -             -         -
firing      between             firing      -             -         -
firing      below               recovering  recovering    -         -
firing      insufficient/hold   firing      -             -         insufficient
firing      insufficient/ok     ok          no_data       resolved  insufficient
firing      insufficient/alert  firing      -             -         insufficient
firing      failed/hold         firing      -             -         failed
firing      failed/alert        firing      -             -         failed
firing      series_ended        ok          series_ended  resolved  -
firing      rule_ended          ok          rule_ended    resolved  -
recovering  crossed             firing      flapped       -         damped_flap
recovering  between             firing      flapped       -         damped_flap
recovering  below               recovering  -             -         -
recovering  insufficient/hold   recovering  -             -         insufficient
recovering  insufficient/ok     ok          no_data       resolved  insufficient
recovering  insufficient/alert  firing      flapped       -         insufficient,damped_flap
recovering  failed/hold         recovering  -             -         failed
recovering  failed/alert        firing      flapped       -         failed,damped_flap
recovering  series_ended        ok          series_ended  resolved  -
recovering  rule_ended          ok          rule_ended    resolved  -
rested      crossed             firing      flapped       -         damped_flap
rested      between             firing      flapped       -         damped_flap
rested      below               ok          resolved      resolved  -
rested      insufficient/hold   recovering  -             -         insufficient
rested      insufficient/ok     ok          no_data       resolved  insufficient
rested      insufficient/alert  firing      flapped       -         insufficient,damped_flap
rested      failed/hold         recovering  -             -         failed
rested      failed/alert        firing      flapped       -         failed,damped_flap
rested      series_ended        ok          series_ended  resolved  -
rested      rule_ended          ok          rule_ended    resolved  -
"""
ROWS = [line.split() for line in TABLE.strip().splitlines()[1:]]
POLICIES = {"insufficient": get_args(Insufficient), "failed": get_args(OnError)}
VERDICTS: dict[str, tuple[Finding, str]] = {
    f"{finding}/{policy}" if policy else finding: (finding, policy)
    for finding in get_args(Finding)
    for policy in POLICIES.get(finding, ("",))
}


def test_the_table_has_every_state_with_every_verdict_once() -> None:
    assert sorted((row[0], row[1]) for row in ROWS) == sorted(product(STATES, VERDICTS))


@pytest.mark.parametrize("row", ROWS, ids=[f"{row[0]}-{row[1]}" for row in ROWS])
def test_the_row_is_what_happens(row: list[str]) -> None:
    state, (finding, policy) = STATES[row[0]], VERDICTS[row[1]]
    # Labels are as many as it takes, of 5 that this verdict brings.
    terms = Terms(wait=30 * MINUTE, for_new_labels=25, keep_firing_for=120 * MINUTE)
    if policy:
        term = {"insufficient": "on_insufficient_data", "failed": "on_error"}[finding]
        terms = replace(terms, **{term: policy})  # type: ignore[arg-type]
    now = START + 5 * MINUTE
    given = verdict(finding, 5, new_labels=5)
    decision = decide(state, given, terms, now + MINUTE)
    after, transition = decision.state, decision.transition
    because = "-" if transition is None else transition.reason.replace(" ", "_")
    got = [name_of(after), because, decision.notice or "-", ",".join(decision.counted) or "-"]
    assert got == row[2:]
    assert after.judged_at == now
    assert after.number == 7 + (transition is not None)
    if transition is not None:
        assert (transition.number, transition.at, transition.evidence) == (8, now + MINUTE, given.evidence)
        assert (transition.before, transition.after) == (name_of(state), name_of(after))
        was_open = isinstance(state, Firing | Recovering)
        opened_at = START if was_open else now if isinstance(after, Firing) else None
        assert transition.fired_at == opened_at
        assert transition.flaps == (2 if was_open else 0) + (because == "flapped")


@pytest.mark.parametrize(("watched", "labels", "fires"), [(25, 20, True), (24, 20, False), (25, 19, False)])
def test_an_alert_fires_at_the_limits_of_both_time_and_labels_and_not_before(
    watched: int, labels: int, fires: bool
) -> None:
    pending = Pending(judged_at=START, watched=watched * MINUTE, new_labels=labels)
    after = decide(pending, verdict("crossed", 5, new_labels=5), Terms(), START + 5 * MINUTE).state
    assert isinstance(after, Firing) == fires


def test_labels_are_not_asked_for_where_their_lack_is_the_alert() -> None:
    pending = Pending(judged_at=START, watched=25 * MINUTE, new_labels=0)
    on = Terms(on_insufficient_data="alert", on_error="alert")
    assert isinstance(decide(pending, verdict("insufficient", 5), on, START + 5 * MINUTE).state, Firing)
    assert isinstance(decide(pending, verdict("failed", 5), on, START + 5 * MINUTE).state, Firing)
    assert isinstance(decide(pending, verdict("crossed", 5), on, START + 5 * MINUTE).state, Pending)


def test_the_labels_that_led_to_a_crossing_do_not_count_as_lasting() -> None:
    after = decide(Ok(judged_at=START), verdict("crossed", 5, new_labels=99), Terms(), START + 5 * MINUTE).state
    assert after == Pending(judged_at=START + 5 * MINUTE, number=1, watched=0 * MINUTE, new_labels=0)


def test_what_need_not_wait_fires_and_resolves_at_once() -> None:
    at_once = Terms(wait=0 * MINUTE, for_new_labels=0, keep_firing_for=0 * MINUTE)
    fired = decide(Ok(), verdict("crossed", 0), at_once, START)
    assert (name_of(fired.state), fired.notice) == ("firing", "fired")
    resolved = decide(fired.state, verdict("below", 5), at_once, START + 5 * MINUTE)
    assert (name_of(resolved.state), resolved.notice) == ("ok", "resolved")


def test_labels_that_mature_while_nothing_is_known_still_count() -> None:
    pending = Pending(judged_at=START, watched=0 * MINUTE, new_labels=1)
    for finding in ("insufficient", "failed"):
        after = decide(pending, verdict(finding, 5, new_labels=2), Terms(), START + 5 * MINUTE).state
        assert after == Pending(judged_at=START + 5 * MINUTE, watched=0 * MINUTE, new_labels=3)


def test_a_reminder_comes_when_it_is_due_and_not_while_recovering() -> None:
    terms = Terms(repeat_every=60 * MINUTE)
    firing = Firing(judged_at=START + 55 * MINUTE, fired_at=START, told_at=START)
    early = decide(firing, verdict("crossed", 59), terms, START + 59 * MINUTE)
    due = decide(firing, verdict("failed", 60), terms, START + 60 * MINUTE)
    recovering = decide(firing, verdict("below", 60), terms, START + 60 * MINUTE)
    assert (early.notice, due.notice, recovering.notice) == (None, "reminder", None)
    again = decide(due.state, verdict("crossed", 65), terms, START + 65 * MINUTE)
    assert again.notice is None
    never = decide(firing, verdict("crossed", 99999), Terms(repeat_every=0 * MINUTE), START + 99999 * MINUTE)
    assert never.notice is None


def test_what_fired_in_the_shadow_is_told_when_its_rule_becomes_active() -> None:
    shadow = decide(STATES["ripe"], verdict("crossed", 5, 5), Terms(mode="shadow"), START + 5 * MINUTE)
    assert (name_of(shadow.state), shadow.notice) == ("firing", None)
    active = decide(shadow.state, verdict("between", 10), Terms(), START + 10 * MINUTE)
    assert (active.transition, active.notice) == (None, "fired")


def test_what_was_told_is_told_to_have_ended_though_its_rule_went_into_the_shadow() -> None:
    """Else an incident would stay open for ever at whoever was paged."""
    terms = Terms(mode="shadow", repeat_every=5 * MINUTE)
    assert decide(STATES["firing"], verdict("crossed", 5), terms, START + 5 * MINUTE).notice is None
    assert decide(STATES["rested"], verdict("below", 5), terms, START + 5 * MINUTE).notice == "resolved"


@pytest.mark.parametrize("name", ["wait", "keep_firing_for", "repeat_every"])
def test_negative_terms_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be 0 or more"):
        Terms(**{name: -MINUTE})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="for_new_labels must be 0 or more"):
        Terms(for_new_labels=-1)


@pytest.mark.parametrize("minutes", [0, -1])
def test_an_evaluation_that_stands_for_no_time_is_refused(minutes: int) -> None:
    with pytest.raises(ValueError, match="evaluate_every must be more than 0"):
        Terms(evaluate_every=minutes * MINUTE)

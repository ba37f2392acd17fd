"""Laws of the life cycle over random sequences of verdicts, crashes, clock steps and terms."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.alerting.incident import Incident, announced
from monitor.alerting.lifecycle import Decision, decide
from monitor.alerting.states import NEW, Firing, Pending, State, StateName, name_of
from monitor.alerting.terms import Terms
from monitor.alerting.verdict import Finding, Verdict
from tests.alerting.making import MINUTE, START, Taken, applied, verdict

minutes = st.sampled_from([0, 5, 10, 17]).map(lambda n: n * MINUTE)
some_terms = st.builds(
    Terms,
    wait=minutes,
    for_new_labels=st.integers(0, 3),
    keep_firing_for=minutes,
    repeat_every=minutes,
    on_insufficient_data=st.sampled_from(["hold", "ok", "alert"]),
    on_error=st.sampled_from(["hold", "hold", "alert"]),
    mode=st.sampled_from(["active", "active", "shadow"]),
    send_resolved=st.booleans(),
)
findings = st.sampled_from(["crossed"] * 6 + ["below"] * 4 + ["between", "insufficient"] * 2 + list(get_args(Finding)))


@st.composite
def verdicts(draw: st.DrawFn, gaps: Sequence[float]) -> list[Verdict]:
    """Some verdicts, each so many minutes after the one before."""
    found, minute = [], 0.0
    for _ in range(draw(st.integers(1, 40))):
        minute += draw(st.sampled_from(gaps))
        found.append(verdict(draw(findings), minute, draw(st.integers(0, 2))))
    return found


FORWARD = [5, 5, 5, 5, 1, 7.5, 10, 11, 600]
STEPPING = [*FORWARD, 0, -1, -5, -10, -11, -600]


def oracle(sequence: list[Verdict], terms: Terms) -> list[StateName]:
    """The state after each of some verdicts in order of time, by searching all of them for beginnings and ends."""
    letter = {"crossed": "C", "between": "m", "below": "b", "series_ended": "x", "rule_ended": "x"}
    letter["failed"] = {"hold": "-", "alert": "C"}[terms.on_error]
    letter["insufficient"] = {"hold": "-", "ok": "x", "alert": "C"}[terms.on_insufficient_data]
    said = "".join(letter[each.finding] for each in sequence)
    step = [0 * MINUTE, *(min(b.as_of - a.as_of, 2 * terms.evaluate_every) for a, b in pairwise(sequence))]

    def time(letter: str, first: int, last: int) -> timedelta:
        return sum((step[at] for at in range(first + 1, last + 1) if said[at] == letter), 0 * MINUTE)

    def begun(start: int, at: int) -> int:
        """Where the crossings that last until `at` began; -1: none do."""
        quiet = max([start - 1, *(i for i in range(start, at + 1) if said[i] in "mbx")])
        return said.find("C", quiet + 1, at + 1)

    def fires(start: int, at: int) -> bool:
        first = begun(start, at)
        if said[at] != "C" or first < 0 or time("C", first, at) < terms.wait:
            return False
        labels = sum(each.new_labels for each in sequence[first + 1 : at + 1])
        return sequence[at].finding != "crossed" or labels >= terms.for_new_labels

    def calm(fired: int, at: int) -> int:
        loud = max(i for i in range(fired, at + 1) if said[i] in "Cm")
        return said.find("b", loud, at + 1)

    def ends(fired: int, at: int) -> bool:
        first = calm(fired, at)
        return said[at] == "x" or (said[at] == "b" and time("b", first, at) >= terms.keep_firing_for)

    states: list[StateName] = []
    start, every = 0, range(len(said))
    while len(states) < len(said):
        fired = next((at for at in every if at >= start and fires(start, at)), len(said))
        states += ["ok" if begun(start, at) < 0 else "pending" for at in range(start, fired)]
        ended = next((at for at in every if at > fired and ends(fired, at)), len(said))
        states += ["firing" if calm(fired, at) < 0 else "recovering" for at in range(fired, ended)]
        states += ["ok"] * (ended < len(said))
        start = ended + 1
    return states


@settings(max_examples=400)
@given(verdicts(FORWARD), some_terms)
def test_the_states_are_those_that_a_search_of_the_whole_history_finds(sequence: list[Verdict], terms: Terms) -> None:
    assert [name_of(taken.decision.state) for taken in applied(sequence, terms)] == oracle(sequence, terms)


@given(verdicts(STEPPING), some_terms)
def test_no_transition_is_lost_and_none_is_without_evidence(sequence: list[Verdict], terms: Terms) -> None:
    name, number = "ok", 0
    for taken in applied(sequence, terms):
        after, transition = taken.decision.state, taken.decision.transition
        assert (transition is not None) == (name_of(after) != name)
        if transition is not None:
            assert (transition.before, transition.after, transition.number) == (name, name_of(after), number + 1)
            assert transition.evidence == taken.verdict.evidence
            assert transition.finding == taken.verdict.finding
        name, number = name_of(after), after.number
        assert number == taken.before.number + (transition is not None)


@given(verdicts(STEPPING), some_terms, st.lists(st.integers(0, 3), max_size=40), st.integers(-30, 30))
def test_a_verdict_that_is_applied_again_changes_nothing(
    sequence: list[Verdict], terms: Terms, repeats: list[int], skew: int
) -> None:
    """A crash after the commit, or a second leader, whose clock may differ."""
    again = iter(repeats)
    for taken in applied(sequence, terms):
        if "stale" in taken.decision.counted:
            continue
        for _ in range(next(again, 1)):
            second = decide(taken.decision.state, taken.verdict, terms, taken.verdict.as_of + skew * MINUTE)
            assert second.state is taken.decision.state
            assert (second.transition, second.notice, second.counted) == (None, None, ("stale",))


@given(verdicts(STEPPING), some_terms)
def test_notices_come_as_fired_then_reminders_then_resolved(sequence: list[Verdict], terms: Terms) -> None:
    told = "".join({"fired": "F", "reminder": "r", "resolved": "."}[notice] for notice in notices(sequence, terms))
    assert all(part.startswith("F") and part.count("F") == 1 for part in told.split(".") if part)
    assert ".." not in told
    assert not told.startswith(".")
    if terms.mode == "shadow":
        assert not told
    if not terms.repeat_every:
        assert "r" not in told


def notices(sequence: list[Verdict], terms: Terms) -> list[str]:
    return [taken.decision.notice for taken in applied(sequence, terms) if taken.decision.notice is not None]


@given(verdicts(STEPPING), some_terms)
def test_whoever_is_told_that_it_fires_is_told_the_truth(sequence: list[Verdict], terms: Terms) -> None:
    """After every verdict, active: an open alert has been told and is not resolved; a closed one the reverse."""
    said = ""
    for taken in applied(sequence, terms):
        said = taken.decision.notice or said
        is_open = name_of(taken.decision.state) in {"firing", "recovering"}
        assert is_open == (said in {"fired", "reminder"}) or terms.mode == "shadow"


@given(verdicts(FORWARD), some_terms)
def test_an_alert_fires_only_after_its_time_and_its_labels(sequence: list[Verdict], terms: Terms) -> None:
    crossed: list[Verdict] = []
    for taken in applied(sequence, terms):
        crossed = [] if name_of(taken.before) == "ok" else crossed
        crossed.append(taken.verdict)
        transition = taken.decision.transition
        if transition is not None and transition.reason == "fired":
            assert crossed[-1].as_of - crossed[0].as_of >= terms.wait
            labels = sum(each.new_labels for each in crossed[1:])
            assert labels >= terms.for_new_labels or crossed[-1].finding != "crossed"


@given(verdicts(STEPPING), some_terms)
def test_only_time_below_exit_or_a_stated_end_closes_an_alert(sequence: list[Verdict], terms: Terms) -> None:
    """No alert resolves between exit and enter, nor by an error, nor by a lack of data unless its rule says so."""
    below: list[Verdict] = []
    for taken in applied(sequence, terms):
        if "stale" in taken.decision.counted:
            continue
        finding, transition = taken.verdict.finding, taken.decision.transition
        below = [*below, taken.verdict] if finding in {"below", "insufficient", "failed"} else []
        if transition is None or transition.before not in {"firing", "recovering"} or transition.after != "ok":
            continue
        if finding in {"series_ended", "rule_ended"}:
            assert transition.reason == finding.replace("_", " ")
        elif finding == "insufficient":
            assert (transition.reason, terms.on_insufficient_data) == ("no data", "ok")
        else:
            assert (finding, transition.reason) == ("below", "resolved")
            newest, oldest = max(each.as_of for each in below), min(each.as_of for each in below)
            assert newest - oldest >= terms.keep_firing_for


@given(verdicts(STEPPING), some_terms)
def test_errors_and_insufficiency_hold_an_alert_by_default(sequence: list[Verdict], terms: Terms) -> None:
    policies = {"insufficient": terms.on_insufficient_data, "failed": terms.on_error}
    held = {finding for finding, policy in policies.items() if policy == "hold"}
    for taken in applied(sequence, terms):
        if taken.verdict.finding in held:
            assert name_of(taken.decision.state) == name_of(taken.before)
    assert (Terms().on_insufficient_data, Terms().on_error) == ("hold", "hold")


@given(verdicts(FORWARD), some_terms, st.lists(findings, max_size=40), st.lists(st.integers(1, 600), max_size=40))
def test_what_a_clock_that_ran_ahead_said_does_not_blind_an_alert(
    sequence: list[Verdict], terms: Terms, later: list[Finding], gaps: list[int]
) -> None:
    """The clock is set back by a year: the states go on as those of an alert that was just judged."""
    [*_, last] = list(applied(sequence, terms))
    ahead = last.decision.state
    back = START - timedelta(days=365)
    minute = -365 * 1440
    for finding, gap in zip(later, gaps, strict=False):
        minute += gap
        given = verdict(finding, minute, 1)
        decision = decide(ahead, given, terms, back + (minute + 365 * 1440) * MINUTE)
        assert "stale" not in decision.counted
        assert decision.state.judged_at == given.as_of
        ahead = decision.state
        if isinstance(ahead, Firing) and ahead.told_at is not None:
            assert ahead.told_at <= given.as_of


@pytest.mark.parametrize(("minute", "watched"), [(49, 0), (50, None), (59, None), (60, None), (61, 1), (90, 10)])
def test_a_small_step_back_is_waited_out_and_no_time_is_counted_for_a_large_one(
    minute: int, watched: int | None
) -> None:
    """Judged at minute 60; two evaluations are 10 minutes. None: the verdict is not taken."""
    pending = Pending(judged_at=START + 60 * MINUTE, watched=0 * MINUTE, new_labels=0)
    decision = decide(pending, verdict("crossed", minute), Terms(), START + minute * MINUTE)
    if watched is None:
        assert decision == Decision(pending, counted=("stale",))
    else:
        at = START + minute * MINUTE
        assert decision == Decision(Pending(judged_at=at, watched=watched * MINUTE, new_labels=0))


def test_reminders_go_on_after_a_clock_that_ran_a_year_ahead_is_set_back() -> None:
    ahead = START + timedelta(days=365)
    state: State = Firing(judged_at=ahead, fired_at=ahead, told_at=ahead)
    for minute, told in [(0, None), (60, "reminder"), (119, None), (120, "reminder")]:
        decision = decide(state, verdict("crossed", minute), Terms(repeat_every=60 * MINUTE), START + minute * MINUTE)
        assert decision.notice == told
        state = decision.state


def test_a_verdict_from_a_clock_that_runs_ahead_is_not_taken() -> None:
    ahead = decide(NEW, verdict("crossed", 11), Terms(), START)
    assert (ahead.state, ahead.counted) == (NEW, ("stale",))
    assert name_of(decide(NEW, verdict("crossed", 10), Terms(), START).state) == "pending"


def test_an_outage_and_a_clock_that_jumps_ahead_count_for_two_evaluations() -> None:
    terms = Terms(for_new_labels=0)
    found = list(applied([verdict("crossed", minute) for minute in (0, 1440, 2880, 4320)], terms))
    assert [name_of(taken.decision.state) for taken in found] == ["pending", "pending", "pending", "firing"]


@given(st.lists(verdicts(STEPPING), min_size=1, max_size=4), some_terms)
def test_there_are_never_two_open_incidents_of_one_key(series: list[list[Verdict]], terms: Terms) -> None:
    """Whatever the alerts of a group do: opened, changed and closed in turn, numbered without a gap."""
    incident, is_open, order = Incident(key="k"), False, 0
    told = [list(applied(sequence, terms)) for sequence in series]
    for round_of in range(max(map(len, told))):
        given: list[tuple[str, Taken]] = [
            (str(place), each[round_of]) for place, each in enumerate(told) if round_of < len(each)
        ]
        batch = [(name, taken.decision.notice) for name, taken in given if taken.decision.notice is not None]
        incident, said = announced(incident, batch, terms)
        repeated, nothing = announced(incident, [each for each in batch if each[1] != "reminder"], Terms())
        assert (repeated, nothing) == (incident, None)
        if said is None:
            is_open = is_open and bool(incident.firing)  # an end that is not said
            continue
        order += 1
        assert (said.order, said.firing) == (order, incident.firing)
        assert (said.kind == "opened") == (not is_open)
        assert (said.kind == "closed") == (not said.firing)
        assert terms.send_resolved or said.kind != "closed"
        is_open = bool(said.firing)

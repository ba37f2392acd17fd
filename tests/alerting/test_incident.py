"""One incident a problem: its key, what it says, in order."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.alerting.incident import Announcement, Incident, announced, decoded, dedup_key, encoded, group_of
from monitor.alerting.terms import Terms
from monitor.errors import Refused

SAID, UNSAID = Terms(), Terms(send_resolved=False)

names = st.text(max_size=4)
groups = st.dictionaries(names, names, max_size=3).map(lambda found: tuple(found.items()))
problems = st.tuples(names, names, groups)


@given(problems, problems)
def test_two_problems_have_one_key_only_where_they_are_the_same(
    one: tuple[str, str, tuple[tuple[str, str], ...]], other: tuple[str, str, tuple[tuple[str, str], ...]]
) -> None:
    same = (one[:2], sorted(one[2])) == (other[:2], sorted(other[2]))
    assert (dedup_key(*one) == dedup_key(*other)) == same
    assert dedup_key(*one) == dedup_key(one[0], one[1], one[2][::-1])


def test_names_that_run_together_do_not_share_a_key() -> None:
    keys = {
        dedup_key("a", "b", ()),
        dedup_key("ab", "", ()),
        dedup_key("", "ab", ()),
        dedup_key("a", "", (("b", ""),)),
        dedup_key("a", "", (("", "b"),)),
        dedup_key("a", 'b",[', ()),
    }
    assert len(keys) == 6


def test_the_key_is_the_one_that_was_opened_by_an_earlier_version() -> None:
    """A key that changes leaves every open incident open for ever."""
    text = '["prod","EceHigh",[["model","triage"],["rule","EceHigh"]]]'
    group = group_of({"model": "triage", "lang": "fr", "rule": "EceHigh"}, ["rule", "model"])
    assert dedup_key("prod", "EceHigh", group) == hashlib.sha256(text.encode()).hexdigest()


def test_a_group_is_of_the_labels_that_were_asked_for_and_of_no_other() -> None:
    labels = {"model": "m", "segment.lang": "fr"}
    assert group_of(labels, ["segment.lang", "model", "model"]) == (("model", "m"), ("segment.lang", "fr"))
    assert group_of(labels, ["model", "signal"]) == (("model", "m"), ("signal", ""))
    assert group_of(labels, []) == ()


def test_an_incident_opens_changes_reminds_and_closes_in_order() -> None:
    new = Incident(key="k")
    opened, said = announced(new, [("b", "fired"), ("a", "fired")], SAID)
    assert said == Announcement("k", 1, "opened", ("a", "b"), (), ("a", "b"))
    grown, said = announced(opened, [("c", "fired"), ("a", "resolved"), ("b", "reminder")], SAID)
    assert said == Announcement("k", 2, "changed", ("c",), ("a",), ("b", "c"))
    same, said = announced(grown, [("b", "reminder")], SAID)
    assert said == Announcement("k", 3, "reminder", (), (), ("b", "c"))
    closed, said = announced(same, [("b", "resolved"), ("c", "resolved")], SAID)
    assert said == Announcement("k", 4, "closed", (), ("b", "c"), ())
    again, said = announced(closed, [("a", "fired")], SAID)
    assert said == Announcement("k", 5, "opened", ("a",), (), ("a",))
    assert again == Incident(key="k", order=5, firing=("a",))


def test_an_end_that_is_not_to_be_said_is_known_all_the_same() -> None:
    opened = Incident(key="k", order=1, firing=("a", "b"))
    fewer, said = announced(opened, [("a", "resolved")], UNSAID)
    assert (fewer, said) == (Incident(key="k", order=1, firing=("b",)), None)
    closed, said = announced(fewer, [("b", "resolved")], UNSAID)
    assert (closed, said) == (Incident(key="k", order=1), None)
    _, said = announced(closed, [("b", "fired")], UNSAID)
    assert said == Announcement("k", 2, "opened", ("b",), (), ("b",))
    _, said = announced(opened, [("a", "resolved"), ("c", "fired")], UNSAID)
    assert said == Announcement("k", 2, "changed", ("c",), ("a",), ("b", "c"))
    _, said = announced(opened, [("a", "reminder")], UNSAID)
    assert said == Announcement("k", 2, "reminder", (), (), ("a", "b"))


def test_notices_of_nothing_say_nothing() -> None:
    new = Incident(key="k")
    assert announced(new, [], SAID) == (new, None)
    assert announced(new, [("a", "resolved"), ("a", "reminder")], SAID) == (new, None)


def test_a_stored_incident_comes_back_and_another_version_is_refused() -> None:
    incident = Incident(key="k", order=3, firing=("a", "b"))
    stored = encoded(incident)
    assert decoded(stored) == incident
    with pytest.raises(Refused, match="a stored incident must be of version 1, got 2"):
        decoded(stored.replace(b'"version":1', b'"version":2'))
    with pytest.raises(Refused, match="not a stored incident"):
        decoded(b'{"version":1}')

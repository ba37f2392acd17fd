"""The doctor tells well from unwell, says how to mend it, and its exit code says how bad it is."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.cli import findings
from monitor.cli.findings import Finding, State, exit_status

UNWELL = [
    findings.postgres_version(130_011),
    findings.postgres_version(190_000),
    findings.schema("0001", "0007"),
    findings.schema(None, "0007"),
    findings.isolation("serializable"),
    findings.database_roles(["caldrift_app"]),
    findings.clock_skew(timedelta(seconds=-5)),
    findings.clock_skew(timedelta(minutes=5)),
    findings.partition_counts({"predictions": 4, "labels": 3}),
    findings.cluster("new", ["old"]),
    findings.cluster("new", ["new", "old"]),
    findings.offset_range("labels", 2, stored=5, first=9, end=20),
    findings.offset_range("labels", 2, stored=50, first=9, end=20),
    findings.disk("/", free=100 << 20, total=1 << 40),
    findings.disk("/", free=3 << 30, total=1 << 40),
    findings.numeric_dimensions(["prompt_tokens"]),
    findings.heartbeat("ingest", None),
    findings.heartbeat("ingest", 400.0),
]
WELL = [
    findings.postgres_version(180_006),
    findings.schema("0007", "0007"),
    findings.isolation("read committed"),
    findings.database_roles([]),
    findings.clock_skew(timedelta(milliseconds=-300)),
    findings.partition_counts({"predictions": 4, "labels": 4}),
    findings.cluster("same", ["same"]),
    findings.cluster("new", []),
    findings.disk("/", free=50 << 30, total=1 << 40),
    findings.numeric_dimensions([]),
    findings.heartbeat("ingest", 2.0),
]


@pytest.mark.parametrize("found", UNWELL, ids=str)
def test_what_is_unwell_comes_with_a_way_to_mend_it(found: Finding) -> None:
    assert found.state is not State.OK
    assert found.mend
    assert found.mend in found.line


@pytest.mark.parametrize("found", WELL, ids=str)
def test_what_is_well_says_so_and_asks_for_nothing(found: Finding) -> None:
    assert found.state is State.OK
    assert not found.mend


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100))
def test_a_stored_offset_is_in_range_from_the_first_message_to_the_end(stored: int, first: int, length: int) -> None:
    found = findings.offset_range("labels", 0, stored, first, first + length)
    assert (found is None) == (first <= stored <= first + length)


def test_a_range_of_lost_messages_is_named() -> None:
    found = findings.offset_range("labels", 2, stored=5, first=9, end=20)
    assert found is not None
    assert "labels/2: messages 5 to 8" in found.said


def test_a_server_that_is_away_weighs_more_than_a_failure_and_a_warning_weighs_nothing() -> None:
    states = [State.OK, State.WARN]
    assert exit_status([Finding("x", state, "") for state in states]) == 0
    assert exit_status([Finding("x", state, "") for state in [*states, State.FAIL]]) == 1
    assert exit_status([Finding("x", state, "") for state in [*states, State.FAIL, State.AWAY]]) == 3

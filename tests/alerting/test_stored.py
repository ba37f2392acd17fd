"""States and transitions are stored for ever: what comes back is what went in, and another version is refused."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.alerting import states, transition
from monitor.alerting.states import NEW, Firing, Ok, Pending, Recovering, State
from monitor.alerting.transition import Transition
from monitor.alerting.verdict import Alarmed, Estimate, Evidence, Measured, Said
from monitor.calibration.reading import Bin
from monitor.errors import Refused
from tests.alerting.making import START

durations = st.timedeltas(timedelta(0), timedelta(days=400))
instants = durations.map(lambda since: START + since)
counts = st.integers(0, 10**12)
opened = {"judged_at": instants, "number": counts, "fired_at": instants, "told_at": st.none() | instants}
some_states = st.one_of(
    st.builds(Ok, judged_at=instants, number=counts),
    st.builds(Pending, judged_at=instants, number=counts, watched=durations, new_labels=counts),
    st.builds(Firing, **opened, flaps=counts),
    st.builds(Recovering, **opened, flaps=counts, watched=durations),
)
numbers = st.floats(-1, 1)
bounds = st.tuples(numbers, numbers)
estimates = st.builds(Estimate, value=numbers, interval=st.none() | bounds, n=counts)
evidence = st.one_of(
    st.builds(
        Measured,
        as_of=instants,
        measure=st.text(),
        estimate=estimates,
        judged=estimates,
        enter=numbers,
        exit=numbers,
        confidence_level=numbers,
        coverage=st.none() | numbers,
        baseline=st.none() | estimates,
        bins=st.lists(st.builds(Bin, numbers, numbers, counts, numbers, numbers, bounds), max_size=3).map(tuple),
    ),
    st.builds(Alarmed, as_of=instants, size=numbers, size_interval=bounds, value=numbers, labels=numbers,
        slope=numbers,
        intercept=numbers,
        labels_since=numbers),
    st.builds(Said, as_of=instants, reason=st.text(), n=st.none() | counts, coverage=st.none() | numbers),
)  # fmt: skip


@given(some_states)
def test_a_stored_state_comes_back(state: State) -> None:
    assert states.decoded(states.encoded(state)) == state
    assert states.decoded(states.encoded(NEW)) == NEW


@given(evidence, instants, counts, st.none() | instants)
def test_a_stored_transition_comes_back_with_its_evidence_digit_for_digit(
    found: Evidence, at: datetime, number: int, fired_at: datetime | None
) -> None:
    given_one = Transition(
        number=number, before="pending", after="firing", reason="fired", at=at, finding="crossed", evidence=found,
        fired_at=fired_at, flaps=2,
    )  # fmt: skip
    back = transition.decoded(transition.encoded(given_one))
    assert back == given_one
    assert repr(back) == repr(given_one)


def test_what_was_stored_by_this_version_stays_readable() -> None:
    """Words of the file of version 1: whoever changes them raises the version."""
    stored = (
        '{"version":1,"state":{"type":"recovering","judged_at":"2026-11-22T00:00:00Z","number":3,'
        '"fired_at":"2026-11-21T22:00:00Z","told_at":null,"flaps":1,"watched":"PT5400S"}}'
    )
    state = Recovering(
        judged_at=START, number=3, fired_at=START - timedelta(hours=2), flaps=1, watched=timedelta(minutes=90)
    )
    assert states.decoded(stored) == state
    assert states.encoded(state).decode() == stored


@pytest.mark.parametrize("version", [0, 2])
def test_another_version_is_refused_with_what_to_do(version: int) -> None:
    stored = states.encoded(NEW).replace(b'"version":1', f'"version":{version}'.encode())
    with pytest.raises(Refused, match=f"state of an alert must be of version 1, got {version}: run the caldrift that"):
        states.decoded(stored)


@pytest.mark.parametrize("stored", ["", "7", "{}", '{"version":1}', '{"version":1,"state":{"type":"odd"}}', "\xff"])
def test_what_is_no_state_is_refused(stored: str) -> None:
    with pytest.raises(Refused, match="not a stored state of an alert"):
        states.decoded(stored.encode("latin-1"))
    with pytest.raises(Refused, match="not a stored transition of an alert"):
        transition.decoded(stored.encode("latin-1"))

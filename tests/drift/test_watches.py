"""Watches: panes teach a baseline, later ones are held against it, and a page ends it."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.calibration.sketch import Row, Sketch, sketch_of
from monitor.drift.alarms import Alarm
from monitor.drift.budget import MOST_UPDATES
from monitor.drift.detectors import Limits
from monitor.drift.watches import (
    RATE_HOURS,
    Fed,
    FedPane,
    Learning,
    Pane,
    Rules,
    Taken,
    Watch,
    Watching,
    anew,
    evidence_of,
    feed,
)
from monitor.errors import Refused
from tests.drift.feeding import VALUES, drawn

WANTED = 300
OFF = Limits(np.zeros(1), np.zeros(1))


def sketched(rng: np.random.Generator, n: int, loss: float) -> Sketch:
    confidence, outcome = np.array(drawn(rng, n, np.clip(VALUES - loss, 0, 1))).T
    return sketch_of(confidence, outcome)


def some_panes(seed: int, n: int, *, drift_at: int = 10**9, loss: float = 0.4) -> list[Pane]:
    """Panes of 20 labels at every hour but each seventh."""
    rng = np.random.default_rng(seed)
    return [
        Pane(hour, sketched(rng, 20, loss if hour >= drift_at else 0.0)) for hour in range(100, 100 + n) if hour % 7
    ]


def limits(n: int, page: float = 1e-4, warn: float = 1e-3) -> Limits:
    return Limits(np.full(n, page), np.full(n, warn))


def shown(watch: Watch) -> tuple[object, ...]:
    """All of a watch as values that compare."""
    if isinstance(watch, Learning):
        return (watch.taken, watch.labels, watch.baseline_panes)
    state = (watch.numbers.tolist(), watch.opinion.stored(), watch.shift, watch.shift_pane)
    return (watch.taken, watch.baseline, watch.baseline_panes, *state)


def one_by_one(panes: Sequence[Pane], rates: Limits) -> Fed:
    """A series fed a pane at a time."""
    watches: tuple[Watch, ...] = (anew(),)
    alarms, fed = list[Alarm](), list[FedPane]()
    for pane in panes:
        once = feed(watches, [[pane]], rates, WANTED)
        watches, alarms, fed = once.watches, [*alarms, *once.alarms], [*fed, *once.panes]
    return Fed(watches, tuple(alarms), tuple(fed))


@given(st.integers(0, 1000), st.integers(1, 60), st.integers(110, 200))
def test_feeding_all_panes_at_once_equals_feeding_them_one_by_one(seed: int, n: int, drift_at: int) -> None:
    panes = some_panes(seed, n, drift_at=drift_at)
    at_once, singly = feed([anew()], [panes], limits(1), WANTED), one_by_one(panes, limits(1))
    assert shown(at_once.watches[0]) == shown(singly.watches[0])
    assert at_once.alarms == singly.alarms
    assert at_once.panes == singly.panes


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 60), st.integers(110, 200)), min_size=1, max_size=5))
def test_a_series_is_the_same_alone_and_among_others(series: list[tuple[int, int, int]]) -> None:
    panes = [some_panes(seed, n, drift_at=drift_at) for seed, n, drift_at in series]
    together = feed([anew()] * len(panes), panes, limits(len(panes)), WANTED)
    for place, own in enumerate(panes):
        alone = feed([anew()], [own], limits(1), WANTED)
        assert shown(together.watches[place]) == shown(alone.watches[0])
        mine = [alarm for alarm in together.alarms if alarm.series == place]
        assert [(each.tier, each.pane, each.value) for each in mine] == [
            (each.tier, each.pane, each.value) for each in alone.alarms
        ]
        assert [pane[1:] for pane in together.panes if pane.series == place] == [pane[1:] for pane in alone.panes]


def test_the_first_panes_teach_until_there_are_enough_labels() -> None:
    panes = some_panes(1, 30)
    early = feed([anew()], [panes[:14]], OFF, WANTED).watches[0]
    assert isinstance(early, Learning)
    assert early.labels.total(Row.N) == 280
    assert early.taken == Taken(panes[0].hour, panes[0].hour, panes[13].hour, 14)
    later = feed([anew()], [panes[:15]], OFF, WANTED)
    (watch,) = later.watches
    assert isinstance(watch, Watching)
    assert watch.baseline.labels[0] == 300
    assert [pane.residual for pane in later.panes] == [None] * 15
    assert evidence_of([watch]).labels[0, 0] == 0
    (fed,) = feed(later.watches, [panes[15:17]], OFF, WANTED).watches
    assert isinstance(fed, Watching)
    assert evidence_of([fed, watch]).labels[:, 0].tolist() == [40, 0]


def test_a_page_ends_the_baseline_and_the_pane_after_it_begins_the_next() -> None:
    panes = some_panes(2, 90, drift_at=140)
    fed = feed([anew()], [panes], limits(1), WANTED)
    page = next(alarm for alarm in fed.alarms if alarm.tier == "page")
    assert 140 <= page.pane < 150
    taught = [pane.hour for pane in fed.panes if pane.residual is None]
    after = [pane.hour for pane in panes if pane.hour > page.pane]
    assert taught[15:30] == after[:15]
    (watch,) = fed.watches
    assert isinstance(watch, Watching)
    assert watch.taken.began == after[0]
    assert watch.taken.first == panes[0].hour
    assert watch.taken.n == len(panes)


def test_every_series_alarms_at_its_own_rate() -> None:
    panes = some_panes(2, 60, drift_at=140)
    rates = Limits(np.array([0.0, 1e-4, 1e-12, 0.0]), np.zeros(4))
    fed = feed([anew()] * 4, [panes] * 4, rates, WANTED)
    first = {series: next(each.pane for each in fed.alarms if each.series == series) for series in (1, 2)}
    assert {alarm.series for alarm in fed.alarms} == {1, 2}
    assert first[1] < first[2]


def test_a_warning_ends_nothing() -> None:
    panes = some_panes(2, 90, drift_at=140)
    fed = feed([anew()], [panes], limits(1, page=0.0), WANTED)
    assert {alarm.tier for alarm in fed.alarms} == {"warn"}
    assert sum(pane.residual is None for pane in fed.panes) == 15


def test_the_second_opinion_finds_the_shift_too_and_its_size() -> None:
    panes = some_panes(3, 160, drift_at=200, loss=0.3)
    (watch,) = feed([anew()], [panes], limits(1, page=0.0, warn=0.0), WANTED).watches
    assert isinstance(watch, Watching)
    assert watch.shift is not None
    assert watch.shift_pane >= 200
    assert watch.shift.mean == pytest.approx(0.3, abs=0.1)


def test_a_pane_that_is_not_after_those_fed_is_refused() -> None:
    panes = some_panes(1, 30)
    fed = feed([anew()], [panes], OFF, WANTED)
    with pytest.raises(Refused, match="is not after pane"):
        feed(fed.watches, [[panes[-1]]], OFF, WANTED)


def test_the_rate_of_a_series_is_known_after_a_week_and_counts_its_panes() -> None:
    assert Taken().updates_per_year is None
    assert Taken(0, 0, RATE_HOURS - 2, 100).updates_per_year is None
    assert Taken(0, 0, RATE_HOURS - 1, RATE_HOURS).updates_per_year == MOST_UPDATES
    assert Taken(0, 100, 2 * RATE_HOURS - 1, RATE_HOURS).updates_per_year == MOST_UPDATES / 2


def test_a_new_baseline_keeps_the_rate_of_the_series() -> None:
    (watch,) = feed([anew()], [some_panes(1, 30)], OFF, WANTED).watches
    again = anew(watch.taken)
    assert (again.taken.first, again.taken.until, again.taken.n) == (
        watch.taken.first,
        watch.taken.until,
        watch.taken.n,
    )
    assert again.taken.began == -1
    assert again.labels.total(Row.N) == 0


def test_rules_without_any_budget_are_off() -> None:
    assert Rules(0.0, 0.0).is_off
    assert not Rules(0.0, 1.0).is_off
    assert not Rules(1.0, 0.0).is_off

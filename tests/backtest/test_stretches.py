"""What slides holds what a recount finds, at every hour, for any order in which things became known."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.backtest.stretches import EVER, HeldSketches, HeldTallies, Sliding, Stretch
from monitor.calibration.sketch import Row, Sketch, merge, sketch_of
from monitor.calibration.tallies import Layout, Tallies, add
from monitor.rolling.maturity import mature_hour
from monitor.rolling.panes import start_of
from monitor.rolling.stacks import Stack, code, negative, no_sketches, plus, sketches, stacked

FIRST = 500_000
SERIES = np.array([3, 7])
LAYOUT = Layout(10, "right_closed")
STRETCHES = (EVER, Stretch(5), Stretch(3, back=5))

events = st.lists(
    st.tuples(
        st.integers(0, 25),  # when it became known
        st.integers(-4, 14),  # by how much its hour lies before that
        st.sampled_from([3, 5, 7]),
        st.integers(0, 20).map(lambda j: j / 20),
        st.sampled_from([0.0, 1.0, np.nan]),
        st.booleans(),  # whether it is taken back three hours later
    ),
    max_size=25,
)
Event = tuple[int, int, int, float, float, bool]


def changes(given_events: Sequence[Event]) -> list[tuple[int, int, int, Stack]]:
    """(known hour, series, pane hour, signed change)."""
    found = []
    for known, before, series, confidence, outcome, back in given_events:
        pane = FIRST + known - before
        change = stacked({int(code(series, pane)): sketch_of([confidence], [outcome])})
        found.append((FIRST + known, series, pane, change))
        if back:
            found.append((FIRST + known + 3, series, pane, negative(change)))
    return found


def recount(known: list[tuple[int, int, int, Stack]], hour: int, series: int, stretch: Stretch, mature: int) -> Sketch:
    span = stretch.span(mature)
    parts = [
        sketch
        for at, of, pane, change in known
        if at <= hour and of == series and span.holds(pane)
        for _, sketch in sketches(change)
    ]
    return merge(merge(), *parts) if len(parts) != 1 else parts[0]


def tallied(sketch: Sketch) -> Tallies:
    table = np.zeros((1, LAYOUT.width), np.int64)
    add(table, LAYOUT, np.zeros(len(sketch.cells), np.int64), sketch.cells, sketch.sums)
    return Tallies(table, LAYOUT)


@settings(max_examples=60)
@given(events, st.integers(0, 6), st.sets(st.integers(1, 30), max_size=6))
def test_what_slides_is_what_a_recount_of_the_known_panes_finds(
    given_events: list[Event], maturity: int, looks: set[int]
) -> None:
    known, late = changes(given_events), timedelta(hours=maturity)
    dense, whole = HeldTallies(SERIES, STRETCHES, LAYOUT, late), HeldSketches(SERIES, STRETCHES)
    slides = [Sliding(held, STRETCHES, late, FIRST) for held in (dense, whole)]
    for hour in range(FIRST, FIRST + 31):
        new = plus(no_sketches(), *(change for at, _, _, change in known if at == hour))
        for slide in slides:
            slide.advance(hour, new)
        if hour - FIRST not in looks:
            continue
        mature = mature_hour(start_of(hour), late)
        for stretch in STRETCHES:
            held = dict(sketches(whole.stack(stretch)))
            for row, series in enumerate(SERIES.tolist()):
                expected = recount(known, hour, series, stretch, mature)
                assert held.get(row, merge()).total(Row.N) == expected.total(Row.N)
                assert merge(held.get(row, merge()), merge()) == expected
                assert np.array_equal(dense.tallies(stretch).table[row], tallied(expected).table[0])

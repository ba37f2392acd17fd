"""Stored rolling windows equal a recount of the panes, and cost what enters and leaves, whatever their length."""

import numpy as np
import pytest

from monitor.calibration.sketch import DelayRow, Sketch
from monitor.postgres.database import Connection
from monitor.postgres.leader import take_lead
from monitor.postgres.panes import apply
from monitor.postgres.windows import Held, Rolled, absorb, first_hours, held, read_windows, roll
from monitor.rolling.panes import Span
from monitor.rolling.stacks import Stack, code, sketches, stacked
from tests.postgres.test_panes import DAY, expected, some_series
from tests.rolling.traffic import some_sketch, some_stack

NAMES = ["6h", "24h", "all"]
HOURS = [6, 24, None]
SEED = 7


def targets(series: range, end_hour: int) -> Held:
    """Where the windows of all series belong when they end at an hour."""
    return {
        int(code(one, place)): Span(0 if hours is None else end_hour - hours, end_hour)
        for one in series
        for place, hours in enumerate(HOURS)
    }


def stored(connection: Connection) -> dict[int, Sketch]:
    """What the windows hold, empty ones left out."""
    keys = np.array(sorted(held(connection, NAMES)), np.int64)
    return {key: sketch for key, sketch in sketches(read_windows(connection, NAMES, keys)) if len(sketch.cells)}


@pytest.mark.parametrize("seed", range(3))
def test_windows_equal_a_recount_after_any_changes_and_jumps(connection: Connection, seed: int) -> None:
    rng = np.random.default_rng([SEED, seed])
    series = some_series(connection, 3)
    every: list[Stack] = []
    spans: Held = {}
    for end in DAY + np.array([30, 31, 33, 33, 60, 40, 41, 200, 50]):
        wanted = targets(series, int(end))
        roll(connection, NAMES, spans, {key: span for key, span in wanted.items() if spans.get(key) != span})
        spans = wanted
        for _ in range(2):
            change = some_stack(rng, series, range(DAY, DAY + 60), 40)
            every.append(change)
            for applied in apply(connection, change, DAY + 300):
                absorb(connection, NAMES, spans, applied.delta)
        assert held(connection, NAMES) == spans
        assert stored(connection) == {
            key: sketch
            for key, span in spans.items()
            for one, sketch in expected(every, span).items()
            if one == key >> 32
        }


def test_windows_tell_right_from_wrong_again_once_the_panes_that_cannot_have_left(connection: Connection) -> None:
    rng = np.random.default_rng(SEED)
    series = some_series(connection, 2)
    at_first = targets(series, DAY + 24)
    roll(connection, NAMES, {}, at_first)

    def change(hours: range) -> Stack:
        stack = some_stack(rng, series, hours, 30)
        for applied in apply(connection, stack, DAY + 300):
            absorb(connection, NAMES, at_first, applied.delta)
        return stack

    change(range(DAY, DAY + 24))
    for table in ("pane", "pane_history", "window_sum"):
        connection.execute(f"UPDATE {table} SET right_delays = NULL, unsplit_delays = NULL".encode())
    change(range(DAY + 10, DAY + 24))
    assert all(sketch.delay_sums[DelayRow.UNSPLIT].any() for sketch in stored(connection).values())
    later = targets(series, DAY + 48)
    roll(connection, NAMES, at_first, later)
    new = some_stack(rng, series, range(DAY + 24, DAY + 48), 30)
    for applied in apply(connection, new, DAY + 300):
        absorb(connection, NAMES, later, applied.delta)
    found = stored(connection)
    of_the_day = expected([new], Span(DAY + 24, DAY + 48))
    assert {one: found[int(code(one, 1))] for one in of_the_day} == of_the_day
    assert all(found[int(code(one, 2))].delay_sums[DelayRow.UNSPLIT].any() for one in series)


def test_a_window_that_is_no_longer_configured_is_forgotten(connection: Connection) -> None:
    series = some_series(connection, 2)
    roll(connection, NAMES, {}, targets(series, DAY))
    assert len(held(connection, ["24h"])) == 2
    assert held(connection, NAMES).keys() == {code(one, 1) for one in series}
    assert first_hours(connection) == [DAY - 24]


def one_hour_on(connection: Connection, series: range, hours: int) -> tuple[Rolled, int]:
    """Roll a window of this length by an hour: what it says it read, and how many panes Postgres read for it."""
    keys = [int(code(one, 0)) for one in series]
    before, after = (dict.fromkeys(keys, Span(end - hours, end)) for end in (DAY + 200, DAY + 201))
    roll(connection, ["w"], {}, before)
    with connection.transaction():
        start = panes_fetched(connection)
        rolled = roll(connection, ["w"], before, after)
        return rolled, panes_fetched(connection) - start


def panes_fetched(connection: Connection) -> int:
    """Rows of pane that Postgres has fetched for this session."""
    row = connection.execute(
        "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'pane'"
    ).fetchone()
    assert row is not None
    return int(row[0])


def test_an_evaluation_reads_as_many_rows_and_bytes_for_a_long_window_as_for_a_short_one(
    connection: Connection,
) -> None:
    rng = np.random.default_rng(SEED)
    series = some_series(connection, 5)
    every = stacked({int(code(one, hour)): some_sketch(rng, 300) for one in series for hour in range(DAY, DAY + 201)})
    apply(connection, every, DAY + 300)
    assert take_lead(connection) is not None
    read = {}
    for hours in (20, 200):
        rolled, panes = one_hour_on(connection, series, hours)
        assert {key >> 32: sketch for key, sketch in sketches(windows_of(connection, series))} == expected(
            [every], Span(DAY + 201 - hours, DAY + 201)
        )
        assert panes == 2 * len(series)  # of each series the pane that enters and the one that leaves
        assert rolled.n_rows == 3 * len(series)  # and the stored window
        read[hours] = rolled.n_bytes
    assert read[200] < 1.3 * read[20]  # a long window has met a few more cells, not ten times as many panes


def windows_of(connection: Connection, series: range) -> Stack:
    """The stored windows of some series."""
    return read_windows(connection, ["w"], code(np.array(list(series)), 0))

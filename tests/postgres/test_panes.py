"""Panes on a real Postgres: exact sums, merged days, and what was known when."""

from collections.abc import Iterable

import numpy as np
import pytest

from monitor.calibration.sketch import Sketch, empty, merge
from monitor.postgres.database import Connection
from monitor.postgres.panes import KEY, PIECE, apply, merge_days, series_sum, span_sums
from monitor.postgres.series import series_ids
from monitor.rolling.panes import EVERYTHING, Span, start_of
from monitor.rolling.segments import SeriesName
from monitor.rolling.stacks import Stack, negative, numbers_of, part
from tests.rolling.traffic import added_up, some_stack

DAY = 20_000 * 24  # an hour that is a UTC midnight
SEED = 20_261_122


def some_series(connection: Connection, n: int) -> range:
    """`n` series; their numbers are consecutive in a new database."""
    ids, _ = series_ids(connection, [SeriesName("m", "confidence", f'{{"lang":"{i:03}"}}') for i in range(n)])
    return range(min(ids.values()), max(ids.values()) + 1)


def stored(
    connection: Connection, series: range, span: Span = EVERYTHING, known_hour: int | None = None
) -> dict[int, Sketch]:
    """What each series holds over a span, empty sketches left out."""
    known_at = None if known_hour is None else start_of(known_hour)
    sums = {one: series_sum(connection, one, span, known_at).sketch for one in series}
    return {one: sketch for one, sketch in sums.items() if sketch != empty()}


def expected(stacks: Iterable[Stack], span: Span = EVERYTHING) -> dict[int, Sketch]:
    """The same from the changes themselves."""
    total: dict[int, Sketch] = {}
    for key, sketch in added_up(*stacks).items():
        if span.holds(key & 0xFFFFFFFF):
            total[key >> 32] = merge(total.get(key >> 32, empty()), sketch)
    return {one: sketch for one, sketch in total.items() if sketch != empty()}


def changes(rng: np.random.Generator, series: range, n: int = 8) -> list[Stack]:
    """Changes over two days and a bit; the last takes an earlier one back."""
    each = [some_stack(rng, series, range(DAY, DAY + 54), 30) for _ in range(n)]
    return [*each, negative(each[n // 2])]


def test_panes_hold_the_sum_of_all_changes_in_any_order(connection: Connection) -> None:
    rng = np.random.default_rng(SEED)
    series = some_series(connection, 4)
    every = changes(rng, series)
    for place in rng.permutation(len(every)):
        apply(connection, every[place], DAY + 60)
    span = Span(DAY + 3, DAY + 17)
    for asked in (EVERYTHING, span):
        assert stored(connection, series, asked) == expected(every, asked)
    sums = span_sums(connection, np.array(list(series)), span)
    assert {key >> 32: sketch for key, sketch in added_up(sums.stack).items()} == expected(every, span)


def test_a_long_span_is_summed_piece_by_piece(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    series = some_series(connection, 4)
    change = some_stack(np.random.default_rng(SEED), series, range(DAY, DAY + 54), 60)
    apply(connection, change, DAY)
    every = np.array(list(series))
    for span in (EVERYTHING, Span(DAY + 3, DAY + 40), Span(DAY + 100, DAY + 200)):
        at_once = span_sums(connection, every, span)
        with monkeypatch.context() as patched:
            patched.setattr("monitor.postgres.panes.PANES_AT_ONCE", 20)
            piecewise = span_sums(connection, every, span)
        assert piecewise.n_rows == at_once.n_rows
        assert added_up(piecewise.stack) == added_up(at_once.stack)
        assert {key >> 32: sketch for key, sketch in added_up(at_once.stack).items()} == expected([change], span)


def test_a_change_of_more_panes_than_fit_in_memory_is_applied_whole(connection: Connection) -> None:
    rng = np.random.default_rng(SEED)
    series = some_series(connection, 40)
    change = some_stack(rng, series, range(DAY, DAY + 60), 2 * PIECE)
    assert len(change) > PIECE
    applied = apply(connection, change, DAY)
    assert len(applied) > 1
    assert stored(connection, series) == expected([change])


def test_cells_that_become_zero_are_removed(connection: Connection) -> None:
    series = some_series(connection, 2)
    change = some_stack(np.random.default_rng(SEED), series, range(DAY, DAY + 3))
    apply(connection, change, DAY)
    apply(connection, negative(change), DAY + 1)
    row = connection.execute("SELECT sum(cardinality(cells) + cardinality(delays)) FROM pane").fetchone()
    assert row == (0,)


def test_weights_are_stored_only_where_a_label_has_one(connection: Connection) -> None:
    series = some_series(connection, 3)
    change = some_stack(np.random.default_rng(SEED), series, range(DAY, DAY + 20), 40)
    apply(connection, change, DAY)
    weighted = {key for key, sketch in added_up(change).items() if sketch.sums[6:].any()}
    rows = connection.execute(f"SELECT {KEY} FROM pane WHERE excess_w IS NOT NULL").fetchall()
    assert {key for (key,) in rows} == weighted
    assert 0 < len(weighted) < len(change)


def test_what_was_known_then_does_not_change_by_what_comes_later(connection: Connection) -> None:
    rng = np.random.default_rng(SEED)
    series = some_series(connection, 3)
    every = changes(rng, series, 6)
    known: dict[int, dict[int, Sketch]] = {}
    for place, change in enumerate(every):
        apply(connection, change, DAY + 100 + place // 2)
        known[DAY + 100 + place // 2] = expected(every[: place + 1])
    for hour, then in known.items():
        assert stored(connection, series, known_hour=hour) == then
    assert stored(connection, series, known_hour=DAY + 99) == {}
    assert stored(connection, series, known_hour=DAY + 500) == stored(connection, series)


def test_merged_days_hold_what_their_hours_held_and_late_changes_go_to_the_day(connection: Connection) -> None:
    rng = np.random.default_rng(SEED)
    series = some_series(connection, 3)
    every = changes(rng, series)
    for change in every:
        apply(connection, change, DAY + 60)
    merged = merge_days(connection, np.array(list(series)), DAY + 48)
    assert merged > 0
    widths = connection.execute(
        "SELECT width, min(pane_start), max(pane_start) FROM pane GROUP BY 1 ORDER BY 1"
    ).fetchall()
    assert [width for width, _, _ in widths] == [3_600, 86_400]
    assert widths[0][1] >= start_of(DAY + 48)
    assert widths[1][2] <= start_of(DAY + 24)
    assert stored(connection, series) == expected(every)

    late = some_stack(rng, series, range(DAY, DAY + 54), 40)
    apply(connection, late, DAY + 70)
    assert stored(connection, series) == expected([*every, late])
    old = connection.execute(
        "SELECT count(*) FROM pane WHERE pane_start < %s AND width = 3600", (start_of(DAY + 48),)
    ).fetchone()
    assert old == (0,)
    assert merge_days(connection, np.array(list(series)), DAY + 48) == 0
    assert stored(connection, series, known_hour=DAY + 69) == expected(every)
    assert stored(connection, series, known_hour=DAY + 70) == expected([*every, late])


def test_hours_that_came_before_the_merge_of_a_day_join_it_later(connection: Connection) -> None:
    rng = np.random.default_rng(SEED)
    series = some_series(connection, 2)
    first, second = (some_stack(rng, series, range(DAY, DAY + 24), 30) for _ in range(2))
    apply(connection, part(first, numbers_of(first.keys) > DAY), DAY)
    merge_days(connection, np.array(list(series)), DAY + 24)
    apply(connection, second, DAY)
    rows = connection.execute("SELECT DISTINCT pane_start, width FROM pane").fetchall()
    assert rows == [(start_of(DAY), 86_400)]
    assert stored(connection, series) == expected([part(first, numbers_of(first.keys) > DAY), second])


@pytest.mark.parametrize(
    ("asked", "covered"),
    [
        (Span(DAY + 5, DAY + 50), Span(DAY, DAY + 50)),
        (Span(DAY + 30, DAY + 40), Span(DAY + 24, DAY + 48)),
        (Span(DAY + 48, DAY + 52), Span(DAY + 48, DAY + 52)),
    ],
)
def test_a_span_with_an_edge_in_a_merged_day_takes_the_day_and_says_so(
    connection: Connection, asked: Span, covered: Span
) -> None:
    series = some_series(connection, 1)
    change = some_stack(np.random.default_rng(SEED), series, range(DAY, DAY + 54), 100)
    apply(connection, change, DAY)
    merge_days(connection, np.array(list(series)), DAY + 48)
    total = series_sum(connection, series[0], asked)
    assert total.span == covered
    assert {series[0]: total.sketch} == expected([change], covered)


def test_a_pane_below_zero_is_named_and_a_later_change_may_mend_it(connection: Connection) -> None:
    series = some_series(connection, 1)
    change = some_stack(np.random.default_rng(SEED), series, range(DAY, DAY + 3))
    assert (
        np.concatenate([each.defects for each in apply(connection, negative(change), DAY)]).tolist()
        == change.keys.tolist()
    )
    assert not any(len(each.defects) for each in apply(connection, change, DAY))
    assert stored(connection, series) == {}

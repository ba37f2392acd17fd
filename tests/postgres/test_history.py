"""Folding history changes no state that can still be asked for."""

import random
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.postgres import history
from monitor.postgres.database import Connection
from monitor.postgres.tables import DELAY_COLUMNS, SUM_COLUMNS

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
FIRST_EXCESS = SUM_COLUMNS.index("excess_w")

State: TypeAlias = dict[tuple[int, datetime, int], tuple[int, ...]]
"""(series, day or hour, cell) -> sums; delays count as cells from 10,000 on."""


def add_row(connection: Connection, chance: random.Random, series: int, pane_hour: int, known_hour: int) -> None:
    cells = sorted(chance.sample(range(5), chance.randint(0, 3)))
    weighted = chance.random() < 0.5
    sums: list[list[int] | None] = [
        [chance.randint(-3, 3) for _ in cells] if place < FIRST_EXCESS or weighted else None
        for place in range(len(SUM_COLUMNS))
    ]
    buckets = sorted(chance.sample(range(3), chance.randint(0, 2)))
    split = chance.random() < 0.6
    connection.execute(
        f"INSERT INTO pane_history (series, pane_start, known_at, width, cells, {', '.join(SUM_COLUMNS)},"
        f" delay_buckets, {', '.join(DELAY_COLUMNS)}) VALUES ({', '.join(['%s'] * 21)})".encode(),
        (
            series,
            START + pane_hour * HOUR,
            START + known_hour * HOUR,
            3600,
            cells,
            *sums,
            buckets,
            [chance.choice([-1, 1, 2]) for _ in buckets],
            [chance.randint(-2, 2) for _ in buckets] if split else None,
            [chance.randint(0, 2) for _ in buckets] if split and chance.random() < 0.5 else None,
        ),
    )


def known(connection: Connection, at: datetime, days_before: datetime) -> State:
    """The state known at an instant, by plain addition; panes before `days_before` by day."""
    state: State = {}
    rows = connection.execute(
        f"SELECT series, pane_start, cells, delay_buckets, {', '.join([*DELAY_COLUMNS, *SUM_COLUMNS])}"
        " FROM pane_history WHERE known_at <= %s".encode(),
        (at,),
    )
    for series, pane_start, cells, buckets, delays, right, unsplit, *sums in rows:
        start = pane_start.replace(hour=0) if pane_start < days_before else pane_start
        for i, cell in enumerate(cells):
            add(state, (series, start, cell), tuple(column[i] if column is not None else 0 for column in sums))
        for i, bucket in enumerate(buckets):
            never_split = abs(delays[i]) if right is None else unsplit[i] if unsplit else 0
            add(state, (series, start, 10_000 + bucket), (delays[i], right[i] if right else 0, never_split))
    return {key: sums for key, sums in state.items() if any(sums)}


def add(state: State, key: tuple[int, datetime, int], sums: tuple[int, ...]) -> None:
    before = state.get(key, (0,) * len(sums))
    state[key] = tuple(a + b for a, b in zip(before, sums, strict=True))


@pytest.fixture
def filled(connection: Connection) -> Connection:
    connection.execute(
        "INSERT INTO series (model, signal, segment, segment_text)"
        " SELECT 'm', 's', '{}', n::text FROM generate_series(1, 3) AS n"
    )
    return connection


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), fold_hour=st.integers(0, 80), day=st.integers(0, 3))
def test_states_from_the_fold_on_are_the_same_before_and_after(
    filled: Connection, seed: int, fold_hour: int, day: int
) -> None:
    chance = random.Random(seed)
    filled.execute("DELETE FROM pane_history")
    for series, pane_hour, known_hour in chance.sample(
        [(s, p, k) for s in (1, 2, 3) for p in range(0, 72, 5) for k in range(p, 80, 7)], 60
    ):
        add_row(filled, chance, series, pane_hour, known_hour)
    fold_at = START + fold_hour * HOUR
    days_before = START + timedelta(days=day)
    instants = [fold_at, fold_at + HOUR, fold_at + 20 * HOUR, START + 100 * HOUR]
    before = [known(filled, at, days_before) for at in instants]
    n = count(filled)
    assert history.fold(filled, fold_at, days_before) == n - count(filled)
    assert [known(filled, at, days_before) for at in instants] == before
    assert history.fold(filled, fold_at, days_before) == 0


def count(connection: Connection) -> int:
    row = connection.execute("SELECT count(*) FROM pane_history").fetchone()
    assert row is not None
    return int(row[0])


def test_what_was_known_before_becomes_one_row_known_at_the_horizon(filled: Connection) -> None:
    chance = random.Random(1)
    for known_hour in (3, 4, 5, 9):
        add_row(filled, chance, 1, 2, known_hour)
    history.fold(filled, START + 6 * HOUR, START)
    rows = filled.execute("SELECT pane_start, known_at, width FROM pane_history ORDER BY known_at").fetchall()
    assert rows == [(START + 2 * HOUR, START + 6 * HOUR, 3600), (START + 2 * HOUR, START + 9 * HOUR, 3600)]


def test_hours_before_the_day_limit_become_their_day(filled: Connection) -> None:
    chance = random.Random(2)
    for pane_hour in (0, 1, 23, 24):
        add_row(filled, chance, 1, pane_hour, 30)
    history.fold(filled, START + 31 * HOUR, START + 24 * HOUR)
    rows = filled.execute("SELECT pane_start, known_at, width FROM pane_history ORDER BY pane_start").fetchall()
    assert rows == [(START, START + 31 * HOUR, 86400), (START + 24 * HOUR, START + 30 * HOUR, 3600)]


def test_a_pane_that_came_to_nothing_leaves_no_row(filled: Connection) -> None:
    for known_hour, n in ((3, 1), (4, -1)):
        filled.execute(
            f"INSERT INTO pane_history (series, pane_start, known_at, width, cells, {', '.join(SUM_COLUMNS)},"
            f" delay_buckets, {', '.join(DELAY_COLUMNS)}) VALUES ({', '.join(['%s'] * 21)})".encode(),
            (1, START, START + known_hour * HOUR, 3600, [7], *[[n]] * 12, [2], [n], [n], None),
        )
    assert history.fold(filled, START + 6 * HOUR, START) == 2
    assert count(filled) == 0


def test_fed_panes_are_forgotten_once_what_they_were_fed_can_no_longer_be_told(filled: Connection) -> None:
    for series, pane_hour, known_hour in ((1, 2, 6), (1, 3, 7), (2, 2, 6), (2, 5, 9)):
        filled.execute(
            "INSERT INTO fed_pane VALUES (%s, %s, %s, 1, 0, 0, 0)",
            (series, START + pane_hour * HOUR, START + known_hour * HOUR),
        )
    assert history.forget_fed(filled, START + 6 * HOUR) == 2
    rows = filled.execute("SELECT series, pane_start FROM fed_pane ORDER BY series").fetchall()
    assert rows == [(1, START + 3 * HOUR), (2, START + 5 * HOUR)]

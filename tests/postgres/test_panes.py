"""Panes on a real Postgres: exact sums, merged days, and what was known when."""

import numpy as np

from monitor.calibration.sketch import empty, merge
from monitor.postgres.database import Connection
from monitor.postgres.panes import apply, series_sum, span_sums
from monitor.postgres.series import series_ids
from monitor.rolling.panes import EVERYTHING, Span
from monitor.rolling.segments import SeriesName
from monitor.rolling.stacks import Stack, negative
from tests.rolling.traffic import added_up, some_stack

DAY = 20_000 * 24  # an hour that is a UTC midnight
SEED = 20_261_122


def some_series(connection: Connection, n: int) -> range:
    """`n` series; their numbers are consecutive in a new database."""
    ids, _ = series_ids(connection, [SeriesName("m", "confidence", f'{{"lang":"{i:03}"}}') for i in range(n)])
    return range(min(ids.values()), max(ids.values()) + 1)


def stored(connection: Connection, series: range, span: Span = EVERYTHING) -> dict[int, object]:
    """What the panes of each series hold over a span, empty sketches left out."""
    sums = {one: series_sum(connection, one, span).sketch for one in series}
    return {one: sketch for one, sketch in sums.items() if sketch != empty()}


def expected(stacks: list[Stack], span: Span) -> dict[int, object]:
    """The same from the changes themselves."""
    total: dict[int, object] = {}
    for key, sketch in added_up(*stacks).items():
        series, hour = key >> 32, key & 0xFFFFFFFF
        if span.holds(hour):
            total[series] = merge(total.get(series, empty()), sketch)  # type: ignore[arg-type]
    return {one: sketch for one, sketch in total.items() if sketch != empty()}


def test_panes_hold_the_sum_of_all_changes_in_any_order(connection: Connection) -> None:
    rng = np.random.default_rng(SEED)
    series = some_series(connection, 4)
    changes = [some_stack(rng, series, range(DAY, DAY + 30)) for _ in range(8)]
    changes.append(negative(changes[2]))
    for place in rng.permutation(len(changes)):
        apply(connection, changes[place], DAY + 40)
    for span in (EVERYTHING, Span(DAY + 3, DAY + 17)):
        assert stored(connection, series, span) == expected(changes, span)
    sums = span_sums(connection, np.array(list(series)), Span(DAY + 3, DAY + 17))
    assert {key >> 32: sketch for key, sketch in added_up(sums.stack).items()} == expected(
        changes, Span(DAY + 3, DAY + 17)
    )

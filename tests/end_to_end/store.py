"""What the tests read from the database, in SQL of their own."""

import psycopg

from tests.end_to_end.oracle import DELAY, DELAYS, SUMS, Cells

PANES = f"""
SELECT s.model, s.signal, s.segment_text, s.source_group, extract(epoch FROM p.pane_start)::bigint / 3600, p.cells,
       {", ".join(f"p.{name}" for name in SUMS)}, p.delay_buckets, {", ".join(f"p.{name}" for name in DELAYS)}
FROM pane p JOIN series s ON s.id = p.series
"""


def stored_cells(dsn: str) -> Cells:
    """The integer sums of every cell and delay bucket of every stored pane, without those that are all zero."""
    cells: Cells = {}
    with psycopg.connect(dsn) as connection:
        for model, signal, segment, source, hour, index, *columns in connection.execute(PANES):
            buckets, delays = [DELAY + bucket for bucket in columns[len(SUMS)]], columns[len(SUMS) + 1 :]
            for places, held in ((index, columns[: len(SUMS)]), (buckets, delays)):
                for place, cell in enumerate(places):
                    sums = tuple(0 if column is None else int(column[place]) for column in held)
                    if any(sums):
                        cells[model, signal, segment, source, int(hour), int(cell)] = sums
    return cells


def waiting_deltas(dsn: str) -> int:
    """How many batches have been joined and are not yet in the panes."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT count(*) FROM statistics_delta").fetchone()
    assert row is not None
    return int(row[0])


def offsets(dsn: str) -> dict[tuple[str, int], int]:
    """The next offset of every partition."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("SELECT topic, part, next_offset FROM kafka_offset").fetchall()
    return {(topic, part): int(offset) for topic, part, offset in rows}


def counted(dsn: str) -> dict[str, int]:
    """The counters that the batches carried, summed over models."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("SELECT name, sum(n)::bigint FROM count GROUP BY name").fetchall()
    return {name: int(n) for name, n in rows}


def dead_letters(dsn: str) -> dict[str, int]:
    """Dead letters by reason."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("SELECT reason, count(*) FROM dead_letter GROUP BY reason").fetchall()
    return {reason: int(n) for reason, n in rows}


def differences(expected: Cells, stored: Cells) -> str:
    """Nothing when both are equal; else how many cells differ, and the first few."""
    keys = [key for key in expected.keys() | stored.keys() if expected.get(key) != stored.get(key)]
    shown = "\n".join(f"{key}: expected {expected.get(key)}, stored {stored.get(key)}" for key in sorted(keys)[:5])
    return f"{len(keys)} of {len(expected)} cells differ\n{shown}" if keys else ""


def locked_out(dsn: str) -> int:
    """How many ingest connections wait for a lock."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name LIKE '%ingest%'"
        ).fetchone()
    assert row is not None
    return int(row[0])

"""Exactly-once counters: sums of what the deltas counted, kept by the leader in the transaction that applies them."""

from collections.abc import Mapping

import numpy as np

from monitor.postgres.arrays import Int8Array, TextArray
from monitor.postgres.database import Connection


def add_counts(connection: Connection, counts: Mapping[str, int], model: str = "") -> None:
    """Add to the counters of a model ('' for counters without one)."""
    add_counts_by_model(connection, {(name, model): n for name, n in counts.items()})


def add_counts_by_model(connection: Connection, counts: Mapping[tuple[str, str], int]) -> None:
    """Add to counters by (name, model)."""
    changed = sorted((name, model, n) for (name, model), n in counts.items() if n)
    if not changed:
        return
    connection.execute(
        """
        INSERT INTO count AS c (name, model, n) SELECT * FROM unnest(%s, %s, %s)
        ON CONFLICT (name, model) DO UPDATE SET n = c.n + EXCLUDED.n
        """,
        (
            TextArray([name for name, _, _ in changed]),
            TextArray([model for _, model, _ in changed]),
            Int8Array(np.array([n for _, _, n in changed], np.int64)),
        ),
    )


def read_counts(connection: Connection) -> dict[tuple[str, str], int]:
    """All counters by (name, model)."""
    rows = connection.execute("SELECT name, model, n FROM count ORDER BY name, model").fetchall()
    return {(str(name), str(model)): int(n) for name, model, n in rows}

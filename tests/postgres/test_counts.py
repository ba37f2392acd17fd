"""Counters add up whatever the order, and a rollback takes its part back."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.postgres.counts import add_counts, add_counts_by_model, read_counts
from monitor.postgres.database import Connection

names = st.sampled_from(["correction", "retraction", "orphan"])
models = st.sampled_from(["", "m", "n"])
batches = st.lists(st.dictionaries(st.tuples(names, models), st.integers(-5, 10**12)))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=batches)
def test_counters_are_the_sums_of_what_was_added(
    connection: Connection, batches: list[dict[tuple[str, str], int]]
) -> None:
    connection.execute("DELETE FROM count")
    expected: dict[tuple[str, str], int] = {}
    for batch in batches:
        add_counts_by_model(connection, batch)
        for key, n in batch.items():
            if n:
                expected[key] = expected.get(key, 0) + n
    assert read_counts(connection) == expected


def test_a_transaction_that_is_rolled_back_counts_nothing(connection: Connection) -> None:
    add_counts(connection, {"correction": 2})
    with connection.transaction(force_rollback=True):
        add_counts(connection, {"correction": 5}, model="m")
    assert read_counts(connection) == {("correction", ""): 2}

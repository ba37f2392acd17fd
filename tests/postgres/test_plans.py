"""The guard itself: it lets an index through and stops a scan, in either layout."""

import uuid

import pytest

from monitor.postgres.database import Connection
from tests.postgres.plans import assert_pair_is_not_scanned, scanned


@pytest.fixture
def filled(either_layout: Connection) -> Connection:
    """Enough rows that Postgres has a choice."""
    either_layout.execute(
        "INSERT INTO pair (id, confidence)"
        " SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint + n), 12, '0') || repeat('7', 20))::uuid, 0.5"
        " FROM generate_series(1, 20000) AS n"
    )
    either_layout.execute("ANALYZE pair")
    return either_layout


def test_a_lookup_by_id_passes(filled: Connection) -> None:
    assert_pair_is_not_scanned(filled, "SELECT * FROM pair WHERE id = %s", (uuid.uuid4(),))
    filled.execute("SET enable_seqscan = off")  # as in every session that joins: days without a row would be scanned
    assert_pair_is_not_scanned(
        filled, "SELECT p.* FROM unnest(%(ids)s::uuid[]) AS s (id) JOIN pair AS p USING (id)", {"ids": [uuid.uuid4()]}
    )


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT count(*) FROM pair",
        "DELETE FROM pair WHERE predicted_at < now()",
        "UPDATE pair SET label_number = 1 WHERE confidence = 0.5",
        "SELECT * FROM segment_set WHERE id IN (SELECT segment_set FROM pair)",
    ],
)
def test_a_scan_fails_and_is_named(filled: Connection, statement: str) -> None:
    with pytest.raises(AssertionError, match=r"reads all of pair_(hash|day)_"):
        assert_pair_is_not_scanned(filled, statement)


def test_other_tables_may_be_scanned(connection: Connection) -> None:
    assert_pair_is_not_scanned(connection, "SELECT * FROM series")
    assert scanned({"Node Type": "Seq Scan", "Relation Name": "series"}) == {"series"}

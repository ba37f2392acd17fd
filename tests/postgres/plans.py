"""Query plans: which relations a statement reads from end to end."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from monitor.postgres.database import Connection

Node = Mapping[str, Any]


def plan(connection: Connection, statement: str, values: Sequence[object] | Mapping[str, object] = ()) -> Node:
    """The plan that Postgres chooses for the statement with these values; nothing is executed."""
    row = connection.execute(f"EXPLAIN (FORMAT JSON) {statement}".encode(), values).fetchone()
    assert row is not None
    chosen: Node = row[0][0]["Plan"]
    return chosen


def nodes(root: Node) -> Iterator[Node]:
    """A node and everything below it."""
    yield root
    for child in root.get("Plans", ()):
        yield from nodes(child)


def scanned(root: Node) -> set[str]:
    """The relations that the plan reads from end to end."""
    return {str(node["Relation Name"]) for node in nodes(root) if node["Node Type"] == "Seq Scan"}


def assert_pair_is_not_scanned(
    connection: Connection, statement: str, values: Sequence[object] | Mapping[str, object] = ()
) -> None:
    """Fail when the statement reads a partition of `pair` from end to end, so that its cost grows with the table."""
    chosen = plan(connection, statement, values)
    whole = {name for name in scanned(chosen) if name.startswith("pair")}
    assert not whole, f"reads all of {', '.join(sorted(whole))}: {statement.strip()}"

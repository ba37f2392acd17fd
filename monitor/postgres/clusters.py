"""Which Kafka cluster the stored offsets belong to, and the one case in which another may take its place."""

from monitor.postgres.database import Connection


def adopt_cluster(connection: Connection, group_id: str, cluster_id: str) -> int:
    """Let the group begin at 0 on a cluster that is new and empty; returns the number of partitions this changed.

    Only embedded mode may call it, with no ingest process running: its broker keeps the log in memory, so each start
    is another cluster, and offsets of the one before mean nothing there.
    """
    changed = connection.execute(
        "UPDATE kafka_offset SET next_offset = 0, high_water = NULL, cluster_id = %(cluster_id)s, updated_at = now()"
        " WHERE group_id = %(group_id)s AND cluster_id <> %(cluster_id)s",
        {"group_id": group_id, "cluster_id": cluster_id},
    )
    return changed.rowcount


def offsets(connection: Connection, group_id: str) -> dict[tuple[str, int], int]:
    """The first offset of each partition that is not yet applied."""
    rows = connection.execute("SELECT topic, part, next_offset FROM kafka_offset WHERE group_id = %s", (group_id,))
    return {(str(topic), int(part)): int(next_offset) for topic, part, next_offset in rows}

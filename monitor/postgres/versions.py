"""When the model version in force was seen first."""

from datetime import datetime

from monitor.postgres.database import Connection


def version_began(connection: Connection, model: str) -> datetime | None:
    """Wall time at which the newest of at least two versions of the model came; None where no version follows another.

    Versions that were there before this was kept count as older than all others.
    """
    rows = connection.execute(
        "SELECT min(created_at) AS began_at FROM segment_set WHERE model = %s AND model_version IS NOT NULL"
        " GROUP BY model_version ORDER BY began_at DESC NULLS LAST LIMIT 2",
        (model,),
    ).fetchall()
    began: datetime | None = rows[0][0] if len(rows) > 1 else None
    return began

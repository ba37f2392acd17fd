"""A round carried out: what the looks of one evaluation change, written with the notices of it in one transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from monitor.alerting.alert import Alert
from monitor.alerting.force import Force
from monitor.alerting.hushing import Hushing
from monitor.alerting.round import Change, Look, Rollup, about, counted, decided
from monitor.alerting.telling import addressed, told
from monitor.postgres import silences
from monitor.postgres.alerts import read_alerts, write_changes
from monitor.postgres.counts import add_counts
from monitor.postgres.database import Connection
from monitor.postgres.incidents import read_incidents, read_open_incidents, write_tellings


def carry_out(
    connection: Connection,
    force: Force,
    looks: Sequence[Look],
    alerts: Mapping[UUID, Alert],
    now: datetime,
    *,
    rollups: Mapping[str, Rollup] | None = None,
    rate: float = 1.0,
    regroup: bool = False,
) -> list[Change]:
    """Decide, store and queue what is to be told, in the caller's transaction; returns what changed.

    `alerts`: those that are open, and whatever else fires; others that the round is about are read here, as a new life
    of theirs goes on where the last one ended. `regroup`: routes may have changed since the last round. The service's
    clock runs `rate` times as fast as the wall's.
    """
    alerts = {**alerts, **read_alerts(connection, sorted(about(looks, rollups or {}) - alerts.keys()))}
    hushing = Hushing(now, silences.active(connection, now), force.file.mute_times, force.file.inhibit)
    changes = decided(looks, alerts, hushing, rollups=rollups)
    write_changes(connection, changes, now)
    add_counts(connection, {f"alerts_{what}": n for what, n in counted(changes).items()})
    if regroup or any(change.decision.notice is not None or _is_hushed_no_longer(change) for change in changes):
        known = {told.incident.key: told for told in read_open_incidents(connection)}
        after = {**alerts, **{change.after.id: change.after for change in changes}}
        letters, fresh = addressed(changes, known.values(), after, force)
        known = fresh | known | read_incidents(connection, sorted(letters.keys() - known.keys()))
        write_tellings(connection, told(letters, known, after, force, now), force, now, rate)
    return changes


def _is_hushed_no_longer(change: Change) -> bool:
    """Whether what was left as it was while the alert was hushed may now be told elsewhere."""
    return change.before is not None and change.before.hushed is not None and change.after.hushed is None

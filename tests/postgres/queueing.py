"""Notices in the outbox of a test, written as the rules' round writes them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from monitor.alerting.notice import Counts, Incident, Kind, Notice, encode
from monitor.postgres.database import Connection
from tests.notify.samples import NOW, alert, notice

AT_ONCE = timedelta(0)


def story(kind: Kind, key: str = "incident", *languages: str) -> Notice:
    """A notice of the incident with this key, of an alert a language; resolved and digests are over."""
    found = tuple(alert(language) for language in languages or ("de",))
    if kind in {"resolved", "digest"}:
        found = tuple(replace(one, state="resolved", ended_at=NOW) for one in found)
    over = sum(one.state == "resolved" for one in found)
    return notice(kind, found, incident=Incident(key, f"EceHigh: {key}"), counts=Counts(len(found) - over, over))


def queue(
    connection: Connection, said: Notice, *channels: str, after: timedelta = AT_ONCE, key: str | None = None
) -> int:
    """Queue a notice for the channels, due `after` some wall time; returns its number."""
    incident = key or said.incident.key
    firing = 0 if said.is_over else said.counts.firing
    with connection.transaction():
        connection.execute(
            "INSERT INTO incident (key, rule, title, grouping, channels, state, firing, changed_at)"
            " VALUES (%s, 'EceHigh', %s, '[]', %s, '{}', %s, now())"
            " ON CONFLICT (key) DO UPDATE SET firing = EXCLUDED.firing",
            (incident, said.incident.title, list(channels), firing),
        )
        row = connection.execute(
            "INSERT INTO notice (incident, ord, kind, at, body)"
            " SELECT %(key)s, 1 + count(*), %(kind)s, %(at)s, %(body)s FROM notice WHERE incident = %(key)s"
            " RETURNING id, ord",
            {"key": incident, "kind": said.kind, "at": said.at, "body": encode(said).decode()},
        ).fetchone()
        assert row is not None
        for channel in channels:
            connection.execute(
                "INSERT INTO delivery (notice, channel, incident, ord, due_at)"
                " VALUES (%s, %s, %s, %s, clock_timestamp() + %s)",
                (row[0], channel, incident, row[1], after),
            )
    return int(row[0])


def states(connection: Connection, channel: str) -> list[str]:
    """The state of each delivery of the channel, in the order of its notices."""
    rows = connection.execute("SELECT state FROM delivery WHERE channel = %s ORDER BY notice", (channel,))
    return [str(state) for (state,) in rows]


def let_pass(connection: Connection, what: Sequence[str]) -> None:
    """As if everything that is waited for had come: leases end, channels may be tried, attempts are due."""
    columns = {"lease_until": "delivery", "due_at": "delivery", "closed_until": "channel"}
    for column in what:
        ago = f"{column} = clock_timestamp() - interval '1 ms'"
        connection.execute(f"UPDATE {columns[column]} SET {ago} WHERE {column} IS NOT NULL".encode())

"""News of recalibrations in the outbox: queued with what they tell of, in their order, for those who take them."""

import threading

from monitor.alerting.notice import Change, decode
from monitor.postgres.database import Connection, connect
from monitor.postgres.incidents import read_open_incidents, write_change
from tests.alerting.rounds import force_by
from tests.notify.samples import NOW, change

FORCE = force_by("""
rules: [{name: EceHigh, metric: ece, enter: 0.2}]
routes: {team: {notify: [slack, pager]}}
channels:
  slack: {kind: slack_webhook, url_env: U}
  pager: {kind: pagerduty, routing_key_env: K}
""")


def queued(connection: Connection) -> list[tuple[int, str, Change | None]]:
    """What waits: its place in its incident, the channel and the change."""
    rows = connection.execute(
        "SELECT n.ord, d.channel, n.body::text FROM delivery AS d JOIN notice AS n ON n.id = d.notice"
        " WHERE d.state = 'waiting' AND d.due_at <= clock_timestamp() ORDER BY d.incident, n.ord, d.channel DESC"
    )
    return [(int(order), str(channel), decode(str(body)).change) for order, channel, body in rows]


def test_changes_of_a_signal_wait_in_their_order_for_those_who_take_them(connection: Connection) -> None:
    proposed, promoted = change(what="proposed"), change()
    assert write_change(connection, FORCE, proposed, NOW) == 1
    assert write_change(connection, FORCE, promoted, NOW) == 2
    assert queued(connection) == [(1, "slack", proposed), (2, "slack", promoted), (2, "pager", promoted)]
    titles = connection.execute("SELECT rule, title, firing FROM incident").fetchall()
    assert titles == [("recalibration", "triage-v3 / stated: map 4 in force", 0)]
    assert read_open_incidents(connection) == [], "nothing fires"


def test_a_change_that_is_not_made_after_all_is_not_told(connection: Connection) -> None:
    with connection.transaction(force_rollback=True):
        assert write_change(connection, FORCE, change(), NOW) == 2
    assert queued(connection) == []


def test_where_nobody_is_told_nothing_is_queued(connection: Connection) -> None:
    nobody = force_by("rules: [{name: EceHigh, metric: ece, enter: 0.2}]")
    assert write_change(connection, nobody, change(), NOW) == 0
    assert connection.execute("SELECT FROM incident").rowcount == 0


def test_changes_that_two_processes_make_at_once_are_both_told(database: str, connection: Connection) -> None:
    entered, failures = threading.Barrier(2), list[BaseException]()

    def make(version: int) -> None:
        try:
            with connect(database, "test") as own:
                for place in range(20):
                    entered.wait(30)
                    write_change(own, FORCE, change(model=f"m{place}", version=version), NOW)
        except BaseException as failure:  # noqa: BLE001 - shown below
            failures.append(failure)
            entered.abort()

    threads = [threading.Thread(target=make, args=(version,)) for version in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures, failures
    assert [order for order, channel, _ in queued(connection) if channel == "slack"] == [1, 2] * 20

"""The role deliver tells of recalibrations: the whole way from the transaction that queues them to each receiver."""

import json
from collections.abc import Iterator

import pytest

from monitor.postgres.database import Connection, connect
from monitor.postgres.incidents import write_change
from monitor.web.pictures import reliability
from tests.alerting.rounds import force_by
from tests.notify import pagerduty_fake, slack_fake
from tests.notify.alertmanager_fake import Instance
from tests.notify.receivers import Reply, Seen, receiving
from tests.notify.samples import NOW, change
from tests.postgres.queueing import states
from tests.workers.delivering import delivering, put_rules, until

RULES = """
rules: [{name: EceHigh, metric: ece, enter: 0.2}]
routes: {team: {notify: [slack, hook, pager, prometheus]}}
channels:
  slack: {kind: slack, token_env: SLACK_TOKEN, channel: C1}
  hook: {kind: webhook, url_env: U}
  pager: {kind: pagerduty, routing_key_env: K}
  prometheus: {kind: alertmanager, urls: ["http://alertmanager:9093"]}
"""
FORCE = force_by(RULES)
HOOK_ONLY = force_by(f"{RULES}\nrecalibration: {{tell: [hook]}}")


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database, "test") as connected:
        yield connected


def settled(connection: Connection, *channels: str) -> bool:
    return all("waiting" not in states(connection, channel) for channel in channels)


@pytest.mark.usefixtures("font")
def test_a_proposal_a_promotion_and_a_roll_back_reach_each_receiver_as_it_takes_them(
    database: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_TOKEN", slack_fake.TOKEN)
    monkeypatch.setenv("PAGER_KEY", pagerduty_fake.ROUTING_KEY)
    slack, service, up = slack_fake.Slack(), pagerduty_fake.Service(), list[bool]()
    proposed, promoted = change(what="proposed"), change()
    back = change(what="rolled_back", version=3, previous=4, sentence="The live loss is above that of map 3.")

    def hook(_seen: Seen) -> Reply:
        return Reply(200 if up else 503)

    with (
        receiving(slack) as slack_at,
        receiving(hook) as hook_at,
        receiving(service) as pager_at,
        receiving(Instance()) as prometheus_at,
    ):
        slack.url = slack_at.url
        channels: dict[str, dict[str, object]] = {
            "slack": {
                "kind": "slack",
                "token_env": "SLACK_TOKEN",
                "channel": slack_fake.CHANNEL,
                "base_url": f"{slack_at.url}/api/",
            },
            "hook": {"kind": "webhook", "url": hook_at.url},
            "pager": {"kind": "pagerduty", "routing_key_env": "PAGER_KEY", "url": pager_at.url},
            "prometheus": {"kind": "alertmanager", "urls": [prometheus_at.url]},
        }
        put_rules(connection, channels)
        with delivering(database, picture=lambda notice: reliability(notice, 0.95)):
            for said in (proposed, promoted, back):
                write_change(connection, FORCE, said, NOW)
                until(lambda: settled(connection, "slack", "pager", "prometheus"), f"{said.what} is told")
            until(lambda: bool(hook_at.seen), "a first attempt")
            up.append(True)
            until(lambda: settled(connection, "hook"), "the webhook is told")
    assert states(connection, "prometheus") == ["told"] * 3
    assert prometheus_at.seen == []
    assert [event["payload"]["summary"] for event in service.changes] == [promoted.title, back.title]
    assert service.pages == 0
    [(root, message)] = slack.messages.items()
    assert "back to map 3" in message["text"]
    assert [reply["text"].split(" · ")[1] for reply in slack.threads[root]] == [promoted.title, back.title]
    assert len(slack.shared) == 3, "each with its picture"
    assert all(shared["thread_ts"] == root for shared in slack.shared)
    told = json.loads(hook_at.seen[-1].body)
    assert (told["alerts"], told["change"]["what"]) == ([], "rolled_back")
    assert [each["what"] for each in told["change"]["earlier"]] == ["proposed", "promoted"]
    assert states(connection, "hook") == ["told"] * 3


def test_a_change_that_a_channel_refuses_is_raised_on_the_fallback_route(database: str, connection: Connection) -> None:
    with receiving(lambda seen: Reply(401)) as refusing, receiving() as last:
        channels = {"hook": {"kind": "webhook", "url": refusing.url}, "last": {"kind": "webhook", "url": last.url}}
        put_rules(connection, channels, fallback=["last"])
        with delivering(database):
            assert write_change(connection, HOOK_ONLY, change(), NOW) == 1
            until(lambda: states(connection, "last") == ["told"], "it is raised")
    assert states(connection, "hook") == ["dead"]
    assert json.loads(last.seen[0].body)["change"]["version"] == 4

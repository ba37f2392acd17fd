"""Alertmanager: every instance is told, what fires ends by itself after three silent intervals, and not before."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from monitor.notify.alertmanager import Alertmanagers, render, send
from monitor.notify.outcome import Dead, Delivered, Outcome, Retry
from tests.notify.alertmanager_fake import Instance
from tests.notify.faults import CONNECTIONS, STATUSES, Place, closed_port, means, passes
from tests.notify.receivers import Receiver, Reply, receiving
from tests.notify.samples import NOTICES, NOW, flood

INTERVAL = timedelta(minutes=5)
FIRED, RESOLVED = render(NOTICES["fired"]), render(NOTICES["resolved"])


@pytest.fixture
def instances() -> list[Instance]:
    return [Instance(), Instance()]


@pytest.fixture
def receivers(instances: list[Instance]) -> Iterator[list[Receiver]]:
    with ExitStack() as stack:
        yield [stack.enter_context(receiving(instance)) for instance in instances]


@pytest.fixture
def cluster(receivers: list[Receiver]) -> Alertmanagers:
    return Alertmanagers(tuple(f"{receiver.url}/" for receiver in receivers), INTERVAL)


def told(place: Place) -> Outcome:
    return send(Alertmanagers((place.url,), INTERVAL), FIRED, NOW, place.transport)


def test_every_instance_is_told_and_what_fires_ends_after_three_silent_intervals(
    instances: list[Instance], cluster: Alertmanagers
) -> None:
    assert send(cluster, FIRED, NOW) == Delivered()
    for instance in instances:
        assert instance.firing(NOW + 3 * INTERVAL - timedelta(seconds=1)) == 3
        assert instance.firing(NOW + 3 * INTERVAL) == 0


def test_an_alert_that_waited_an_hour_fires_from_when_it_is_told(
    instances: list[Instance], cluster: Alertmanagers
) -> None:
    send(cluster, FIRED, NOW + timedelta(hours=1))
    assert instances[0].firing(NOW + timedelta(hours=1, minutes=1)) == 3


def test_what_has_resolved_ends_the_alerts_that_fired(instances: list[Instance], cluster: Alertmanagers) -> None:
    send(cluster, FIRED, NOW)
    send(cluster, RESOLVED, NOW)
    assert [len(instance.ends) for instance in instances] == [3, 3]
    assert [instance.firing(NOW) for instance in instances] == [0, 0]


def test_one_instance_that_is_down_is_told_of_and_holds_up_nothing(
    instances: list[Instance], cluster: Alertmanagers
) -> None:
    with closed_port() as place:
        found = send(replace(cluster, urls=(place.url, cluster.urls[0])), FIRED, NOW)
    assert found == Delivered(flaw="instance 1: the connection was refused")
    assert instances[0].firing(NOW) == 3


def test_all_instances_down_is_tried_again_after_the_shortest_wait(
    cluster: Alertmanagers, receivers: list[Receiver]
) -> None:
    for receiver, wait in zip(receivers, ("60", "20"), strict=True):
        receiver.script = [Reply(503, headers={"Retry-After": wait})]
    assert send(cluster, FIRED, NOW) == Retry(timedelta(seconds=20), "instance 1: HTTP 503; instance 2: HTTP 503")


def test_an_instance_that_may_come_back_outweighs_one_that_refuses(
    cluster: Alertmanagers, receivers: list[Receiver]
) -> None:
    receivers[0].script, receivers[1].script = [Reply(404)], [Reply(500)]
    assert isinstance(send(cluster, FIRED, NOW), Retry)


def test_alerts_that_every_instance_finds_wrong_are_dead_and_the_channel_lives(cluster: Alertmanagers) -> None:
    found = send(cluster, [{"labels": {}, "startsAt": "2026-11-22T10:00:00Z"}], NOW)
    assert found == Dead("instance 1: HTTP 400; instance 2: HTTP 400", permanent=False)


@pytest.mark.parametrize("kind", NOTICES)
def test_alertmanager_accepts_every_kind_of_notice(cluster: Alertmanagers, kind: str) -> None:
    assert send(cluster, render(NOTICES[kind]), NOW) == Delivered()


def test_alertmanager_holds_every_one_of_5000_alerts(instances: list[Instance], cluster: Alertmanagers) -> None:
    send(cluster, render(flood()), NOW)
    assert [instance.firing(NOW) for instance in instances] == [5000, 5000]


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_means_what_the_table_says(status: int) -> None:
    means(told, status)


@pytest.mark.parametrize("fault", CONNECTIONS)
def test_a_connection_that_fails_is_tried_again(fault: str, tmp_path: Path) -> None:
    passes(told, fault, tmp_path)

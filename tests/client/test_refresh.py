"""The map in force, as it comes to a client: from the real server, and from servers at which nothing works."""

import json
import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import pytest

from monitor.calibration.calibrators.lookup import Lookup
from monitor.client import Client
from monitor.postgres.database import connect
from tests.client.conftest import PATIENCE, Make, eventually, reply
from tests.client.promoting import MODEL, artefact, document, promoted
from tests.notify.receivers import Receiver, Reply, Seen
from tests.web.conftest import OPTIONS, served


def old() -> float:
    """What the first map makes of 0.93."""
    return Lookup(artefact()).apply(0.93)


def new() -> float:
    """What the next one does."""
    return Lookup(artefact("isotonic")).apply(0.93)


def following() -> bytes:
    """The document of the next map."""
    return document(artefact("isotonic"), 4)


def test_promotions_and_roll_backs_reach_a_service(database: str, make: Make) -> None:
    token = replace(OPTIONS, token="sesame: ü")
    with served(lambda: connect(database, "test"), token) as address:
        client = make(server=address, token="sesame: ü")
        assert client.wait_until_ready()
        assert client.calibrate(0.93) == 0.93  # nothing was ever promoted
        promoted(database, artefact())
        eventually(lambda: client.version == 1)
        assert client.calibrate(0.93) == old()
        promoted(database, artefact("isotonic"), "shadow")
        eventually(lambda: client.log_prediction(0.93).stage == "shadow")
        assert client.log_prediction(0.93).calibrated == new()
        promoted(database, None)
        eventually(lambda: client.version is None)
        assert client.calibrate(0.93) == 0.93
        assert client.stats.refresh_failures == 0


def test_with_the_wrong_token_it_is_said_once_and_never_shown(
    database: str, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    with served(lambda: connect(database, "test"), replace(OPTIONS, token="sesame")) as address:
        client = make(server=address, token="guess what")
        eventually(lambda: client.stats.refresh_failures >= 3)
    said = [record.getMessage() for record in caplog.records if record.name == "caldrift.client"]
    assert sum("the server wants another token" in words for words in said) == 1
    assert "guess what" not in caplog.text + repr(vars(client))


def test_an_unchanged_map_is_asked_for_by_its_tag_and_now_and_then_whole(make: Make, server: Receiver) -> None:
    server.answering = lambda seen: (
        Reply(304) if seen.headers.get("if-none-match") == '"7"' else reply(document(artefact()), '"7"')
    )
    client = make(server=server.url, refresh_seconds=0.005)
    eventually(lambda: len(server.seen) > 45)
    named = [seen.headers.get("if-none-match") for seen in server.seen[:45]]
    assert named[:3] == [None, '"7"', '"7"']
    assert 2 <= named.count(None) <= 4
    assert (client.version, client.stats.refresh_failures) == (3, 0)
    assert server.seen[0].path == "/api/v1/calibrators/m1?signal=confidence"


def told(**changes: object) -> Reply:
    """The document of the next map, changed."""
    return reply(json.dumps(json.loads(following()) | changes).encode(), '"2"')


def inside(**changes: object) -> Reply:
    """With its artefact changed."""
    return told(calibrator=json.loads(following())["calibrator"] | changes)


WRONG: dict[str, Callable[[], Reply]] = {
    "an artefact of a newer format": lambda: inside(format=2),
    "an artefact of newer sketches": lambda: inside(sketch_version=2),
    "a damaged artefact": lambda: inside(clip=0.1),
    "an answer of a newer schema": lambda: told(schema=2),
    "the fingerprint of another": lambda: told(fingerprint="0" * 32),
    "an answer about another model": lambda: told(model="m2"),
    "an artefact without a version": lambda: told(version=None),
    "a page": lambda: reply(b"<html>Sign in</html>"),
    "nothing": lambda: reply(b""),
    "bytes": lambda: reply(b"\xff\xfe\x00" * 100),
    "deep nesting": lambda: reply(b"[" * 100_000),
    "half an answer": lambda: Reply(200, following()[:500], drops=1),
    "not modified, though nothing was named": lambda: Reply(304),
    "gone": lambda: Reply(404),
    "an error": lambda: Reply(500, b"oops"),
    "too busy": lambda: Reply(503),
    "a redirect": lambda: Reply(302, b"", {"Location": "http://127.0.0.1:9/"}),
    "no token": lambda: Reply(401),
}


def test_one_that_is_closed_while_it_asks_says_nothing_of_the_answer(
    make: Make, server: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    asked, closed = threading.Event(), threading.Event()

    def late(_: Seen) -> Reply:
        asked.set()
        closed.wait(PATIENCE)
        return Reply(500)

    server.answering = late
    before = set(threading.enumerate())
    client = make(server=server.url)
    assert asked.wait(PATIENCE)
    [refresher] = [each for each in threading.enumerate() if each.name == "caldrift-refresh" and each not in before]
    client.close()
    closed.set()
    refresher.join(PATIENCE)
    assert not refresher.is_alive()
    assert (client.stats.refresh_failures, caplog.text) == (0, "")


@pytest.mark.parametrize("wrong", WRONG)
def test_after_a_wrong_answer_the_last_good_map_stays_until_a_good_one(
    wrong: str, make: Make, server: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    server.answering = lambda _: reply(document(artefact()), None)  # no tag: the next is asked for without one
    client = make(server=server.url)
    eventually(lambda: client.version == 3)
    answer = WRONG[wrong]()
    server.answering = lambda _: answer
    eventually(lambda: client.stats.refresh_failures >= 2)
    assert (client.version, client.calibrate(0.93)) == (3, old())
    assert [record.levelno for record in caplog.records if "could not be refreshed" in record.getMessage()] == [
        logging.WARNING
    ]
    server.answering = lambda _: reply(following())
    eventually(lambda: client.version == 4)
    assert client.calibrate(0.93) == new()


def test_a_cache_that_says_unchanged_for_ever_is_seen_through(make: Make, server: Receiver) -> None:
    told = [reply(document(artefact()), '"stuck"')]
    server.answering = lambda seen: Reply(304) if "if-none-match" in seen.headers else told[0]
    client = make(server=server.url, refresh_seconds=0.01)
    eventually(lambda: client.version == 3)
    told[0] = reply(following(), '"stuck"')
    eventually(lambda: client.version == 4)


def test_a_server_that_went_away_leaves_the_last_good_map(make: Make, server: Receiver) -> None:
    server.answering = lambda _: reply(document(artefact()))
    client = make(server=server.url)
    eventually(lambda: client.version == 3)
    server.stop()
    eventually(lambda: client.stats.refresh_failures >= 1)
    assert client.calibrate(0.93) == old()
    assert client.stats.last_failure is not None
    assert "refused" in client.stats.last_failure


@pytest.mark.parametrize("trickles", [False, True])
def test_a_server_that_hangs_holds_up_no_request(trickles: bool, make: Make, server: Receiver) -> None:
    server.answering = lambda _: Reply(slowly=0.1, drops=10_000) if trickles else Reply(slowly=5.0)
    client = make(server=server.url, timeout_seconds=0.3)
    began = time.monotonic()
    slowest = 0.0
    while client.stats.refresh_failures < 2:
        at = time.monotonic()
        assert client.calibrate(0.93) == 0.93
        slowest = max(slowest, time.monotonic() - at)
        assert at - began < 10
    assert slowest < 0.2
    assert "no whole answer within 0.3 s" in str(client.stats.last_failure)


def test_what_does_not_speak_http_is_told_from_what_does_not_answer(make: Make) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        threading.Thread(target=lambda: listener.accept()[0].sendall(b"SSH-2.0\r\n\r\n"), daemon=True).start()
        client = make(server=f"http://127.0.0.1:{listener.getsockname()[1]}")
        eventually(lambda: client.stats.last_failure is not None)
        assert "the answer is no HTTP" in str(client.stats.last_failure)


def test_threads_see_whole_maps_while_they_change(make: Make, server: Receiver) -> None:
    values = {3: old(), 4: new()}
    bodies = [document(artefact()), following()]
    server.answering = lambda _: reply(bodies[len(server.seen) % 2], None)
    client = make(server=server.url, refresh_seconds=0.002)
    eventually(lambda: client.version is not None)
    torn: list[object] = []
    seen = set[int | None]()

    def work() -> None:
        for _ in range(3_000):
            logged = client.log_prediction(0.93)
            seen.add(logged.version)
            if logged.version is None or logged.value != values[logged.version]:
                torn.append(logged)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert torn == []
    assert seen == {3, 4}


def test_nothing_is_asked_before_the_first_call(server: Receiver) -> None:
    client = Client(MODEL, server=server.url)
    time.sleep(0.1)
    assert server.seen == []
    client.calibrate(0.5)
    eventually(lambda: len(server.seen) == 1)
    client.close()

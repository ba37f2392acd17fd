"""Topics, publishing, and brokers that are away."""

import pytest

from monitor.demo.ports import free_port
from monitor.errors import Refused, Unavailable
from monitor.kafka.access import KafkaAccess, TokenFile, client_options
from monitor.kafka.publisher import Publisher
from monitor.kafka.topics import cluster_id, create_topics, partitions_of, topic_spans
from tests.embedded import Topics
from tests.kafka.settled import settled_end


def test_a_topic_that_exists_stays_as_it_is(broker: str, topics: Topics) -> None:
    access = KafkaAccess((broker,))
    create_topics(access, topics, 7)
    assert partitions_of(access, topics) == sorted((topic, part) for topic in topics for part in range(4))


def test_published_messages_are_there_once_flushed(broker: str, topics: Topics) -> None:
    access = KafkaAccess((broker,))
    with Publisher(access) as publisher:
        for number in range(10):
            publisher.send(topics.labels, b"key", b"%d" % number, number % 2)
        publisher.flush()
    assert [settled_end(access, topics.labels, part) for part in range(4)] == [5, 5, 0, 0]
    assert set(topic_spans(access, [topics.labels]).first.values()) == {0}


def test_a_cluster_has_one_id(broker: str) -> None:
    access = KafkaAccess((broker,))
    assert cluster_id(access)
    assert cluster_id(access) == cluster_id(access)


def test_a_topic_that_does_not_exist_is_named(broker: str) -> None:
    with pytest.raises(Refused, match="no-such-topic"):
        partitions_of(KafkaAccess((broker,)), ["no-such-topic"])


def test_a_broker_that_is_away_is_unavailable() -> None:
    access = KafkaAccess((f"127.0.0.1:{free_port()}",))
    with pytest.raises(Unavailable, match="does not answer"):
        cluster_id(access, 500)
    with pytest.raises(Unavailable, match="does not answer"):
        Publisher(access, bootstrap_timeout_ms=500)


def test_secrets_stay_out_of_the_text_form() -> None:
    access = KafkaAccess(("h:1",), sasl_password="geheim", ssl_password="auch", sasl_mechanism="PLAIN")
    assert "geheim" not in repr(access)
    assert "auch" not in repr(access)
    assert client_options(access)["sasl_plain_password"] == "geheim"
    assert "ssl_cafile" not in client_options(access)


def test_a_token_is_read_from_its_file_each_time(tmp_path: object) -> None:
    from pathlib import Path

    path = Path(str(tmp_path)) / "token"
    path.write_text("one\n")
    token = TokenFile(path)
    assert token.token() == "one"
    path.write_text("two")
    assert token.token() == "two"

"""Publishing events: keyed by prediction id, so that both topics put one id into the partition of the same number."""

from types import TracebackType
from typing import Self

from kafka import KafkaProducer
from kafka.errors import KafkaError

from monitor.errors import Unavailable
from monitor.kafka.access import KafkaAccess, client_options


class Publisher:
    """A producer that waits for all replicas. Not safe to share between threads; close it, or use it with `with`."""

    def __init__(self, access: KafkaAccess, compression: str | None = None, bootstrap_timeout_ms: int = 10_000) -> None:
        """Connect. `compression` is gzip, snappy, lz4, zstd or None. Raises Unavailable when no broker answers."""
        try:
            self._producer = KafkaProducer(
                **client_options(access),
                acks="all",
                enable_idempotence=False,  # ids make events idempotent; the embedded broker has no sequence numbers
                compression_type=compression,
                linger_ms=20,
                batch_size=1 << 17,
                bootstrap_timeout_ms=bootstrap_timeout_ms,
            )
        except KafkaError as failure:
            raise Unavailable(f"Kafka at {','.join(access.bootstrap_servers)} does not answer: {failure}") from failure
        self._failure: BaseException | None = None

    def send(self, topic: str, key: bytes | None, value: bytes | None, partition: int | None = None) -> None:
        """Queue one message. An earlier message that could not be delivered raises Unavailable here or in flush."""
        self._raise_failure()
        self._producer.send(topic, key=key, value=value, partition=partition).add_errback(self._failed)

    def flush(self, timeout_seconds: float = 60.0) -> None:
        """Return once every queued message is acknowledged. Raises Unavailable when one was not."""
        try:
            self._producer.flush(timeout=timeout_seconds)
        except KafkaError as failure:
            raise Unavailable(f"the broker did not acknowledge every message: {failure}") from failure
        self._raise_failure()

    def close(self) -> None:
        """Deliver what is queued, and disconnect."""
        self._producer.close(timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _failed(self, failure: BaseException) -> None:
        self._failure = failure

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise Unavailable(f"a message was not delivered: {failure}") from failure

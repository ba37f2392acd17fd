"""Single messages of a role that mostly sends none: connected when one is to go, and again after a failure."""

import threading
from typing import Final

from monitor.errors import Unavailable
from monitor.kafka.access import KafkaAccess
from monitor.kafka.publisher import Publisher

SECONDS: Final = 10.0
"""How long the broker may take to acknowledge."""


class Outlet:
    """Sends messages to one topic, each acknowledged by all replicas before the call returns. Threads may share it."""

    def __init__(self, access: KafkaAccess, topic: str) -> None:
        self._access, self._topic = access, topic
        self._lock = threading.Lock()
        self._publisher: Publisher | None = None

    def send(self, key: bytes, value: bytes) -> None:
        """Return once the message is acknowledged. Raises Unavailable when it was not: it may have arrived or not."""
        with self._lock:
            try:
                if self._publisher is None:
                    self._publisher = Publisher(self._access, bootstrap_timeout_ms=round(SECONDS * 1000))
                self._publisher.send(self._topic, key, value)
                self._publisher.flush(SECONDS)
            except Unavailable:
                self._drop()
                raise

    def close(self) -> None:
        """Disconnect."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        publisher, self._publisher = self._publisher, None
        if publisher is not None:
            publisher.close()

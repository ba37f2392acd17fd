"""A loopback proxy in front of Postgres that cuts a connection at the worst moment: around a COMMIT."""

import contextlib
import random
import socket
import threading
from dataclasses import dataclass

LOOPBACK = "127.0.0.1"
COMMITTED = b"C\x00\x00\x00\x0bCOMMIT\x00"
LARGE = 1000
"""Bytes of a request that carries the rows of a batch."""


@dataclass(slots=True)
class _Pair:
    """The two ends of one connection; `in_batch` from a large request to the answer to its COMMIT."""

    client: socket.socket
    server: socket.socket
    in_batch: bool = False


class CommitCutter:
    """Forwards everything; while `armed`, one batch in `every` loses its connection at its rows, and one at its COMMIT.

    Cut at its rows it is rolled back; cut at the answer to its COMMIT it is committed, and the client cannot know.
    """

    def __init__(self, target_port: int, seed: int, every: int = 12) -> None:
        self.target_port, self.every, self.armed = target_port, every, False
        self.rolled_back, self.committed = 0, 0
        self._rng = random.Random(seed)
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no further connections."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection((LOOPBACK, self.target_port), timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            pair = _Pair(client, server)
            threading.Thread(target=self._forward, args=(pair, client, server), daemon=True).start()
            threading.Thread(target=self._forward, args=(pair, server, client), daemon=True).start()

    def _forward(self, pair: _Pair, source: socket.socket, target: socket.socket) -> None:
        cuts = self._cuts_request if source is pair.client else self._cuts_answer
        with contextlib.suppress(OSError):
            while chunk := source.recv(1 << 16):
                if cuts(pair, chunk):
                    break
                target.sendall(chunk)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _cuts_request(self, pair: _Pair, chunk: bytes) -> bool:
        if len(chunk) <= LARGE or pair.in_batch:
            return False
        pair.in_batch = True
        cut = self.armed and self._rng.random() < 1 / self.every
        self.rolled_back += cut
        return cut

    def _cuts_answer(self, pair: _Pair, chunk: bytes) -> bool:
        if not (pair.in_batch and COMMITTED in chunk):
            return False
        pair.in_batch = False
        cut = self.armed and self._rng.random() < 1 / self.every
        self.committed += cut
        return cut

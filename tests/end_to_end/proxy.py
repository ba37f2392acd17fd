"""A loopback proxy in front of Postgres that cuts a connection at the worst moment: around a COMMIT."""

import contextlib
import random
import socket
import threading

LOOPBACK = "127.0.0.1"


class CommitCutter:
    """Forwards everything; while `armed`, one COMMIT in `every` loses its connection.

    Half of the cuts come before the server has seen the COMMIT, half after it, so that the client cannot know.
    """

    def __init__(self, target_port: int, seed: int, every: int = 12) -> None:
        self.target_port, self.every, self.armed, self.cuts = target_port, every, False, 0
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
            threading.Thread(target=self._forward, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._forward, args=(server, client, False), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket, to_server: bool) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(1 << 16):
                if to_server and self.armed and b"COMMIT" in chunk.upper() and self._rng.random() < 1 / self.every:
                    self.cuts += 1
                    if self._rng.random() < 0.5:
                        target.sendall(chunk)
                    break
                target.sendall(chunk)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

"""A loopback port that passes connections on to a server, and may cut them where an answer to COMMIT comes back."""

import contextlib
import socket
import threading

COMMITTED = b"COMMIT\x00"


class Forwarder:
    """Passes connections on. While `cuts_commits`, every second answer to a COMMIT is swallowed with its connection."""

    def __init__(self, target: int, port: int = 0) -> None:
        self.cuts_commits = False
        self.commits = self.cuts = 0
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no further connections."""
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                threading.Thread(target=self._pass, args=(client, server), daemon=True).start()
                threading.Thread(target=self._answer, args=(server, client), daemon=True).start()

    def _pass(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := client.recv(1 << 16):
                server.sendall(chunk)
        _end(client, server)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := server.recv(1 << 16):
                if self.cuts_commits and COMMITTED in chunk:
                    self.commits += 1
                    if self.commits % 2:
                        self.cuts += 1
                        break
                client.sendall(chunk)
        _end(client, server)


def _end(*ends: socket.socket) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()

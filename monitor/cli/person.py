"""Who acts: the name that goes into the record of what people changed."""

import getpass
import socket


def person() -> str:
    """`user@host` of whoever runs the command."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # an account without an entry, as in some containers
        name = "unknown"
    return f"{name}@{socket.gethostname()}"

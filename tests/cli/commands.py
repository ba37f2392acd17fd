"""Commands run in this process as their entry point runs them."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Done:
    """What a command left."""

    returncode: object
    stdout: str
    stderr: str


Run = Callable[..., Done]
"""Takes the words of the command line."""

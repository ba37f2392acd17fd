"""The maps that the simulated services apply: each asks caldrift for the one in force, as any service would."""

from collections.abc import Callable
from functools import partial
from typing import Final

from monitor.client import Client
from monitor.demo.events import Mapped
from monitor.demo.models import MODELS

REFRESH_SECONDS: Final = 1.0


class Maps:
    """A client for each model; `mapped` is what it makes of a confidence. `say` hears which map is new in force."""

    def __init__(self, web: str, say: Callable[[str], None]) -> None:
        self._say, self._versions = say, dict[str, int | None]()
        self.mapped: dict[str, Mapped] = {}
        if web:
            for model in MODELS:
                client = Client(model.name, server=web, refresh_seconds=REFRESH_SECONDS)
                self.mapped[model.name] = partial(self._apply, client)

    def _apply(self, client: Client, confidence: float, segments: dict[str, str | int]) -> tuple[float, int] | None:
        done = client.log_prediction(confidence, segments=segments)
        if done.version != self._versions.get(client.model):
            self._versions[client.model] = done.version
            what = "as stated again" if done.version is None else f"calibrated by map {done.version}"
            self._say(f"{client.model} is {what}")
        return None if done.calibrated is None or done.version is None else (done.calibrated, done.version)

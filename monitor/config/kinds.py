"""The kinds of values that only the settings have."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field

from monitor.forms.kinds import listed
from monitor.recalibration.crontab import with_named_days

SECRET: Final[dict[str, Any]] = {"secret": True}


def _cron(text: str) -> str:
    from apscheduler.triggers.cron import CronTrigger  # noqa: PLC0415 - takes 60 ms, and few settings name one

    try:
        trigger = CronTrigger.from_crontab(with_named_days(text), timezone=UTC)
    except ValueError as failure:
        raise ValueError(f'must be five fields of cron, as "0 3 1 * *": {failure}') from None
    if trigger.get_next_fire_time(None, datetime(2000, 1, 1, tzinfo=UTC)) is None:
        raise ValueError("must be due some day: there is no such date")
    return text


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("must be a time zone, as Europe/Zurich") from None
    return text


Topic = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")]
Server = Annotated[str, Field(pattern=r"^(\[[0-9A-Fa-f:.]+\]|[^\s:/,]+):\d{1,5}$")]
Servers = Annotated[tuple[Server, ...], BeforeValidator(listed), Field(min_length=1)]
FieldPath = Annotated[str, Field(pattern=r"^[^.\s][^\s]*$", max_length=200)]
Cron = Annotated[str, Field(max_length=200), AfterValidator(_cron)]
Zone = Annotated[str, Field(max_length=64), AfterValidator(_zone)]
RecalibrationMode = Literal["off", "propose", "shadow", "automatic"]
RecalibrationMethod = Literal[
    "by_labels", "temperature", "platt", "beta", "isotonic", "histogram", "scaling_binning", "shrunk_platt"
]

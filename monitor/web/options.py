"""What the web role is told when it starts. Frozen values; the configuration builds them."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from datetime import timedelta

from monitor.errors import BadSettings
from monitor.rolling.segments import Dimension


@dataclass(frozen=True, slots=True)
class WebOptions:
    """Where to listen, whom to answer, and what the pages are about.

    `windows` are the names of the rolling windows, shortest first; `dimensions` are the declared ones; a reading of
    fewer than `min_labels` labels is not judged. Without a `token` whoever reaches the port may read; a listener beyond
    this machine therefore needs a token or `open`. Who has the `operator_token` may also change things; without one
    only a browser on this machine may, and only where there is no `token` either.
    """

    windows: tuple[str, ...]
    group_id: str = "caldrift"
    labels_topic: str = "labels"
    main_signal: str = "confidence"
    dimensions: tuple[Dimension, ...] = ()
    min_labels: int = 100
    host: str = "127.0.0.1"
    token: str | None = field(default=None, repr=False)
    operator_token: str | None = field(default=None, repr=False)
    open: bool = False
    allowed_hosts: tuple[str, ...] = ()
    maturity: timedelta = timedelta(0)
    """How long after a prediction its labels count as complete."""
    public_url: str = ""
    """Where people find the pages; empty: reports have no links."""
    max_metric_series: int = 200
    queue_size: int = 100
    control_share: float = 0.1
    spot_check_share: float = 0.1
    evaluate_every: timedelta = timedelta(minutes=5)
    refresh_seconds: int = 5


def check(options: WebOptions) -> None:
    """Raises BadSettings when the listener would be open to other machines without anybody having said so.

    Raises it, too, when readers would hold the operator's token.
    """
    if options.token is not None and options.token == options.operator_token:
        raise BadSettings(["web.operator_token: must differ from web.token, or every reader could change things"])
    if options.token is None and not options.open and not is_loopback(options.host):
        mistake = (
            f"web.host: {options.host} can be reached from other machines, so web.token must be set "
            "(CALDRIFT_WEB__TOKEN or CALDRIFT_WEB__TOKEN_FILE); set web.open = true if everybody may read"
        )
        raise BadSettings([mistake])


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a listener at `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False

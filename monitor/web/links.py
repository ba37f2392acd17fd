"""URLs of the pages: each holds the whole state of its view. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode

from monitor.errors import BadInput
from monitor.postgres.listings import SeriesRow
from monitor.postgres.pages import SeriesKey


@dataclass(frozen=True, slots=True)
class SeriesAddress:
    """Which series, which window, and at what time; `as_of` None is the newest reading."""

    model: str
    signal: str
    segment: tuple[tuple[str, str], ...]
    window: str
    source: str = ""
    as_of: datetime | None = None
    refresh: bool = True

    def query(self) -> str:
        pairs = [("model", self.model), ("signal", self.signal), ("window", self.window)]
        pairs += [("segment", f"{_plain_name(name)}={value}") for name, value in self.segment]
        pairs += [("source", self.source)] if self.source else []
        pairs += [("as_of", instant(self.as_of))] if self.as_of is not None else []
        pairs += [] if self.refresh else [("refresh", "off")]
        return urlencode(pairs)

    def page(self) -> str:
        return f"/series?{self.query()}"

    def at(self, window: str) -> SeriesAddress:
        """The same series over another window."""
        return replace(self, window=window)

    def api(self, what: str) -> str:
        """A machine's view of the same: `readings`, `readings.csv` or `bins.csv`."""
        return f"/api/v1/{what}?{replace(self, refresh=True).query()}"


@dataclass(frozen=True, slots=True)
class OverviewAddress:
    """What the overview lists."""

    window: str
    model: str = ""
    signal: str = ""
    search: str = ""
    sources: str = ""
    rank: str = "excess"
    page: int = 1
    refresh: bool = True

    def query(self) -> str:
        pairs = [("window", self.window)]
        pairs += [
            (name, value) for name in ("model", "signal", "search", "sources") if (value := str(getattr(self, name)))
        ]
        pairs += [("rank", self.rank)] if self.rank != "excess" else []
        pairs += [("page", str(self.page))] if self.page != 1 else []
        pairs += [] if self.refresh else [("refresh", "off")]
        return urlencode(pairs)

    def url(self) -> str:
        return f"/?{self.query()}"


@dataclass(frozen=True, slots=True)
class AlertsAddress:
    """What the page of alerts lists. `state` empty: what is open, and what ended lately; `told` told or hushed."""

    model: str = ""
    rule: str = ""
    severity: str = ""
    state: str = ""
    told: str = ""
    page: int = 1
    refresh: bool = True

    def query(self) -> str:
        pairs = [(name, value) for name in _ALERTS if (value := str(getattr(self, name)))]
        pairs += [("page", str(self.page))] if self.page != 1 else []
        pairs += [] if self.refresh else [("refresh", "off")]
        return urlencode(pairs)

    def url(self) -> str:
        return "/alerts" + (f"?{query}" if (query := self.query()) else "")

    def api(self) -> str:
        """A machine's view of the same, from the first page on."""
        query = replace(self, page=1, refresh=True).query()
        return "/api/v1/alerts" + (f"?{query}" if query else "")


_ALERTS = ("model", "rule", "severity", "state", "told")


@dataclass(frozen=True, slots=True)
class ThresholdsAddress:
    """Which series, which promise, and the steps of the chain calculator."""

    model: str
    signal: str
    segment: tuple[tuple[str, str], ...]
    window: str
    target: float = 0.95
    reject: float = 0.5
    delta: float = 0.05
    chain: str = ""

    @property
    def parts(self) -> list[str]:
        """The segment as parameters have it."""
        return [f"{_plain_name(name)}={value}" for name, value in self.segment]

    def query(self) -> str:
        pairs: list[tuple[str, str]] = [("signal", self.signal), ("window", self.window)]
        pairs += [("segment", part) for part in self.parts]
        promised = (("target", self.target, 0.95), ("reject", self.reject, 0.5), ("delta", self.delta, 0.05))
        pairs += [(name, f"{value:g}") for name, value, usual in promised if value != usual]
        pairs += [("chain", self.chain)] if self.chain else []
        return urlencode(pairs)

    def page(self) -> str:
        return f"/thresholds/{quote(self.model, safe='')}?{self.query()}"

    def api(self) -> str:
        return f"/api/v1/thresholds/{quote(self.model, safe='')}?{self.query()}"


def month_before(now: datetime) -> str:
    """The last month that is over, as `2026-10`."""
    return f"{now.replace(day=1) - timedelta(days=1):%Y-%m}"


def report_page(model: str, month: str = "") -> str:
    """The report of a model in a month as `2026-10`, without one that of the last month that is over."""
    return f"/reports/{quote(model, safe='')}" + (f"/{month}" if month else "")


def address_of(series: SeriesKey | SeriesRow, window: str) -> SeriesAddress:
    """The address of a series that the database holds."""
    return SeriesAddress(
        series.model, series.signal, tuple(sorted(series.segment.items())), window, source=series.source_group
    )


def segment_of(parts: list[str]) -> dict[str, str]:
    """The segment that `segment=lang=de` parameters name; in a name `=` is `%3D`. Raises BadInput without `=`."""
    found = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if not equals or not name:
            raise BadInput(f"a segment is written dimension=value, got {part!r}")
        found[name.replace("%3D", "=").replace("%25", "%")] = value
    return found


def _plain_name(name: str) -> str:
    return name.replace("%", "%25").replace("=", "%3D")


def segment_text(segment: Mapping[str, str]) -> str:
    """`lang = de, topic = law`; `all events` for the whole model."""
    return ", ".join(f"{name} = {value}" for name, value in sorted(segment.items())) or "all events"


def instant(at: datetime) -> str:
    """ISO 8601 in UTC, with `Z`."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")

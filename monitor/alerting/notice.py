"""Notices: what a channel is to tell about one incident, frozen when it is queued, and their JSON form."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal, TypeAlias, assert_never

import msgspec
from msgspec import Meta

from monitor.alerting.conduct import Severity
from monitor.alerting.versioned import Versioned, opened
from monitor.calibration.reading import Bin
from monitor.errors import BadInput

VERSION: Final = 1

Kind: TypeAlias = Literal["fired", "changed", "reminder", "resolved", "digest", "test", "change"]
Happening: TypeAlias = Literal["proposed", "promoted", "shadowed", "rolled_back", "kept"]
AlertState: TypeAlias = Literal["firing", "recovering", "resolved"]
Unit: TypeAlias = Literal["ratio", "seconds", "count"]

SEVERITIES: Final[tuple[Severity, ...]] = ("info", "warning", "error", "critical")
"""From the least to the worst."""
MOST_SHOWN: Final = 20
"""A person reads no more."""
FACTS: Final = 10
"""As many as Slack shows side by side."""

Moment: TypeAlias = Annotated[datetime, Meta(tz=True)]
Count: TypeAlias = Annotated[int, Meta(ge=0)]
Version: TypeAlias = Annotated[int, Meta(ge=1)]
Shown: TypeAlias = Annotated[int, Meta(ge=1, le=MOST_SHOWN)]


@dataclass(frozen=True, slots=True)
class Series:
    """Model x signal x segment in a window; a segment is written as in `lang=de`, the whole model is the empty text.

    `source` "" is the primary label sources together; `window` "" where the alert has none, as one about the service.
    """

    model: str
    signal: str
    segment: str
    source: str = ""
    window: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was measured when the alert changed; later labels do not alter it.

    `estimate`, `interval` and `limit` are in `unit`, all finite; `n` counts the labels that they rest on; the window
    is as long as `window` and was read at `as_of`. None: `interval` of a measure without one, `limit` of a detector's
    alarm, `window` of what has none. `bins` are those of the reliability diagram, which is of the window named
    `bins_of` where that is another one. Raises BadInput.
    """

    measure: str
    unit: Unit
    estimate: float
    interval: tuple[float, float] | None
    limit: float | None
    n: Count
    window: timedelta | None
    as_of: Moment
    bins: tuple[Bin, ...] = ()
    bins_of: str = ""

    def __post_init__(self) -> None:
        limit = () if self.limit is None else (self.limit,)
        if not all(map(math.isfinite, (self.estimate, *limit, *(self.interval or ())))):
            raise BadInput(f"evidence of {self.measure} must be finite numbers, got {self.estimate}, {self.limit}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One series under one rule, as it stands in the notice.

    `summary` is the rendered sentence for people; `link` its page and `runbook` what to do, either one may be None;
    `remark` is what else there is to say of its state, such as `series ended`. `ended_at` is None until it resolves.
    `labels` are the rule's own, name and value.
    """

    rule: str
    severity: Severity
    series: Series
    state: AlertState
    started_at: Moment
    ended_at: Moment | None = None
    evidence: Evidence | None = None
    summary: str = ""
    link: str | None = None
    runbook: str | None = None
    remark: str | None = None
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Incident:
    """One problem as its receivers know it: `key` stays the same from the first notice to the last."""

    key: str
    title: str


@dataclass(frozen=True, slots=True)
class Counts:
    """All alerts of the incident by state, the ones that the notice does not list included."""

    firing: Count
    resolved: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """News that is no alert: what became of the recalibration of a model's signal.

    `version` is the map that waits for a person (proposed), that is applied from now on (promoted, shadowed,
    rolled_back) or that goes on being applied (kept); `previous` the one that was in force until then. Either is None
    where confidences are taken as stated. `by` is who decided, `sentence` why; `facts` at most ten, each with its name.
    `before` and `after` are the bins of two reliability diagrams of the same labels: as stated, and as the map says
    that the news is about, which was not fitted on them (kept: the one that was not taken). No bins, no diagram.
    `report` leads to the report of the model. Raises BadInput.
    """

    what: Happening
    model: str
    signal: str
    version: Version | None
    previous: Version | None
    by: str
    sentence: str
    facts: tuple[tuple[str, str], ...] = ()
    before: tuple[Bin, ...] = ()
    after: tuple[Bin, ...] = ()
    report: str | None = None

    def __post_init__(self) -> None:
        if len(self.facts) > FACTS:
            raise BadInput(f"a change must have at most {FACTS} facts, got {len(self.facts)}")

    @property
    def is_applied(self) -> bool:
        """Whether confidences are mapped in another way from now on."""
        return self.what in {"promoted", "shadowed", "rolled_back"}

    @property
    def title(self) -> str:
        """The change in a few words: `triage-v3 / stated: map 4 in force`."""
        return f"{self.model} / {self.signal}: {self.happened}"

    @property
    def happened(self) -> str:
        """The same without model and signal."""
        said = named(self.version)
        match self.what:
            case "proposed":
                return f"{said} waits for approval"
            case "promoted":
                return f"{said} in force"
            case "shadowed":
                return f"{said} in shadow"
            case "rolled_back":
                return f"back to {said}"
            case "kept":
                return f"{said} kept"
            case _:
                assert_never(self.what)


def named(version: int | None) -> str:
    """How a map is called; None: none is applied."""
    return "confidences as stated" if version is None else f"map {version}"


@dataclass(frozen=True, slots=True)
class Dated:
    """A change, and when it was."""

    at: Moment
    change: Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What is to be told, and of which incident.

    `alerts` the worst first, and perhaps not all of them: `counts` counts all; a message for people who are chatting or
    paged lists at most `shown` of them, as a person reads no more; `group` the names and values that the
    incident is grouped by; `at` when the state changed, not when it is told; `link` the page of the incident.
    `change` is there where the kind is "change", which has no alerts; `earlier` what is told with it, the oldest first.
    """

    kind: Kind
    incident: Incident
    alerts: tuple[Alert, ...]
    counts: Counts
    group: tuple[tuple[str, str], ...]
    at: Moment
    link: str | None = None
    change: Change | None = None
    earlier: tuple[Dated, ...] = ()
    shown: Shown = MOST_SHOWN

    def __post_init__(self) -> None:
        if (self.kind == "change") != (self.change is not None):
            raise BadInput(f"a notice of a change, and no other one, has a change, got kind {self.kind}")

    @property
    def changes(self) -> tuple[Dated, ...]:
        """All changes that it tells of, the newest first."""
        return () if self.change is None else (Dated(self.at, self.change), *reversed(self.earlier))

    @property
    def severity(self) -> Severity:
        """The worst severity among the alerts that have not resolved, or of all if all have; `info` without any."""
        open_alerts = [alert for alert in self.alerts if alert.state != "resolved"] or self.alerts
        return max((alert.severity for alert in open_alerts), key=SEVERITIES.index, default="info")

    @property
    def is_over(self) -> bool:
        """Whether nothing of the incident fires any longer."""
        return self.kind in {"resolved", "digest"}


class _Stored(Versioned, frozen=True):
    notice: Notice


def encode(notice: Notice) -> bytes:
    """The notice as JSON, the same bytes for the same notice. Raises BadInput for text that is not Unicode."""
    try:
        return msgspec.json.encode(_Stored(VERSION, notice))
    except UnicodeEncodeError as failure:
        raise BadInput(f"a notice's text must be valid Unicode: {failure.reason}") from failure


def decode(stored: bytes | str) -> Notice:
    """The notice of its JSON. Raises Refused for another version, or for what is no notice."""
    return opened(stored, _Stored, VERSION, "notice").notice

"""Notices to render and send: an ordinary story, a flood, and names that try to steer what shows them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from monitor.alerting.notice import Alert, Change, Counts, Dated, Evidence, Incident, Kind, Notice, Series
from monitor.calibration.reading import Bin

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
LABELS = ("de", "fr", "it")
HOSTILE = "<!channel> <https://evil.example|click> & `code` *bold* @here\x00\x1b[31m\u202egnihton\ud800\r\nSubject: x"

EVIDENCE = Evidence(
    measure="ece",
    unit="ratio",
    estimate=0.1534,
    interval=(0.1213, 0.1871),
    limit=0.1,
    n=1240,
    window=timedelta(days=7),
    as_of=NOW - timedelta(minutes=5),
)


BEFORE = (Bin(0.5, 0.6, 100, 0.55, 0.5, (0.4, 0.6)), Bin(0.9, 1.0, 300, 0.95, 0.7, (0.65, 0.75)))
AFTER = (Bin(0.5, 0.6, 250, 0.56, 0.55, (0.49, 0.61)), Bin(0.7, 0.8, 150, 0.75, 0.76, (0.69, 0.82)))


def alert(language: str = "de", **changes: object) -> Alert:
    """A firing alert of one language; `changes` are its other fields."""
    ordinary = Alert(
        rule="EceHigh",
        severity="error",
        series=Series("triage-v3", "stated", f"lang={language}"),
        state="firing",
        started_at=NOW - timedelta(hours=1),
        evidence=EVIDENCE,
        summary="Says 90 % and is right in 75 % of the answers.",
        link=f"https://caldrift.example/series?model=triage-v3&segment=lang%3D{language}",
        runbook="https://runbooks.example/EceHigh",
    )
    return replace(ordinary, **changes)  # type: ignore[arg-type]  # each test names fields of Alert


def notice(kind: Kind = "fired", alerts: tuple[Alert, ...] | None = None, **changes: object) -> Notice:
    """A notice of three languages; resolved, they all are."""
    found = alerts if alerts is not None else tuple(alert(language) for language in LABELS)
    if kind == "resolved":
        found = tuple(replace(one, state="resolved", ended_at=NOW) for one in found)
    over = sum(one.state == "resolved" for one in found)
    ordinary = Notice(
        kind=kind,
        incident=Incident("5f0c2a" * 10, "EceHigh: triage-v3"),
        alerts=found,
        counts=Counts(firing=len(found) - over, resolved=over),
        group=(("rule", "EceHigh"), ("model", "triage-v3")),
        at=NOW,
        link="https://caldrift.example/alerts?rule=EceHigh&model=triage-v3",
    )
    return replace(ordinary, **changes)  # type: ignore[arg-type]  # each test names fields of Notice


def change(**changes: object) -> Change:
    """A map that was put in force; `changes` are its other fields."""
    ordinary = Change(
        what="promoted",
        model="triage-v3",
        signal="stated",
        version=4,
        previous=3,
        by="the schedule",
        sentence="On 4,310 later labels map 4 lowers the log loss by 0.021 (0.013 to 0.029).",
        facts=(("method", "beta"), ("labels", "9,120 fitted, 4,310 held out"), ("ECE", "0.094 before, 0.021 after")),
        before=BEFORE,
        after=AFTER,
        report="https://caldrift.example/reports/triage-v3/2026-11",
    )
    return replace(ordinary, **changes)  # type: ignore[arg-type]  # each test names fields of Change


def news(*earlier: Change, last: Change | None = None, **changes: object) -> Notice:
    """A notice of a change, and of those that waited with it, a minute apart; `changes` are its other fields."""
    said = last or change()
    ordinary = Notice(
        kind="change",
        incident=Incident("7a1b3c" * 10, f"{said.model} / {said.signal}: map 4 in force"),
        alerts=(),
        counts=Counts(firing=0, resolved=0),
        group=(("model", said.model), ("signal", said.signal)),
        at=NOW,
        link=f"https://caldrift.example/recalibration/{said.model}",
        change=said,
        earlier=tuple(Dated(NOW - timedelta(minutes=len(earlier) - place), one) for place, one in enumerate(earlier)),
    )
    return replace(ordinary, **changes)  # type: ignore[arg-type]  # each test names fields of Notice


def hostile_news() -> Notice:
    """Every text that comes from elsewhere is hostile, the links too."""
    bad = change(
        model=HOSTILE,
        signal=HOSTILE,
        by=HOSTILE,
        sentence=HOSTILE,
        facts=((HOSTILE, HOSTILE),) * 10,
        report="javascript:alert(1)",
    )
    link = f"https://x|y>{HOSTILE}"
    return news(bad, last=bad, incident=Incident(HOSTILE, HOSTILE), group=((HOSTILE, HOSTILE),), link=link)


def wide_news() -> Notice:
    """Every text is as long as can be, and there are more earlier changes than anybody reads."""
    text, link = "ж" * 100_000, "https://caldrift.example/?" + "&" * 900
    one = change(model=text, signal=text, by=text, sentence=text, facts=((text, text),) * 10, report=link)
    return news(*(one,) * 40, last=one, incident=Incident("key", text), link=link)


def hostile() -> Notice:
    """Every text that comes from elsewhere is hostile, the links too."""
    bad = alert(
        rule=HOSTILE,
        series=Series(HOSTILE, HOSTILE, f"lang={HOSTILE}"),
        summary=HOSTILE,
        remark=HOSTILE,
        link=f"https://caldrift.example/{HOSTILE}",
        runbook="javascript:alert(1)",
        evidence=replace(EVIDENCE, measure=HOSTILE),
    )
    return notice(
        alerts=(bad,), incident=Incident(HOSTILE, HOSTILE), group=((HOSTILE, HOSTILE),), link=f"https://x|y>{HOSTILE}"
    )


def flood(count: int = 5000, text: str = "") -> Notice:
    """So many alerts at once, each with `text` as its summary."""
    return notice(alerts=tuple(alert(f"x{place}", summary=text or "Too high.") for place in range(count)))


def wide() -> Notice:
    """Every text is as long as can be, in characters that take six bytes of JSON, and links grow when escaped."""
    text, link = "ж" * 100_000, "https://caldrift.example/?" + "&" * 900
    one = alert(rule=text, series=Series(text, text, text), summary=text, remark=text, link=link, runbook=link)
    return notice(alerts=(one,) * 40, incident=Incident("key", text), group=((text, text),) * 3, link=link)


NOTICES: dict[str, Notice] = {
    "fired": notice(),
    "changed": notice("changed", (alert("de"), alert("fr", state="recovering"))),
    "reminder": notice("reminder"),
    "resolved": notice("resolved"),
    "digest": notice(
        "digest", (alert("de", state="resolved", ended_at=NOW - timedelta(minutes=20), remark="series ended"),)
    ),
    "test": notice("test", (), counts=Counts(0, 0), group=()),
    "change": news(),
    "changes": news(
        change(what="promoted", version=3, previous=None, sentence="The first map."),
        change(what="rolled_back", version=None, previous=3, sentence="The live loss is above that of what is stated."),
        last=change(what="proposed", version=4, previous=None),
        incident=Incident("7a1b3c" * 10, "triage-v3 / stated: map 4 waits for approval"),
    ),
    "hostile-change": hostile_news(),
    "wide-change": wide_news(),
    "hostile": hostile(),
    "flood": flood(),
    "wide": wide(),
}
"""By what each one is for."""

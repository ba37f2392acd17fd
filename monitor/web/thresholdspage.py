"""What the page of thresholds shows: what passes, what is certified, what is deployed and how it stands. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import msgspec
from markupsafe import Markup

from monitor.calibration.bands import Bands, bands_of
from monitor.calibration.certificates import Certificate, Promise, certify
from monitor.calibration.chains import Chain, Needed, chain, needed, parsed_step
from monitor.calibration.passing import Passing, passing
from monitor.calibration.reading import Subject
from monitor.calibration.sketch import Sketch, empty
from monitor.errors import BadInput
from monitor.postgres.certificates import Deployed
from monitor.postgres.pipeline import Progress
from monitor.postgres.selective import WindowSum
from monitor.rolling.panes import Span, hour_of
from monitor.rolling.segments import parse_segment
from monitor.rolling.subjects import subject_of
from monitor.web.links import OverviewAddress, ThresholdsAddress, segment_text
from monitor.web.options import WebOptions
from monitor.web.riskchart import risk_coverage
from monitor.web.scales import instant_text, plain
from monitor.web.tables import figure
from monitor.web.verdicts import UNKNOWN, percent, ratio

TARGETS: Final = (0.8, 0.9, 0.95, 0.99)
_NO_TIME: Final = timedelta(0)


@dataclass(frozen=True, slots=True)
class Found:
    """What the page reads from the database, at one moment."""

    series: Sequence[WindowSum]
    deployed: Sequence[Deployed]
    progress: Progress


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON of one series: its bands and certificates, what passes each threshold, and the usual targets."""

    schema: int = 1
    thresholds: list[Bands]
    targets: list[Certificate]
    passing: list[Passing]


@dataclass(frozen=True, slots=True)
class CertifiedRow:
    """One promise in words."""

    target: str
    threshold: str
    passes: str
    n: str
    right: str
    bound: str
    reason: str


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """One series of the table; `cells` are pairs of a threshold and what passes it, or why there is none."""

    name: str
    signal: str
    url: str
    current: bool
    n: str
    cells: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class DeployedRow:
    """A deployed certificate in words."""

    id: int
    subject: str
    promise: str
    since: str
    n: str
    right: str
    bound: str
    verdict: str
    css: str
    detail: str


@dataclass(frozen=True, slots=True)
class View:
    """The whole page."""

    now: datetime
    address: ThresholdsAddress
    overview_url: str
    api_url: str
    tabs: Sequence[tuple[str, str]]
    tags: Sequence[tuple[str, str]]
    sentence: str
    known: bool
    figure: Markup
    certified: Sequence[CertifiedRow]
    bands: Sequence[Sequence[str]]
    promises: Sequence[str]
    series: Sequence[SeriesRow]
    targets: Sequence[str]
    deployed: Sequence[DeployedRow]
    deploy_command: str
    chain: Chain | None
    needed: Needed | None
    chain_mistake: str


def answer(found: Found, address: ThresholdsAddress) -> Answer:
    """One series as JSON has it."""
    sketch, subject = _chosen(found, address)
    promises = [Promise(address.target, address.delta), Promise(address.reject, address.delta, 1.0, "reject")]
    return Answer(
        thresholds=[bands_of(sketch, promises, subject)],
        targets=[certify(sketch, Promise(target, address.delta)) for target in TARGETS],
        passing=passing(sketch),
    )


def view_of(found: Found, address: ThresholdsAddress, options: WebOptions) -> View:
    """The page. Raises BadInput for promises out of range."""
    one = answer(found, address)
    bands = one.thresholds[0]
    steps, mistake = None, ""
    if address.chain.strip():
        try:
            steps = chain([parsed_step(word) for word in address.chain.replace(",", " ").split()][:50], address.delta)
        except BadInput as failure:
            mistake = str(failure)
    overview = OverviewAddress(options.windows[0], model=address.model)
    return View(
        now=found.progress.now,
        address=address,
        overview_url=overview.url(),
        api_url=address.api(),
        tabs=[(name, replace(address, window=name).page()) for name in options.windows],
        tags=[("signal", address.signal), *(address.segment or (("segment", "all events"),))],
        sentence=_sentence(bands),
        known=bool(found.series),
        figure=figure(risk_coverage(one.passing, [each for each in one.targets if each.certified])),
        certified=[certified_row(each) for each in one.targets],
        bands=[
            (band.name, _range(band.low, band.high), percent(band.coverage), plain(band.n), ratio(band.accuracy))
            for band in bands.bands
        ],
        promises=[each.reason for each in bands.certificates if not each.certified],
        series=[_series(each, address) for each in found.series],
        targets=[f"{target:g}" for target in TARGETS],
        deployed=[deployed_row(each) for each in found.deployed],
        deploy_command=_command(address),
        chain=steps,
        needed=None if steps is None else needed(address.target, len(steps.steps)),
        chain_mistake=mistake,
    )


def _chosen(found: Found, address: ThresholdsAddress) -> tuple[Sketch, Subject]:
    for each in found.series:
        if _is(each, address):
            span = Span(hour_of(each.start_at), hour_of(each.end_at))
            return each.sketch, subject_of(each.name, address.window, span, found.progress.now, _NO_TIME)
    return empty(), Subject(model=address.model, signal=address.signal, segment=dict(address.segment))


def _is(each: WindowSum, address: ThresholdsAddress) -> bool:
    return each.name.signal == address.signal and parse_segment(each.name.segment) == dict(address.segment)


def _sentence(bands: Bands) -> str:
    (accept,) = (each for each in bands.certificates if each.side == "accept")
    if not accept.certified or accept.threshold is None:
        return f"No threshold is sure to be right {accept.target:g} of the time: {accept.reason}."
    return (
        f"From {accept.threshold:.5g} on at least {accept.target:g} are right: that lets {percent(accept.coverage)} of "
        "the predictions pass."
    )


def certified_row(each: Certificate) -> CertifiedRow:
    """A promise in words."""
    sure = each.certified and each.threshold is not None
    return CertifiedRow(
        target=f"{each.target:g}",
        threshold=f"{each.threshold:.5g}" if sure else UNKNOWN,
        passes=percent(each.coverage) if sure and each.coverage is not None else UNKNOWN,
        n=plain(each.n) if sure and each.n is not None else UNKNOWN,
        right=ratio(each.accuracy) if sure else UNKNOWN,
        bound=ratio(each.bound) if sure else UNKNOWN,
        reason=each.reason,
    )


def _series(each: WindowSum, address: ThresholdsAddress) -> SeriesRow:
    segment = parse_segment(each.name.segment)
    there = replace(address, signal=each.name.signal, segment=tuple(sorted(segment.items())), chain="")
    found = [certify(each.sketch, Promise(target, address.delta)) for target in TARGETS]
    return SeriesRow(
        name=segment_text(segment),
        signal=each.name.signal,
        url=there.page(),
        current=_is(each, address),
        n=plain(found[0].n_labels),
        cells=[_cell(one) for one in found],
    )


def _cell(found: Certificate) -> tuple[str, str]:
    if found.certified and found.threshold is not None:
        return f"{found.threshold:.5g}", f"{percent(found.coverage or 0.0)} pass"
    return UNKNOWN, f"{plain(found.more_labels)} more labels" if found.more_labels else "not certified"


def deployed_row(each: Deployed) -> DeployedRow:
    """A deployed certificate in words."""
    least, sign = ("at least", "from") if each.side == "accept" else ("at most", "below")
    also = "".join(f", {bar}" for bar in each.also)
    detail = ""
    if each.verdict == "broken" and each.worst_from is not None:
        since = instant_text(each.worst_from).partition(",")[0]
        detail = f"{ratio(each.worst_accuracy)} of {plain(each.worst_n or 0)} labels since {since}"
    return DeployedRow(
        id=each.id,
        subject=f"{each.signal}; {segment_text(each.segment)}{also}",
        promise=f"{least} {each.target:g} right {sign} {each.threshold:.5g}",
        since=f"{instant_text(each.deployed_at)} by {each.deployed_by}",
        n=plain(each.seen_n),
        right=ratio(each.seen_accuracy),
        bound=ratio(each.seen_bound),
        verdict=each.verdict if each.retired_at is None else "retired",
        css={"broken": "clearly-outside", "not broken": "within"}.get(each.verdict, "not-enough"),
        detail=detail,
    )


def _command(address: ThresholdsAddress) -> str:
    words = ["caldrift", "thresholds", address.model, "--signal", address.signal, "--window", address.window]
    words += ["--segment", ",".join(f"{name}={value}" for name, value in address.segment)] if address.segment else []
    words += ["--target", f"{address.target:g}", "--deploy"]
    return " ".join(shlex.quote(word) for word in words)


def _range(low: float, high: float) -> str:
    if high == 1:
        return f"from {low:.5g} on"
    return f"below {high:.5g}" if low == 0 else f"{low:.5g} to {high:.5g}"

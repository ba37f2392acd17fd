"""What the pages of recalibration show: the map in force, how it did on its hold-out, what else there is. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote

from markupsafe import Markup

from monitor.calibration.calibrators.artefact import Calibrator
from monitor.calibration.calibrators.curves import apply
from monitor.calibration.gate import Gate, Rival
from monitor.errors import CaldriftError
from monitor.events.rules import CALIBRATED, CALIBRATOR
from monitor.postgres.calibrators import InForce, Run, Stored
from monitor.postgres.listings import SeriesRow
from monitor.recalibration.trial import Trial
from monitor.web.charts import bins_diagram
from monitor.web.links import address_of
from monitor.web.overview import range_of
from monitor.web.scales import instant_text, plain, window_text
from monitor.web.sentences import ago, plural
from monitor.web.tables import figure
from monitor.web.verdicts import Standing, between, ratio, standing

SHOWN: Final = (0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Confidences of which the page says what a map makes of them."""
MOST_MAPS: Final = 50
MOST_ROWS: Final = 100
EVERYTHING: Final = "everything"
LEVEL: Final = Gate().level
"""Of the intervals of the hold-out."""
_RIVALS: Final[dict[Rival, str]] = {
    "in force": "the map in force",
    "as stated": "as stated",
    "a constant": "a constant",
}
"""What the gate holds a candidate against; without a map in force, that is what is stated."""


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that the page of a model reads from the database, at one moment; the newest first.

    `back`: what a roll-back would put in force, None for as stated.
    """

    model: str
    signal: str
    in_force: InForce | None
    back: Stored | None
    stored: Sequence[Stored]
    promotions: Sequence[InForce]
    runs: Sequence[Run]
    window: str
    """Over which `rows` were read: the newest readings of the main signal and of what the map says."""
    rows: Sequence[SeriesRow]
    now: datetime


@dataclass(frozen=True, slots=True)
class Side:
    """A signal of one segment now."""

    url: str
    standing: Standing
    ece: str
    null_band: str
    n: str


@dataclass(frozen=True, slots=True)
class NowRow:
    """A segment now: as stated, and as the map says."""

    segment: str
    stated: Side | None
    calibrated: Side | None


@dataclass(frozen=True, slots=True)
class TrialView:
    """What was tried last: the verdict in words, its reasons, and the hold-out before and after."""

    at: str
    cause: str
    outcome: str
    sentence: str
    facts: Sequence[tuple[str, str]]
    reasons: Sequence[str]
    before: Markup | None
    after: Markup | None


@dataclass(frozen=True, slots=True)
class MapRow:
    """A segment's map."""

    segment: str
    method: str
    labels: str
    values: Sequence[str]


@dataclass(frozen=True, slots=True)
class VersionRow:
    """An artefact."""

    version: int
    made: str
    fingerprint: str
    state: str
    url: str


@dataclass(frozen=True, slots=True)
class RecalibrationView:
    """The whole page. `number` is of the promotion that it shows: what changes it must name that."""

    now: datetime
    model: str
    signal: str
    sentence: str
    number: int
    can_roll_back: bool
    back: str
    window: str
    now_rows: Sequence[NowRow]
    trial: TrialView | None
    maps_of: str
    maps: Sequence[MapRow]
    left_out: str
    versions: Sequence[VersionRow]
    promotions: Sequence[tuple[str, str, str, str]]
    runs: Sequence[tuple[str, str, str, str]]


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model in the list."""

    model: str
    url: str
    in_force: str
    since: str
    waits: str
    last: str


def address(model: str) -> str:
    """The page of a model."""
    return f"/recalibration/{quote(model, safe='')}"


def row_of(
    model: str, in_force: InForce | None, stored: Sequence[Stored], runs: Sequence[Run], now: datetime
) -> ModelRow:
    """A model in the list; the newest first."""
    version = in_force.version if in_force is not None else None
    newer = [each.version for each in stored if version is None or each.version > version]
    return ModelRow(
        model,
        address(model),
        "as stated" if in_force is None else in_force.words,
        "" if in_force is None else ago(in_force.at, now),
        f"version {newer[0]} waits" if newer and (in_force is None or stored[0].created_at > in_force.at) else "",
        f"{ago(runs[0].at, now)}: {runs[0].sentence}" if runs else "never",
    )


def view_of(found: Found) -> RecalibrationView:
    """The page of what was found."""
    force = found.in_force
    shown = force.calibrator if force is not None and force.calibrator is not None else None
    shown = shown or (found.stored[0] if found.stored else None)
    calibrator, unreadable = _read(shown)
    return RecalibrationView(
        now=found.now,
        model=found.model,
        signal=found.signal,
        sentence=_sentence(found),
        number=0 if force is None else force.number,
        can_roll_back=force is not None and force.calibrator is not None,
        back="as stated" if found.back is None else f"version {found.back.version}",
        window=window_text(found.window),
        now_rows=list(_now(found)),
        trial=_trial(found),
        maps_of="" if shown is None else f"Version {shown.version}",
        maps=[] if calibrator is None else list(_maps(calibrator)),
        left_out=unreadable or _left_out(calibrator),
        versions=[_version(each, found) for each in found.stored],
        promotions=[(instant_text(each.at), each.words, each.by, each.reason) for each in found.promotions],
        runs=[(instant_text(each.at), each.cause, each.outcome, each.sentence) for each in found.runs],
    )


def _now(found: Found) -> Iterator[NowRow]:
    """Each segment that a map has spoken of: everything first, then in order of name."""
    by_segment: dict[str, dict[str, Side]] = {}
    for row in found.rows:
        if CALIBRATOR not in row.segment:
            by_segment.setdefault(_segment(row.segment), {})[row.signal] = _side(row, found.window)
    for name in sorted(by_segment, key=lambda name: (name != EVERYTHING, name)):
        sides = by_segment[name]
        if CALIBRATED in sides:
            yield NowRow(name, sides.get(found.signal), sides[CALIBRATED])


def _side(row: SeriesRow, window: str) -> Side:
    interval, null_band = range_of(row.ece_low, row.ece_high), range_of(row.null_low, row.null_high)
    judged = standing(row.ece, interval, null_band, enough=row.enough)
    return Side(address_of(row, window).page(), judged, ratio(row.ece), between(null_band), plain(row.n))


def _sentence(found: Found) -> str:
    force = found.in_force
    if force is None:
        return "Confidences are taken as stated: no map was ever put in force."
    since = f"since {instant_text(force.at)}, by {force.by}: {force.reason}"
    if force.calibrator is None:
        return f"Confidences are taken as stated {since}."
    if force.stage == "shadow":
        return f"Version {force.version} is applied in shadow, logged but not acted on, {since}."
    return f"Version {force.version} is in force {since}."


def _trial(found: Found) -> TrialView | None:
    """The run that made the map in force, or the last one where there is none."""
    force = found.in_force
    chosen = force.calibrator.id if force is not None and force.calibrator is not None else None
    run = next((each for each in found.runs if chosen is not None and each.calibrator_id == chosen), None)
    run = run or (found.runs[0] if found.runs else None)
    if run is None:
        return None
    trial = run.trial
    before, after = (None, None) if trial is None else (trial.before, trial.after)
    return TrialView(
        at=instant_text(run.at),
        cause=run.cause,
        outcome=run.outcome,
        sentence=run.sentence,
        facts=[] if trial is None else list(_facts(trial)),
        reasons=() if trial is None else trial.verdict.reasons,
        before=figure(bins_diagram(before, LEVEL, "before", "As stated")) if before else None,
        after=figure(bins_diagram(after, LEVEL, "after", "By the map")) if after else None,
    )


def _facts(trial: Trial) -> Iterator[tuple[str, str]]:
    yield (
        "fitted on",
        f"{plain(trial.labels)} labels, {instant_text(trial.since)} to {instant_text(trial.holdout_from)}",
    )
    yield "judged on", f"{plain(trial.holdout_labels)} later labels, up to {instant_text(trial.until)}"
    yield "maps by", trial.by or "nothing: one map for all"
    gains = trial.verdict.gains
    for rival, words in _RIVALS.items():
        gain = gains.get(rival)
        if gain is not None and (rival != "in force" or gain != gains.get("as stated")):
            yield f"log loss against {words}", f"{-gain.value:+.4f} ({-gain.high:+.4f} to {-gain.low:+.4f}) nats"
    slope = trial.verdict.slope
    if slope is not None:
        yield "slope on what it says", f"{slope.value:.2f} ({slope.low:.2f} to {slope.high:.2f})"
    if trial.verdict.segments:
        worst = trial.verdict.segments[0]
        name = _segment(worst.segment)
        yield "least gain of a segment", f"{worst.gain.value:+.4f} in {name}, {plain(round(worst.labels))} labels"


def _maps(calibrator: Calibrator) -> Iterator[MapRow]:
    for each in (calibrator.maps[-1], *calibrator.maps[:-1])[:MOST_MAPS]:
        values = [f"{apply(each.curve, c, calibrator.clip):.3f}" for c in SHOWN]
        yield MapRow(_segment(each.segment), each.method.replace("_", " "), plain(round(each.labels)), values)


def _left_out(calibrator: Calibrator | None) -> str:
    if calibrator is None:
        return ""
    parts = []
    if len(calibrator.maps) > MOST_MAPS:
        parts.append(f"{len(calibrator.maps) - MOST_MAPS} more maps are in the file")
    if calibrator.left_out:
        parts.append(
            f"{plural(len(calibrator.left_out), 'segment')} without a map of its own: that of everything holds"
        )
    return "; ".join(parts)


def _version(each: Stored, found: Found) -> VersionRow:
    force = found.in_force
    now = force is not None and force.calibrator is not None and force.calibrator.id == each.id
    state = ("in shadow" if force is not None and force.stage == "shadow" else "in force") if now else ""
    url = f"{address(found.model)}/{each.version}.json"
    return VersionRow(each.version, instant_text(each.created_at), each.fingerprint[:12], state, url)


def _segment(segment: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(segment.items())) or EVERYTHING


def _read(stored: Stored | None) -> tuple[Calibrator | None, str]:
    """The artefact, or why this version of caldrift cannot read it."""
    if stored is None:
        return None, ""
    try:
        return stored.calibrator, ""
    except CaldriftError as failure:
        return None, str(failure)

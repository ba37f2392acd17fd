"""Replay: lives through a history hour by hour, and judges rules as the service would have judged them then."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from monitor.alerting.alertrules import AlertRule, DriftAlarm
from monitor.alerting.force import Force
from monitor.alerting.hushing import Hushing
from monitor.alerting.round import Look, decided
from monitor.alerting.routes import Route
from monitor.alerting.rulefile import RuleFile
from monitor.alerting.terms import terms_of
from monitor.backtest.detectors import Watched
from monitor.backtest.figures import Figures, Source
from monitor.backtest.looking import Looking, Sight, Told
from monitor.backtest.report import SCHEMA, WEEK, Backtest, Insufficient, OnsetReport, RuleReport
from monitor.backtest.selected import Selected, selected
from monitor.backtest.stretches import EVER, HeldSketches, HeldTallies, Sliding
from monitor.backtest.trail import Trail, firing_time
from monitor.calibration.reading import ReadingSettings
from monitor.calibration.sketch import Row
from monitor.calibration.tallies import Layout
from monitor.drift.watches import Rules
from monitor.errors import BadInput
from monitor.rolling.history import Known
from monitor.rolling.panes import HOUR, hour_after, hour_of, start_of
from monitor.rolling.segments import SeriesName
from monitor.rolling.stacks import no_sketches, series_of
from monitor.rolling.windows import Window

NOWHERE: Final = "nowhere"
"""The route of rules without one: a backtest counts what they would tell."""
NOT_IN_HISTORY: Final = "history does not tell: it is a measure of the service, not of series"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How the service would have been set up."""

    windows: tuple[Window, ...]
    maturity: timedelta
    reading: ReadingSettings
    drift: Rules
    main_signal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """From and to which instant rules are judged, whole hours, and how often; None: as far as the history goes.

    `onset_at`: when something is known to have begun.
    """

    start_at: datetime | None = None
    end_at: datetime | None = None
    every: timedelta = HOUR
    onset_at: datetime | None = None

    def __post_init__(self) -> None:
        if self.every < HOUR or self.every % HOUR:
            raise BadInput(f"rules are judged every so many whole hours, got {self.every}", "usage")
        if self.start_at is not None and self.end_at is not None and self.start_at >= self.end_at:
            raise BadInput("a backtest must end after it starts", "usage")


def tried(file: RuleFile, rules: Iterable[AlertRule], every: timedelta) -> Force:
    """Rules as if they were in force: those in shadow are active, and those without a route tell all the same."""
    judged = {
        rule.name: replace(rule, mode="active", route=NOWHERE if rule.route is None else rule.route)
        for rule in rules
        if rule.mode != "off"
    }
    routes = {**file.routes, NOWHERE: Route(notify=(NOWHERE,))}
    return Force(
        file=file.model_copy(update={"routes": routes}),
        rules=judged,
        terms={name: terms_of(rule, every) for name, rule in judged.items()},
        instance="backtest",
    )


@dataclass(slots=True)
class _Trial:
    """One set of rules that is being judged."""

    force: Force
    selected: Selected
    looking: Looking
    trail: Trail = field(default_factory=Trail)

    def judge(self, sight: Sight) -> None:
        looks = list(self._looks(sight))
        rollups = self.looking.rollups(self.selected.of_readings, sight)
        if not looks and not rollups:
            return
        file = self.force.file
        hushing = Hushing(sight.as_of, mute_times=file.mute_times, inhibit=file.inhibit)
        changes = decided(looks, self.looking.standing(looks), hushing, rollups=rollups)
        self.looking.take(changes)
        self.trail.take(changes, self.force, sight.as_of)

    def _looks(self, sight: Sight) -> Iterator[Look]:
        for of_readings in self.selected.of_readings:
            yield from self.looking.of_readings(of_readings, sight)
        for of_alarms in self.selected.of_alarms:
            yield from self.looking.of_alarms(of_alarms, sight)
        for of_models in self.selected.of_models:
            yield from self.looking.of_models(of_models, sight)


class Replay:
    """A history that is lived through once, by as many sets of rules as wanted."""

    def __init__(
        self, forces: Sequence[Force], series: Mapping[int, SeriesName], setting: Setting, period: Period
    ) -> None:
        """`series`: all that the history holds, by number, ascending."""
        self._series, self._setting, self._period = series, setting, period
        self._trials = [self._trial(force) for force in forces]
        self._seen = np.zeros(len(series), np.bool_)
        self._numbers = np.fromiter(series, np.int64, len(series))
        self._newest_label: dict[str, int] = {}
        self._models = [name.model for name in series.values()]
        self._watched = Watched(
            series,
            setting.drift if any(trial.selected.of_alarms for trial in self._trials) else Rules(0, 0),
            setting.maturity,
        )

    def run(self, history: Iterable[Known], told: Callable[[int], object]) -> list[Backtest]:
        """A report of each set of rules. `history` ascends by hour, one item an hour at most; `told` hears of each one.

        Raises BadInput where the history is empty, or none of it lies in the period.
        """
        slides: list[Sliding] = []
        source: Source | None = None
        first = last = 0
        for known in _hourly(history, self._period.end_at):
            if source is None:
                first, source, slides = known.hour, *self._begin(known.hour)
            last = known.hour
            for slide in slides:
                slide.advance(known.hour, known.changes)
            self._note(known)
            self._watched.advance(known)
            if self._is_due(known.hour):
                self._judge(known.hour, source)
            told(1)
        if source is None or not self._is_within(last):
            raise BadInput("nothing is known of that time", "usage")
        start = first if self._period.start_at is None else max(first, hour_after(self._period.start_at))
        return [self._report(trial, start_of(start), start_of(last)) for trial in self._trials]

    def _trial(self, force: Force) -> _Trial:
        found = selected(force, self._series, self._setting.windows, self._setting.main_signal)
        return _Trial(force, found, Looking(force, self._series))

    def _begin(self, hour: int) -> tuple[Source, list[Sliding]]:
        stretches = sorted({EVER}.union(*(trial.selected.stretches for trial in self._trials)))
        sketched = np.array(sorted(set().union(*(trial.selected.sketched for trial in self._trials))), np.int64)
        settings, maturity = self._setting.reading, self._setting.maturity
        layout = Layout(settings.bins, settings.edges)
        tallies = HeldTallies(self._numbers, stretches, layout, maturity)
        whole = HeldSketches(self._numbers[sketched], stretches)
        slides = [Sliding(tallies, stretches, maturity, hour)]
        if len(sketched):
            slides.append(Sliding(whole, stretches, maturity, hour))
        return Source(tallies, whole, sketched, settings), slides

    def _note(self, known: Known) -> None:
        """Which series there are by now, and which models got a label."""
        changes = known.changes
        rows = np.searchsorted(self._numbers, series_of(changes.keys))
        self._seen[rows] = True
        labelled = np.zeros(len(self._seen), np.bool_)
        labelled[rows[changes.rows[changes.sums[Row.N] > 0]]] = True
        for row in np.flatnonzero(labelled).tolist():
            self._newest_label[self._models[row]] = known.hour

    def _is_within(self, hour: int) -> bool:
        return self._period.start_at is None or start_of(hour) >= self._period.start_at

    def _is_due(self, hour: int) -> bool:
        return self._is_within(hour) and not hour % (self._period.every // HOUR)

    def _judge(self, hour: int, source: Source) -> None:
        sight = Sight(start_of(hour), hour, Figures(source), self._watched, self._seen, self._newest_label)
        for trial in self._trials:
            trial.judge(sight)

    def _report(self, trial: _Trial, start_at: datetime, end_at: datetime) -> Backtest:
        trial.trail.finish()
        weeks = (end_at - start_at) / WEEK
        unknown = {rule.name for rule in trial.selected.unknown}
        rules = tuple(
            self._rule(rule, trial, weeks, end_at, NOT_IN_HISTORY if rule.name in unknown else None)
            for rule in trial.force.rules.values()
        )
        pages = sum(rule.pages for rule in rules)
        return Backtest(
            schema=SCHEMA,
            start_at=start_at,
            end_at=end_at,
            every_seconds=int(self._period.every.total_seconds()),
            series=int(self._seen.sum()),
            pages=pages,
            pages_per_week=_weekly(pages, weeks),
            onset_at=self._period.onset_at,
            rules=rules,
        )

    def _rule(self, rule: AlertRule, trial: _Trial, weeks: float, end_at: datetime, unknown: str | None) -> RuleReport:
        trail, told = trial.trail, trial.looking.told[rule.name]
        spans = sorted(trail.spans.get(rule.name, ()), key=lambda span: (span.fired_at, sorted(span.series.items())))
        pages = trail.pages.get(rule.name, [])
        condition = rule.condition
        return RuleReport(
            rule=rule.name,
            metric="drift" if isinstance(condition, DriftAlarm) else condition.metric.name,
            severity=rule.severity,
            series_judged=int(told.known.sum()) or len(told.models),
            fired=len(spans),
            pages=len(pages),
            pages_per_week=_weekly(len(pages), weeks),
            flaps=sum(span.damped for span in spans),
            withdrawn=trail.withdrawn[rule.name],
            firing_seconds=firing_time(spans, end_at).total_seconds(),
            insufficient=_insufficient(told, self._looked_at(rule, trial)),
            onset=_onset(pages, self._period.onset_at),
            alerts=tuple(spans),
            unknown=unknown,
        )

    def _looked_at(self, rule: AlertRule, trial: _Trial) -> int:
        """How many series that there were the rule looks at."""
        found = trial.selected
        rows = {row for each in found.of_readings if each.rule.rule.name == rule.name for row in each.rows.tolist()}
        numbers = {number for each in found.of_alarms if each.rule.name == rule.name for number in each.series}
        rows |= set(np.searchsorted(self._numbers, np.array(sorted(numbers), np.int64)).tolist())
        return int(self._seen[np.array(sorted(rows), np.int64)].sum())


def _hourly(history: Iterable[Known], end_at: datetime | None) -> Iterator[Known]:
    """Every hour from the first to the last, with nothing where nothing became known; up to the end of the period."""
    end = None if end_at is None else hour_of(end_at)
    hour: int | None = None
    for known in history:
        if end is not None and known.hour > end:
            break
        while hour is not None and hour + 1 < known.hour:
            hour += 1
            yield Known(hour, no_sketches())
        hour = known.hour
        yield known
    while hour is not None and end is not None and hour < end:
        hour += 1
        yield Known(hour, no_sketches())


def _weekly(count: int, weeks: float) -> float:
    return count / weeks if weeks > 0 else 0.0


def _insufficient(told: Told, there: int) -> Insufficient:
    return Insufficient(
        looks=told.insufficient,
        of=told.evaluations,
        few_labels=told.few_labels,
        low_coverage=told.low_coverage,
        not_known=told.not_known,
        no_baseline=told.no_baseline,
        never=max(0, there - int(told.known.sum())),
    )


def _onset(pages: Sequence[datetime], onset_at: datetime | None) -> OnsetReport | None:
    if onset_at is None:
        return None
    after = [at for at in pages if at >= onset_at]
    delay = (min(after) - onset_at).total_seconds() if after else None
    return OnsetReport(pages_before=len(pages) - len(after), delay_seconds=delay)

"""Recalibration of a model: its labels read, maps fitted and judged, and what came of it stored in one transaction."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final
from uuid import UUID

import numpy as np
import psycopg

from monitor.calibration.calibrators.artefact import Calibrator
from monitor.calibration.calibrators.fitting import Part
from monitor.calibration.sketch import Row
from monitor.errors import BadInput, CaldriftError
from monitor.events.rules import CALIBRATOR
from monitor.postgres.calibrators import Cause, InForce, Run, Stored, in_force, note_run, promote, promotion_of, store
from monitor.postgres.database import Connection
from monitor.postgres.labels import ModelSeries, labels_by_hour, last_onset, model_series, sketches_of
from monitor.recalibration.cuts import Cut, Stretches, dimensions_of, divided, parts_of
from monitor.recalibration.plan import Mode, Plan, Plans
from monitor.recalibration.regret import REACHES, Regret, live_gain
from monitor.recalibration.trial import UNDIVIDED, Subject, Tried, tried
from monitor.rolling.agreement import PREFIX
from monitor.rolling.panes import Span, hour_of, start_of
from monitor.rolling.segments import Dimension

SERVICE: Final = "caldrift"
"""Who acts, where no person does."""
CHOICE: Final = 0.3
"""Share of the labels before the hold-out that decide by which dimension maps are fitted."""
MOST_VALUES: Final = 500
"""A dimension of more values is not tried."""


@dataclass(frozen=True, slots=True)
class Recalibrating:
    """How models are recalibrated. `dimensions`: those with cut points, whose values stand for numbers."""

    plans: Plans
    main_signal: str
    maturity: timedelta
    code_version: str
    dimensions: tuple[Dimension, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be recalibrated, why, and by which plan."""

    model: str
    plan: Plan
    cause: Cause
    due_at: datetime | None = None
    alert: UUID | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of a request: the run as it will be written down, and the candidate where the gate let one through.

    `before` is what was in force when it was judged.
    """

    run: Run
    before: InForce | None
    candidate: Calibrator | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """What was stored: the run, the artefact, and the promotion; None where there was none."""

    run: Run
    stored: Stored | None = None
    promotion: InForce | None = None


@dataclass(frozen=True, slots=True)
class _Data:
    cuts: tuple[Cut, ...]
    stretches: Stretches


def attempt(connection: Connection, how: Recalibrating, request: Request, now: datetime) -> Attempt:
    """Fit and judge; nothing is written. Raises BadInput for a model that has no predictions."""
    series = model_series(connection, request.model, how.main_signal)
    if series is None:
        raise BadInput(f"{request.model} has no predictions with {how.main_signal}", "model")
    before = in_force(connection, request.model, how.main_signal)
    run = Run(
        model=request.model,
        signal=how.main_signal,
        cause=request.cause,
        at=now,
        outcome="failed",
        sentence="",
        due_at=request.due_at,
        alert=request.alert,
    )
    found = _data(connection, how, request.plan, series, now)
    if isinstance(found, str):
        return Attempt(replace(run, outcome="kept", sentence=f"kept the old map: {found}"), before)
    try:
        result = _tried(how, request, before, found)
    except (CaldriftError, ArithmeticError, np.linalg.LinAlgError) as failure:  # one model's sums end no leader
        return Attempt(replace(run, sentence=f"failed: {failure}"), before)
    verdict = result.trial.verdict
    run = replace(run, outcome="passed" if verdict.passed else "kept", sentence=verdict.sentence, trial=result.trial)
    return Attempt(run, before, result.candidate if verdict.passed else None)


def carry_out(connection: Connection, tried_out: Attempt, mode: Mode, by: str) -> Done | None:
    """Write down what came of an attempt: the run, the artefact and, by the mode, its promotion, all or nothing.

    None: what was due had its run already, and nothing is written. Raises Refused when what is in force has changed
    since the attempt.
    """
    candidate, run, done = tried_out.candidate, tried_out.run, None
    with connection.transaction() as transaction:
        artefact = None if candidate is None else store(connection, candidate, run.at)
        run = replace(run, calibrator_id=None if artefact is None else artefact.id)
        number = note_run(connection, run)
        if number is None:
            raise psycopg.Rollback(transaction)
        done = Done(replace(run, id=number), artefact)
        if artefact is not None and mode in {"shadow", "automatic"}:
            promotion = promotion_of(artefact, tried_out.before, run.at, by, run.sentence, shadow=mode == "shadow")
            promote(connection, promotion)
            done = replace(done, promotion=promotion)
    return done


def regrets(connection: Connection, how: Recalibrating, promotion: InForce, now: datetime) -> Iterator[Regret]:
    """What a map has gained over confidences as stated on mature labels of predictions since its promotion, by how far
    back they reach, the farthest first; none without any."""
    chosen = promotion.calibrator
    series = None if chosen is None else model_series(connection, promotion.model, promotion.signal)
    if chosen is None or series is None:
        return
    calibrator, until = chosen.calibrator, now - how.maturity
    told_apart = sorted(dimensions_of(calibrator))
    dimension = told_apart[0] if told_apart else UNDIVIDED
    starts = {max(hour_of(promotion.at) + 1, hour_of(until - reach)) for reach in REACHES}
    for start in sorted(starts):
        span = Span(start, hour_of(until))
        if span.hours <= 0:
            return
        parts = _parts(connection, how, series, dimension, span)
        gain = live_gain(calibrator, parts)
        if gain is not None:
            yield Regret(gain, sum(part.sketch.total(Row.N) for part in parts), start_of(start))


def _data(connection: Connection, how: Recalibrating, plan: Plan, series: ModelSeries, now: datetime) -> _Data | str:
    """The labels of a model, cut in all ways that are to be tried; or why there are none."""
    until = hour_of(now - how.maturity)
    since = hour_of(now - plan.window)
    onset = last_onset(connection, series.ids)
    if onset is not None:
        since = max(since, hour_of(onset))
    hours = labels_by_hour(connection, series.whole, Span(since, max(since, until)))
    places = divided([n for _, n in hours], CHOICE, plan.holdout)
    if places is None:
        few = sum(n for _, n in hours)
        drifted = "" if onset is None or since > hour_of(onset) else ", where drift began"
        return f"{few} mature labels of predictions since {start_of(since):%Y-%m-%d %H:%M}{drifted}"
    edges = (since, hours[places[0]][0], hours[places[1]][0], until)
    early, late, holdout = (Span(*edge) for edge in pairwise(edges))
    cuts = tuple(
        Cut(
            dimension,
            _parts(connection, how, series, dimension, early),
            _parts(connection, how, series, dimension, late),
            _parts(connection, how, series, dimension, holdout),
            is_numeric=_numbers(how, dimension) is not None,
        )
        for dimension in (UNDIVIDED, *_dimensions(plan, series))
    )
    return _Data(cuts, Stretches(*(start_of(edge) for edge in edges)))


def _tried(how: Recalibrating, request: Request, before: InForce | None, data: _Data) -> Tried:
    incumbent = None if before is None or before.calibrator is None else before.calibrator.calibrator
    subject = Subject(request.model, how.main_signal, how.code_version)
    return tried(subject, data.cuts, data.stretches, incumbent, request.plan.terms)


def _dimensions(plan: Plan, series: ModelSeries) -> list[str]:
    """The dimensions to try, all but those that do not describe the question."""
    return [
        name
        for name, values in sorted(series.by_value.items())
        if (name == plan.terms.by or plan.terms.by is None)
        and name != CALIBRATOR
        and not name.startswith(PREFIX)
        and len(values) <= MOST_VALUES
    ]


def _parts(
    connection: Connection, how: Recalibrating, series: ModelSeries, dimension: str, span: Span
) -> tuple[Part, ...]:
    """The disjoint parts of a stretch by a dimension."""
    values = series.by_value.get(dimension, {})
    held = sketches_of(connection, [series.whole, *values.values()], span)
    by_value = {value: held[number] for value, number in values.items()}
    return parts_of(held[series.whole], by_value, dimension, _numbers(how, dimension))


def _numbers(how: Recalibrating, dimension: str) -> dict[str, float] | None:
    """What the values of a dimension stand for: the middle of their range, for a range without an end half as wide as
    its neighbour beyond its only end; None for a dimension without cut points."""
    found = next((each for each in how.dimensions if each.name == dimension and each.cuts), None)
    if found is None:
        return None
    cuts = found.cuts
    width = (cuts[-1] - cuts[0]) / (len(cuts) - 1) if len(cuts) > 1 else abs(cuts[0]) or 1.0
    middles = [cuts[0] - width / 2, *((low + high) / 2 for low, high in pairwise(cuts))]
    return {str(found.value_of(middle)): middle for middle in (*middles, cuts[-1] + width / 2)}

"""`/metrics`: one snapshot of the database as Prometheus samples, the series bounded to whole models and the worst."""

from __future__ import annotations

import logging
import platform
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client.exposition import choose_encoder

from monitor import metrics
from monitor.errors import Unavailable
from monitor.metrics import Sample
from monitor.postgres import alarms, listings, pipeline, reviews
from monitor.postgres.alarms import AlarmRow, DetectorRow, WatchedRow
from monitor.postgres.calibrators import InForce, RunCount, all_in_force, run_counts
from monitor.postgres.certificates import Deployed, deployed
from monitor.postgres.counts import read_counts
from monitor.postgres.listings import MetricRow
from monitor.postgres.offsets import StoredOffset, read_offsets
from monitor.postgres.pipeline import Beat, DeadLetterCount, Progress
from monitor.postgres.reviews import Tally
from monitor.review.reasons import QUEUES, Queue
from monitor.web import alertsamples
from monitor.web.alertsamples import Alerting
from monitor.web.connections import Connections
from monitor.web.layout import VERSION
from monitor.web.options import WebOptions

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one scrape reads. `series` are the ones shown; `active` counts all of them by model."""

    series: Sequence[MetricRow]
    active: dict[str, int]
    partitions: Sequence[StoredOffset]
    dead_letters: Sequence[DeadLetterCount]
    counts: Mapping[tuple[str, str], int]
    beats: Sequence[Beat]
    progress: Progress
    watched: Sequence[WatchedRow]
    alarms: Mapping[tuple[str, str], int]
    detectors: Sequence[DetectorRow]
    """Of the series that are shown, as `last_alarms`."""
    last_alarms: Sequence[AlarmRow]
    certificates: Sequence[Deployed]
    in_force: Sequence[InForce]
    recalibrations: Sequence[RunCount]
    alerting: Alerting
    waiting: Mapping[tuple[str, Queue], int]
    answers: Sequence[Tally]


def router(connections: Connections, options: WebOptions) -> APIRouter:
    """The route of the metrics."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/metrics")
    def show(request: Request) -> Response:
        build = Sample(metrics.BUILD, (VERSION, platform.python_version()), 1)
        try:
            found = read(connections, options)
        except Unavailable as failure:
            LOG.warning("no metrics from the database: %s", failure)
            samples = [build, Sample(metrics.DATABASE_UP, (), 0)]
        else:
            samples = [build, Sample(metrics.DATABASE_UP, (), 1), *samples_of(found, options)]
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(metrics.registry_of(samples)), media_type=content_type)

    return routes


def read(connections: Connections, options: WebOptions) -> Snapshot:
    """One snapshot. Raises Unavailable when the database does not answer."""
    with connections.reading() as connection:
        shown = [
            row
            for window in options.windows
            for row in listings.metric_rows(
                connection,
                listings.Selection(window, options.min_labels),
                options.main_signal,
                options.max_metric_series,
            )
        ]
        progress = pipeline.progress(connection)
        numbers = sorted({row.series for row in shown})
        return Snapshot(
            series=shown,
            active=listings.active_series(connection),
            partitions=read_offsets(connection, options.group_id),
            dead_letters=pipeline.dead_letter_counts(connection),
            counts=read_counts(connection),
            beats=pipeline.beats(connection),
            progress=progress,
            watched=alarms.watched(connection),
            alarms=alarms.raised(connection),
            detectors=alarms.detectors(connection, series=numbers),
            last_alarms=alarms.last(connection, numbers),
            certificates=deployed(connection),
            in_force=all_in_force(connection),
            recalibrations=run_counts(connection),
            alerting=alertsamples.read(connection, progress.now),
            waiting=reviews.n_waiting(connection),
            answers=reviews.tallies(connection),
        )


def samples_of(found: Snapshot, options: WebOptions) -> Iterator[Sample]:
    """Every sample of the snapshot."""
    yield from _intake(found)
    for row in found.series:
        yield from _series(row, options.main_signal)
    shown = Counter(row.model for row in found.series if row.window == options.windows[0])
    for model, n in sorted(found.active.items()):
        yield Sample(metrics.ACTIVE, (model,), n)
        yield Sample(metrics.DROPPED, (model,), max(0, n - shown[model]))
    last: dict[str, float] = defaultdict(float)
    for row in found.series:
        last[row.model] = max(last[row.model], row.as_of.timestamp())
    yield from (Sample(metrics.WINDOW_AT, (model,), at) for model, at in sorted(last.items()))
    yield from _drift(found)
    yield from _certificates(found)
    yield from _recalibration(found)
    yield from _review(found)
    yield from alertsamples.samples_of(found.alerting, found.progress.now)


def _intake(found: Snapshot) -> Iterator[Sample]:
    for partition in found.partitions:
        if partition.lag is not None:
            yield Sample(metrics.LAG, (partition.topic, str(partition.part)), partition.lag)
    for topic in sorted({partition.topic for partition in found.partitions}):
        of_topic = [partition for partition in found.partitions if partition.topic == topic]
        yield Sample(metrics.RECORDS, (topic,), sum(partition.next_offset for partition in of_topic))
        yield Sample(metrics.LAST_BATCH, (topic,), max(partition.updated_at for partition in of_topic).timestamp())
    for letters in found.dead_letters:
        yield Sample(metrics.DEAD_LETTERS, (letters.topic, letters.reason), letters.n)
    for (name, model), n in found.counts.items():
        yield Sample(metrics.EVENTS, (model, name), n)
    progress = found.progress
    yield Sample(metrics.CLOCK, (), progress.now.timestamp())
    yield Sample(metrics.DELTAS, (), progress.deltas_waiting)
    if progress.evaluated_at is not None:
        yield Sample(metrics.EVALUATED_AT, (), progress.evaluated_at.timestamp())
    if progress.took_seconds is not None:
        yield Sample(metrics.EVALUATION_TOOK, (), progress.took_seconds)
    silence: dict[str, float] = {}
    for beat in found.beats:
        silence[beat.name] = min(silence.get(beat.name, beat.silent_seconds), beat.silent_seconds)
    yield from (Sample(metrics.SILENCE, (role,), seconds) for role, seconds in sorted(silence.items()))


def _drift(found: Snapshot) -> Iterator[Sample]:
    """Counts of every model; evidence of the series that are shown, as their readings are."""
    for (model, tier), n in sorted(found.alarms.items()):
        yield Sample(metrics.DRIFT_ALARMS, (model, tier), n)
    for watched in found.watched:
        yield Sample(metrics.DRIFT_SERIES, (watched.model, "learning"), watched.learning)
        yield Sample(metrics.DRIFT_SERIES, (watched.model, "watching"), watched.watching)
        yield Sample(metrics.DRIFT_LATE, (watched.model,), watched.late_labels)
    for row in found.detectors:
        labels = (row.model, row.signal, segment_label(row.segment, row.source))
        if row.residual is not None:
            yield Sample(metrics.DRIFT_SHIFT, labels, row.residual)
            for tier, held, limit in (
                ("page", row.page_evidence, row.page_limit),
                ("warn", row.warn_evidence, row.warn_limit),
            ):
                if held is not None and limit:
                    yield Sample(metrics.DRIFT_EVIDENCE, (*labels, tier), max(0.0, held) / limit)
    for alarm in found.last_alarms:
        labels = (alarm.model, alarm.signal, segment_label(alarm.segment, alarm.source))
        yield Sample(metrics.DRIFT_ALARM_AT, (*labels, alarm.tier), alarm.raised_at.timestamp())


def _certificates(found: Snapshot) -> Iterator[Sample]:
    for (model, verdict), n in sorted(Counter((each.model, each.verdict) for each in found.certificates).items()):
        yield Sample(metrics.CERTIFICATES, (model, verdict), n)
    worst: dict[str, float] = {}
    for each in found.certificates:
        if each.shortfall is not None:
            worst[each.model] = max(worst.get(each.model, -1.0), each.shortfall)
    yield from (Sample(metrics.CERTIFICATE_SHORTFALL, (model,), value) for model, value in sorted(worst.items()))


def _recalibration(found: Snapshot) -> Iterator[Sample]:
    for now in found.in_force:
        yield Sample(metrics.CALIBRATOR_VERSION, (now.model, now.signal, now.stage), now.version or 0)
    last: dict[str, float] = defaultdict(float)
    for each in found.recalibrations:
        yield Sample(metrics.RECALIBRATIONS, (each.model, each.cause, each.outcome), each.n)
        last[each.model] = max(last[each.model], each.last_at.timestamp())
    yield from (Sample(metrics.RECALIBRATED_AT, (model,), at) for model, at in sorted(last.items()))


def _review(found: Snapshot) -> Iterator[Sample]:
    for model in sorted({*found.active, *(model for model, _ in found.waiting)}):
        for queue in QUEUES:
            yield Sample(metrics.REVIEW_WAITING, (model, queue), found.waiting.get((model, queue), 0))
    for each in found.answers:
        drawn = "at random" if each.is_control or each.queue == "spot_check" else "by confidence"
        yield Sample(metrics.REVIEW_ANSWERS, (each.model, each.queue, each.reason, drawn), each.n)


def segment_label(segment: Mapping[str, str], source: str) -> str:
    """A source of labels beside the primary ones is part of the segment, so that no two series share their labels."""
    parts = [f"{name}={value}" for name, value in sorted(segment.items())]
    return ",".join([*parts, *([f"label source={source}"] if source else [])])


def _series(row: MetricRow, main_signal: str) -> Iterator[Sample]:
    segment = segment_label(row.segment, row.source_group)
    labels = (row.model, row.signal, segment, row.window)
    values = (
        (metrics.ECE, row.ece),
        (metrics.ECE_LOW, row.ece_low),
        (metrics.ECE_HIGH, row.ece_high),
        (metrics.NULL_LOW, row.null_low),
        (metrics.NULL_HIGH, row.null_high),
        (metrics.GAP, row.signed_gap),
        (metrics.BRIER, row.brier),
        (metrics.SMOOTH_ECE, row.smooth_ece),
        (metrics.SLOPE, row.calibration_slope),
        (metrics.INTERCEPT, row.calibration_intercept),
        (metrics.AUROC, row.auroc),
        (metrics.AURC, row.aurc),
        (metrics.CONFIDENT_ERRORS, row.confident_error_share),
        (metrics.LABELLED, row.n),
        (metrics.PREDICTED, row.n_predictions),
    )
    yield from (Sample(family, labels, value) for family, value in values if value is not None)
    if row.is_whole(main_signal):
        if row.coverage is not None:
            yield Sample(metrics.COVERAGE, (row.model, row.window), row.coverage)
        if row.delay_seconds is not None:
            yield Sample(metrics.DELAY, (row.model, row.window), row.delay_seconds)

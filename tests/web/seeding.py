"""A database with readings in it, made as the leader makes them: sketches of synthetic streams, read and stored."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg
from numpy.typing import NDArray

from monitor.calibration.calibrators.fitting import Origin, Part, fit
from monitor.calibration.certificates import Certificate
from monitor.calibration.reading import Reading, ReadingSettings, Subject
from monitor.calibration.readout import read
from monitor.calibration.sketch import Sketch, sketch_of
from monitor.drift.detectors import Limits
from monitor.drift.watches import Pane, anew, feed
from monitor.postgres.calibrators import Run, note_run, promote, promotion_of, store
from monitor.postgres.certificates import deploy
from monitor.postgres.database import Connection
from monitor.postgres.detectors import write_alarms, write_fed, write_watches
from monitor.postgres.labelled import Selection
from monitor.postgres.readings import StoredReading, write_readings
from monitor.postgres.reviews import Answer, add_errors, begin_answer, waiting
from monitor.postgres.series import series_ids
from monitor.postgres.windows import absorb
from monitor.rolling.panes import Span, hour_of
from monitor.rolling.segments import SeriesName
from monitor.rolling.stacks import code, stacked
from tests.web.alert_seeding import seed_alerts

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
EVIL = "<script>alert('x')</script>"


@dataclass(frozen=True, slots=True)
class Stream:
    """A made-up series: `shift` is how much more confident than right it is, `drift` what is added by the end."""

    model: str
    segment: dict[str, str] = field(default_factory=dict)
    signal: str = "confidence"
    source: str = ""
    n: int = 1200
    shift: float = 0.0
    drift: float = 0.0
    labelled: float = 0.8


STREAMS = (
    Stream("support-triage", shift=0.03, drift=0.02),
    Stream("support-triage", {"lang": "de"}, shift=0.01, drift=0.16, n=700),
    Stream("support-triage", {"lang": "en"}, shift=0.02, n=900),
    Stream("support-triage", {"lang": "pt"}, n=40),
    Stream("support-triage", signal="logprob", shift=0.06),
    Stream("support-triage", source="complaint", shift=0.4, n=150),
    Stream("invoice-reader", shift=-0.06, n=3000),
    Stream("invoice-reader", {"difficulty": "hard", "lang": "de"}, shift=-0.12, n=300),
    Stream("calibrated-judge", n=5000, labelled=0.35),
    Stream(EVIL, {"=cmd|' /C calc'!A0": "<b>&\"'"}, n=500, shift=0.1),
)


def sketch_of_stream(stream: Stream, seed: int, share: float) -> Sketch:
    """A sketch of the stream's events; `share` (0..1) is how far its drift has come."""
    rng = np.random.default_rng(seed)
    stated = np.clip(rng.beta(5, 1.6, stream.n), 0, 1)
    confidence: NDArray[np.float64] = np.where(rng.random(stream.n) < 0.6, np.round(stated, 1), stated)
    right = np.clip(confidence - stream.shift - stream.drift * share, 0, 1)
    outcome = np.where(rng.random(stream.n) < right, 1.0, 0.0)
    labelled = rng.random(stream.n) < stream.labelled
    delay = np.rint(rng.lognormal(9, 1, stream.n) * 1e6).astype(np.int64)
    return sketch_of(confidence, np.where(labelled, outcome, np.nan), delay_us=delay)


def name_of(stream: Stream) -> SeriesName:
    """The series that the stream feeds."""
    import msgspec

    text = msgspec.json.encode(dict(sorted(stream.segment.items()))).decode()
    return SeriesName(stream.model, stream.signal, text, stream.source)


def reading_of(stream: Stream, at: datetime, window: str, seed: int, share: float) -> Reading:
    """The reading of the stream at an instant."""
    subject = Subject(
        model=stream.model,
        signal=stream.signal,
        segment=stream.segment,
        source=stream.source,
        window=window,
        as_of=at,
        window_start=at - timedelta(days=9),
        window_end=at - timedelta(days=2),
        mature=window != "1d",
    )
    settings = ReadingSettings(draws=200, min_labels=100)
    return read(sketch_of_stream(stream, seed, share), settings, subject)


def seed_readings(
    connection: Connection, streams: Sequence[Stream] = STREAMS, *, points: int = 24, windows: Sequence[str] = ("7d",)
) -> list[Reading]:
    """Store `points` readings of each stream and window, six hours apart up to NOW; returns the newest of the first."""
    ids, _ = series_ids(connection, [name_of(stream) for stream in streams])
    newest = []
    for number, stream in enumerate(streams):
        for window in windows:
            stored = []
            for point in range(points):
                at = NOW - timedelta(hours=6) * (points - 1 - point)
                share = max(0.0, 2 * (point + 1) / points - 1)
                reading = reading_of(stream, at, window, 100 * number + (point // 2 if points > 2 else point), share)
                late = timedelta(days=2) if point < points // 8 else timedelta(0)
                stored.append(StoredReading(ids[name_of(stream)], window, at, at + late, reading))
            write_readings(connection, stored)
            if window == windows[0]:
                newest.append(stored[-1].reading)
    return newest


def seed_drift(connection: Connection, streams: Sequence[Stream] = STREAMS) -> None:
    """Detectors of the first streams as the leader feeds them, in hour panes up to two days before NOW."""
    ids, _ = series_ids(connection, [name_of(stream) for stream in streams])
    watched = [stream for stream in streams if not stream.source][:6]
    last = hour_of(NOW) - 48
    panes = [[Pane(last - 200 + hour, hour_pane(stream, hour / 200)) for hour in range(200)] for stream in watched]
    rates = np.full(len(watched), 1e-6)
    fed = feed([anew()] * len(watched), panes, Limits(rates, 100 * rates), 600)
    numbers = [ids[name_of(stream)] for stream in watched]
    alphas = dict.fromkeys(numbers, (1e-6, 1e-4))
    write_watches(connection, dict(zip(numbers, fed.watches, strict=True)), alphas, {numbers[0]: 7})
    write_fed(connection, [pane._replace(series=numbers[pane.series]) for pane in fed.panes], alphas, last + 1)
    alarms = [replace(alarm, series=numbers[alarm.series]) for alarm in fed.alarms]
    write_alarms(connection, alarms, alphas, NOW - timedelta(hours=30))


def hour_pane(stream: Stream, share: float) -> Sketch:
    """Some labels of one hour of the stream."""
    part = replace(stream, n=12, labelled=1.0, drift=3 * stream.drift)
    return sketch_of_stream(part, zlib.crc32(f"{name_of(stream)} {share}".encode()), float(share > 0.6))


def seed_windows(
    connection: Connection, streams: Sequence[Stream] = STREAMS, windows: Sequence[str] = ("7d", "all")
) -> None:
    """The sums of the windows of each stream: those of its newest reading."""
    ids, _ = series_ids(connection, [name_of(stream) for stream in streams])
    hour = hour_of(NOW) - 24 * 9
    held = {
        int(code(ids[name_of(stream)], hour)): sketch_of_stream(stream, 100 * number + 11, 1.0)
        for number, stream in enumerate(streams)
    }
    places = range(len(windows))
    spans = {int(code(number, place)): Span(hour, hour + 24 * 7) for number in ids.values() for place in places}
    absorb(connection, windows, spans, stacked(held))


def seed_certificates(connection: Connection) -> None:
    """A promise that is kept, one that is broken, one without labels, and one of a hostile name."""
    streams = (STREAMS[0], STREAMS[1], STREAMS[6], STREAMS[-1])
    for stream, shortfall, n in zip(streams, (-0.03, 0.04, -0.5, -0.02), (800, 300, 0, 90), strict=True):
        found = Certificate(
            side="accept",
            target=0.8,
            delta=0.05,
            start=0.95,
            certified=True,
            n_labels=700,
            threshold=0.9,
            n=300,
            accuracy=0.86,
            bound=0.82,
            coverage=0.4,
        )
        made = deploy(connection, name_of(stream), found, parts=["{}"], by="ann", now=NOW - timedelta(days=30))
        connection.execute(
            "UPDATE certificate SET seen_n = %s, seen_accuracy = 0.8 - %s - 0.02, seen_bound = 0.8 - %s,"
            " shortfall = %s, worst_from = %s, worst_n = %s, worst_accuracy = 0.7 WHERE id = %s",
            (n, shortfall, shortfall, shortfall, NOW - timedelta(days=6), n, made),
        )


def seed_recalibration(connection: Connection) -> None:
    """A map in force that took the place of as stated, a month that changed nothing, and a map of a hostile name."""
    rng = np.random.default_rng(5)
    confidence = np.round(rng.beta(4, 1.5, 900), 2)
    outcome = (rng.random(900) < confidence - 0.15).astype(np.float64)
    for stream in (STREAMS[0], STREAMS[-1]):
        model = stream.model
        origin = Origin(model, "confidence", NOW - timedelta(days=60), NOW - timedelta(days=30))
        artefact = store(connection, fit([Part({}, sketch_of(confidence, outcome), {})], origin, code_version="1"), NOW)
        kept, passed = "kept the old map: the hold-out has 151 labels, it takes 200", "the candidate passed"
        first = Run(model=model, signal="confidence", cause="schedule", at=NOW, outcome="kept", sentence=kept)
        note_run(connection, replace(first, due_at=NOW - timedelta(days=30)))
        note_run(connection, replace(first, outcome="passed", sentence=passed, calibrator_id=artefact.id))
        promote(connection, promotion_of(artefact, None, NOW, "ann", EVIL))


def seed_intake(connection: Connection, *, lag: int = 12) -> None:
    """A clock that shows NOW, partitions read with some lag, dead letters, counters, and processes that are alive."""
    connection.execute(
        "UPDATE installation SET clock_epoch_at = %s, clock_started_at = now(), clock_rate = 0.000001", (NOW,)
    )
    cluster = "5L6g3nShT-eMCtK--X86sw"
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO kafka_offset VALUES ('caldrift', %s, %s, %s, %s, %s, %s)",
            [
                (topic, part, 5000 + part, cluster, 5000 + part + (lag if part == 0 else 0), NOW - ago)
                for topic, ago in (("predictions", timedelta(seconds=4)), ("labels", timedelta(minutes=3)))
                for part in range(2)
            ],
        )
        cursor.executemany(
            """
            INSERT INTO dead_letter (topic, part, kafka_offset, reason, message, key, value, received_at)
            VALUES (%s, 0, %s, %s, %s, %s, %s, %s)
            """,
            [
                ("predictions", 10 + n, reason, message, b"k", b'{"secret": "payload"}', NOW - timedelta(minutes=n))
                for n, (reason, message) in enumerate(
                    [("confidence_out_of_range", "confidence must be 0 to 1, got 1.2")] * 3
                    + [("undecodable", f"not JSON: {EVIL}")] * 2
                    + [("id_too_long", "prediction_id " + "x" * 700)]
                )
            ],
        )
    connection.execute(
        "INSERT INTO count VALUES ('joined', 'support-triage', 9000), ('correction', 'support-triage', 12)"
    )
    connection.execute(
        """
        INSERT INTO evaluation (id, evaluated_at, applied_deltas, applied_at, took_seconds) VALUES (1, %s, 40, %s, 0.21)
        ON CONFLICT (id) DO UPDATE SET evaluated_at = EXCLUDED.evaluated_at, applied_deltas = EXCLUDED.applied_deltas,
            applied_at = EXCLUDED.applied_at, took_seconds = EXCLUDED.took_seconds
        """,
        (NOW - timedelta(seconds=20), NOW - timedelta(seconds=20)),
    )
    connection.execute(  # the living stay alive for as long as the tests may take
        """
        INSERT INTO role (name, instance, pid, host, beat_at) VALUES
            ('ingest', 'ingest-1', 10, 'h', now() + interval '30 minutes'),
            ('evaluate', 'evaluate', 11, 'h', now() - interval '3 hours'),
            ('web', 'web', 12, 'h', now() + interval '30 minutes')
        """
    )


def seed_review(connection: Connection) -> None:
    """Some wrong answers of the first model, one of them in the queue of the errors and answered."""
    connection.execute(
        """
        INSERT INTO segment_set (key, model, segments, signals) VALUES ('k', %s, '{"lang": "de"}', '{}');
        """,
        (STREAMS[0].model,),
    )
    connection.execute(
        """
        INSERT INTO pair (id, predicted_at, confidence, labelled_at, label_version, label_number, segment_set,
            label_kind, predicted, reference, label_text)
        SELECT md5(n::text)::uuid, %(at)s - n * interval '1 hour', 0.99 - n / 500.0, %(at)s, 0, 0,
            (SELECT max(id) FROM segment_set), 2, 'refund', 'https://tickets.example.org/' || n, %(evil)s || n
        FROM generate_series(1, 30) AS n
        """,
        {"at": NOW, "evil": EVIL},
    )
    selection = Selection(STREAMS[0].model, NOW - timedelta(days=30), NOW, {})
    add_errors(connection, selection, limit=20, control_share=0.2, now=NOW, by="Ada")
    one = waiting(connection, STREAMS[0].model, "errors")[0]
    begin_answer(connection, one.id, Answer("model_wrong", "Ada"), NOW)


def seeded(dsn: str, points: int = 24) -> list[Reading]:
    """Everything above, in the database of the DSN."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        newest = seed_readings(connection, windows=("7d", "1d"), points=points)
        seed_windows(connection)
        seed_certificates(connection)
        seed_recalibration(connection)
        seed_drift(connection)
        seed_intake(connection)
        seed_alerts(connection, NOW, EVIL)
        seed_review(connection)
    return newest

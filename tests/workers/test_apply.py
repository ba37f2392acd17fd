"""Applying batches: the statistics do not depend on order, repetition or batching, and every event is counted once."""

import random
import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import NamedTuple

import pytest

from monitor.events.messages import Interval, Label, LabelKind, Prediction, label_order
from monitor.postgres.counts import read_counts
from monitor.postgres.database import Connection, connect
from monitor.postgres.dead_letters import read
from monitor.postgres.joins import FenceLost
from monitor.postgres.migration import upgrade
from monitor.postgres.tables import TIME_ORDERED
from monitor.rolling.segments import SegmentKey, classes_of, parse_key, signal_names
from monitor.workers.apply import ATTEMPTS
from tests.postgres.sessions import another
from tests.rolling.events import claims
from tests.workers.feeding import LABELS, NOW, NOW_US, PREDICTIONS, Feeder, total

DAY_US = 86_400_000_000
UNIT = 1_000_000_000


@pytest.fixture
def connection(other_database: Callable[[], Connection]) -> Connection:
    return other_database()


class Story(NamedTuple):
    """Events, in an order in which they might have been sent."""

    predictions: list[Prediction]
    labels: list[Label]


def story(seed: int, n: int = 120) -> Story:
    """Predictions of every kind, some twice; labels of every kind, corrected, retracted, repeated, some for nothing."""
    rng = random.Random(seed)
    predictions: list[Prediction] = []
    labels: list[Label] = []
    for _ in range(n):
        name = str(uuid.UUID(int=rng.getrandbits(128))) if rng.random() < 0.7 else f"text-{rng.random()}"
        prediction = Prediction(
            name,
            rng.choice(["a", "b"]),
            NOW_US - rng.randrange(3 * DAY_US),
            rng.choice([0.0, 0.1, 0.5, 0.9, 1.0, rng.random()]),
            signals={"s": rng.random(), "t": 0.5} if rng.random() < 0.3 else {},
            predicted=rng.choice([None, "yes", "no"]),
            probabilities=rng.choice([None, {"yes": 0.25, "no": 0.75}]),
            interval=rng.choice([None, Interval(0.0, 1.0, 0.9)]),
            segments={"lang": rng.choice(["de", "en"]), "tokens": 12.0} if rng.random() < 0.8 else {},
        )
        if rng.random() < 0.95:
            predictions += [prediction] * rng.choice([1, 1, 1, 2])
        for _ in range(rng.choice([0, 1, 1, 2, 3])):
            kind = rng.choice(list(LabelKind))
            number = rng.choice([0.0, 1.0, 0.5]) if kind in {LabelKind.CORRECT, LabelKind.VALUE} else 0.0
            text = rng.choice(["yes", "no", ""]) if kind is LabelKind.LABEL else ""
            at = prediction.predicted_at + rng.randrange(DAY_US)
            label = Label(name, at, kind, number, text, rng.randrange(3), propensity=rng.choice([None, 0.25]))
            labels += [label] * rng.choice([1, 1, 2])
    return Story(predictions, labels)


def expected(told: Story) -> dict[str, int]:
    """Predictions, labelled ones and the sum of outcomes of the main signal, by a plain pass over the events."""
    first: dict[str, Prediction] = {}
    last: dict[str, Label] = {}
    for prediction in told.predictions:
        first.setdefault(prediction.prediction_id, prediction)
    for label in told.labels:
        known = last.get(label.prediction_id)
        if known is None or label_order(label) > label_order(known):
            last[label.prediction_id] = label
    fed = {name: claims(each, last.get(name)) for name, each in first.items()}
    outcomes = [each[0][2] for each in fed.values()]
    known_outcomes = [each for each in outcomes if each is not None]
    return {
        "n_pred": len(first),
        "n": len(known_outcomes),
        "sum_y": round(sum(known_outcomes) * UNIT),
        "signals": sum(len(each) for each in fed.values()),
    }


def found(connection: Connection) -> dict[str, int]:
    delta = total(connection)
    main = delta.signal == 0
    return {
        "n_pred": int(delta.sums[0, main].sum()),
        "n": int(delta.sums[1, main].sum()),
        "sum_y": int(delta.sums[4, main].sum()),
        "signals": int(delta.sums[0].sum()),
    }


@pytest.mark.parametrize("seed", range(4))
def test_any_order_repetition_and_batching_gives_the_same_integers(
    other_database: Callable[[], Connection], seed: int
) -> None:
    told = story(seed)
    rng = random.Random(seed)
    totals = []
    for shuffled in (False, True):
        connection = other_database()
        feeder = Feeder(connection)
        labels = list(told.labels)
        if shuffled:
            rng.shuffle(labels)
            labels += rng.sample(labels, len(labels) // 4)
        predictions = list(told.predictions)
        while predictions or labels:
            a, b = rng.randrange(40), rng.randrange(40)
            feeder.feed(predictions[:a], labels[:b])
            predictions, labels = predictions[a:], labels[b:]
        assert found(connection) == expected(told)
        totals.append(cells(connection))
    assert totals[0] == totals[1]


def test_a_process_that_has_stored_none_of_the_keys_knows_their_derived_signals(connection: Connection) -> None:
    interval = Interval(0.0, 1.0, 0.9)
    with_interval = Prediction("a", "m", NOW_US, 0.4, interval=interval)
    stands_in = Prediction("b", "m", NOW_US, 0.9, interval=interval, level_is_confidence=True)
    plain, classes = Prediction("c", "m", NOW_US, 0.4), Prediction("d", "m", NOW_US, 0.4, probabilities={"no": 0.9})
    feeder = Feeder(connection)
    for each in (with_interval, stands_in, plain, classes):  # one by one, so that each finds those before it remembered
        feeder.feed([each])
    labels = [Label(name, NOW_US, LabelKind.VALUE, 0.5) for name in "ab"]
    Feeder(connection, 1).feed([], [*labels, Label("d", NOW_US, LabelKind.LABEL, text="no")])
    Feeder(connection, 2).feed([], [Label("a", NOW_US, LabelKind.VALUE, 2.0, version=1)])
    delta = total(connection)
    keys = {int(number): parse_key(key) for number, key in connection.execute("SELECT id, key FROM segment_set")}
    fed = {
        (keys[number].level_is_confidence, signal_names(keys[number])[signal]): sums[[0, 1, 4]].tolist()
        for number, signal, sums in zip(delta.segment_set.tolist(), delta.signal.tolist(), delta.sums.T, strict=True)
        if keys[number].derived
    }
    assert fed == {
        (False, "confidence"): [1, 1, UNIT],  # of d; a came to nothing there
        (False, "interval"): [1, 1, 0],
        (False, "top_label"): [1, 1, UNIT],
        (True, "confidence"): [1, 1, UNIT],
        (True, "interval"): [1, 1, UNIT],
    }
    assert len(keys) == 4


def test_a_batch_waits_for_a_lock_as_long_as_it_takes(connection: Connection, caplog: pytest.LogCaptureFixture) -> None:
    feeder = Feeder(connection)
    connection.execute("SET lock_timeout = '20ms'")
    with another(connection) as blocker, ThreadPoolExecutor(1) as pool:
        blocker.execute("BEGIN")
        blocker.execute("LOCK TABLE pair")
        applied = pool.submit(feeder.feed, [Prediction("a", "m", NOW_US, 0.5)])
        deadline = time.monotonic() + 60
        while caplog.text.count("waiting for a lock") <= ATTEMPTS and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not applied.done()
        blocker.execute("COMMIT")
        assert applied.result(60).new_predictions == 1


def cells(connection: Connection) -> dict[tuple[object, ...], tuple[int, ...]]:
    """Every cell and every delay, under the text of its segment set: numbers are given in the order of arrival."""
    names = {int(number): str(key) for number, key in connection.execute("SELECT id, key FROM segment_set")}
    delta = total(connection)
    columns = zip(delta.segment_set, delta.signal, delta.source, delta.pane_hour, delta.cell, delta.sums.T, strict=True)
    sums = {(names[int(s)], *map(int, rest)): tuple(map(int, values)) for s, *rest, values in columns}
    delays = zip(
        delta.delay_segment_set, delta.delay_signal, delta.delay_source, delta.delay_pane_hour, delta.delay_bucket,
        delta.delay_sums.T, strict=True,
    )  # fmt: skip
    return sums | {("delay", names[int(s)], *map(int, rest)): tuple(map(int, values)) for s, *rest, values in delays}


def prediction(name: str, confidence: float = 0.9, at: int = NOW_US) -> Prediction:
    return Prediction(name, "m", at, confidence)


def label(name: str, correct: float, version: int = 0, source: str | None = None) -> Label:
    return Label(name, NOW_US, LabelKind.CORRECT, correct, "", version, source)


def test_every_event_is_counted_once(connection: Connection) -> None:
    feeder = Feeder(connection)
    feeder.feed([prediction("a"), prediction("b"), prediction("a"), prediction("a", 0.1)], [label("c", 1)])
    feeder.feed([prediction("b", 0.2)], [label("a", 1), label("a", 1), label("a", 0, 1)])
    feeder.feed([prediction("c")], [label("a", 0, 1), label("a", 0)])
    feeder.feed([], [Label("a", NOW_US, LabelKind.RETRACTION, version=2), label("b", 1)])
    assert dict(total(connection).counts) == {
        "prediction": 3,
        "duplicate_prediction": 1,
        "prediction_conflict": 2,
        "label": 4,
        "label_first": 1,
        "joined": 3,
        "correction": 1,
        "retraction": 1,
        "duplicate_label": 1,
        "stale_label": 3,
    }


def test_a_label_of_another_group_moves_its_prediction_there(connection: Connection) -> None:
    feeder = Feeder(connection)
    feeder.feed([prediction("a")], [label("a", 1, source="human")])
    feeder.feed([], [label("a", 0, 1, source="complaint")])
    delta = total(connection)
    labelled = {(int(source), int(n)) for source, n in zip(delta.source, delta.sums[1], strict=True)}
    complaint = connection.execute("SELECT id FROM label_source WHERE name = 'complaint'").fetchone()
    assert complaint is not None
    assert labelled == {(0, 0), (complaint[0], 1)}


def test_an_event_under_the_floor_is_a_dead_letter_and_the_rest_is_stored(connection: Connection) -> None:
    feeder = Feeder(connection)
    connection.execute("UPDATE retention_floor SET floor_at = %s", (NOW - timedelta(days=1),))
    old = prediction("old", at=NOW_US - 2 * DAY_US)
    late = Label("x", NOW_US - 2 * DAY_US, LabelKind.CORRECT, 1.0)
    applied = feeder.feed([prediction("a"), old, prediction("b")], [late, label("a", 1)])
    assert (applied.new_predictions, applied.applied_labels, applied.dead_letters) == (2, 1, 2)
    letters = [each.letter for each in read(connection)]
    assert [(each.topic, each.kafka_offset, each.reason) for each in letters] == [
        (PREDICTIONS, 1, "expired"),
        (LABELS, 0, "expired"),
    ]


def test_a_floor_that_is_raised_under_a_staged_batch_is_obeyed(connection: Connection) -> None:
    feeder = Feeder(connection)
    feeder.feed([prediction("a")])
    batch = feeder.batch([prediction("old", at=NOW_US - 2 * DAY_US)])
    staged = feeder.applier.stage(batch, NOW)
    assert staged is not None
    connection.execute("UPDATE retention_floor SET floor_at = %s", (NOW - timedelta(days=1),))
    assert feeder.applier.apply(batch, NOW, staged).dead_letters == 1
    assert connection.execute("SELECT count(*) FROM pair").fetchone() == (1,)


def test_an_id_outside_every_partition_is_a_dead_letter(postgres: str, empty_database: str) -> None:
    upgrade(empty_database, TIME_ORDERED)
    with connect(empty_database, "test") as connection:
        feeder = Feeder(connection)
        now = int(connection.execute("SELECT extract(epoch FROM now()) * 1000").fetchone()[0])  # type: ignore[index]
        inside = str(uuid.UUID(int=now << 80 | 7 << 76 | 2 << 62 | 5))
        ahead = str(uuid.UUID(int=now + 400 * 86_400_000 << 80 | 7 << 76 | 2 << 62 | 5))
        applied = feeder.feed([prediction(inside), prediction("no uuid"), prediction(ahead)], [label(ahead, 1)])
        assert (applied.new_predictions, applied.applied_labels, applied.dead_letters) == (1, 0, 3)
        reasons = {each.letter.reason for each in read(connection)}
        assert "id_out_of_range" in reasons
        assert reasons <= {"id_out_of_range", "expired"}


def test_a_batch_that_was_applied_before_is_refused(connection: Connection) -> None:
    feeder = Feeder(connection)
    batch = feeder.batch([prediction("a")])
    feeder.applier.apply(batch, NOW)
    with pytest.raises(FenceLost):
        feeder.applier.apply(batch, NOW)
    assert found(connection)["n_pred"] == 1


def test_past_the_series_bound_events_count_under_other(connection: Connection) -> None:
    feeder = Feeder(connection, bound=2)
    feeder.feed([Prediction(str(n), "m", NOW_US, 0.5, segments={"lang": f"l{n}"}) for n in range(5)])
    assert found(connection)["n_pred"] == 5
    assert connection.execute("SELECT count(*) FROM segment_set").fetchone() == (2,)
    assert read_counts(connection)["folded_value", ""] == 4


def classified(name: str, *classes: str, share: float = 0.1) -> Prediction:
    return Prediction(name, "m", NOW_US, 0.5, probabilities=dict.fromkeys(classes, share))


def test_segment_sets_grow_with_the_classes_and_not_with_their_combinations(connection: Connection) -> None:
    rng = random.Random(5)
    names = [str(uuid.UUID(int=rng.getrandbits(128))) for _ in range(300)]
    every = [classified(name, *rng.sample("abcdefghij", 3)) for name in names]
    for place in range(0, 300, 30):
        if place % 90 == 0:
            connection.execute("DELETE FROM kafka_offset")
            feeder = Feeder(connection, max_classes=4)
        feeder.feed(every[place : place + 30], [label(each.prediction_id, 1) for each in every[place : place + 30]])
    keys = [parse_key(text) for (text,) in connection.execute("SELECT key FROM segment_set ORDER BY id").fetchall()]
    assert len(keys) <= 5
    own = own_classes(keys)
    assert (len(own), keys[-1].derived) == (4, ("class:__other__", *sorted(own), "top_label"))
    counted: Counter[str] = Counter()
    for each in every:
        counted.update(
            name if (name := f"class:{one}") in own else "class:__other__" for one in each.probabilities or ()
        )
    assert by_signal(connection) == {**counted, "confidence": 300, "top_label": 300}


def own_classes(keys: list[SegmentKey]) -> set[str]:
    return {name for key in keys for name in classes_of(key)} - {"class:__other__"}


def by_signal(connection: Connection) -> dict[str, int]:
    """Predictions by signal in the deltas that wait."""
    delta, found = total(connection), Counter[str]()
    keys = {number: parse_key(text) for number, text in connection.execute("SELECT id, key FROM segment_set")}
    for place, number in enumerate(delta.segment_set.tolist()):
        found[signal_names(keys[number])[delta.signal[place]]] += int(delta.sums[0, place])
    return dict(found)


def test_a_batch_of_known_classes_in_a_new_combination_asks_the_database_nothing(connection: Connection) -> None:
    feeder = Feeder(connection, max_classes=9)
    feeder.feed([classified("1", "a", "b"), classified("2", "c")])
    assert feeder.applier.stage(feeder.batch([classified("3", "b", "c"), classified("4", "a", "c")]), NOW) is not None
    assert feeder.applier.stage(feeder.batch([classified("5", "a", "d")]), NOW) is None


def test_a_prediction_that_comes_again_is_a_duplicate_though_its_set_has_more_classes_by_now(
    connection: Connection,
) -> None:
    feeder = Feeder(connection, max_classes=9)
    first = classified("1", "a", "b")
    feeder.feed([first, classified("2", "a")])
    feeder.feed([classified("3", "c")])
    feeder.feed([first, classified("2", "a", share=0.2), classified("3", "c", "b")])
    counts = total(connection).counts
    assert (counts["duplicate_prediction"], counts["prediction_conflict"]) == (1, 2)


def test_batches_that_lock_each_others_rows_are_tried_again(connection: Connection) -> None:
    """Two processes, each with the predictions of the other's labels: they must meet in a deadlock, and get over it."""
    rng = random.Random(3)
    names = [str(uuid.UUID(int=rng.getrandbits(128))) for _ in range(400)]
    half = len(names) // 2
    second = another(connection)
    feeders = [Feeder(connection, 0), Feeder(second, 1)]
    for each in feeders:
        each.connection.execute("SET deadlock_timeout = '50ms'")

    def run(number: int) -> None:
        mine, yours = (names[:half], names[half:]) if number == 0 else (names[half:], names[:half])
        for start in range(0, half, 20):
            predictions = [prediction(name) for name in mine[start : start + 20]]
            feeders[number].feed(predictions, [label(name, 1) for name in yours[start : start + 20]])

    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(run, number) for number in range(2)]:
            future.result()
    assert found(connection) == {"n_pred": 400, "n": 400, "sum_y": 400 * UNIT, "signals": 400}
    second.close()

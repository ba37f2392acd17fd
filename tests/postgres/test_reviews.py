"""Review in the store: what is found is what the pairs say, drawn once for ever, and answered once."""

import random
import threading
from datetime import timedelta

import pytest
from msgspec import structs

from monitor.errors import BadInput
from monitor.events.decoding import decode_labels, label_decoder
from monitor.events.messages import LabelKind
from monitor.events.rules import EventRules
from monitor.postgres import reviews, spot_checks
from monitor.postgres.database import Connection, connect
from monitor.postgres.labelled import (
    ANSWER,
    Selection,
    confident_errors,
    random_answers,
)
from monitor.postgres.matrices import counts_by_value, dimensions
from monitor.postgres.recount import recount
from monitor.postgres.reviews import Answer, Item
from monitor.review.candidates import chance_of, distinct
from monitor.review.corrections import message_of
from monitor.review.matrix import BANDS
from tests.postgres import traffic
from tests.postgres.traffic import NOW, apply_labels, evaluate, ingest, make_room

SINCE = NOW - timedelta(days=30)
UNTIL = NOW + timedelta(days=1)
ALL = Selection("a", SINCE, UNTIL, {})
IN_GERMAN = Selection("a", SINCE, UNTIL, {"lang": "de"})


@pytest.fixture
def filled(either_layout: Connection) -> Connection:
    """A store in which everything has happened that can happen to a pair, in both layouts."""
    make_room(either_layout)
    ingest(either_layout, random.Random(5), 600)
    return either_layout


def outcome(row: dict[str, object]) -> float | None:
    """Whether the answer of a row is right, by the words of docs/events.md."""
    match row["label_kind"]:
        case LabelKind.CORRECT:
            return float(str(row["label_number"]))
        case LabelKind.LABEL:
            table = row["probabilities"]
            answer = row["predicted"]
            if answer is None and isinstance(table, dict):
                answer = min(table, key=lambda name: (-table[name], name))
            return None if answer is None else float(answer == row["label_text"])
        case LabelKind.VALUE:
            interval, number = row["interval"], float(str(row["label_number"]))
            return float(interval[0] <= number <= interval[1]) if isinstance(interval, list) else None
        case _:
            return None


def labelled(connection: Connection, selection: Selection) -> dict[object, tuple[float, float]]:
    """Confidence and outcome of every labelled prediction, by reading all pairs."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.*, s.model, s.segments, l.name AS source FROM pair AS p"
            " JOIN segment_set AS s ON s.id = p.segment_set LEFT JOIN label_source AS l ON l.id = p.label_source"
        )
        names = [column.name for column in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    found = {}
    for row in rows:
        right = outcome(row)
        inside = selection.since <= row["predicted_at"] < selection.until
        segment = all(row["segments"].get(name) == value for name, value in selection.segment.items())
        if (
            row["model"] == selection.model
            and inside
            and segment
            and row["source"] != "complaint"
            and right is not None
        ):
            of_interval = row["label_kind"] == LabelKind.VALUE
            found[row["id"]] = (row["interval"][2] if of_interval else row["confidence"], right)
    return found


@pytest.mark.parametrize("selection", [ALL, IN_GERMAN, Selection("a", NOW - timedelta(days=2), UNTIL, {})])
def test_confident_errors_are_the_wrong_answers_of_all_pairs_the_surest_first(
    filled: Connection, selection: Selection
) -> None:
    every = labelled(filled, selection)
    wrong = {number: confidence for number, (confidence, right) in every.items() if right < 0.5}
    found = confident_errors(filled, selection, 10_000)
    assert len(wrong) > 10
    assert {each.prediction: each.confidence for each in found} == wrong
    assert [each.confidence for each in found] == sorted(wrong.values(), reverse=True)
    assert [each.prediction for each in confident_errors(filled, selection, 5)] == [e.prediction for e in found[:5]]


def test_random_answers_are_a_sample_of_all_right_and_wrong(filled: Connection) -> None:
    every = labelled(filled, ALL)
    found = random_answers(filled, ALL, 10_000)
    assert {each.prediction: (each.confidence, each.outcome) for each in found} == every
    few = random_answers(filled, ALL, 40)
    assert few == found[:40]
    assert {each.outcome >= 0.5 for each in few} == {True, False}


def test_a_calibrated_confidence_goes_before_the_stated_one_and_a_signal_that_is_named_before_both(
    filled: Connection,
) -> None:
    plain = {each.prediction: each for each in confident_errors(filled, ALL, 10_000)}
    named = confident_errors(filled, Selection("a", SINCE, UNTIL, {}, "logprob"), 10_000)
    assert 0 < len(named) < len(plain)
    filled.execute("UPDATE segment_set SET signals = '{calibrated}' WHERE signals = '{logprob}'")
    again = {each.prediction: each for each in confident_errors(filled, ALL, 10_000)}
    moved = {each.prediction: each.confidence for each in again.values() if each.signal == "calibrated"}
    assert {each.signal for each in plain.values()} == {"confidence", "interval"}
    assert moved == {each.prediction: each.confidence for each in named}
    assert {each.signal for each in again.values()} == {"calibrated", "confidence", "interval"}


def test_the_matrix_counts_every_labelled_answer_once(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    made = traffic.some_prediction
    plain = {"interval": None, "level_is_confidence": False}
    monkeypatch.setattr(traffic, "some_prediction", lambda *given: structs.replace(made(*given), **plain))
    ingest(connection, random.Random(6), 600)
    filled, every = connection, labelled(connection, ALL)
    value: dict[object, str] = dict(
        filled.execute("SELECT p.id, segments ->> 'lang' FROM pair p JOIN segment_set s ON s.id = segment_set")
    )
    evaluate(filled)
    counts = counts_by_value(filled, "a", "confidence", "all", "lang")
    assert dimensions(filled, "a", "confidence") == ["lang"]
    for lang in ("de", "en"):
        mine = [pair for number, pair in every.items() if value[number] == lang]
        for band, low in enumerate(BANDS):
            high = BANDS[band + 1] if band + 1 < len(BANDS) else 2
            inside = [(confidence, right) for confidence, right in mine if low <= confidence < high]
            found = [each for each in counts if (each.value, each.band) == (lang, band)]
            assert sum(each.n for each in found) == len(inside)
            assert sum(each.right for each in found) == pytest.approx(sum(right for _, right in inside))
            assert sum(each.confidence for each in found) == pytest.approx(sum(c for c, _ in inside))


def find(connection: Connection, limit: int = 30) -> int:
    return reviews.add_errors(connection, ALL, limit=limit, control_share=0.2, now=NOW, by="Ada")


def test_the_queue_holds_the_surest_errors_of_each_sort_and_its_share_of_random_ones(filled: Connection) -> None:
    added = find(filled)
    queue = reviews.waiting(filled, "a", "errors", limit=1000)
    assert len(queue) == added
    errors = [each.prediction for each in distinct(confident_errors(filled, ALL, 10_000))[:30]]
    ranked = [each.prediction for each in queue if each.prediction in set(errors)]
    assert ranked == errors
    controls = {each.prediction for each in queue if each.is_control}
    assert controls == {each.prediction for each in random_answers(filled, ALL, 8)}
    assert reviews.n_waiting(filled) == {("a", "errors"): added}
    german = reviews.waiting(filled, "a", "errors", segment={"lang": "de"}, limit=1000)
    assert {each.id for each in german} == {each.id for each in queue if each.segments["lang"] == "de"}
    assert reviews.waiting(filled, "b", "errors") == []


def test_looking_again_adds_only_what_is_new(filled: Connection) -> None:
    find(filled)
    before = reviews.waiting(filled, "a", "errors", limit=1000)
    assert find(filled) == 0
    assert reviews.waiting(filled, "a", "errors", limit=1000) == before
    assert find(filled, limit=40) > 0


def test_an_error_that_was_put_right_meanwhile_waits_no_longer(filled: Connection) -> None:
    find(filled)
    first = next(each for each in reviews.waiting(filled, "a", "errors") if not each.is_control)
    filled.execute("UPDATE pair SET label_kind = 1, label_number = 1 WHERE id = %s", (first.prediction,))
    assert first.id not in {each.id for each in reviews.waiting(filled, "a", "errors", limit=1000)}
    filled.execute("DELETE FROM pair")
    assert reviews.waiting(filled, "a", "errors") == []
    assert reviews.forget_gone(filled, UNTIL) > 0
    assert reviews.item(filled, first.id) is None


def correctable(connection: Connection) -> Item:
    find(connection)
    items = reviews.waiting(connection, "a", "errors", limit=1000)
    return next(each for each in items if each.label_kind == LabelKind.CORRECT and (each.outcome or 0) < 0.5)


def test_an_answer_with_a_label_waits_until_the_label_is_known_to_be_sent(filled: Connection) -> None:
    one = correctable(filled)
    given = reviews.begin_answer(filled, one.id, Answer("label_wrong", "Ada", note="seen twice"), NOW)
    assert given.label is not None
    assert (given.label["correct"], given.label["version"]) == (True, (one.label_version or 0) + 1)
    assert reviews.waiting(filled, "a", "errors")[0].id == one.id
    again = reviews.begin_answer(filled, one.id, Answer("label_wrong", "Grace"), NOW + timedelta(hours=1))
    assert again == given
    reviews.settle(filled, one.id, NOW)
    assert one.id not in {each.id for each in reviews.waiting(filled, "a", "errors", limit=1000)}
    assert reviews.begin_answer(filled, one.id, Answer("label_wrong", "Grace"), NOW).by == "Ada"
    with pytest.raises(BadInput, match="answered by Ada already: label_wrong"):
        reviews.begin_answer(filled, one.id, Answer("ambiguous", "Grace"), NOW)
    audit = filled.execute("SELECT \"by\", detail ->> 'reason' FROM audit WHERE did = 'review answer'").fetchall()
    assert audit == [("Ada", "label_wrong")]


def test_a_correction_reaches_the_pair_and_its_series_with_source_and_weight(filled: Connection) -> None:
    evaluate(filled)
    one = correctable(filled)
    given = reviews.begin_answer(filled, one.id, Answer("label_wrong", "Ada"), NOW)
    assert given.label is not None
    rules = EventRules()
    _, body = message_of(given.label, given.model, rules)
    apply_labels(filled, decode_labels([body, body], label_decoder(rules), NOW)[0])
    now = reviews.item(filled, one.id)
    assert now is not None
    assert (now.outcome, now.label_version) == (1.0, (one.label_version or 0) + 1)
    assert (now.label_source, now.label_propensity) == (one.label_source, one.label_propensity)
    counted = filled.execute("SELECT count(*) FROM statistics_delta").fetchone()
    assert counted == (1,)
    assert recount(filled, "confidence").n_differences == 0


def test_an_answer_that_was_not_sent_may_be_changed_and_the_later_label_wins(filled: Connection) -> None:
    one = correctable(filled)
    first = reviews.begin_answer(filled, one.id, Answer("label_wrong", "Ada"), NOW)
    other = reviews.begin_answer(filled, one.id, Answer("ambiguous", "Ada"), NOW)
    assert (other.label, other.settled_at) == (None, NOW)
    assert first.label is not None


def test_another_right_answer_is_another_answer(filled: Connection) -> None:
    find(filled)
    items = reviews.waiting(filled, "a", "errors", limit=1000)
    one = next(each for each in items if each.label_kind == LabelKind.LABEL and (each.outcome or 0) < 0.5)
    reviews.begin_answer(filled, one.id, Answer("label_wrong", "Ada", "a slip"), NOW)
    kept = reviews.begin_answer(filled, one.id, Answer("label_wrong", "Ada", "the truth"), NOW)
    assert kept.label is not None
    assert kept.label["label"] == "the truth"
    reviews.settle(filled, one.id, NOW)
    assert reviews.begin_answer(filled, one.id, Answer("label_wrong", "Grace", "the truth"), NOW).by == "Ada"
    with pytest.raises(BadInput, match="answered by Ada already: label_wrong"):
        reviews.begin_answer(filled, one.id, Answer("label_wrong", "Grace", "a third"), NOW)


def test_the_same_true_number_written_otherwise_is_the_same_answer(filled: Connection) -> None:
    find(filled)
    items = reviews.waiting(filled, "a", "errors", limit=1000)
    one = next(each for each in items if each.label_kind == LabelKind.VALUE)
    given = reviews.begin_answer(filled, one.id, Answer("label_wrong", "Ada", "12.5"), NOW)
    assert reviews.begin_answer(filled, one.id, Answer("label_wrong", "Ada", "12.50"), NOW + timedelta(1)) == given
    other = reviews.begin_answer(filled, one.id, Answer("label_wrong", "Ada", "13"), NOW)
    assert other.label is not None
    assert other.label["value"] == 13.0


def test_of_two_who_answer_at_once_one_is_told_that_the_other_was_first(filled: Connection) -> None:
    one = correctable(filled)
    said: list[str] = []

    def give(reason: str, by: str) -> None:
        with connect(filled.info.dsn + f" password={filled.info.password}", "test") as own:
            both.wait(20)
            try:
                said.append(str(reviews.begin_answer(own, one.id, Answer(reason, by), NOW).by))
            except BadInput as refusal:
                said.append(str(refusal))

    both = threading.Barrier(2)
    threads = [threading.Thread(target=give, args=each) for each in (("ambiguous", "Ada"), ("out_of_scope", "Grace"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    first, second = sorted(said, key=len)
    assert first in {"Ada", "Grace"}
    assert f"answered by {first} already" in second
    assert filled.execute('SELECT "by" FROM review_answer').fetchall() == [(first,)]


def test_an_answer_without_a_label_is_settled_at_once_and_counted(filled: Connection) -> None:
    one = correctable(filled)
    reviews.begin_answer(filled, one.id, Answer("model_wrong", "Ada"), NOW)
    assert one.id not in {each.id for each in reviews.waiting(filled, "a", "errors", limit=1000)}
    (tally,) = reviews.tallies(filled)
    assert (tally.model, tally.queue, tally.reason, tally.n) == ("a", "errors", "model_wrong", 1)


@pytest.mark.parametrize(("number", "reason", "words"), [(0, "model_wrong", "no item 0"), (None, "bad", "one of")])
def test_an_answer_to_nothing_or_of_nothing_is_refused(
    filled: Connection, number: int | None, reason: str, words: str
) -> None:
    one = correctable(filled)
    with pytest.raises(BadInput, match=words):
        reviews.begin_answer(filled, one.id if number is None else number, Answer(reason, "Ada"), NOW)


def spot(connection: Connection, share: float = 0.3, now: int = 0) -> spot_checks.Draw:
    """A draw from what came since the last one, the first of which ended before everything."""
    at = NOW + timedelta(hours=now)
    connection.execute(
        "INSERT INTO spot_draw (model, since_at, until_at, share, strata, gain, made_at, made_by)"
        " VALUES ('a', %(at)s - interval '1 day', %(at)s, 0.1, '[]', 1, %(at)s, 'Ada') ON CONFLICT DO NOTHING",
        {"at": NOW - timedelta(days=20)},
    )
    return spot_checks.draw(connection, "a", share, main_signal="confidence", now=at, by="Ada")


def test_a_draw_takes_each_prediction_of_its_period_with_the_propensity_that_is_kept(filled: Connection) -> None:
    drawn = spot(filled)
    rows = filled.execute(
        "SELECT p.id, p.confidence FROM pair AS p JOIN segment_set AS s ON s.id = p.segment_set"
        " WHERE s.model = 'a' AND predicted_at >= %s AND predicted_at < %s",
        (drawn.since_at, drawn.until_at),
    ).fetchall()
    propensities = {
        number: next(each["propensity"] for each in drawn.strata if confidence < each["high"] or each["high"] == 1)
        for number, confidence in rows
    }
    expected = {number: p for number, p in propensities.items() if chance_of(number, spot_checks.PURPOSE) < p}
    kept = filled.execute("SELECT prediction, propensity FROM review_item WHERE queue = 'spot_check'").fetchall()
    assert len(rows) > 20
    assert dict(kept) == expected
    assert (drawn.n, drawn.drawn) == (len(rows), len(expected))


def drawn_by(connection: Connection, draw: spot_checks.Draw) -> dict[object, float]:
    """Items of a draw that nobody labelled, with their propensities."""
    rows = connection.execute(
        "SELECT i.id, i.propensity FROM review_item AS i JOIN pair AS p ON p.id = i.prediction"
        " WHERE draw = %s AND coalesce(p.label_kind, 0) = 0",
        (draw.id,),
    )
    return dict(rows.fetchall())


def test_another_share_later_changes_nothing_that_was_drawn(filled: Connection) -> None:
    first = spot(filled, 0.5)
    before = drawn_by(filled, first)
    assert before
    with pytest.raises(BadInput, match="the next hour is not over"):
        spot(filled, 0.9)
    second = spot(filled, 0.05, now=24)
    assert second.since_at == first.until_at
    assert drawn_by(filled, first) == before


def test_what_somebody_else_labelled_leaves_the_queue_for_good_with_the_next_draw(filled: Connection) -> None:
    spot(filled, 1.0)
    (answered, *others) = reviews.waiting(filled, "a", "spot_check", limit=1000)
    reviews.begin_answer(filled, answered.id, Answer("cannot_tell", "Ada"), NOW)
    spot(filled, 0.5, now=24)
    left = filled.execute("SELECT id FROM review_item WHERE queue = 'spot_check' ORDER BY id").fetchall()
    assert [number for (number,) in left] == sorted(each.id for each in [answered, *others])


def test_only_what_nobody_labelled_is_to_be_checked_and_the_answer_carries_the_propensity(filled: Connection) -> None:
    spot(filled, 1.0)
    queue = reviews.waiting(filled, "a", "spot_check", limit=1000)
    kinds = filled.execute(
        "SELECT id FROM pair WHERE coalesce(label_kind, 0) = 0 AND id IN (SELECT prediction FROM review_item)"
    ).fetchall()
    assert {each.prediction for each in queue} == {number for (number,) in kinds}
    given = reviews.begin_answer(filled, queue[0].id, Answer("right", "Ada"), NOW)
    assert given.label is not None
    assert (given.label["source"], given.label["propensity"], given.label["correct"]) == ("spot_check", 1.0, True)


def test_a_model_that_is_gone_cannot_be_drawn_from(connection: Connection) -> None:
    with pytest.raises(BadInput, match="no model 'a'"):
        spot(connection)


def test_the_answer_of_the_model_is_its_most_probable_class_where_it_named_none(filled: Connection) -> None:
    rows = filled.execute(
        f"SELECT predicted, probabilities, {ANSWER} FROM pair AS p WHERE probabilities IS NOT NULL".encode()
    ).fetchall()
    for predicted, table, answer in rows:
        assert answer == (predicted or min(table, key=lambda name: (-table[name], name)))

"""Deltas: whatever the order, the batches and the repetitions, their sum is what one pass over the log would give."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.calibration.cells import UNIT
from monitor.errors import BadInput
from monitor.events.messages import Label, LabelKind, Prediction
from monitor.rolling.deltas import EVERY_SIGNAL, Delta, decode, delta_of, encode, merge, nothing, without_panes
from tests.rolling.events import (
    GROUPS,
    Pairs,
    as_dicts,
    consistent,
    expected_sums,
    worlds,
)

SETS = {"a": 1, "b": 2, "c": 2, "d": 7}

OLD_BODY = (
    "6364017801636660606082e2ea5a66200b0d30323000110c809442800e4c944987910745df7f2800ea636262986df408c46760016bf32b0a6e1"
    "0dfa2d3e02bf911493450cf5e217e811054df7f46dc1a61b69343a338126a00c23f7016230333cc21201f0000949c31ab"
)


@st.composite
def logs(draw: st.DrawFn) -> tuple[list[Prediction], list[Label], list[list[Prediction | Label]]]:
    """Predictions and labels, and the same in any order, some of them twice, cut into batches."""
    predictions, labels = draw(worlds())
    # Signals belong to the segment set: predictions of one set have the same.
    predictions = [replace_signals(each, SETS[each.prediction_id]) for each in predictions]
    labels = consistent(labels)
    events: list[Prediction | Label] = [*predictions, *labels]
    again = draw(st.lists(st.sampled_from(events), max_size=6)) if events else []
    order = draw(st.permutations([*events, *again]))
    cuts = sorted(draw(st.lists(st.integers(0, len(order)), max_size=4)))
    edges = [0, *cuts, len(order)]
    return predictions, labels, [list(order[low:high]) for low, high in pairwise(edges)]


def replace_signals(prediction: Prediction, segment_set: int) -> Prediction:
    given = prediction.signals.get("x", 0.25)
    return Prediction(
        prediction.prediction_id, prediction.model, prediction.predicted_at, prediction.confidence,
        signals={"x": given} if segment_set == 2 else {}, predicted=prediction.predicted,
        probabilities=prediction.probabilities, interval=prediction.interval,
    )  # fmt: skip


def applied(batches: Sequence[Sequence[Prediction | Label]]) -> list[Delta]:
    """What each batch adds, its predictions before its labels."""
    pairs, deltas = Pairs(SETS), []
    for batch in batches:
        rows = pairs.take_predictions([each for each in batch if isinstance(each, Prediction)])
        deltas += [delta_of(rows, GROUPS)] if rows else []
        rows = pairs.take_labels([each for each in batch if isinstance(each, Label)])
        deltas += [delta_of(rows, GROUPS)] if rows else []
    return deltas


@given(logs())
def test_any_order_repetition_and_batching_gives_the_sums_of_one_pass(
    log: tuple[list[Prediction], list[Label], list[list[Prediction | Label]]],
) -> None:
    predictions, labels, batches = log
    deltas = applied(batches)
    sums, delays = expected_sums(predictions, labels, SETS)
    total = merge(*deltas)
    assert as_dicts(total) == (sums, delays)
    assert merge(*reversed(deltas)) == total
    assert merge(*(decode(encode(delta)) for delta in deltas)) == total


@given(logs())
def test_a_delta_is_its_body_decoded(
    log: tuple[list[Prediction], list[Label], list[list[Prediction | Label]]],
) -> None:
    for delta in applied(log[2]):
        counted = replace(delta, counts={"correction": 3, "straße": -1})
        assert decode(encode(counted)) == counted
        assert encode(decode(encode(delta))) == encode(delta)


@given(logs())
def test_merging_is_associative_and_has_a_neutral_element(
    log: tuple[list[Prediction], list[Label], list[list[Prediction | Label]]],
) -> None:
    deltas = applied(log[2])
    half = len(deltas) // 2
    assert merge(merge(*deltas[:half]), merge(*deltas[half:]), nothing()) == merge(*deltas)
    assert merge() == nothing()


@given(logs())
def test_without_panes_the_same_is_counted_under_one_hour(
    log: tuple[list[Prediction], list[Label], list[list[Prediction | Label]]],
) -> None:
    predictions, labels, batches = log
    sums, delays = expected_sums(predictions, labels, SETS)
    whole = merge(*(without_panes(delta) for delta in applied(batches)))
    assert whole.sums.sum() == sum(sum(row) for row in sums.values())
    assert whole.delay_sums.sum(axis=1).tolist() == [
        sum(column) for column in zip([0, 0, 0], *delays.values(), strict=True)
    ]
    assert set(whole.pane_hour.tolist()) <= {0}


def test_a_correction_by_another_group_moves_the_label_there() -> None:
    at = 7_200_000_000
    prediction = Prediction("a", "m", at, 0.5)
    first = Label("a", at + 5_000_000, LabelKind.CORRECT, 1.0, source="human")
    complaint = Label("a", at + 9_000_000, LabelKind.CORRECT, 0.0, source="complaint")
    *_, moved = applied([[prediction], [first], [complaint]])
    n_by_group = {group: int(moved.sums[1, moved.source == group].sum()) for group in (0, 3)}
    assert n_by_group == {0: -1, 3: 1}
    assert (moved.sums[0] == 0).all()
    by_group = zip(moved.delay_source.tolist(), *moved.delay_sums.tolist(), strict=True)
    assert sorted(by_group) == [(0, -1, -(10**9), 0), (3, 1, 0, 0)]


def test_a_body_of_version_1_is_read_and_says_that_its_delays_were_not_split() -> None:
    # Written by the program before version 2: a new label after 5 s, and one of 1.5 s that was taken back.
    old = decode(bytes.fromhex(OLD_BODY))
    assert as_dicts(old) == (
        {
            (3, 0, 0, 2, 600): [0, -1, -(UNIT // 2), -(UNIT // 4), -UNIT, -(UNIT // 2), *[0] * 6],
            (3, 0, 0, 2, 1080): [0, 1, 900_000_000, 810_000_000, UNIT, 900_000_000, *[0] * 6],
            (3, 1, 0, 2, 300): [0, 1, 250_000_000, 62_500_000, UNIT, 250_000_000, *[0] * 6],
        },
        {(3, EVERY_SIGNAL, 0, 2, 2): [-1, 0, 1], (3, EVERY_SIGNAL, 0, 2, 5): [1, 0, 1]},
    )
    assert encode(old) != bytes.fromhex(OLD_BODY)
    assert decode(encode(old)) == old


def test_a_retraction_takes_back_all_that_its_label_added() -> None:
    at = 7_200_000_000
    prediction = Prediction("a", "m", at, 0.7, signals={})
    label = Label("a", at + 1, LabelKind.CORRECT, 1.0, propensity=0.25)
    retraction = Label("a", at + 2, LabelKind.RETRACTION)
    known = applied([[prediction]])
    assert merge(*applied([[prediction], [label], [retraction]])) == merge(*known)
    assert merge(*applied([[retraction], [label], [prediction]])) == merge(*known)


def test_labels_that_cannot_be_compared_are_counted_as_long_as_they_stand() -> None:
    at = 7_200_000_000
    prediction = Prediction("a", "m", at, 0.7)
    value = Label("a", at + 1, LabelKind.VALUE, 3.0)
    better = Label("a", at + 2, LabelKind.CORRECT, 1.0)
    assert [delta.counts for delta in applied([[prediction], [value], [better]])] == [
        {}, {"label_incomparable": 1}, {"label_incomparable": -1},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "fragment"),
    [
        (b"", "must start with the bytes cd"),
        (b"xx\x01", "must start with the bytes cd"),
        (b"cd\x03abc", "must be of version 1 to 2, got 3"),
        (b"cd\x00abc", "must be of version 1 to 2, got 0"),
        (b"cd\x02abc", "is damaged"),
        (b"cd\x01abc", "is damaged"),
    ],
)
def test_a_body_that_is_none_is_refused(body: bytes, fragment: str) -> None:
    with pytest.raises(BadInput, match=fragment):
        decode(body)


@given(logs(), st.data())
def test_a_damaged_body_is_refused_or_still_says_the_same(
    log: tuple[list[Prediction], list[Label], list[list[Prediction | Label]]], data: st.DataObject
) -> None:
    delta = merge(*applied(log[2]))
    body = bytearray(encode(delta))
    place = data.draw(st.integers(0, len(body) - 1))
    body[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        read = decode(bytes(body))
    except BadInput as failure:
        reason = failure.reason
    else:
        reason = "undecodable" if read == delta else "read as something else"
    assert reason == "undecodable"


def test_keys_that_cannot_be_packed_are_refused_rather_than_mixed_up() -> None:
    wide = [
        replace(nothing(), segment_set=np.array([number], np.int32), signal=np.array([0], np.int16),
                source=np.array([0], np.int16), pane_hour=np.array([hour]), cell=np.array([0], np.int16),
                sums=np.ones((12, 1), np.int64))
        for number, hour in ((-(2**31), -(2**40)), (2**31 - 1, 2**40))
    ]  # fmt: skip
    with pytest.raises(OverflowError, match="do not fit one number"):
        merge(*wide)

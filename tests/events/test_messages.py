"""The order of labels is total, so the greatest of them does not depend on how they come."""

import itertools
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from monitor.events.messages import Label, LabelKind, label_order

few = st.builds(
    Label,
    prediction_id=st.just("a"),
    labelled_at=st.integers(0, 2),
    kind=st.sampled_from(LabelKind),
    number=st.sampled_from([0.0, -0.0, 0.5, 1.0]),
    text=st.sampled_from(["", "a", "b", "ä", "\U0001f600", "\uffff"]),
    version=st.integers(0, 2),
)


@given(st.lists(few, min_size=1, max_size=5))
def test_the_greatest_label_is_the_same_in_every_order(labels: Sequence[Label]) -> None:
    greatest = label_order(max(labels, key=label_order))
    for order in itertools.permutations(labels):
        assert label_order(max(order, key=label_order)) == greatest


@given(few, few)
def test_two_labels_have_one_order_and_equal_keys_say_the_same(one: Label, other: Label) -> None:
    a, b = label_order(one), label_order(other)
    assert (a < b) + (a == b) + (a > b) == 1
    said = [(each.version, each.labelled_at, each.kind, each.number, each.text) for each in (one, other)]
    assert (a == b) == (said[0] == said[1])


def test_version_decides_before_time_and_time_before_what_is_said() -> None:
    first = Label("a", labelled_at=9, kind=LabelKind.VALUE, number=9.0, version=0)
    later = Label("a", labelled_at=1, kind=LabelKind.CORRECT, number=0.0, version=1)
    retraction = Label("a", labelled_at=2, kind=LabelKind.RETRACTION, version=1)
    assert sorted([retraction, later, first], key=label_order) == [first, later, retraction]


def test_texts_are_ordered_by_code_point_as_postgres_does_under_collation_c() -> None:
    texts = ["\U0001f600", "a", "\uffff", "Z", "ä"]
    labels = sorted((Label("a", 0, LabelKind.LABEL, text=text) for text in texts), key=label_order)
    assert [label.text for label in labels] == ["Z", "a", "ä", "\uffff", "\U0001f600"]

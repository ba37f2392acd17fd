"""The queue of confident errors: ranked, each sort once, with random ones at places that say nothing of them."""

from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from monitor.events.messages import LabelKind
from monitor.review.candidates import Candidate, chance_of, distinct, n_controls, queued

AT = datetime(2026, 11, 20, tzinfo=UTC)

candidates = st.builds(
    Candidate,
    prediction=st.uuids(),
    predicted_at=st.just(AT),
    signal=st.just("confidence"),
    confidence=st.sampled_from([0.5, 0.8, 0.9, 0.99]),
    outcome=st.just(0.0),
    segments=st.sampled_from([{}, {"lang": "de"}, {"lang": "en"}]),
    label_kind=st.just(LabelKind.LABEL),
    predicted=st.sampled_from([None, "a", "b"]),
    label_text=st.sampled_from([None, "x"]),
    reference=st.sampled_from([None, "", "t-1", "t-2"]),
)
some = st.lists(candidates, max_size=30, unique_by=lambda each: each.prediction)


@given(some)
def test_of_each_sort_the_most_confident_stands_and_counts_the_others(found: list[Candidate]) -> None:
    kept = distinct(found)
    assert sum(1 + each.alike for each in kept) == len(found)
    assert [each.confidence for each in kept] == sorted((each.confidence for each in kept), reverse=True)
    references = [each.reference for each in kept if each.reference]
    assert len(references) == len(set(references))
    said = [(e.predicted, e.label_text, str(e.segments)) for e in kept if e.predicted and e.label_text]
    assert len(said) == len(set(said))


@given(some)
def test_the_order_in_which_they_are_found_does_not_matter(found: list[Candidate]) -> None:
    assert distinct(found) == distinct(found[::-1])


def test_answers_without_any_text_are_not_taken_for_each_other() -> None:
    found = [
        Candidate(UUID(int=n), AT, "confidence", 0.9, 0.0, {}, LabelKind.CORRECT, predicted="yes") for n in range(5)
    ]
    assert len(distinct(found)) == 5


@given(some, some)
def test_the_queue_holds_everyone_once_and_marks_those_drawn_at_random(
    ranked: list[Candidate], random: list[Candidate]
) -> None:
    queue = queued(ranked, [*random, *ranked[:2]])
    ids = [each.prediction for each in queue]
    assert sorted(ids) == sorted({each.prediction for each in [*ranked, *random]})
    drawn = {each.prediction for each in [*random, *ranked[:2]]}
    assert {each.prediction for each in queue if each.is_control} == drawn
    errors = [each.confidence for each in queue if each.prediction in {one.prediction for one in ranked}]
    assert errors == sorted(errors, reverse=True)


def test_random_ones_stand_anywhere_in_the_queue() -> None:
    ranked = [Candidate(UUID(int=n), AT, "c", 1 - n / 1000, 0.0, {}, LabelKind.CORRECT) for n in range(500)]
    random = [Candidate(UUID(int=10_000 + n), AT, "c", 0.1, 1.0, {}, LabelKind.CORRECT) for n in range(200)]
    places = [place for place, each in enumerate(queued(ranked, random)) if each.is_control]
    quarters = [sum(1 for place in places if k * 175 <= place < (k + 1) * 175) for k in range(4)]
    assert min(quarters) > 25  # 50 are expected in each; fewer than 26 has a chance below 1e-4
    assert max(quarters) < 80


@given(st.integers(0, 10_000), st.floats(0, 0.9))
def test_the_random_ones_make_up_their_share(n: int, share: float) -> None:
    random = n_controls(n, share)
    assert abs(random - share * (n + random)) <= 0.5


def test_chances_are_spread_evenly_and_differ_between_purposes() -> None:
    ids = [UUID(int=n) for n in range(4000)]
    first, second = ([chance_of(each, purpose) for each in ids] for purpose in ("one", "other"))
    for chances in (first, second):
        counts = [sum(k / 10 <= each < (k + 1) / 10 for each in chances) for k in range(10)]
        assert max(abs(count - 400) for count in counts) < 4.5 * (4000 * 0.09) ** 0.5
    both = sum(a < 0.5 and b < 0.5 for a, b in zip(first, second, strict=True))
    assert abs(both - 1000) < 4.5 * (4000 * 3 / 16) ** 0.5

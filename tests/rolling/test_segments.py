"""Segments: which slices a prediction belongs to, by declared dimensions, cut points and crosses."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import BadInput
from monitor.events.messages import Prediction
from monitor.rolling.segments import (
    OTHER,
    Dimension,
    SegmentKey,
    SegmentScheme,
    SeriesName,
    key_text,
    parse_key,
    parse_segment,
    segment_text,
    segments_of,
    series_names,
)

DIFFICULTY = Dimension("difficulty", "prompt_tokens", (200.0, 1000.0), ("easy", "medium", "hard"))


def prediction(
    segments: dict[str, str | float] | None = None, signals: dict[str, float] | None = None, **fields: str | None
) -> Prediction:
    return Prediction(
        "a", "m", 0, 0.5, model_version=fields.get("model_version"), signals=signals or {},
        predicted=fields.get("predicted"), segments=segments or {},
    )  # fmt: skip


def test_every_text_under_segments_is_a_dimension_by_its_own_name() -> None:
    key = SegmentScheme().segment_key(prediction({"tier": "gold", "lang": "de", "tokens": 7.0}, {"z": 0.1, "a": 0.2}))
    assert key == SegmentKey("m", None, (("lang", "de"), ("tier", "gold")), ("a", "z"))
    assert segments_of(key) == [{}, {"lang": "de"}, {"tier": "gold"}]


@pytest.mark.parametrize(
    ("tokens", "name"),
    [(-5.0, "easy"), (199.999, "easy"), (200.0, "medium"), (999.0, "medium"), (1000.0, "hard"), (1e300, "hard")],
)
def test_a_number_falls_between_its_cut_points_the_lower_one_included(tokens: float, name: str) -> None:
    key = SegmentScheme((DIFFICULTY,)).segment_key(prediction({"prompt_tokens": tokens}))
    assert key.dims == (("difficulty", name),)


def test_cut_points_without_names_name_themselves() -> None:
    scheme = SegmentScheme((Dimension("tokens", cuts=(0.5, 200.0)),))
    values = [scheme.segment_key(prediction({"tokens": tokens})).dims[0][1] for tokens in (0.0, 0.5, 200.0)]
    assert values == ["<0.5", "0.5-200", ">=200"]


def test_text_where_a_number_is_wanted_is_other() -> None:
    assert SegmentScheme((DIFFICULTY,)).segment_key(prediction({"prompt_tokens": "many"})).dims == (
        ("difficulty", OTHER),
    )


def test_a_number_without_cut_points_makes_no_series_and_is_said() -> None:
    scheme = SegmentScheme((DIFFICULTY, Dimension("age")))
    found = prediction({"prompt_tokens": 3.0, "age": 40.0, "weight": 1.0, "lang": "de"})
    assert scheme.segment_key(found).dims == (("difficulty", "easy"), ("lang", "de"))
    assert scheme.unused_numbers(found) == {"age", "weight"}


def test_a_declared_dimension_may_read_a_field_of_the_event() -> None:
    scheme = SegmentScheme((Dimension("version", "model_version"), Dimension("answer", "predicted")))
    assert scheme.segment_key(prediction(model_version="v2", predicted="cat")).dims == (
        ("answer", "cat"), ("version", "v2"),
    )  # fmt: skip
    assert scheme.segment_key(prediction()).dims == ()
    assert scheme.segment_key(prediction({"model_version": "mine"}, model_version="v2")).dims == (("version", "mine"),)


def test_a_field_that_a_declared_dimension_reads_is_no_dimension_of_its_own() -> None:
    scheme = SegmentScheme((Dimension("language", "lang"),))
    assert scheme.segment_key(prediction({"lang": "de"})).dims == (("language", "de"),)
    assert scheme.segment_key(prediction({"lang": "de", "language": "fr"})).dims == (("language", "de"),)


def test_one_field_may_feed_two_dimensions() -> None:
    scheme = SegmentScheme((DIFFICULTY, Dimension("long", "prompt_tokens", (5000.0,), ("no", "yes"))))
    assert scheme.segment_key(prediction({"prompt_tokens": 6000.0})).dims == (("difficulty", "hard"), ("long", "yes"))


def test_declared_crosses_apply_where_all_their_dimensions_are_there() -> None:
    scheme = SegmentScheme((DIFFICULTY,), (("lang", "difficulty"), ("lang", "tier")))
    key = scheme.segment_key(prediction({"lang": "de", "prompt_tokens": 300.0}))
    assert segments_of(key) == [
        {}, {"difficulty": "medium"}, {"lang": "de"}, {"difficulty": "medium", "lang": "de"},
    ]  # fmt: skip
    assert segments_of(scheme.segment_key(prediction({"lang": "de"}))) == [{}, {"lang": "de"}]


def test_a_series_is_model_signal_and_segment() -> None:
    key = SegmentKey("m", "v1", (("lang", "de"),), ("logprob",))
    assert series_names(key, 0) == [SeriesName("m", "confidence", "{}"), SeriesName("m", "confidence", '{"lang":"de"}')]
    assert series_names(key, 1, source_group="complaint")[1] == SeriesName("m", "logprob", '{"lang":"de"}', "complaint")
    assert series_names(key, 0, main_signal="stated")[0].signal == "stated"


words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=6)
tables = st.dictionaries(words, words, max_size=3)
raws = st.sampled_from(["de", "fr"]) | st.sampled_from([1.0, 199.0, 200.0, 5000.0])
anything = st.builds(
    prediction,
    st.dictionaries(st.sampled_from(["lang", "tier", "prompt_tokens", "age"]), raws),
    st.dictionaries(st.sampled_from(["x", "y"]), st.just(0.5)),
    model_version=st.sampled_from([None, "v1", "v2"]),
    predicted=st.sampled_from([None, "cat"]),
)


@given(st.lists(anything, min_size=2, max_size=5))
def test_equal_raw_keys_mean_equal_segment_keys(found: list[Prediction]) -> None:
    for scheme in (
        SegmentScheme(),
        SegmentScheme((DIFFICULTY, Dimension("version", "model_version"), Dimension("age", cuts=(18.0,)))),
    ):
        by_raw: dict[object, SegmentKey] = {}
        for each in found:
            assert by_raw.setdefault(scheme.raw_key(each), scheme.segment_key(each)) == scheme.segment_key(each)


def test_raw_keys_of_numbers_stay_few() -> None:
    scheme = SegmentScheme((DIFFICULTY,))
    raw = {scheme.raw_key(prediction({"prompt_tokens": float(n), "age": float(n)})) for n in range(3000)}
    assert len(raw) == 3


@given(anything, st.sampled_from([(), (("lang", "tier"),)]))
def test_a_key_is_its_text_parsed(found: Prediction, crosses: tuple[tuple[str, ...], ...]) -> None:
    key = SegmentScheme((DIFFICULTY,), crosses).segment_key(found)
    assert parse_key(key_text(key)) == key
    assert hash(parse_key(key_text(key))) == hash(key)


@given(tables)
def test_the_canonical_text_of_a_segment_is_parsed_back(segment: dict[str, str]) -> None:
    text = segment_text(segment)
    assert parse_segment(text) == segment
    assert segment_text(dict(reversed(segment.items()))) == text
    assert json.loads(text) == segment


@pytest.mark.parametrize(
    ("text", "segment"),
    [
        ("", {}),
        ("{}", {}),
        ("lang=de", {"lang": "de"}),
        (" lang = de , difficulty=hard ", {"difficulty": "hard", "lang": "de"}),
        ("url=a=b", {"url": "a=b"}),
        ('{"lang": "a,b=c"}', {"lang": "a,b=c"}),
    ],
)
def test_a_segment_is_read_as_a_person_types_it(text: str, segment: dict[str, str]) -> None:
    assert parse_segment(text) == segment


@pytest.mark.parametrize("text", ["lang", "lang=", "=de", "lang=de,", "lang=de,lang=fr", "{", '{"lang": 1}', "[]"])
def test_a_segment_that_is_none_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(BadInput, match="a segment"):
        parse_segment(text)

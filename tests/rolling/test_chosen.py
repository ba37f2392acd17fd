"""What chooses a map for a prediction is what the store files it under."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.events.messages import Prediction
from monitor.rolling.chosen import choosing
from monitor.rolling.segments import Dimension, SegmentScheme

NAMES = st.sampled_from(["lang", "size", "level", "length"])
VALUES = st.sampled_from(["de", "7", "true"]) | st.floats(-5, 50).map(float)
CUTS = st.sampled_from([(), (0.0,), (10.0, 20.0)])
DIMENSIONS = st.lists(
    st.builds(Dimension, NAMES, st.just("") | NAMES, CUTS), max_size=3, unique_by=lambda dimension: dimension.name
)


@given(st.dictionaries(NAMES, VALUES), DIMENSIONS)
def test_a_map_is_chosen_by_the_dimensions_that_the_store_knows(
    segments: dict[str, str | float], dimensions: list[Dimension]
) -> None:
    stored = SegmentScheme(tuple(dimensions)).segment_key(Prediction("p", "m", 0, 0.5, segments=segments)).dims
    assert tuple(sorted(choosing(segments, dimensions)[0].items())) == stored


def test_true_and_false_are_texts_and_numbers_are_fields() -> None:
    assert choosing({"new": True, "old": False, "size": 3}, ()) == ({"new": "true", "old": "false"}, {"size": 3.0})


def test_a_number_that_a_dimension_cuts_is_known_by_the_name_of_the_dimension() -> None:
    cut = Dimension("difficulty", "prompt_tokens", (200.0,), ("easy", "hard"))
    texts, numbers = choosing({"prompt_tokens": 512}, (cut,))
    assert texts == {"difficulty": "hard"}
    assert numbers["difficulty"] == 512.0
    assert "difficulty" not in choosing({"prompt_tokens": "many"}, (cut,))[1]


@pytest.mark.parametrize("value", [None, [], {}])
def test_a_value_of_no_kind_is_an_error(value: object) -> None:
    with pytest.raises(TypeError):
        choosing({"lang": value}, ())  # type: ignore[dict-item]

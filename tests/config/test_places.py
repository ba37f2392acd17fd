"""The places of keys and values agree with what tomllib reads."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.config.places import places

DOCUMENT = '''# a comment = [1]
top = 1
"quoted key" = "a # b"   # comment
[a.b]
x.y = { one = 1, "t\\"wo" = [ 1, { deep = "]" } ], } # not before TOML 1.1
many = [
  "a,b", # with a comment ]
  """three ""
lines""",
  2026-01-01 12:00:00,
]
[[tables]]
name = 'single # quoted'
[[tables]]
[tables.inner]
z = 3
'''.replace(", } #", " } #")


def test_every_key_and_value_of_a_document_has_its_line_and_column() -> None:
    found = places(DOCUMENT)
    assert found["top",] == ((2, 1), (2, 7))
    assert found["quoted key",] == ((3, 1), (3, 16))
    assert found["a", "b"] == ((4, 2), (4, 2))
    assert found["a", "b", "x", "y"] == ((5, 1), (5, 7))
    assert found["a", "b", "x", "y", "one"] == ((5, 9), (5, 15))
    assert found["a", "b", "x", "y", 't"wo', 1, "deep"] == ((5, 35), (5, 42))
    assert found["a", "b", "many", 0] == ((7, 3), (7, 3))
    assert found["a", "b", "many", 1] == ((8, 3), (8, 3))
    assert found["a", "b", "many", 2] == ((10, 3), (10, 3))
    assert found["tables", 0, "name"] == ((13, 1), (13, 8))
    assert found["tables", 1, "inner", "z"] == ((16, 1), (16, 5))


def _paths(value: object, inside: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    found = {inside} - {()}
    if isinstance(value, dict):
        for key, inner in value.items():
            found |= _paths(inner, (*inside, key))
    if isinstance(value, list):
        for index, inner in enumerate(value):
            found |= _paths(inner, (*inside, index))
    return found


def test_exactly_the_paths_that_tomllib_reads_have_a_place() -> None:
    assert set(places(DOCUMENT)) == _paths(tomllib.loads(DOCUMENT))


BARE = st.text("abcXYZ019_-", min_size=1, max_size=6)
TEXTS = st.text("ab #[]{},='.é", max_size=8)
SCALARS = st.one_of(TEXTS.map(lambda text: f'"{text}"'), st.integers(-9, 99).map(str), st.just("true"), st.just("'[#'"))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: f"[ {', '.join(parts)} ]"),
        st.dictionaries(BARE, inner, max_size=3).map(
            lambda parts: "{ " + ", ".join(f"{key} = {value}" for key, value in parts.items()) + " }"
        ),
    ),
    max_leaves=6,
)


@given(st.dictionaries(BARE, VALUES, max_size=4), st.dictionaries(BARE, VALUES, max_size=4), st.booleans())
def test_any_document_has_a_place_for_exactly_its_paths(
    top: dict[str, str], table: dict[str, str], comments: bool
) -> None:
    comment = " # [x] = 'y'" if comments else ""
    lines = [f"{key} = {value}{comment}" for key, value in top.items()]
    lines += ["", "[the.table]" + comment] if "the" not in top else [""]
    lines += [f"  {key}={value}" for key, value in table.items() if "the" not in top]
    text = "\n".join(lines)
    assert set(places(text)) == _paths(tomllib.loads(text))


@pytest.mark.parametrize("text", ["", "\n", "# only a comment", "a = 1 # last", "a = 1"])
def test_a_document_may_end_anywhere(text: str) -> None:
    assert set(places(text)) == _paths(tomllib.loads(text))

"""YAML is read as it was written, and each key and value stands where the document says."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from monitor.alerting.document import document
from monitor.alerting.nodes import Node, Path, at, plain, without

KEYS = st.text("abc <*&!é:#-", min_size=1, max_size=5).filter(lambda text: text != "<<")
SCALARS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff\u2028\u2029\x85"), max_size=8),
    st.integers(-(10**6), 10**6),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=12,
)


def read(text: str) -> Node:
    root, mistakes = document(text)
    assert root is not None
    assert mistakes == []
    return root


def scalars(value: object, inside: Path = ()) -> dict[Path, object]:
    if isinstance(value, dict):
        return {path: leaf for key, each in value.items() for path, leaf in scalars(each, (*inside, key)).items()}
    if isinstance(value, list):
        return {path: leaf for n, each in enumerate(value) for path, leaf in scalars(each, (*inside, n)).items()}
    return {inside: value}


@given(VALUES)
def test_what_is_written_as_json_is_read_as_it_was(value: object) -> None:
    assert plain(read(json.dumps(value, ensure_ascii=False))) == value


class Quoting(yaml.SafeDumper):
    """Writes every text in quotes: YAML 1.1, which PyYAML writes, has none around texts that 1.2 reads as numbers."""


Quoting.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


@given(VALUES)
def test_what_is_written_in_blocks_is_read_as_it_was(value: object) -> None:
    assert plain(read(yaml.dump(value, Dumper=Quoting))) == value


@given(VALUES, st.sampled_from([None, 1, 3]))
def test_each_value_stands_where_the_document_says(value: object, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    root, lines = read(text), text.split("\n")
    for path, leaf in scalars(value).items():
        entry = at(root, path)
        line, column = entry.node.place if entry else root.place
        assert lines[line - 1][column - 1 :].startswith(json.dumps(leaf, ensure_ascii=False))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("off", "off"),
        ("yes", "yes"),
        ("22:00", "22:00"),
        ("2026-01-31", "2026-01-31"),
        ("0o17", 15),
        ("0x1f", 31),
        ("017", 17),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        ("true", True),
        ("'true'", "true"),
        ("!!str 5", "5"),
        ("!!int x", "x"),
        ("~", None),
        ("=", "="),
        ("9" * 5000, float("inf")),
    ],
)
def test_scalars_are_read_by_the_core_schema_of_yaml_1_2(text: str, value: object) -> None:
    assert plain(read(text)) == value


def test_an_alias_is_what_its_anchor_names_and_merged_keys_give_way_to_those_beside_them() -> None:
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: *a\nd: {<<: [{z: 1}, *a, {z: 2}]}\n"
    assert plain(read(text)) == {
        "a": {"x": 1, "y": 2},
        "b": {"y": 3, "x": 1},
        "c": {"x": 1, "y": 2},
        "d": {"z": 1, "x": 1, "y": 2},
    }


def test_aliases_of_aliases_do_not_grow_without_bound() -> None:
    levels = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10))
    root, [mistake] = document(f"a0: &a0 [x, x]\n{levels}\n")
    assert root is None
    assert "must hold at most 100,000 values" in mistake.text


def test_a_document_that_is_far_too_long_is_not_read() -> None:
    root, [mistake] = document("# " + "x" * 1_000_000)
    assert root is None
    assert mistake.text.startswith("must be shorter than 1,000,000 characters")


@given(st.text(max_size=40))
def test_any_text_is_read_or_has_a_mistake_within_it(text: str) -> None:
    root, mistakes = document(text)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").splitlines() or [""]
    assert root is not None or mistakes
    for mistake in mistakes:
        line, column = mistake.place
        assert 1 <= line <= len(lines) + 1
        assert column >= 1


def test_what_is_gone_is_not_used_and_still_found() -> None:
    root = read("a: {b: [1, 2, 3], c: 4}")
    thinner = without(without(root, ("a", "b", 1)), ("a", "c"))
    assert plain(thinner) == {"a": {"b": [1, 3]}}
    gone = at(thinner, ("a", "c"))
    assert gone is not None
    assert gone.node.gone
    assert plain(without(thinner, ("a", "b", 1))) == {"a": {"b": [1]}}
    assert without(root, ("a", "d", 7)) == root
    assert without(root, ()).gone

"""Class tables: as columns they say what the tables said, row by row."""

from hypothesis import given
from hypothesis import strategies as st

from monitor.rolling.tables import NO_CLASS, ClassTables, class_tables

names = st.sampled_from(["cat", "dog", "Cow", "été", "z", ""])
shares = st.sampled_from([0.0, 0.25, 0.25 + 1e-16, 0.5, 1.0]) | st.floats(0, 1)
some_tables = st.lists(st.none() | st.dictionaries(names, shares))


def as_mappings(tables: ClassTables) -> list[dict[str, float]]:
    entries = zip([tables.names[code] for code in tables.code.tolist()], tables.probability.tolist(), strict=True)
    return [dict(next(entries) for _ in range(size)) for size in tables.size.tolist()]


@given(some_tables)
def test_the_columns_hold_every_class_of_every_row(given_tables: list[dict[str, float] | None]) -> None:
    tables = class_tables(given_tables)
    if tables is None:
        assert not any(given_tables)
    else:
        assert as_mappings(tables) == [each or {} for each in given_tables]
        assert list(tables.names) == sorted({name for each in given_tables for name in each or ()})
        assert len(tables) == len(given_tables)


@given(some_tables)
def test_the_top_is_the_greatest_and_of_equal_ones_the_first_by_code_point(
    given_tables: list[dict[str, float] | None],
) -> None:
    tables = class_tables(given_tables)
    tops = [min(each, key=lambda name: (-each[name], name)) if each else None for each in given_tables]
    if tables is not None:
        assert [None if code == NO_CLASS else tables.names[code] for code in tables.top_code().tolist()] == tops
        there = [each[name] for each, name in zip(given_tables, tops, strict=True) if each and name is not None]
        assert tables.probability[tables.top[tables.top != NO_CLASS]].tolist() == there


@given(some_tables.filter(any), st.lists(st.none() | names | st.just("unheard of")))
def test_a_code_is_the_place_of_the_name_and_no_class_where_nobody_stated_it(
    given_tables: list[dict[str, float] | None], texts: list[str | None]
) -> None:
    tables = class_tables(given_tables)
    assert tables is not None
    stated = {name for each in given_tables for name in each or ()}
    for text, code in zip(texts, tables.codes(texts).tolist(), strict=True):
        assert tables.names[code] == text if text in stated else code == NO_CLASS

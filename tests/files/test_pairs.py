"""Pairs: the fast path and the careful one give the same integers, and the oracle's counts."""

import json
from collections import Counter
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.calibration.sketch import Row, Sketch, merge
from monitor.errors import BadInput
from monitor.files.formats import source
from monitor.files.pairs import PairColumns, PairSums, add_pairs
from monitor.files.rows import CHUNK, BadRow
from monitor.files.slices import Segment, Slices, slices
from monitor.rolling.segments import Dimension

LANG = PairColumns(model="model", dimensions=(Dimension("lang"),))


def silent(_: int) -> None:
    """Progress that nobody watches."""


def sums(path: Path, columns: PairColumns) -> tuple[PairSums, list[BadRow]]:
    bad: list[BadRow] = []
    return add_pairs(source(path), columns, silent, bad.extend), bad


def sketches(path: Path, columns: PairColumns, by: Slices) -> dict[tuple[str, Segment], Sketch]:
    return sums(path, columns)[0].sketches(columns, by)


BAD = """confidence,correct,model,lang
0.9,true,m,de
1.2,true,m,de
NaN,false,m,de
high,1,m,de
,1,m,de
0.5,maybe,m,de
0.5,1.5,m,de
0.5,,m,de
0.5,0.25,,de
1_0,1,m,de
-0.0,0,m,
0.5,1
0.7,0,m,en
"""


def test_every_kind_of_bad_row_is_named_with_its_line_and_the_rest_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(BAD)
    total, bad = sums(path, LANG)
    assert [(each.row, each.reason, each.message) for each in bad] == [
        (3, "confidence_out_of_range", "confidence must be a number from 0 to 1, got 1.2"),
        (4, "confidence_out_of_range", "confidence must be a number from 0 to 1, got NaN"),
        (5, "schema", "confidence must be a number from 0 to 1, got 'high'"),
        (6, "schema", "confidence is missing"),
        (7, "schema", "correct must be a number from 0 to 1, got 'maybe'"),
        (8, "schema", "correct must be a number from 0 to 1, got 1.5"),
        (10, "schema", "model must be text of 1 to 256 characters, got ''"),
        (11, "schema", "confidence must be a number from 0 to 1, got '1_0'"),
        (13, "schema", "the row must have 4 fields as the header has, got 2"),
    ]
    assert (total.predictions, total.labels) == (4, 3)
    found = total.sketches(LANG, slices(["lang"]))
    assert {name: sketch.total(Row.N_PRED) for name, sketch in found.items()} == {
        ("m", ()): 4,
        ("m", (("lang", "de"),)): 2,
        ("m", (("lang", "en"),)): 1,
    }


@pytest.mark.parametrize(
    ("row", "reason"),
    [(b"1_0,1,m,de", "schema"), (b"0_1,1,m,de", "schema"), (b"0.5,1,m,\xff", "undecodable")],
)
def test_a_bad_row_alone_among_good_ones_is_found(tmp_path: Path, row: bytes, reason: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"confidence,correct,model,lang\n" + b"0.5,1,m,de\n" * CHUNK + b"0.5,1,m,de\n" * 3 + row + b"\n")
    total, bad = sums(path, LANG)
    assert [(each.row, each.reason) for each in bad] == [(CHUNK + 5, reason)]
    assert total.predictions == CHUNK + 3


def test_one_model_alone_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("confidence,correct,model,lang\n0.5,1,m1,de\n0.5,1,m2,fr\n2,1,m2,fr\n0.5,,m1,de\n")
    bad: list[BadRow] = []
    total = add_pairs(source(path), LANG, silent, bad.extend, only="m1")
    assert (total.predictions, total.labels) == (2, 1)
    assert set(total.sketches(LANG, slices(["lang", "lang"]))) == {("m1", ()), ("m1", (("lang", "de"),))}
    assert [each.row for each in bad] == [4]


def test_a_slice_that_is_asked_for_twice_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("confidence,correct,model,lang\n0.5,1,m1,de\n")
    found = sketches(path, LANG, slices(["lang", "lang"]))
    assert found["m1", (("lang", "de"),)].total(Row.N) == 1


PAIR = st.tuples(
    st.one_of(st.sampled_from(["0", "1", "0.9", "0.30000000000000004", ".5", "1e-9"]), st.floats(0, 1).map(repr)),
    st.sampled_from(["true", "False", "1", "0", "0.25", ""]),
    st.sampled_from(["m1", "m2"]),
    st.sampled_from(["de", "en", ""]),
)


@settings(max_examples=30)
@given(st.lists(PAIR, min_size=1, max_size=40), st.booleans())
def test_every_format_and_a_bad_row_beside_give_the_same_integers(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str, str]], spoil: bool
) -> None:
    folder = tmp_path_factory.mktemp("pairs")
    header = "confidence,correct,model,lang\n"
    plain, spoilt, tabs, records = (folder / name for name in ("a.csv", "b.csv", "a.tsv", "a.jsonl"))
    plain.write_text(header + "".join(",".join(row) + "\n" for row in rows))
    spoilt.write_text(header + ("2,1,m1,de\n" if spoil else "") + "".join(",".join(row) + "\n" for row in rows))
    tabs.write_text(header.replace(",", "\t") + "".join("\t".join(row) + "\n" for row in rows))
    records.write_text("".join(json.dumps(_record(row)) + "\n" for row in rows))
    by = slices(["lang"])
    expected = sketches(plain, LANG, by)
    assert sketches(spoilt, LANG, by) == expected
    assert sketches(tabs, LANG, by) == expected
    assert sketches(records, LANG, by) == expected
    counted = Counter(model for *_, model, _ in rows)
    assert {name: sketch.total(Row.N_PRED) for (name, segment), sketch in expected.items() if not segment} == counted


def _record(row: tuple[str, str, str, str]) -> dict[str, object]:
    confidence, correct, model, lang = row
    said: dict[str, object] = {"true": True, "False": False, "": None}
    found = {"confidence": float(confidence), "correct": said.get(correct, correct), "model": model, "lang": lang}
    if found["correct"] not in {True, False, None}:
        found["correct"] = float(correct)
    return {name: value for name, value in found.items() if value not in {None, ""}}


def test_slices_of_a_model_add_up_to_the_whole(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    path = tmp_path / "a.csv"
    size = CHUNK + 1234
    rows = zip(rng.random(size), rng.random(size) < 0.7, rng.choice(["de", "en", "fr"], size), strict=True)
    path.write_text("confidence,correct,lang\n" + "".join(f"{c},{int(y)},{lang}\n" for c, y, lang in rows))
    found = sketches(path, PairColumns(dimensions=(Dimension("lang"),)), slices(["lang"]))
    parts = [sketch for (_, segment), sketch in found.items() if segment]
    assert len(parts) == 3
    assert merge(*parts) == found["model", ()]


def test_numbers_fall_between_the_cut_points_of_their_dimension(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    values = "(0.5::FLOAT, true, 10), (0.5, false, 300), (0.5, NULL, 5000), (0.5, true, NULL)"
    duckdb.execute(f"COPY (SELECT * FROM (VALUES {values}) t(c, y, tokens)) TO '{path}'")
    size = Dimension("size", "tokens", (200.0, 1000.0), ("easy", "medium", "hard"))
    found = sketches(path, PairColumns("c", "y", dimensions=(size,)), slices(["size"]))
    assert {segment: (sketch.total(Row.N_PRED), sketch.total(Row.N)) for (_, segment), sketch in found.items()} == {
        (): (4, 3),
        (("size", "easy"),): (1, 1),
        (("size", "medium"),): (1, 1),
        (("size", "hard"),): (1, 0),
    }


def test_crosses_hold_only_rows_with_a_value_of_each_dimension(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("confidence,correct,a,b\n0.5,1,x,y\n0.5,1,x,\n")
    columns = PairColumns(dimensions=(Dimension("a"), Dimension("b")))
    found = sketches(path, columns, slices(["b*a"]))
    assert {segment: sketch.total(Row.N) for (_, segment), sketch in found.items()} == {
        (): 2,
        (("a", "x"), ("b", "y")): 1,
    }


def test_a_missing_column_is_said_with_those_that_are_there(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("conf,correct\n0.5,1\n")
    with pytest.raises(BadInput, match="has no column confidence; it has conf, correct"):
        sums(path, PairColumns())


@pytest.mark.parametrize("text", ["", "a*a", "a*"])
def test_a_slice_names_different_dimensions(text: str) -> None:
    with pytest.raises(BadInput, match="--by must be DIM"):
        slices([text])

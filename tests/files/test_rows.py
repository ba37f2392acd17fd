"""Rows of files: numbers that lead a person to the line, and every way a file can be broken."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.errors import BadInput
from monitor.files.formats import Format, source
from monitor.files.rows import CHUNK, BadRow, lines, records


def silent(_: int) -> None:
    """Progress that nobody watches."""


def csv_rows(path: Path) -> tuple[list[tuple[int, tuple[object, ...]]], list[BadRow]]:
    good: list[tuple[int, tuple[object, ...]]] = []
    bad: list[BadRow] = []
    for chunk in records(source(path), silent):
        good += zip(chunk.rows, chunk.values, strict=True)
        bad += chunk.bad
    return good, bad


def json_rows(path: Path) -> tuple[list[tuple[int, bytes]], list[BadRow]]:
    good: list[tuple[int, bytes]] = []
    bad: list[BadRow] = []
    for chunk in lines(source(path), silent):
        good += zip(chunk.rows, chunk.bodies, strict=True)
        bad += chunk.bad
    return good, bad


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jsonl", Format.JSON_LINES),
        ("a.ndjson.gz", Format.JSON_LINES),
        ("a.b.CSV", Format.CSV),
        ("a.tsv.gz", Format.CSV),
        ("a.parquet", Format.PARQUET),
    ],
)
def test_the_name_of_a_file_tells_its_format(tmp_path: Path, name: str, expected: Format) -> None:
    (tmp_path / name).write_bytes(b"")
    assert source(tmp_path / name).format is expected


@pytest.mark.parametrize("name", ["a.txt", "a", "a.gz", "a.parquet.gz", "csv"])
def test_a_file_of_any_other_name_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(BadInput, match=r"the name must end in one of \.jsonl"):
        source(tmp_path / name)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        source(tmp_path / "a.csv")


def test_lines_keep_their_numbers_and_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\n  \n\xff{"b"\x00\n{"c": 3}')
    assert json_rows(path) == ([(1, b'{"a": 1}'), (4, b'\xff{"b"\x00'), (5, b'{"c": 3}')], [])


def test_more_lines_than_a_chunk_are_all_there_blank_ones_too(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b"\n" * (2 * CHUNK) + b"{}\n" * (CHUNK + 7)))
    good, bad = json_rows(path)
    assert not bad
    assert [row for row, _ in good] == list(range(2 * CHUNK + 1, 3 * CHUNK + 8))


def test_a_line_without_end_stops_the_reading_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"{}\n" + b"x" * (17 << 20) + b"\n{}\n")
    good, bad = json_rows(path)
    assert good == [(1, b"{}")]
    assert [(each.row, each.reason) for each in bad] == [(2, "undecodable")]


def test_a_json_array_is_named_for_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('\n[{"a": 1}]')
    with pytest.raises(BadInput, match="one JSON array"):
        json_rows(path)


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.csv.gz"])
def test_a_compressed_file_cut_short_gives_its_beginning_and_says_where_it_ends(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    text = b"".join(b"%d,%d\n" % (number, number * 7919 % 1000) for number in range(50_000))
    path.write_bytes(gzip.compress(b"a,b\n" + text)[:-40_000])
    good, bad = csv_rows(path) if "csv" in name else json_rows(path)
    assert len(good) > 1000
    assert [each.reason for each in bad] == ["undecodable"]
    assert bad[0].row >= len(good)
    assert "damaged" in bad[0].message


def test_a_file_that_is_no_gzip_is_damaged_from_its_first_row(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(b'{"a": 1}\n')
    assert [(each.row, each.reason) for each in json_rows(path)[1]] == [(1, "undecodable")]


def test_csv_rows_are_named_by_their_line_whatever_is_wrong_with_those_before(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'a,b\n1,2\n3\n"x\ny",4\n5,6,7\n"8"9,1\n\n\xff,1\n10,11\n')
    good, bad = csv_rows(path)
    assert good == [(2, ("1", "2")), (4, ("x\ny", "4")), (9, ("\udcff", "1")), (10, ("10", "11"))]
    assert [(each.row, each.reason) for each in bad] == [(3, "schema"), (6, "schema"), (7, "undecodable")]
    assert bad[0].message == "the row must have 2 fields as the header has, got 1"


def test_a_quote_that_never_ends_costs_its_row_only_up_to_the_end_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('a,b\n1,2\n"3,4\n5,6\n')
    good, bad = csv_rows(path)
    assert good == [(2, ("1", "2"))]
    assert [(each.row, each.reason) for each in bad] == [(3, "undecodable")]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "got nothing"), (b"a,b,a\n", "got a twice"), (b"\xff,b\n1,2\n", "the header cannot be read")],
)
def test_a_csv_without_a_good_header_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=message):
        csv_rows(path)


def test_parquet_rows_have_numbers_and_exact_values(tmp_path: Path) -> None:
    import duckdb

    path = tmp_path / "a.parquet"
    selected = "SELECT i AS n, 0.9::FLOAT AS c, TIMESTAMPTZ '2026-05-01 12:00:00+02' AS at FROM range(45000) t(i)"
    duckdb.execute(f"COPY ({selected}) TO '{path}'")
    good, bad = csv_rows(path)
    assert not bad
    assert [row for row, _ in good] == list(range(1, 45_001))
    assert {values[1] for _, values in good} == {0.9}
    assert {str(values[2]) for _, values in good} == {"2026-05-01 10:00:00"}


def test_what_is_no_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_text("a,b\n")
    with pytest.raises(BadInput, match="cannot be read as Parquet"):
        csv_rows(path)


@settings(max_examples=30)
@given(st.lists(st.text("ab,\n\"'é ", max_size=6), min_size=1, max_size=30))
def test_what_a_csv_writer_wrote_comes_back_with_the_line_it_starts_at(
    tmp_path_factory: pytest.TempPathFactory, values: list[str]
) -> None:
    import csv

    path = tmp_path_factory.mktemp("csv") / "a.csv"
    starts = []
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["n", "value"])
        line = 2
        for number, value in enumerate(values):
            starts.append(line)
            writer.writerow([number, value])
            line += 1 + value.count("\n")
    good, bad = csv_rows(path)
    assert not bad
    assert good == [(line, (str(n), value)) for n, (line, value) in enumerate(zip(starts, values, strict=True))]

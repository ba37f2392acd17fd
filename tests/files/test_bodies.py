"""CSV and Parquet rows become the messages that a producer would have sent."""

import json
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.events.mapping import MessageKind, field_mapping
from monitor.files.bodies import bodies, bodies_of
from monitor.files.bulk import BulkWriter
from monitor.files.fields import FlatFields, columns_of
from monitor.files.formats import source
from monitor.files.rows import BadRow, Records

NOTHING = field_mapping("prediction", {})


def messages(path: Path, fields: FlatFields) -> tuple[list[object], list[BadRow]]:
    good: list[object] = []
    bad: list[BadRow] = []
    for run in bodies(source(path), fields, lambda _: None):
        assert len(run.rows) == len(run.bodies)
        good += [json.loads(body) for body in run.bodies]
        bad += run.bad
    return good, bad


def csv_messages(tmp_path: Path, text: str, fields: FlatFields) -> list[object]:
    path = tmp_path / "a.csv"
    path.write_text(text)
    good, bad = messages(path, fields)
    assert not bad
    return good


def test_text_becomes_the_type_of_its_field_and_empty_cells_are_absent(tmp_path: Path) -> None:
    text = (
        "prediction_id,model,predicted_at,confidence,step,segments.lang,segments.size,signals.logprob,predicted,other\n"
        "007,3,1790000000000,0.90,2,de,12,1e-3,42,x\n"
        "a,m,2026-05-01T12:00:00Z,1,,,,,,\n"
    )
    assert csv_messages(tmp_path, text, FlatFields("prediction", NOTHING, numeric_segments=frozenset({"size"}))) == [
        {
            "prediction_id": "007",
            "model": "3",
            "predicted_at": 1790000000000,
            "confidence": 0.9,
            "step": 2,
            "segments": {"lang": "de", "size": 12},
            "signals": {"logprob": 0.001},
            "predicted": "42",
        },
        {"prediction_id": "a", "model": "m", "predicted_at": "2026-05-01T12:00:00Z", "confidence": 1},
    ]


def test_what_is_no_number_stays_text_so_that_decoding_can_say_so(tmp_path: Path) -> None:
    text = "confidence,predicted_at\nhigh,soon\nNaN,1\n1_000,2\n"
    first, second, third = csv_messages(tmp_path, text, FlatFields("prediction", NOTHING))
    assert first == {"confidence": "high", "predicted_at": "soon"}
    assert str(second) == "{'confidence': nan, 'predicted_at': 1}"
    assert third == {"confidence": "1_000", "predicted_at": 2}


def test_labels_say_true_and_false_in_any_case_or_a_share(tmp_path: Path) -> None:
    text = "prediction_id,correct,retract,label\na,TRUE,,\nb,0.5,,\nc,,true,\nd,,,7\n"
    assert csv_messages(tmp_path, text, FlatFields("label", field_mapping("label", {}))) == [
        {"prediction_id": "a", "correct": True},
        {"prediction_id": "b", "correct": 0.5},
        {"prediction_id": "c", "retract": True},
        {"prediction_id": "d", "label": "7"},
    ]


def test_columns_may_have_the_users_names(tmp_path: Path) -> None:
    mapping = field_mapping("prediction", {"confidence": "score", "segments.lang": "meta.lang", "model": "name"})
    text = "score,meta.lang,name,model,confidence\n0.5,de,m,ignored,0.1\n"
    assert csv_messages(tmp_path, text, FlatFields("prediction", mapping)) == [
        {"score": 0.5, "meta.lang": "de", "name": "m"}
    ]


def test_wanted_dimensions_may_stand_in_columns_of_their_bare_names(tmp_path: Path) -> None:
    fields = FlatFields("prediction", NOTHING, extra_segments=frozenset({"lang"}))
    assert csv_messages(tmp_path, "lang,city\nde,Ulm\n", fields) == [{"segments": {"lang": "de"}}]
    assert csv_messages(tmp_path, "segments.lang,lang\nde,fr\n", fields) == [{"segments": {"lang": "de"}}]


def test_a_whole_container_may_be_json_in_a_cell(tmp_path: Path) -> None:
    text = 'segments,signals\n"{""lang"": ""de""}",no\n'
    assert csv_messages(tmp_path, text, FlatFields("prediction", NOTHING)) == [
        {"segments": {"lang": "de"}, "signals": "no"}
    ]


def test_rows_that_are_not_utf_8_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"prediction_id,model\na,m\n\xff,m\nb,\xc3\xa9\n")
    good, bad = messages(path, FlatFields("prediction", NOTHING))
    assert good == [{"prediction_id": "a", "model": "m"}, {"prediction_id": "b", "model": "é"}]
    assert bad == [BadRow(3, "undecodable", "the row must be text in UTF-8")]


PARQUET = """
SELECT * FROM (VALUES
  (1, 'm', TIMESTAMP '2026-05-01 12:00:00.25', 0.9::FLOAT, {'lang': 'de', 'n': NULL}, MAP {'logprob': 0.25},
   1.5::DECIMAL(4, 2)),
  (2, 'm', NULL, 'nan'::FLOAT, NULL, NULL, NULL)
) AS t(prediction_id, model, predicted_at, confidence, segments, signals, unknown)
"""


def test_parquet_values_keep_their_types(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    duckdb.execute(f"COPY ({PARQUET}) TO '{path}'")
    (first, second), bad = messages(path, FlatFields("prediction", NOTHING))
    assert not bad
    assert first == {
        "prediction_id": "1",
        "model": "m",
        "predicted_at": "2026-05-01T12:00:00.250000+00:00",
        "confidence": 0.9,
        "segments": {"lang": "de"},
        "signals": {"logprob": 0.25},
    }
    assert str(second) == "{'prediction_id': '2', 'model': 'm', 'confidence': nan}"


def test_values_inside_values_are_exact_and_keep_their_zone(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    value = (
        "{'at': TIMESTAMPTZ '2026-05-01 12:00:00+02', 'day': DATE '2026-05-01', 'list': [1.5::DECIMAL(3, 1)], "
        "'single': 0.9::FLOAT}"
    )
    duckdb.execute(f"COPY (SELECT {value} AS segments) TO '{path}'")
    ((message,), _) = messages(path, FlatFields("prediction", NOTHING))
    assert isinstance(message, dict)
    inner = message["segments"]
    assert datetime.fromisoformat(inner["at"]) == datetime(2026, 5, 1, 10, tzinfo=UTC)
    assert (inner["day"], inner["list"], inner["single"]) == ("2026-05-01", [1.5], 0.9)


NAMES = (
    "prediction_id",
    "confidence",
    "predicted_at",
    "step",
    "segments.lang",
    "segments.size",
    "signals.x",
    "reference",
)
FLAT = FlatFields("prediction", NOTHING, numeric_segments=frozenset({"size"}))
ODD = ["", "0", "1", "0.25", "nan", "inf", "1_0", "x", "1e-3", " 2", "-0.0", "null"]
CELL = st.one_of(st.sampled_from(ODD), st.text(max_size=3))


@settings(max_examples=200)
@given(st.lists(st.tuples(*[CELL] * len(NAMES)), min_size=1, max_size=4))
def test_a_column_at_a_time_or_a_row_at_a_time_the_messages_say_the_same(rows: list[tuple[str, ...]]) -> None:
    columns = list(columns_of(NAMES, FLAT, text=True))
    quick = BulkWriter(columns).bodies(rows)
    if quick is None:
        return
    slow = bodies_of(Records(NAMES, list(range(len(rows))), list(rows), []), columns, text=True)
    assert not slow.bad
    assert [json.loads(body) for body in quick] == [json.loads(body) for body in slow.bodies]


def test_a_run_of_good_rows_takes_the_quick_way() -> None:
    columns = list(columns_of(NAMES, FLAT, text=True))
    rows = [("a", "0.5", "1780000000000", "3", "de", "7", "", ""), ("b", "1", "1780000000001", "", "", "", "0.1", "r")]
    quick = BulkWriter(columns).bodies(rows)
    assert quick is not None
    assert [json.loads(body) for body in quick] == [
        {
            "prediction_id": "a",
            "confidence": 0.5,
            "predicted_at": 1780000000000,
            "step": 3,
            "segments": {"lang": "de", "size": 7},
        },
        {
            "prediction_id": "b",
            "confidence": 1,
            "predicted_at": 1780000000001,
            "signals": {"x": 0.1},
            "reference": "r",
        },
    ]


@pytest.mark.parametrize("kind", ["prediction", "label"])
def test_json_lines_pass_byte_for_byte(tmp_path: Path, kind: MessageKind) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a":  1, "b": NaN}\nnot json\n\xff\n')
    runs = list(bodies(source(path), FlatFields(kind, field_mapping(kind, {})), lambda _: None))
    assert [body for run in runs for body in run.bodies] == [b'{"a":  1, "b": NaN}', b"not json", b"\xff"]

"""Rejections: what is said, what is counted, what is written."""

import json
from pathlib import Path

from monitor.files.rejections import Rejections
from monitor.files.rows import BadRow


def test_the_first_rows_of_each_reason_and_file_are_said_and_all_are_counted(tmp_path: Path) -> None:
    said: list[str] = []
    rows = [BadRow(number, "schema", "no", b"raw \xff") for number in range(1, 6)] + [BadRow(6, "empty", "none")]
    with Rejections(said.append, 2, tmp_path / "out.jsonl") as refused:
        refused.add(Path("a"), rows)
        refused.add(Path("b"), rows[:1])
        refused.finish()
    assert said == [
        "a:1: schema: no",
        "a:2: schema: no",
        "a:6: empty: none",
        "b:1: schema: no",
        "a: schema: 3 more rows",
    ]
    assert refused.counts == {"schema": 6, "empty": 1}
    written = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert len(written) == 7
    assert written[0] == {"file": "a", "row": 1, "reason": "schema", "message": "no", "value": "raw \\xff"}
    assert "value" not in written[5]

"""docs/measures.md is a format that other languages copy: its tables and examples are the program's own."""

import re
from pathlib import Path

import pytest

from monitor.calibration import reading
from monitor.calibration.bounds import DELAY_BOUNDS_US, DISTANCE_BOUNDS
from monitor.calibration.cells import BIN_COUNTS, cell_index
from monitor.calibration.sketch import SUMS

PAGE = (Path(__file__).parents[2] / "docs" / "measures.md").read_text(encoding="utf-8")


def block_after(heading: str) -> list[str]:
    found = re.search(rf"^### {re.escape(heading)}.*?```\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1].split()


def test_the_page_prints_the_bounds_that_the_program_uses() -> None:
    assert [float(word) for word in block_after("Distance bounds")] == list(DISTANCE_BOUNDS)
    assert [int(word) for word in block_after("Delay bounds")] == list(DELAY_BOUNDS_US)


def test_the_examples_of_the_page_hold() -> None:
    rows = re.findall(r"^\| ([0-9. and]+) \| (\d+) \|$", PAGE[PAGE.index("### Examples") :], re.MULTILINE)
    assert len(rows) == 10
    for values, cell in rows:
        for value in values.split(" and "):
            assert cell_index([float(value)]).tolist() == [int(cell)]


def test_the_sums_are_named_in_their_order() -> None:
    table = PAGE[PAGE.index("### Integers") : PAGE.index("The excess is")]
    assert tuple(re.findall(r"`([a-z_0-9]+)`", table)) == SUMS


def test_the_offered_bin_counts_are_those_of_the_page() -> None:
    offered = f"{' '.join(map(str, BIN_COUNTS[:-1]))} or {BIN_COUNTS[-1]}"
    assert offered in PAGE


@pytest.mark.parametrize(
    "name", sorted(set(reading.Reading.__struct_fields__) - set(reading.Subject.__struct_fields__))
)
def test_every_value_of_a_reading_is_defined(name: str) -> None:
    assert f"`{name}" in PAGE

"""docs/events.md: its examples are events, its tables are complete, its reasons are those of the code."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from monitor.events.decoding import decode_label, decode_prediction, label_decoder, prediction_decoder
from monitor.events.mapping import FIELDS, MessageKind, field_mapping
from monitor.events.messages import REASONS
from monitor.events.rules import EventRules
from tests.events.messages import NOW

PAGE = (Path(__file__).parents[2] / "docs" / "events.md").read_text()
SECTIONS = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")}


def examples(language: str, section: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", SECTIONS[section], flags=re.DOTALL)


def first_cells(section: str) -> list[str]:
    return [
        cell for row in re.findall(r"^\| (.*?) \|", SECTIONS[section], flags=re.MULTILINE) for cell in row.split(", ")
    ]


def test_the_examples_are_events() -> None:
    predictions = examples("json", "A prediction")
    assert [decode_prediction(body.encode(), prediction_decoder(EventRules()), NOW).model for body in predictions] == [
        "triage", "triage",
    ]  # fmt: skip
    assert set(json.loads(predictions[1])) == set(FIELDS["prediction"]) - {"interval"}
    (label,) = examples("json", "A label")
    assert decode_label(label.encode(), label_decoder(EventRules()), NOW).number == 1.0


@pytest.mark.parametrize(("kind", "section"), [("prediction", "A prediction"), ("label", "A label")])
def test_every_field_is_in_its_table(kind: MessageKind, section: str) -> None:
    named = [cell.strip("`") for cell in first_cells(section) if cell.startswith("`")]
    assert sorted(named) == sorted(FIELDS[kind])


def test_every_reason_is_listed_with_its_meaning() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", SECTIONS["What is rejected, and why"], flags=re.MULTILINE)
    assert dict(rows) == REASONS


def test_the_example_of_a_mapping_is_one() -> None:
    (text,) = examples("toml", "Names of fields")
    names = tomllib.loads(text)["events"]["fields"]["prediction"]
    assert len(field_mapping("prediction", names).names) == 4

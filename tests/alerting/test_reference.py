"""The reference page and the JSON Schema are what the model makes of them, and say everything."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from monitor.alerting.groups import element, fields_of, models
from monitor.alerting.jsonschema import json_schema
from monitor.alerting.metrics import NAMES
from monitor.alerting.reference import markdown
from monitor.alerting.rulefile import RuleFile
from tests.alerting.test_bad_files import FILES
from tests.alerting.test_rulefile import EXAMPLE, TEN_LINES, uncommented

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = json.loads(json_schema())


def groups(group: type[BaseModel], seen: set[type[BaseModel]]) -> set[type[BaseModel]]:
    seen.add(group)
    for _, field in fields_of(group):
        for inner in models(field.annotation) or models(element(field.annotation)):
            if inner not in seen:
                groups(inner, seen)
    return seen


def test_the_reference_page_is_up_to_date() -> None:
    assert (DOCS / "alerts.md").read_text(encoding="utf-8") == markdown()


def test_the_schema_is_up_to_date() -> None:
    assert (DOCS / "alerts.schema.json").read_text(encoding="utf-8") == json_schema()


def test_every_key_has_its_meaning_on_the_reference_page() -> None:
    page = markdown()
    unsaid = [
        f"{group.__name__}.{key}"
        for group in groups(RuleFile, set())
        for key, field in fields_of(group)
        if not field.description or not any(line.endswith(f" {field.description} |") for line in page.split("\n"))
    ]
    assert unsaid == []
    assert [name for name in NAMES if f"`{name}`" not in page] == []


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def refused(document: Any) -> bool:
    return not jsonschema.Draft202012Validator(SCHEMA).is_valid(document)


@pytest.mark.parametrize("text", [EXAMPLE, EXAMPLE + uncommented(), TEN_LINES], ids=["shipped", "uncommented", "ten"])
def test_the_schema_takes_a_file_that_is_right(text: str) -> None:
    assert not refused(yaml.safe_load(text))


STRUCTURE = (
    "baseline_without_kind", "empty_list_of_rules", "group_by_a_stranger", "label_with_a_hyphen",
    "list_instead_of_keys", "mail_to_no_address", "name_with_a_blank", "no_rules", "number_as_a_label",
    "route_without_channels",
    "rule_that_is_a_text", "rule_without_name", "share_in_hundredths", "token_in_the_file",
    "token_where_its_variable_is_named", "unknown_dimension_of_select", "unknown_key_of_a_baseline",
    "unknown_key_of_a_rule", "unknown_kind_of_channel", "unknown_metric", "unknown_section", "unknown_severity",
    "version_of_the_future", "window_beside_select",
)  # fmt: skip


@pytest.mark.parametrize("name", STRUCTURE)
def test_the_schema_refuses_what_is_wrong_with_single_keys_and_values(name: str) -> None:
    [path] = [each for each in FILES if each.stem == name]
    assert refused(yaml.safe_load(path.read_text(encoding="utf-8")))

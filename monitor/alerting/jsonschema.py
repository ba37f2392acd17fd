"""JSON Schema of a rule file, for editors that complete keys and underline mistakes while one types."""

import json
from typing import Any, Final

from monitor.alerting.rulefile import RuleFile

_WORTHLESS: Final = frozenset({"title", "ge", "gt", "le", "lt"})
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> str:
    """docs/alerts.schema.json: what each value alone may be. What must fit other values, only `check-rules` knows."""
    made = _bare(RuleFile.model_json_schema(by_alias=True))
    return json.dumps({"$schema": _DIALECT, **made}, indent=1, ensure_ascii=False) + "\n"


def _bare(part: Any) -> Any:
    """Without null, which no key may be, titles that repeat keys, and bounds of durations, which are no JSON Schema."""
    if isinstance(part, list):
        return [_bare(each) for each in part]
    if not isinstance(part, dict):
        return part
    kept = {
        key: _bare(value)
        for key, value in part.items()
        if not (key in _WORTHLESS and isinstance(value, str)) and not (key == "default" and value is None)
    }
    if "patternProperties" in kept:
        kept["additionalProperties"] = False
    choices = kept.get("anyOf")
    if isinstance(choices, list) and {"type": "null"} in choices:
        others = [each for each in choices if each != {"type": "null"}]
        del kept["anyOf"]
        kept = {**others[0], **kept} if len(others) == 1 else {"anyOf": others, **kept}
    return kept

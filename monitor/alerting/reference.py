"""docs/alerts.md: every key of a rule file, made from the model itself."""

import json
from collections.abc import Iterator, Sequence
from typing import Final, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from monitor.alerting.conduct import BUILT_IN, Conduct, Select
from monitor.alerting.groups import element, fields_of, kind_of, models
from monitor.alerting.metrics import MONITOR, READING, Metric
from monitor.alerting.rulefile import RuleFile
from monitor.alerting.rules import RuleEntry
from monitor.alerting.templates import FILTERS, MEANINGS, SUMMARY
from monitor.forms.allowed import allowed, plain

_HEAD: Final = """# Rules: alerts.yaml

<!-- Written by `caldrift rules reference`. Change monitor/alerting instead. -->

alerts.yaml says what matters and whom to tell. The one at the top of the repository is a commented example with the
rules that ship. caldrift reads the file that `alerts.rules` of its settings names, else alerts.yaml in the folder of
`--embedded`, else that of the working folder, else its own copy of that example. SIGHUP has it read again, unless
`nohup` had SIGHUP ignored; a file with a mistake changes nothing, and the mistakes are in the log and on the page of
rules. What becomes of a rule is told in [the life cycle of an alert](alerting.md), what is told to whom in
[delivery](delivery.md).

    caldrift check-rules alerts.yaml

names every mistake at once as `alerts.yaml:14:13: what is allowed, what came`, and exits with 2. It checks against the
settings in force too: a rule cannot ask for a window that is not kept. `--json` prints the rules with every value
filled in, or the mistakes.

This is a whole file:

```yaml
rules:
  - name: EceHigh
    metric: ece
    enter: 0.05
routes:
  team: {notify: [slack]}
channels:
  slack: {kind: slack_webhook, url_env: CALDRIFT_SLACK_URL}
```

It is about the ECE of each whole model over the last 7 days, and asks for 500 labels and for an interval that is above
0.05 as a whole, for half an hour and 25 new labels; all of that can be changed.

- The file is YAML 1.2: `off` is a text, `22:00` needs no quotes. Anchors, aliases and `<<` are allowed. A key that is
  unknown, given twice or left empty is a mistake.
- A **duration** is text: `90s`, `5m`, `12h`, `7d`.
- A **pattern** has `*` for any text and `?` for one character. One that begins with `!` takes out what it matches, and
  needs quotes. A list takes in what any of its patterns takes in.
- A **secret** does not stand in the file: `*_env` names a variable that holds it, `*_file` a file.
- An editor that knows YAML schemas completes and checks with
  `# yaml-language-server: $schema=docs/alerts.schema.json` in the first line.
"""
_METRICS: Final = """
## Metrics

`bad` is the side that `compare` takes where a rule does not say it; a rule of a metric without one must say it. A limit
of a time is a duration. Measures with an interval can be judged confidently; docs/measures.md defines them.

| metric | about | bad | range | interval | meaning |
|---|---|---|---|---|---|"""
_DRIFT: Final = """
`drift` is an alarm of the detectors (docs/drift.md). It has no limit of its own: `tier` says which alarms, and
`false_pages_per_year` how many to expect in a year without drift. The settings say how many the detectors raise at
most; where rules ask for fewer, the smallest number holds for all of them.

ECE and its like are above 0 by chance alone, the more so the fewer labels there are. A limit that a calibrated model
would cross with `min_labelled` labels is a mistake; `check-rules` computes what it reads, for confidences spread evenly
from 0.5 to 1 and the bins of the settings.
"""
_TEMPLATES: Final = """
## What a template may name

`summary` and `annotations` of a rule, and `templates`, are Jinja2 in its sandbox. A name that does not exist is a
mistake, found before anything is sent: each template is rendered once with example values.

| name | meaning |
|---|---|"""


def markdown() -> str:
    """The whole page."""
    return "\n".join([_HEAD.rstrip(), *_sections(), *_metrics(), *_template_names()]) + "\n"


def _sections() -> Iterator[str]:
    yield from _section("The file", RuleFile)
    yield from _section("defaults, and every rule", Conduct, BUILT_IN)
    yield from _section("select", Select, BUILT_IN.select)
    yield from _section("rules", RuleEntry, without=list(Conduct.model_fields))
    for name, group in _groups(RuleEntry, "rules", without=list(Conduct.model_fields)):
        yield from _section(name, group)
    for name, field in fields_of(RuleFile):
        if name in {"defaults", "rules"}:
            continue
        for group in _inside(field):
            label = _label(name, field, group)
            yield from _section(label, group)
            for inner, deeper in _groups(group, label):
                yield from _section(inner, deeper)


def _groups(group: type[BaseModel], path: str, without: Sequence[str] = ()) -> Iterator[tuple[str, type[BaseModel]]]:
    """The groups that stand inside of one, each once, with the names of their sections."""
    names: dict[type[BaseModel], list[str]] = {}
    for name, field in fields_of(group):
        for inner in _inside(field) if name not in without else []:
            names.setdefault(inner, []).append(f"{path}.{name}")
    for inner, paths in names.items():
        label = " and ".join(paths)
        yield f"{label}, kind {kind_of(inner)}" if kind_of(inner) else label, inner


def _inside(field: FieldInfo) -> list[type[BaseModel]]:
    return models(field.annotation) or models(element(field.annotation))


def _label(name: str, field: FieldInfo, group: type[BaseModel]) -> str:
    label = f"{name}.<name>" if get_origin(plain(field.annotation)) is dict else name
    return f"{label}, kind {kind_of(group)}" if kind_of(group) else label


def _section(
    title: str, group: type[BaseModel], values: BaseModel | None = None, without: Sequence[str] = ()
) -> Iterator[str]:
    yield from ("", f"## {title}", "", (group.__doc__ or "").strip(), "")
    yield from ("| key | allowed | default | meaning |", "|---|---|---|---|")
    written = values.model_dump(mode="json", by_alias=True) if values else {}
    for (key, field), name in zip(fields_of(group), group.model_fields, strict=True):
        if name in without:
            continue
        default = written.get(key) if values else _default(group, name, field)
        shown = "needed" if field.is_required() else "" if default is None else f"`{json.dumps(default)}`"
        shown = "" if models(field.annotation) else shown
        yield f"| `{key}` | {_cell(_words(field))} | {_cell(shown)} | {field.description} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _default(group: type[BaseModel], name: str, field: FieldInfo) -> object:
    if field.is_required() or field.default is None:
        return None
    return (
        group.model_construct(**{name: field.default})
        .model_dump(mode="json", include={name}, by_alias=True)
        .get(field.alias or name)
    )


def _words(field: FieldInfo) -> str:
    if models(field.annotation):
        return "keys"
    if models(element(field.annotation)):
        return "keys by name" if get_origin(plain(field.annotation)) is dict else "list of keys"
    if get_origin(plain(field.annotation)) is dict:
        return "texts by name"
    return allowed(field)


def _metrics() -> Iterator[str]:
    yield _METRICS
    for metric in (*READING, *MONITOR):
        bad, interval = metric.bad or "", "yes" if metric.interval else ""
        yield (f"| `{metric.name}` | {metric.about} | {bad} | {_range(metric)} | {interval} | {metric.meaning} |")
    yield _DRIFT.rstrip()


def _range(metric: Metric) -> str:
    if metric.unit == "duration":
        return "a time"
    if metric.low is None:
        return "any"
    return f"{metric.low:g} or more" if metric.high is None else f"{metric.low:g} to {metric.high:g}"


def _template_names() -> Iterator[str]:
    yield _TEMPLATES
    yield from (f"| `{name}` | {meaning} |" for name, meaning in MEANINGS.items())
    yield f"| `{SUMMARY}` | The rule's summary, in `templates` only. |"
    yield from ("", "Filters beside those of Jinja2:", "")
    yield from (f"- `{name}`: {(each.__doc__ or '').strip()}" for name, each in FILTERS.items())

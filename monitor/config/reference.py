"""The reference page and the example file, both made from the settings themselves."""

import json
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Final

from monitor.config.keys import ANY, Key, field_at, keys
from monitor.config.sections import Settings
from monitor.forms import durations

_EXAMPLES: Final[dict[tuple[str, ...], str]] = {
    ("segments", "dimensions", ANY, "field"): '"prompt_tokens"',
    ("segments", "dimensions", ANY, "cuts"): "[200, 1000]",
    ("segments", "dimensions", ANY, "names"): '["easy", "medium", "hard"]',
    ("segments", "crosses"): '[["lang", "difficulty"]]',
    ("segments", "agreements"): '[["confidence >= 0.9", "consistency >= 0.5"]]',
    ("kafka", "sasl_mechanism"): '"SCRAM-SHA-512"',
    ("kafka", "sasl_username"): '"caldrift"',
    ("kafka", "sasl_oauth_token_path"): '"/run/secrets/kafka-token"',
    ("kafka", "ssl_cafile"): '"/etc/caldrift/ca.pem"',
    ("kafka", "ssl_certfile"): '"/etc/caldrift/client.pem"',
    ("kafka", "ssl_keyfile"): '"/etc/caldrift/client.key"',
    ("postgres", "app_role"): '"caldrift_service"',
    ("postgres", "read_role"): '"grafana"',
    ("recalibration", "by"): '"lang"',
    ("recalibration", "models", ANY, "mode"): '"automatic"',
    ("recalibration", "models", ANY, "schedule"): '"0 3 * * 1"',
    ("recalibration", "models", ANY, "by"): '"lang"',
    ("recalibration", "models", ANY, "method"): '"platt"',
    ("recalibration", "models", ANY, "on_alerts"): '["Drift"]',
    ("clock", "epoch"): "2026-01-01T00:00:00Z",
    ("alerts", "rules"): '"alerts.yaml"',
    ("web", "public_url"): '"https://caldrift.example.com"',
}
_EXAMPLE_NAMES: Final = {"dimensions": "difficulty", "models": "triage"}
_WIDTH: Final = 116

_HEAD: Final = """# Configuration

<!-- Written by `caldrift config reference`. Change monitor/config instead. -->

Settings come from flags (`--set KEY=VALUE`, or a command's own), then `CALDRIFT_*` variables, then one file, then the
defaults below: the first that says something wins. The file is what `--config` or `CALDRIFT_CONFIG` names, else
`caldrift.toml` in the folder of `--embedded`, else `caldrift.toml` in the working directory. `caldrift check-config`
names every mistake at once, each with its line and column; `caldrift config show --origin` says where each value comes
from.

- A **duration** is text: `90s`, `5m`, `12h`, `7d`.
- A **variable** is `CALDRIFT_`, the section, two underscores, the key:
  `CALDRIFT_KAFKA__BOOTSTRAP_SERVERS=a:9092,b:9092`. A list is written with commas or as in the file. An empty variable
  counts as none.
- A **secret** does not stand in the file. Give the variable, or the variable with `_FILE` added that names a file
  holding the secret; or, in the settings file, the key with `_file` added (`dsn_file = "/run/secrets/dsn"`).
"""


def example_value(key: Key) -> str:
    """The value of `key` in the example file, as TOML: its default, or something sensible where there is none."""
    return _EXAMPLES.get(key.path) or toml(key.default)


def toml(value: object) -> str:
    """A default as TOML has it."""
    if isinstance(value, timedelta):
        return f'"{durations.text(value)}"'
    if isinstance(value, tuple):
        return f"[{', '.join(toml(part) for part in value)}]"
    return json.dumps(value, ensure_ascii=False)


def markdown() -> str:
    """docs/configuration.md."""
    return "\n".join([_HEAD.rstrip(), *_sections()]) + "\n"


def _sections() -> Iterator[str]:
    section: tuple[str, ...] = ()
    for key in keys():
        if key.path[:-1] != section:
            section = key.path[:-1]
            yield from ("", f"## [{'.'.join(section)}]", "", _introduction(section), "")
            yield "| key | allowed | default | meaning |"
            yield "|---|---|---|---|"
        allowed = key.allowed.replace("|", "\\|")
        default = "" if key.default is None else f"`{toml(key.default)}`"
        name = f"`{key.path[-1]}`{' (secret)' if key.secret else ''}"
        yield f"| {name} | {allowed} | {default} | {key.description} |"


def _introduction(section: tuple[str, ...]) -> str:
    if section[-1] == ANY:
        return (field_at(section[:-1]) or Settings.model_fields["segments"]).description or ""
    annotation = Settings
    for part in section:
        annotation = annotation.model_fields[part].annotation  # type: ignore[assignment]
    return annotation.__doc__ or ""


def example() -> str:
    """caldrift.example.toml: every key with its meaning, commented out."""
    return "\n".join(_example_lines()) + "\n"


def _example_lines() -> Iterator[str]:
    yield "# caldrift.toml: copy this file and take the comment sign away from what you change."
    yield "# Every key is here; where a key has a default, that is the value shown. docs/configuration.md says more."
    section: tuple[str, ...] = ()
    for key in keys():
        if key.path[:-1] != section:
            section = key.path[:-1]
            yield from ("", f"#[{'.'.join(_named(section))}]")
        yield ""
        yield from (f"# {line}" for line in _wrapped(f"{key.description} Allowed: {key.allowed}."))
        if key.secret and key.default is None:
            yield f"# Secret: set {key.variable}, or name a file that holds it."
            yield f'#{key.path[-1]}_file = "/run/secrets/{key.path[-1]}"'
        else:
            yield f"#{key.path[-1]} = {example_value(key)}"


def _named(section: tuple[str, ...]) -> Iterator[str]:
    """The parts of a section, with an example for any name."""
    for before, part in pairwise(("", *section)):
        yield _EXAMPLE_NAMES[before] if part == ANY else part


def _wrapped(text: str) -> Iterator[str]:
    line = ""
    for word in text.split(" "):
        if line and len(line) + len(word) + 1 > _WIDTH:
            yield line
            line = word
        else:
            line = f"{line} {word}".strip()
    yield line

"""The reference page and the example file say everything, and are what the settings make of them."""

import re
import tomllib
from pathlib import Path

from monitor.config.keys import ANY, keys
from monitor.config.loading import load_settings
from monitor.config.reference import example, markdown
from monitor.config.sections import Settings

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "monitor" / "caldrift.example.toml"


def test_the_reference_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8") == markdown()


def test_the_example_file_is_up_to_date() -> None:
    assert EXAMPLE.read_text(encoding="utf-8") == example()


def test_every_setting_has_a_meaning_that_ends_as_a_sentence() -> None:
    assert [key.name for key in keys() if not key.description.endswith(".")] == []


def test_every_setting_is_read_by_some_part_of_the_service() -> None:
    described = {ROOT / "monitor" / "config" / name for name in ("sections.py", "checks.py", "reference.py")}
    sources = [path for path in (ROOT / "monitor").rglob("*.py") if path not in described]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    mapped = ("events", "fields")  # read all together, as a mapping
    unread = [key.name for key in keys() if key.path[:2] != mapped and not re.search(rf"\.{key.path[-1]}\b", text)]
    assert unread == []


def test_as_it_ships_the_example_changes_nothing() -> None:
    assert tomllib.loads(example()) == {}
    assert load_settings(EXAMPLE, {}) == Settings()


def _uncommented() -> str:
    return re.sub(r"^#(?=\S)", "", example(), flags=re.MULTILINE)


def test_the_example_has_every_key_and_is_right_with_all_comment_signs_taken_away(tmp_path: Path) -> None:
    text = _uncommented()
    held = _names(tomllib.loads(text))
    wanted = {
        key.name.replace(f"models.{ANY}", "models.triage").replace(ANY, "difficulty")
        + ("_file" if key.secret and not key.default else "")
        for key in keys()
    }
    assert held == wanted
    secret = tmp_path / "secret"
    secret.write_text("hush")
    together = text.replace('security_protocol = "PLAINTEXT"', 'security_protocol = "SASL_SSL"')
    together = re.sub(r'_file = "[^"]*"', f'_file = "{secret}"', together).replace("rate = 1.0", "rate = 2.0")
    path = tmp_path / "caldrift.toml"
    path.write_text(together)
    found = load_settings(path, {})
    assert found.segments.dimensions["difficulty"].names == ("easy", "medium", "hard")
    assert found.windows == Settings().windows


def _names(value: dict[str, object], inside: str = "") -> set[str]:
    found = set()
    for key, inner in value.items():
        found |= _names(inner, f"{inside}{key}.") if isinstance(inner, dict) else {inside + key}
    return found

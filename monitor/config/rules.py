"""The rule file of a service: where it is, and what it says."""

from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from monitor.alerting.rulebook import RuleBook
from monitor.alerting.validation import checked
from monitor.config.sections import Settings
from monitor.config.values import kept
from monitor.errors import BadSettings

FILE: Final = Path("alerts.yaml")


def rule_path(settings: Settings, folder: Path | None = None) -> Path | None:
    """The file of rules: what the settings name, else alerts.yaml of the folder, else that of the working folder.

    None: there is none of these, and the rules that ship hold.
    """
    if settings.alerts.rules is not None:
        return Path(settings.alerts.rules)
    here = [FILE] if folder is None else [folder / FILE, FILE]
    return next((path for path in here if path.is_file()), None)


def rule_book(settings: Settings, path: Path | None) -> RuleBook:
    """What a file of rules says; None stands for the rules that ship. Raises BadSettings with every mistake in it."""
    if path is None:
        with as_file(files("monitor") / str(FILE)) as shipped:
            return read_rules(settings, rule_text(shipped), "the rules that ship")
    return read_rules(settings, rule_text(path), str(path))


def read_rules(settings: Settings, text: str, name: str) -> RuleBook:
    """What the text of a rule file says; `name` is where it comes from. Raises BadSettings with every mistake in it."""
    found = checked(text, kept(settings))
    if found.file is None or found.mistakes:
        raise BadSettings([mistake.line(name) for mistake in found.mistakes])
    return RuleBook(text, found.file)


def rule_text(path: Path) -> str:
    """The text of a file of rules. Raises BadSettings where it cannot be read."""
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as failure:
        raise BadSettings([f"{path}: cannot be read: {failure.strerror}"]) from None
    except UnicodeDecodeError as failure:
        before = failure.object[: failure.start]
        line, column = before.count(b"\n") + 1, len(before.rpartition(b"\n")[2].decode("utf-8")) + 1
        wrong = failure.object[failure.start]
        raise BadSettings([f"{path}:{line}:{column}: must be UTF-8, got byte 0x{wrong:02x}"]) from None

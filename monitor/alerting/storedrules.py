"""The rule file in force: read back from its text, which was checked before it was stored."""

from functools import lru_cache

from pydantic import ValidationError

from monitor.alerting.document import document
from monitor.alerting.nodes import plain
from monitor.alerting.rulefile import RuleFile
from monitor.errors import Refused


@lru_cache(maxsize=4)
def stored_rules(text: str) -> RuleFile:
    """The file of its text. What it asks of the settings is not checked again: others may have other settings.

    Raises Refused for a file that this version cannot read.
    """
    root, mistakes = document(text)
    if root is None or mistakes:
        raise Refused("the stored rule file is nothing that this version reads: load it with the caldrift that runs")
    try:
        return RuleFile.model_validate(plain(root))
    except ValidationError as failure:
        raise Refused(
            f"the stored rule file has {failure.error_count()} things that this version does not know: "
            "load it with the caldrift that runs"
        ) from failure

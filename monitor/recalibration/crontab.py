"""Five fields of cron: weekdays by their names, because programs disagree on which day a number is."""

import re
from typing import Final

DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
"""0 to 6 in crontab(5), where 7 is Sunday too."""
_NUMBERS: Final = re.compile(r"(?:\*|(?P<first>[0-7])(?:-(?P<last>[0-7]))?)(?:/(?P<step>[1-7]))?")


def with_named_days(cron: str) -> str:
    """The same schedule with names for numbers of weekdays. What is no such schedule stays as it is."""
    fields = cron.split()
    if len(fields) == 5:
        fields[4] = ",".join(map(_named, fields[4].split(",")))
    return " ".join(fields)


def _named(part: str) -> str:
    found = _NUMBERS.fullmatch(part)
    if found is None or part == "*":
        return part
    first, last, step = found["first"], found["last"], found["step"]
    end = last or (first if first and not step else 6)
    return ",".join(DAYS[day % 7] for day in range(int(first or 0), int(end) + 1, int(step or 1))) or part

"""Which series a rule looks at."""

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.alerting.patterns import matches, matches_segment
from monitor.alerting.selection import unreachable
from monitor.alerting.validation import checked
from monitor.rolling.segments import SeriesName, segment_text
from tests.alerting.installations import SHIPPED

NAMES = st.text("ab.*[\n", max_size=6)
PATTERNS = st.text("ab.*?", max_size=6).filter(lambda text: not text.startswith("!"))


@given(PATTERNS, NAMES)
def test_a_pattern_matches_as_in_a_shell(pattern: str, name: str) -> None:
    assert matches((pattern,), name) == fnmatch.fnmatchcase(name, pattern)


@given(st.lists(PATTERNS, max_size=3), st.lists(PATTERNS, max_size=3), NAMES)
def test_a_list_takes_in_what_any_takes_in_and_none_takes_out(inside: list[str], out: list[str], name: str) -> None:
    expected = (not inside or any(fnmatch.fnmatchcase(name, each) for each in inside)) and not any(
        fnmatch.fnmatchcase(name, each) for each in out
    )
    assert matches((*inside, *(f"!{each}" for each in out)), name) == expected


@pytest.mark.parametrize(
    ("patterns", "segment", "expected"),
    [
        (("",), {}, True),
        (("",), {"lang": "de"}, False),
        (("*",), {}, True),
        (("*",), {"lang": "de", "tier": "a"}, True),
        (("lang=*",), {"lang": "de"}, True),
        (("lang=*",), {}, False),
        (("lang=*",), {"lang": "de", "tier": "a"}, False),
        (("tier=a,lang=d?",), {"lang": "de", "tier": "a"}, True),
        (("tier=a,lang=d?",), {"lang": "de", "tier": "b"}, False),
        (("lang=*", "!lang=en"), {"lang": "en"}, False),
        (("lang=*", "!lang=en"), {"lang": "fr"}, True),
        (("!lang=en",), {}, True),
        (("!",), {}, False),
    ],
)
def test_segments_match_dimension_by_dimension(
    patterns: tuple[str, ...], segment: dict[str, str], expected: bool
) -> None:
    assert matches_segment(patterns, segment) == expected


SERIES = [
    SeriesName("triage", "p_true", segment_text({})),
    SeriesName("triage", "verbal", segment_text({"lang": "de"})),
    SeriesName("billing", "p_true", segment_text({}), "complaint"),
]
RULES = """\
rules:
  - {name: Whole, metric: auroc, enter: 0.7}
  - {name: Other, metric: auroc, enter: 0.7, select: {model: other}}
  - {name: Off, metric: auroc, enter: 0.7, select: {model: other}, mode: off}
  - {name: German, metric: auroc, enter: 0.7, select: {signal: verb*, segment: lang=de}}
  - {name: MainGerman, metric: auroc, enter: 0.7, select: {segment: lang=de}}
  - {name: Complaints, metric: auroc, enter: 0.7, select: {model: b*, source: comp*}}
  - {name: Primary, metric: auroc, enter: 0.7, select: {model: b*}}
  - {name: Drift, metric: drift, select: {model: other}}
  - {name: Stale, metric: labels_stale, enter: 1h, select: {model: billing}}
  - {name: StaleOther, metric: labels_stale, enter: 1h, select: {model: other}}
  - {name: Stopped, metric: intake_stopped, enter: 1h}
"""


def test_a_rule_that_looks_at_no_series_is_unreachable_and_one_about_the_service_never_is() -> None:
    rules = checked(RULES, SHIPPED).rules
    assert unreachable(rules, SERIES, "p_true") == ["Other", "MainGerman", "Primary", "Drift", "StaleOther"]
    assert unreachable(rules, [], "p_true") == [
        *("Whole", "Other", "German", "MainGerman", "Complaints", "Primary", "Drift", "Stale", "StaleOther")
    ]

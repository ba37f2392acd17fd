"""Templates of notices."""

from dataclasses import fields, replace
from datetime import timedelta

import pytest
from jinja2 import TemplateError

from monitor.alerting import templates
from monitor.alerting.conduct import BUILT_IN
from monitor.alerting.routes import Templates
from monitor.alerting.templates import AlertFields, RuleFields, SeriesFields, mistakes, render

#: An alert about the service: it has no series, no interval and no labels.
SERVICE = replace(
    AlertFields(),
    series=SeriesFields("", "", "", "", ""),
    value=timedelta(hours=3),
    limit=timedelta(minutes=10),
    low=None,
    high=None,
    baseline=None,
    n=0,
    coverage=None,
)


def test_every_field_of_an_alert_is_documented_and_may_be_named() -> None:
    assert [each.name for each in fields(AlertFields)] == list(templates.MEANINGS)
    assert [list(mistakes(f"{{{{ {name} }}}}", summary=False)) for name in templates.MEANINGS] == [
        [] for _ in templates.MEANINGS
    ]


def test_what_is_built_in_says_of_a_reading_and_of_the_service_what_is_the_matter() -> None:
    summary = BUILT_IN.summary
    assert summary is not None
    assert render(summary, AlertFields()) == "EceHigh: ece is 0.08 (triage)"
    assert render(summary, SERVICE) == "EceHigh: ece is 3h"
    text = Templates().text
    assert render(text, AlertFields(), "a summary") == "What it is for"
    assert render(text, AlertFields(rule=RuleFields(description="")), "a summary") == "a summary"
    assert render(Templates().title, SERVICE, "all is lost") == "all is lost"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{{ value|percent }}", "8 %"),
        ("{{ coverage|percent }}", "80 %"),
        ("{{ since.year }}", "2026"),
        ("{{ labels.team|default('nobody') }}", "nobody"),
        ("{% for end in [low, high] %}{{ loop.index }}:{{ end }} {% endfor %}", "1:0.06 2:0.1 "),
        ("{% set name = rule.name %}{{ name|upper }}", "ECEHIGH"),
        ("{{ range(3)|join }}", "012"),
    ],
)
def test_a_template_without_mistakes_renders(text: str, shown: str) -> None:
    assert list(mistakes(text, summary=False)) == []
    assert render(text, AlertFields()) == shown


def test_what_is_not_known_is_a_dash() -> None:
    assert render("{{ low|figure }} {{ coverage|percent }}", SERVICE) == "– –"


def test_every_mistake_of_a_template_is_told() -> None:
    text = "{{ rule.nam }} {{ valu }} {{ n|percnt }} {{ series.colour }}"
    assert list(mistakes(text, summary=False)) == [
        "valu is no field of an alert; did you mean value?",
        "rule.nam is no field of an alert; did you mean name?",
        "series.colour is no field of an alert; allowed: model, signal, segment, source, window",
        "percnt is no filter; did you mean percent?",
    ]


@pytest.mark.parametrize(
    "text", ["{{ ''.__class__ }}", "{{ rule.name.__class__.__mro__ }}", "{{ labels.update({'a': 'b'}) }}"]
)
def test_a_template_reaches_and_changes_nothing_but_its_fields(text: str) -> None:
    assert len(list(mistakes(text, summary=False))) == 1
    with pytest.raises(TemplateError):
        render(text, AlertFields())


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0, "0s"),
        (4.2, "4s"),
        (599.6, "10m"),
        (754.321, "13m"),
        (3_600.04, "1h"),
        (35_999.9, "10h"),
        (216_000.5, "60h"),
        (5_400.0, "90m"),
        (172_800.0, "2d"),
    ],
)
def test_a_duration_that_was_measured_is_rounded_and_a_limit_stands_as_it_was_written(
    seconds: float, said: str
) -> None:
    assert templates.figure(timedelta(seconds=seconds)) == said

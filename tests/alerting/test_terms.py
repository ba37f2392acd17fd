"""The terms of rules, as a rule file gives them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from monitor.alerting.terms import Terms, terms_of
from tests.alerting.making import MINUTE
from tests.alerting.test_rulefile import EXAMPLE, TEN_LINES, rules

HOUR = timedelta(hours=1)


def test_the_defaults_of_the_life_cycle_are_those_of_a_rule_file() -> None:
    assert terms_of(rules(TEN_LINES)["EceHigh"], 5 * MINUTE) == Terms()


def test_every_term_of_a_rule_comes_through() -> None:
    rule = replace(
        rules(TEN_LINES)["EceHigh"], for_=1 * HOUR, for_new_labels=7, keep_firing_for=3 * HOUR, repeat_every=4 * HOUR,
        on_insufficient_data="alert", on_error="alert", send_resolved=False, mode="shadow",
    )  # fmt: skip
    assert terms_of(rule, 2 * MINUTE) == Terms(
        evaluate_every=2 * MINUTE, wait=1 * HOUR, for_new_labels=7, keep_firing_for=3 * HOUR, repeat_every=4 * HOUR,
        on_insufficient_data="alert", on_error="alert", send_resolved=False, mode="shadow",
    )  # fmt: skip


@pytest.mark.parametrize("name", ["Drift", "DriftSuspected", "LabelsStale", "DeadLetters", "EvaluationLate"])
def test_no_labels_are_asked_of_what_is_not_measured_on_them(name: str) -> None:
    """Else an alarm, or labels that stopped, would wait for labels for ever."""
    rule = rules(EXAMPLE)[name]
    assert rule.for_new_labels == 25
    assert terms_of(rule, 5 * MINUTE).for_new_labels == 0


def test_a_rule_that_is_off_has_no_terms() -> None:
    with pytest.raises(ValueError, match="rule EceHigh is off"):
        terms_of(replace(rules(TEN_LINES)["EceHigh"], mode="off"), 5 * MINUTE)

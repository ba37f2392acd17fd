"""Rules in force: what they ask of the detectors, and whom they tell."""

from tests.alerting.rounds import force_by


def test_the_detectors_raise_no_more_pages_than_the_settings_or_any_rule_asks_for() -> None:
    rules = "{name: A, metric: drift, false_pages_per_year: 1.5}, {name: B, metric: drift}"
    fewer = "{name: C, metric: drift, false_pages_per_year: 0.5, mode: shadow}"
    off = "{name: C, metric: drift, false_pages_per_year: 0.5, mode: 'off'}"
    assert force_by(f"rules: [{rules}]").false_pages_per_year(2.0) == 1.5
    assert force_by(f"rules: [{rules}]").false_pages_per_year(1.0) == 1.0
    assert force_by(f"rules: [{rules}, {fewer}]").false_pages_per_year(2.0) == 0.5
    assert force_by(f"rules: [{rules}, {off}]").false_pages_per_year(2.0) == 1.5
    assert force_by("rules: [{name: A, metric: ece, enter: 0.1}]").false_pages_per_year(2.0) == 2.0

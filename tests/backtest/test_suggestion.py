"""Suggested limits: the tightest that would not have told too often, with what a longer history might still hold."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import poisson

from monitor.alerting.alertrules import AlertRule
from monitor.backtest.replay import Replay, tried
from monitor.backtest.suggestion import MOST_FIRING, Suggestion, suggestions, variants, yaml_lines, yearly_at_most
from monitor.rolling.panes import HOUR
from tests.backtest.making import HOURLY, KEPT, SETTING, Answers, answers, force

RULES = """
defaults: {min_labelled: 350, select: {window: 1d}, for: 1h}
rules:
  - {name: Gap, metric: signed_gap, compare: above, enter: 0.05, exit: 0.03}
  - {name: Ece, metric: ece, enter: 0.05, exit: 0.04}
  - {name: Right, metric: accuracy, enter: 0.7, exit: 0.75}
  - {name: Late, metric: label_delay_seconds, enter: 6h, exit: 5h, for_new_labels: 0}
  - {name: Late2, metric: labels_stale, enter: 6h}
"""


def rules() -> list[AlertRule]:
    return list(force(RULES).rules.values())


def suggested(given: Answers, wanted: float, *, by_segment: bool = False) -> dict[str, Suggestion]:
    found = variants(rules())
    file = force(RULES).file
    forces = [tried(file, [each.rule for each in found], HOUR)]
    [report] = Replay(forces, given.names, SETTING, HOURLY).run(given.hours(), lambda _: None)
    return {
        each.rule.name + (each.segment or ""): each
        for each in suggestions(rules(), found, report, KEPT, wanted, by_segment=by_segment)
    }


def test_the_tightest_limits_are_chosen_that_tell_no_more_often_than_wanted() -> None:
    found = suggested(answers(1, days=8, series=2, each_hour=25, drift_from=90, shift=0.2), 60.0)
    gap = found["Gap"]
    assert gap.chosen is not None
    place = gap.candidates.index(gap.chosen)
    assert gap.chosen.yearly <= 60
    assert all(not each.is_fit(60.0) for each in gap.candidates[:place])
    assert [each.alerts for each in gap.candidates[:1]] > [each.alerts for each in gap.candidates[-1:]]
    assert gap.is_off_now
    assert set(found) == {"Gap", "Ece", "Right", "Late"}


def test_limits_that_chance_crosses_or_that_always_fire_are_not_suggested() -> None:
    found = suggested(answers(2, days=6, each_hour=25), 1e9)
    assert found["Ece"].candidates[0].is_below_chance
    for each in found.values():
        assert each.chosen is None or (each.chosen.firing <= MOST_FIRING and not each.chosen.is_below_chance)
    assert found["Late"].chosen is not None
    assert isinstance(found["Late"].chosen.enter, timedelta)


def test_candidates_lie_between_a_share_that_is_right_and_none() -> None:
    right = [each.condition.enter for each in variants(rules()) if each.of == "Right"]
    assert right == sorted(right, reverse=True)
    assert all(0 < float(limit) < 1 for limit in right)  # type: ignore[arg-type]
    assert 0.7 in right


@given(st.integers(0, 30), st.floats(1, 400))
def test_the_most_pages_a_year_are_those_that_would_seldom_show_as_so_few(pages: int, days: float) -> None:
    most = yearly_at_most(pages, timedelta(days=days))
    assert poisson.cdf(pages, most * days / 365) == pytest.approx(0.05, abs=1e-6)


def test_lines_to_paste_say_what_they_rest_on() -> None:
    found = suggested(answers(1, days=8, series=2, each_hour=25, drift_from=90, shift=0.2), 60.0)["Gap"]
    assert found.chosen is not None
    name, enter, leave = yaml_lines(found, 8.0)
    assert name == "- name: Gap"
    assert enter.startswith(f"  enter: {found.chosen.enter:g}  # {found.chosen.pages} in 8 days, so ")
    assert leave == f"  exit: {found.chosen.exit:g}"

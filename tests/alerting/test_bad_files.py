"""Each rule file in bad/ has one mistake, which its name tells. Its first line says where, and how the text begins."""

from pathlib import Path

import pytest

from tests.alerting.installations import mistakes

FILES = sorted((Path(__file__).parent / "bad").glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_bad_file_has_one_mistake_at_its_place(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    expected = text.partition("\n")[0].removeprefix("# ")
    [found] = mistakes(text)
    assert found.startswith(expected)


def test_there_are_bad_files_to_read() -> None:
    assert len(FILES) > 100


SECRETS = [path for path in FILES if "secret" in path.read_text(encoding="utf-8").partition("\n")[2]]


@pytest.mark.parametrize("path", SECRETS, ids=lambda path: path.stem)
def test_a_secret_in_the_wrong_place_is_not_said_again(path: Path) -> None:
    text = path.read_text(encoding="utf-8").partition("\n")[2]
    assert not any("xoxb" in found or "me:secret" in found for found in mistakes(text))


TEN = """\
version: 2
defaults: {for: 30, window: 7d}
rules:
  - name: EceHigh
    metric: ece
    enter: 0.05
    exit: 0.06
    severity: warn
  - name: Gap
    metric: signed_gap
    enter: 5
    route: team
    summary: "{{ rule.nam }}"
channels:
  slack: {kind: slack, token: xoxb, channel: C1}
mute_times:
  - {name: nights, time_zone: Europe/Berln, weekdays: [sunday]}
"""
PLACES = ["1:10", "2:17", "2:21", "7:11", "8:15", "9:5", "11:12", "12:12", "13:14", "15:24", "17:31"]


def test_every_mistake_of_a_file_is_told_at_once_in_the_order_of_its_lines() -> None:
    assert [":".join(found.split(":")[:2]) for found in mistakes(TEN)] == PLACES


def test_the_place_of_a_mistake_does_not_move_with_bad_values_before_it() -> None:
    text = """\
rules:
  - ece > 0.05
  - {name: High, metric: ece, enter: 0.05, exit: 0.06}
routes:
  team: {notify: [7, 8, slak]}
channels:
  slack: {kind: slack_webhook, url_env: SLACK}
"""
    assert [found.partition(": ")[0] for found in mistakes(text)] == ["2:5", "3:50", "5:19", "5:22", "5:25"]


def test_what_is_wrong_only_because_of_another_mistake_is_no_mistake() -> None:
    text = """\
rules:
  - {name: High, metric: ece, enter: high, exit: 0.04}
  - {name: Higher, extends: High, exit: 0.9}
  - {name: No name, metric: ece, enter: 0.05}
  - {name: Child, extends: No name, metric: ece, enter: 0.05}
routes:
  team: {notify: [slack], group_by: none}
channels:
  slack: {kind: slack_webhook, url_env: small}
inhibit:
  - {when: {rule: No name}, mute: {rule: High}}
"""
    assert [found.partition(": ")[0] for found in mistakes(text)] == ["2:38", "4:12", "5:28", "7:37", "9:41"]

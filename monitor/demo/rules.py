"""The demo's rule file: whom its alerts are told, and from when on. Durations are those of the demo's clock."""

from typing import Final

from monitor.demo.slack import CHANNEL

BOT_VARIABLE: Final = "CALDRIFT_SLACK_TOKEN"
HOOK_VARIABLE: Final = "CALDRIFT_SLACK_URL"
PAGER_VARIABLE: Final = "CALDRIFT_PAGERDUTY_KEY"
"""Variables that hold the secrets."""

_RULES: Final = """\
version: 1

defaults:
  for: 2h
  keep_firing_for: 4h
  repeat_every: 0s      # the demo's day takes less than half a minute: reminders would be all there is to read
  min_labelled: 50      # a segment has some ten labels an hour; the interval says what so few can prove

rules:
  - name: OverConfident
    description: In one language the model promises clearly more than it holds.
    metric: signed_gap
    compare: above
    enter: 0.1
    exit: 0.06
    select: {{model: ["*", "!support-agent"], segment: "lang=*", window: 1d}}   # of that one it is known
    severity: critical
    route: oncall
    summary: "{{{{ series.model }}}} promises more than it holds in {{{{ series.segment }}}}"

  - name: Drift
    description: A detector is sure that calibration changed, for the better or for the worse.
    metric: drift
    tier: page
    for: 0s
    select: {{segment: "lang=*"}}
    severity: error
    route: team
    summary: "the calibration of {{{{ series.model }}}} changed in {{{{ series.segment }}}}"

  # On trial: judged and shown, and nobody is told.
  - name: EceHigh
    description: Stated confidences are wrong by more than 5 points on average.
    metric: ece
    enter: 0.05
    exit: 0.03
    min_labelled: 1000
    mode: shadow

routes:
  oncall: {{notify: [pagerduty, {slack}], group_wait: 0s}}
  team: {{notify: [{slack}], group_wait: 0s}}
fallback_route: team

recalibration:
  tell: [pagerduty, {slack}]

templates:
  title: "{{{{ summary }}}}"
  text: "{{{{ rule.description }}}}"

channels:
  slack: {{kind: slack, token_env: {token}, channel: {channel}, base_url: "{slack_url}"}}
  pagerduty: {{kind: pagerduty, routing_key_env: {key}, url: "{pagerduty_url}"}}
"""
_HOOK: Final = "  slack_webhook: {{kind: slack_webhook, url_env: {hook}}}\n"


def rule_file(slack_url: str, pagerduty_url: str, *, hooked: bool) -> str:
    """The text of the file. Slack and PagerDuty are where the URLs say; `hooked`: a real Slack is told too."""
    text = _RULES.format(
        slack="slack, slack_webhook" if hooked else "slack",
        token=BOT_VARIABLE,
        channel=CHANNEL,
        slack_url=slack_url,
        key=PAGER_VARIABLE,
        pagerduty_url=pagerduty_url,
    )
    return text + _HOOK.format(hook=HOOK_VARIABLE) if hooked else text

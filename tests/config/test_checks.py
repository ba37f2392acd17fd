"""Values that do not go together: one mistake each, alone."""

import pytest

from monitor.config.loading import load_settings
from monitor.errors import BadSettings

GOOD = "confidence >= 0.9"
CASES = [
    (
        {"kafka.labels_topic": "predictions"},
        'kafka.labels_topic: must differ from kafka.predictions_topic, got "predictions" for both',
    ),
    (
        {"kafka.heartbeat_interval": "3500ms"},
        "kafka.heartbeat_interval: must be at most a third of kafka.session_timeout (10s), got 3500ms",
    ),
    (
        {"kafka.request_timeout": "5m"},
        "kafka.request_timeout: must be less than kafka.max_poll_interval, got 5m",
    ),
    (
        {"kafka.security_protocol": "SASL_SSL"},
        'kafka.security_protocol: needs kafka.sasl_mechanism, got "SASL_SSL" without it',
    ),
    (
        {"kafka.sasl_mechanism": "OAUTHBEARER", "kafka.security_protocol": "SASL_SSL"},
        'kafka.sasl_mechanism: needs kafka.sasl_oauth_token_path, got "OAUTHBEARER" without it',
    ),
    (
        {"kafka.sasl_mechanism": "PLAIN", "kafka.security_protocol": "SASL_SSL", "kafka.sasl_username": "me"},
        'kafka.sasl_mechanism: needs kafka.sasl_username and kafka.sasl_password, got "PLAIN" without them',
    ),
    (
        {"kafka.sasl_mechanism": "OAUTHBEARER", "kafka.sasl_oauth_token_path": "token"},
        'kafka.sasl_mechanism: needs a security_protocol with SASL, got "PLAINTEXT"',
    ),
    ({"kafka.ssl_keyfile": "key.pem"}, "kafka.ssl_keyfile: needs kafka.ssl_certfile"),
    (
        {"events.primary_sources": "human,judge", "events.non_primary_sources": "crowd,judge"},
        'events.non_primary_sources.1: must not be in events.primary_sources too, got "judge"',
    ),
    (
        {"segments.dimensions.size.cuts": "1,1"},
        "segments.dimensions.size.cuts.1: must be greater than the cut before it (1), got 1",
    ),
    (
        {"segments.dimensions.size.names": "a,b"},
        "segments.dimensions.size.names: needs cuts: names name the ranges between them",
    ),
    (
        {"segments.dimensions.size.names": "a,a", "segments.dimensions.size.cuts": "1"},
        "segments.dimensions.size.names: must differ from each other",
    ),
    (
        {"segments.crosses": '[["a", "b"], ["b", "a"]]'},
        "segments.crosses.1: must differ from the crosses before it, got b, a again",
    ),
    ({"segments.crosses": '[["a", "a"]]'}, "segments.crosses.0: must name each dimension once, got a, a"),
    *(
        (
            {"segments.agreements": f'[["{GOOD}", "{wrong}"]]'},
            f'segments.agreements.0: must be two signals with thresholds from 0 to 1, as "{GOOD}", got "{wrong}"',
        )
        for wrong in ("consistency", "consistency >= 1.5", ">= 0.5", "consistency > 0.5", "a >= b", "a >= nan")
    ),
    (
        {"segments.agreements": '[["a >= 0.9", "a >= 0.5"]]'},
        "segments.agreements.0: must name two different signals, got a and a",
    ),
    (
        {"segments.agreements": '[["a >= 0.9", "b >= 0.5"], ["b >= 0.9", "a >= 0.5"], ["a >= 0", "b >= 1"]]'},
        "segments.agreements.2: must differ from the pairs before it, got a and b again",
    ),
    ({"windows.lengths": "0s,1d"}, "windows.lengths.0: must be a whole number of hours, got 0s"),
    ({"windows.lengths": "24h,1d"}, "windows.lengths.1: must differ from the lengths before it, got 1d again"),
    ({"windows.maturity": "30m"}, "windows.maturity: must be a whole number of hours, got 30m"),
    ({"retention.correction_horizon": "30m"}, "retention.correction_horizon: must be a whole number of hours, got 30m"),
    (
        {"retention.label_horizon": "47h"},
        "retention.label_horizon: must be at least windows.maturity (2d), got 47h",
    ),
    ({"clock.epoch": "2026-01-01T00:00:00Z"}, "clock.epoch: needs a clock.rate other than 1"),
    (
        {"events.fields.label.label": "x", "events.fields.label.value": "x"},
        'events.fields.label.value: must differ from label, got "x" for both',
    ),
]


@pytest.mark.parametrize(("flags", "expected"), CASES)
def test_what_does_not_go_together_is_one_mistake(flags: dict[str, str], expected: str) -> None:
    with pytest.raises(BadSettings) as caught:
        load_settings(None, {}, flags)
    (line,) = caught.value.mistakes
    assert line.split(": ", 1)[1] == expected


def test_at_the_limits_there_is_no_mistake() -> None:
    found = load_settings(
        None,
        {},
        {
            "kafka.session_timeout": "9s",
            "kafka.heartbeat_interval": "3s",
            "retention.label_horizon": "48h",
            "windows.maturity": "48h",
            "windows.lengths": "1h",
            "segments.dimensions.size.cuts": "1,2",
            "segments.dimensions.size.names": "a,b,c",
            "segments.crosses": '[["a", "b"], ["a", "c"]]',
        },
    )
    assert found.segments.crosses == (("a", "b"), ("a", "c"))


def test_a_value_that_is_wrong_by_itself_is_not_checked_against_the_others() -> None:
    with pytest.raises(BadSettings) as caught:
        load_settings(None, {}, {"retention.label_horizon": "soon", "windows.maturity": "90d"})
    (line,) = caught.value.mistakes
    assert "must be a duration" in line

"""Settings: precedence, origins, and every mistake at once."""

from datetime import timedelta
from pathlib import Path

import pytest

from monitor.config.layers import Origin, from_overrides
from monitor.config.loading import load, load_settings
from monitor.config.sections import Settings
from monitor.errors import BadSettings
from monitor.forms.durations import parse, text


def mistakes(path: Path | None, environ: dict[str, str] | None = None, **flags: object) -> list[str]:
    with pytest.raises(BadSettings) as caught:
        load_settings(path, environ or {}, {name.replace("__", "."): value for name, value in flags.items()})
    return [line.replace(f"{path}:", "FILE:") for line in caught.value.mistakes]


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    return tmp_path / "caldrift.toml"


def test_without_anything_every_default_holds() -> None:
    assert load_settings(None, {}) == Settings()


def test_a_flag_beats_a_variable_beats_the_file_beats_the_default(toml: Path) -> None:
    toml.write_text('[kafka]\ngroup_id = "file"\nclient_id = "file"\npredictions_topic = "file"\n')
    environ = {"CALDRIFT_KAFKA__GROUP_ID": "variable", "CALDRIFT_KAFKA__CLIENT_ID": "variable"}
    found = load_settings(toml, environ, {"kafka.group_id": "flag"}).kafka
    assert (found.group_id, found.client_id, found.predictions_topic, found.labels_topic) == (
        "flag",
        "variable",
        "file",
        "labels",
    )


def test_each_value_knows_where_it_was_given(toml: Path) -> None:
    toml.write_text('[windows]\n\nmaturity = "12h"\n')
    flags = from_overrides({"web.port": 9000}, "flag")
    found = load(toml, {"CALDRIFT_READINGS__BINS": "15"}, flags)
    assert found.settings.readings.bins == 15
    assert found.settings.web.port == 9000
    assert found.origins == {
        ("windows", "maturity"): Origin("file", str(toml), (3, 12)),
        ("readings", "bins"): Origin("environment", "CALDRIFT_READINGS__BINS"),
        ("web", "port"): Origin("flag", "--set web.port"),
    }


def test_the_file_in_the_working_directory_is_read_by_itself(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toml.write_text('[kafka]\ngroup_id = "here"\n')
    monkeypatch.chdir(toml.parent)
    assert load_settings(None, {}).kafka.group_id == "here"


BAD = """\
[kafka]
bootstrap_server = "x:1"
session_timeout = "ten"
dsn = "a"
partitions = 0
labels_topic = "predictions"
bootstrap_servers = ["one:9092", "two"]
[segments.dimensions.size]
cuts = [3, 2.0]
feild = "a"
[segments.dimensions.other]
cuts = [1, "x"]
[segments.dimensions.third]
cuts = [1, 2]
names = ["low", "high"]
[segments]
crosses = [["a", "b"], ["a"]]
max_series = true
[web]
token = "abc"
port = 99999
[windows]
maturity = "90m"
lengths = [
  "1d",
  "90m",
]
[readings]
bins = 7
[postgres]
dsn = "postgresql://me:secret@db/x"
[retention]
label_horizon = 5
[events.fields.prediction]
model = "id"
prediction_id = "id"
[colour]
red = 1
[clock]
epoch = 2026-01-01T00:00:00
"""

EXPECTED = """\
FILE:2:1: kafka.bootstrap_server: unknown key; did you mean kafka.bootstrap_servers?
FILE:3:19: kafka.session_timeout: must be a duration such as 90s, 5m, 12h or 7d, got "ten"
FILE:4:1: kafka.dsn: unknown key; did you mean postgres.dsn?
FILE:5:14: kafka.partitions: must be at least 1, got 0
FILE:6:16: kafka.labels_topic: must differ from kafka.predictions_topic, got "predictions" for both
FILE:7:34: kafka.bootstrap_servers.1: must be host:port, got "two"
FILE:9:12: segments.dimensions.size.cuts.1: must be greater than the cut before it (3), got 2
FILE:10:1: segments.dimensions.size.feild: unknown key; did you mean segments.dimensions.size.field?
FILE:12:12: segments.dimensions.other.cuts.1: must be a number, got "x"
FILE:15:9: segments.dimensions.third.names: must be 3 names, one more than cuts, got 2
FILE:17:24: segments.crosses.1: must have at least 2 parts, got ["a"]
FILE:18:14: segments.max_series: must be a whole number, got true
FILE:20:9: web.token: a secret must not stand in the file; set CALDRIFT_WEB__TOKEN or CALDRIFT_WEB__TOKEN_FILE, \
or token_file here
FILE:21:8: web.port: must be at most 65535, got 99999
FILE:23:12: windows.maturity: must be a whole number of hours, got 90m
FILE:26:3: windows.lengths.1: must be a whole number of hours, got 90m
FILE:29:8: readings.bins: must be one of 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 24, 25, 30, 40, 50, 60, 75, 100, got 7
FILE:31:7: postgres.dsn: a password must not stand in the file; set CALDRIFT_POSTGRES__DSN or \
CALDRIFT_POSTGRES__DSN_FILE, or dsn_file here
FILE:33:17: retention.label_horizon: must be a duration such as 90s, 5m, 12h or 7d, got 5
FILE:35:9: events.fields.prediction.model: must differ from prediction_id, got "id" for both
FILE:38:1: colour: unknown key; allowed: kafka, postgres, events, segments, windows, ingest, retention, readings, \
drift, alerts, recalibration, review, web, clock
FILE:40:9: clock.epoch: must be a date and time with a zone, such as 2026-01-31T12:00:00Z, got 2026-01-01T00:00:00
"""


def test_every_mistake_of_a_file_is_named_at_once_with_its_place(toml: Path) -> None:
    toml.write_text(BAD)
    assert mistakes(toml) == EXPECTED.splitlines()


def test_mistakes_in_variables_and_flags_are_named_beside_those_of_the_file(toml: Path) -> None:
    toml.write_text("[web]\nport = -1\n")
    environ = {
        "CALDRIFT_KAFKA_GROUP_ID": "x",
        "CALDRIFT_WINDOWS__EVALUATE_EVERY": "soon",
        "CALDRIFT_KAFKA__GROUP": "x",
        "CALDRIFT_POSTGRES_DSN_FILE": "x",
    }
    assert mistakes(toml, environ, readings__min_labels="no") == [
        "FILE:2:8: web.port: must be at least 0, got -1",
        "CALDRIFT_KAFKA_GROUP_ID: unknown variable; did you mean CALDRIFT_KAFKA__GROUP_ID?",
        "CALDRIFT_POSTGRES_DSN_FILE: unknown variable; did you mean CALDRIFT_POSTGRES__DSN_FILE?",
        "CALDRIFT_KAFKA__GROUP: kafka.group: unknown key; did you mean kafka.group_id?",
        (
            "CALDRIFT_WINDOWS__EVALUATE_EVERY: windows.evaluate_every: must be a duration such as 90s, 5m, 12h or 7d, "
            'got "soon"'
        ),
        '--set readings.min_labels: readings.min_labels: must be a whole number, got "no"',
    ]


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ("0 3 30 2 *", "must be due some day: there is no such date"),
        ("0 3 * * 8", "must be five fields of cron"),
        ("0 3 1 *", "must be five fields of cron"),
    ],
)
def test_a_schedule_that_never_comes_due_or_is_none_is_a_mistake(schedule: str, said: str) -> None:
    (mistake,) = mistakes(None, {"CALDRIFT_RECALIBRATION__SCHEDULE": schedule})
    assert said in mistake


def test_variables_that_an_orchestrator_adds_are_no_mistake() -> None:
    environ = {"CALDRIFT_PORT": "tcp://10.0.0.1:80", "CALDRIFT_SERVICE_HOST": "10.0.0.1", "CALDRIFT_EMBEDDED": "d"}
    assert load_settings(None, environ | {"CALDRIFT_WEB__PORT": ""}) == Settings()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[kafka]\ngroup_id = nope\n", "FILE:2:12: Invalid value"),
        ("[kafka\n", "FILE:1:7: Expected ']' at the end of a table declaration"),
        ('a = "x', "FILE:1:7: Unterminated string; the file ends here"),
        ("[web]\nport = 1\nport = 2\n", "FILE:3:9: Cannot overwrite a value"),
    ],
)
def test_a_syntax_error_has_its_line_and_column(toml: Path, content: str, expected: str) -> None:
    toml.write_text(content)
    assert mistakes(toml) == [expected]


def test_a_file_that_is_not_there_or_not_text_is_a_mistake(toml: Path) -> None:
    assert mistakes(toml) == ["FILE: cannot be read: No such file or directory"]
    toml.write_bytes(b'[kafka]\ngroup_id = "\xff"\n')
    assert mistakes(toml) == ["FILE:2: must be UTF-8, got byte 0xff"]


def test_secrets_come_from_files_named_by_variables_or_by_the_settings_file(toml: Path) -> None:
    (toml.parent / "dsn").write_text("postgresql://me:secret@db/x\n")
    (toml.parent / "token").write_text("hush\n")
    toml.write_text('[web]\ntoken_file = "token"\n')
    found = load_settings(toml, {"CALDRIFT_POSTGRES__DSN_FILE": str(toml.parent / "dsn")})
    assert found.postgres.dsn == "postgresql://me:secret@db/x"
    assert found.web.token is not None
    assert found.web.token.get_secret_value() == "hush"
    assert "hush" not in repr(found)
    assert "secret" not in repr(found)


def test_a_secret_file_that_cannot_be_read_or_is_given_beside_the_secret_is_a_mistake() -> None:
    assert mistakes(None, {"CALDRIFT_WEB__TOKEN_FILE": "nowhere"}) == [
        "CALDRIFT_WEB__TOKEN_FILE: web.token_file: cannot read nowhere: No such file or directory"
    ]
    assert mistakes(None, {"CALDRIFT_WEB__TOKEN_FILE": "nowhere", "CALDRIFT_WEB__TOKEN": "x"}) == [
        "CALDRIFT_WEB__TOKEN_FILE: web.token_file: give token or token_file, not both"
    ]


def test_a_secret_is_never_repeated_in_a_mistake() -> None:
    lines = mistakes(None, {"CALDRIFT_KAFKA__SASL_PASSWORD": "hunter2", "CALDRIFT_KAFKA__SASL_MECHANISM": "PLAIN"})
    assert lines
    assert not any("hunter2" in line for line in lines)


def test_lists_and_tables_may_come_from_variables() -> None:
    environ = {
        "CALDRIFT_KAFKA__BOOTSTRAP_SERVERS": "a:1, b:2",
        "CALDRIFT_WINDOWS__LENGTHS": '["2d", "3d"]',
        "CALDRIFT_SEGMENTS__DIMENSIONS__SIZE__CUTS": "1,2.5",
        "CALDRIFT_SEGMENTS__CROSSES": '[["a", "b"]]',
    }
    found = load_settings(None, environ)
    assert found.kafka.bootstrap_servers == ("a:1", "b:2")
    assert found.windows.lengths == (timedelta(days=2), timedelta(days=3))
    assert found.segments.dimensions["size"].cuts == (1.0, 2.5)
    assert found.segments.crosses == (("a", "b"),)


def test_a_dimension_may_have_a_name_with_dots_or_no_keys(toml: Path) -> None:
    toml.write_text('[segments.dimensions."a.b"]\n[segments.dimensions]\nplain = {}\n')
    assert set(load_settings(toml, {}).segments.dimensions) == {"a.b", "plain"}


@pytest.mark.parametrize("written", ["0s", "90s", "5m", "36h", "7d", "250ms", "1w", "1.5h"])
def test_a_duration_reads_back_from_its_text(written: str) -> None:
    assert parse(text(parse(written))) == parse(written)

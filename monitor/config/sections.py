"""Every setting: its type, default, bounds and meaning. The reference page and the example file are made from these."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BeforeValidator, Field, SecretStr

from monitor.alerting.kinds import Url
from monitor.config.fields import FieldsSection
from monitor.config.kinds import (
    SECRET,
    Cron,
    FieldPath,
    RecalibrationMethod,
    RecalibrationMode,
    Servers,
    Topic,
    Zone,
)
from monitor.forms.durations import Duration, parse
from monitor.forms.kinds import Count, Name, Names, Number, Section, Switch, listed


class KafkaSection(Section):
    """The broker, the two topics and how to read them."""

    bootstrap_servers: Servers = Field(
        default=("localhost:9092",),
        description="Brokers to ask first, each `host:port`.",
    )
    client_id: Name = Field(default="caldrift", description="The name under which the broker sees caldrift.")
    group_id: Name = Field(
        default="caldrift",
        description="Consumer group of the ingest processes. Offsets are kept in Postgres under this name.",
    )
    predictions_topic: Topic = Field(
        default="predictions",
        description="Topic of the predictions, keyed by prediction_id.",
    )
    labels_topic: Topic = Field(
        default="labels",
        description="Topic of the labels, keyed by prediction_id, with as many partitions.",
    )
    start_from: Literal["earliest", "latest"] = Field(
        default="earliest",
        description="Where a group without stored offsets begins. Partitions that appear later always begin at 0.",
    )
    partitions: Count = Field(
        default=4,
        ge=1,
        le=10_000,
        description="Partitions of each topic where caldrift creates it (`replay`, embedded mode).",
    )
    replication_factor: Count = Field(
        default=1,
        ge=1,
        le=32,
        description="Copies of each partition where caldrift creates the topic.",
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT",
        description="How to speak to the broker.",
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = Field(
        default=None,
        description="How to log in, where security_protocol has SASL in it.",
    )
    sasl_username: Name | None = Field(default=None, description="User name for PLAIN and SCRAM.")
    sasl_password: SecretStr | None = Field(
        default=None,
        json_schema_extra=SECRET,
        description="Password for PLAIN and SCRAM.",
    )
    sasl_oauth_token_path: Path | None = Field(
        default=None,
        description="File that holds the current token for OAUTHBEARER; read again whenever a token is needed.",
    )
    ssl_cafile: Path | None = Field(
        default=None,
        description="Certificates of the authorities to trust (PEM); without it the system's.",
    )
    ssl_certfile: Path | None = Field(default=None, description="Certificate of this client (PEM).")
    ssl_keyfile: Path | None = Field(default=None, description="Key of this client's certificate (PEM).")
    ssl_key_password: SecretStr | None = Field(
        default=None,
        json_schema_extra=SECRET,
        description="Password of that key.",
    )
    ssl_check_hostname: Switch = Field(
        default=True,
        description="Whether the broker's certificate must name the broker's host.",
    )
    session_timeout: Duration = Field(
        default=parse("10s"),
        ge=parse("1s"),
        le=parse("30m"),
        description="A silent ingest process loses its partitions after this time.",
    )
    heartbeat_interval: Duration = Field(
        default=parse("3s"),
        ge=parse("100ms"),
        le=parse("10m"),
        description="Time between heartbeats; at most a third of session_timeout.",
    )
    request_timeout: Duration = Field(
        default=parse("30s"),
        ge=parse("1s"),
        le=parse("10m"),
        description="How long to wait for an answer of the broker.",
    )
    max_poll_interval: Duration = Field(
        default=parse("5m"),
        ge=parse("10s"),
        le=parse("1d"),
        description="An ingest process that does not poll for so long loses its partitions.",
    )


class PostgresSection(Section):
    """The database, the only place where anything is kept."""

    dsn: str = Field(
        default="postgresql://localhost:5432/caldrift",
        min_length=1,
        repr=False,
        json_schema_extra=SECRET,
        description="Where the database is, as a libpq URI or keywords. A password must not stand in the file: give "
        "the whole DSN by environment or `dsn_file`, or use PGPASSFILE.",
    )
    app_role: Name | None = Field(
        default=None,
        description="User of the database that `db upgrade` lets read and write the tables: the one of `caldrift run`.",
    )
    read_role: Name | None = Field(
        default=None,
        description="User of the database that `db upgrade` lets read the versioned views only: Grafana's.",
    )


class EventsSection(Section):
    """How to read the messages."""

    main_signal: Name = Field(
        default="confidence",
        description="Which signal is the main one: `confidence`, or a name under `signals`.",
    )
    id_scope: Literal["global", "model"] = Field(
        default="global",
        description="Whether a prediction_id is unique over all models, or only within its model (then labels must "
        "name the model).",
    )
    max_clock_ahead: Duration = Field(
        default=parse("1h"),
        ge=parse("0s"),
        le=parse("365d"),
        description="An event may be this far in the future; beyond, it is a dead letter.",
    )
    primary_sources: Names = Field(
        default=(),
        description="Label sources that feed the main series. Empty: every source that is not in non_primary_sources.",
    )
    non_primary_sources: Names = Field(
        default=("complaint",),
        description="Label sources that get series of their own.",
    )
    fields: FieldsSection = Field(default=FieldsSection(), description="Names of your fields.")


class DimensionSection(Section):
    """One dimension of segments."""

    field: FieldPath | None = Field(
        default=None,
        description="Key under `segments` that holds the value. Absent: the dimension's own name.",
    )
    cuts: tuple[Number, ...] = Field(
        default=(),
        max_length=100,
        description="Ascending cut points of a numeric value: a value below the first cut has the first name.",
    )
    names: Names = Field(
        default=(),
        description="Names of the ranges between cuts: one more than there are cuts. Absent: the ranges themselves.",
    )


class SegmentsSection(Section):
    """Which slices of the traffic get series of their own."""

    dimensions: dict[Name, DimensionSection] = Field(
        default={},
        description="Dimensions that need more than their name, say cut points. A text value under `segments` needs no "
        "entry.",
    )
    crosses: tuple[Annotated[tuple[Name, ...], Field(min_length=2, max_length=8)], ...] = Field(
        default=(),
        max_length=100,
        description='Combinations of dimensions that get series too, as [["lang", "difficulty"]].',
    )
    agreements: tuple[tuple[Name, Name], ...] = Field(
        default=(),
        max_length=16,
        description="Pairs of signals to compare, each with the value from which on it is high, as "
        '[["confidence >= 0.9", "consistency >= 0.5"]]. Their quadrants are the values of a dimension '
        "`agreement:confidence~consistency`.",
    )
    max_classes: Count = Field(
        default=0,
        ge=0,
        le=100,
        description="Classes of `probabilities` that get series of their own, in each model; classes past it share "
        "`class:__other__`, counted. 0: none has.",
    )
    max_series: Count = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="Bound on the number of series; past it new values go to `__other__`, counted.",
    )


class WindowsSection(Section):
    """Rolling windows over prediction time."""

    lengths: Annotated[tuple[Duration, ...], BeforeValidator(listed)] = Field(
        default=(parse("1d"), parse("7d"), parse("30d")),
        min_length=1,
        max_length=16,
        description="Lengths of the rolling windows, each a whole number of hours.",
    )
    maturity: Duration = Field(
        default=parse("48h"),
        ge=parse("0s"),
        le=parse("365d"),
        description="Age at which the labels of an hour count as complete; whole hours.",
    )
    evaluate_every: Duration = Field(
        default=parse("5m"),
        ge=parse("100ms"),
        le=parse("1d"),
        description="Time between two evaluations.",
    )


class IngestSection(Section):
    """The join of predictions and labels."""

    batch_size: Count = Field(default=5_000, ge=1, le=100_000, description="Most events in one transaction.")
    processes: Count = Field(default=1, ge=1, le=64, description="Ingest processes that `caldrift run` starts.")
    dead_letter_share: Number = Field(
        default=0.2,
        gt=0,
        le=1,
        description="The intake stops when more than this share of the last 10,000 messages was bad.",
    )
    dead_letter_run: Count = Field(
        default=1_000,
        ge=1,
        le=10_000_000,
        description="The intake stops after so many bad messages in a row.",
    )
    stall_after: Duration = Field(
        default=parse("2m"),
        ge=parse("1s"),
        le=parse("1d"),
        description="A partition that has messages but does not advance for so long is a stall.",
    )


class RetentionSection(Section):
    """How long things are kept."""

    label_horizon: Duration = Field(
        default=parse("60d"),
        ge=parse("1h"),
        description="The first label may come this long after its prediction.",
    )
    correction_horizon: Duration = Field(
        default=parse("30d"),
        ge=parse("0s"),
        description="Corrections may come this long after that.",
    )
    history_horizon: Duration = Field(
        default=parse("100d"),
        ge=parse("1h"),
        description="How far back the history as it was known then reaches.",
    )
    readings: Duration = Field(
        default=parse("400d"),
        ge=parse("1h"),
        description="How long evaluated readings are kept.",
    )
    dead_letters: Duration = Field(default=parse("30d"), ge=parse("1h"), description="How long dead letters are kept.")


class ReadingsSection(Section):
    """How a reading is computed and when it is withheld."""

    bins: Literal[2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 24, 25, 30, 40, 50, 60, 75, 100] = Field(
        default=10,
        description="Bins of equal width of ECE and of the reliability diagram.",
    )
    edges: Literal["right_closed", "left_closed"] = Field(
        default="right_closed",
        description="Which bin a confidence on an edge belongs to: right_closed is (low, high], left_closed is [low, "
        "high).",
    )
    min_labels: Count = Field(
        default=30,
        ge=1,
        le=1_000_000,
        description="With fewer labels a reading says `not_enough_labels`.",
    )
    confidence_level: Number = Field(default=0.95, gt=0.5, lt=1, description="Level of every interval.")


class DriftSection(Section):
    """Detectors of drift: how many false alarms to expect, over all series together."""

    false_pages_per_year: Number = Field(
        default=2.0,
        ge=0,
        le=10_000,
        description="Pages to expect in a year in which nothing drifts. Fewer are raised later. 0: no pages.",
    )
    false_warnings_per_year: Number = Field(
        default=12.0,
        ge=0,
        le=10_000,
        description="Warnings to expect in a year in which nothing drifts. 0: no warnings.",
    )
    baseline_labels: Count = Field(
        default=1_500,
        ge=100,
        le=1_000_000,
        description="Labels of mature hours that teach what is normal, of each series.",
    )
    tolerance: Number = Field(
        default=0.01,
        ge=0,
        le=0.5,
        description="A shift of the mean of expected minus outcome that does not matter.",
    )


class RecalibrationPlanSection(Section):
    """The plan of one model, where it differs."""

    mode: RecalibrationMode | None = Field(default=None, description="As `recalibration.mode`.")
    schedule: Cron | None = Field(default=None, description="As `recalibration.schedule`.")
    by: str | None = Field(default=None, max_length=256, description="As `recalibration.by`.")
    method: RecalibrationMethod | None = Field(default=None, description="As `recalibration.method`.")
    on_alerts: Names | None = Field(default=None, description="As `recalibration.on_alerts`.")


class RecalibrationSection(Section):
    """Recalibration: maps that make confidences right again, fitted on schedule and judged by a gate."""

    mode: RecalibrationMode = Field(
        default="propose",
        description="What becomes of a map that passes the gate: `propose` tells people of it, `shadow` lets clients "
        "apply it without acting on it, `automatic` puts it in force. `off`: nothing runs by itself.",
    )
    schedule: Cron = Field(
        default="0 3 1 * *",
        description="When, as five fields of cron: the default is 03:00 on the first of every month. Weekdays are 0 "
        "(Sunday) to 6, or `sun` to `sat`; beside a day of the month both must hold. What downtime missed is caught "
        "up, once.",
    )
    timezone: Zone = Field(default="UTC", description="The time zone of the schedule, as `Europe/Zurich`.")
    window: Duration = Field(
        default=parse("90d"),
        ge=parse("1h"),
        le=parse("3650d"),
        description="How far back labels count; after a page of the detectors, no further than where drift began.",
    )
    holdout: Number = Field(
        default=0.3,
        gt=0,
        lt=1,
        description="Share of the labels, those of the last predictions, that judge what the others fitted.",
    )
    min_labels: Count = Field(
        default=200, ge=30, le=1_000_000, description="Labels that the hold-out must have for the gate to judge."
    )
    worst_loss: Number = Field(
        default=0.02,
        ge=0,
        le=10,
        description="Log loss, nats, by which no large segment may become worse beyond chance.",
    )
    method: RecalibrationMethod = Field(
        default="by_labels", description="How maps are fitted; `by_labels` chooses by the number of labels."
    )
    by: str | None = Field(
        default=None,
        max_length=256,
        description="Dimension whose values get maps of their own; empty for none. Absent: the dimension that tells "
        "most, found on labels before the hold-out.",
    )
    clip: Number = Field(
        default=0.005,
        gt=0,
        lt=0.5,
        description="Confidences are kept within clip..1-clip: 0.005 for stated ones, 1e-7 for token probabilities.",
    )
    on_alerts: Names = Field(default=(), description="Rules whose firing for a model asks for a run at once.")
    roll_back: Switch = Field(
        default=True,
        description="Whether a map is taken out of force when on labels since then it is worse than nothing beyond "
        "chance.",
    )
    models: dict[Name, RecalibrationPlanSection] = Field(default={}, description="Models whose plan differs.")


class WebSection(Section):
    """Pages, API and /metrics."""

    host: Name = Field(default="127.0.0.1", description="Address to listen at.")
    port: Count = Field(default=8321, ge=0, le=65_535, description="Port to listen at; 0 takes a free one.")
    token: SecretStr | None = Field(
        default=None,
        json_schema_extra=SECRET,
        description="Token that readers must present; without it anyone who reaches the port may read.",
    )
    operator_token: SecretStr | None = Field(
        default=None,
        json_schema_extra=SECRET,
        description="Token of who may change things: answer reviews, promote maps. Without it, and without a token, a "
        "browser on this machine may; otherwise the pages only show.",
    )
    open: Switch = Field(
        default=False,
        description="Whether a host beyond this machine may be listened at without a token: everybody who reaches the "
        "port may read.",
    )
    allowed_hosts: Names = Field(
        default=(),
        description="Names under which browsers and Prometheus reach the pages, beside localhost and addresses. Other "
        "names are refused unless a token is set.",
    )
    public_url: Url | None = Field(
        default=None,
        description="Where people find the pages: links in notices and reports begin with it. Absent: they have none.",
    )
    max_metric_series: Count = Field(
        default=200,
        ge=0,
        le=100_000,
        description="Most series that /metrics shows: the worst first.",
    )


class ReviewSection(Section):
    """Review by people: confident errors, spot checks."""

    queue_size: Count = Field(
        default=100,
        ge=1,
        le=1_000,
        description="Most confident errors that one search puts in the queue.",
    )
    control_share: Number = Field(
        default=0.1,
        ge=0,
        le=0.5,
        description="Part of that queue that is drawn at random from all answers, and marked only once answered.",
    )
    spot_check_share: Number = Field(
        default=0.1,
        gt=0,
        le=1,
        description="Share of all predictions that a draw puts in the queue of spot checks, in expectation.",
    )


class AlertsSection(Section):
    """Alerts: alerts.yaml says what matters, and whom to tell."""

    rules: Name | None = Field(
        default=None,
        description="The file of rules. Absent: alerts.yaml in the folder of `--embedded`, else that of the working "
        "folder, else the rules that ship.",
    )


class ClockSection(Section):
    """The service's one clock. Fixed when the database is first used; only a demonstration scales it."""

    rate: Number = Field(
        default=1.0,
        gt=0,
        le=1_000_000,
        description="Seconds of the service's clock in one second of wall time.",
    )
    epoch: AwareDatetime | None = Field(default=None, description="Where a scaled clock starts. Absent: now.")


class Settings(Section):
    """Everything that can be set."""

    kafka: KafkaSection = Field(default=KafkaSection(), description="Broker and topics.")
    postgres: PostgresSection = Field(default=PostgresSection(), description="Database.")
    events: EventsSection = Field(default=EventsSection(), description="How to read the messages.")
    segments: SegmentsSection = Field(default=SegmentsSection(), description="Slices.")
    windows: WindowsSection = Field(default=WindowsSection(), description="Rolling windows.")
    ingest: IngestSection = Field(default=IngestSection(), description="The join.")
    retention: RetentionSection = Field(default=RetentionSection(), description="How long things are kept.")
    readings: ReadingsSection = Field(default=ReadingsSection(), description="Readings.")
    drift: DriftSection = Field(default=DriftSection(), description="Detectors of drift.")
    alerts: AlertsSection = Field(default=AlertsSection(), description="Alerts.")
    recalibration: RecalibrationSection = Field(default=RecalibrationSection(), description="Recalibration.")
    review: ReviewSection = Field(default=ReviewSection(), description="Review by people.")
    web: WebSection = Field(default=WebSection(), description="Pages.")
    clock: ClockSection = Field(default=ClockSection(), description="Clock.")

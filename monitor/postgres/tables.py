"""The schema, as SQLAlchemy metadata. Alembic compares the database with it; `monitor.migrations` builds it.

Instants are timestamptz. Sums are integers in fixed point, 1e-9 unless a comment says otherwise, so that adding and
subtracting are exact. Columns of `pair` stand in order of alignment: a labelled row takes 96 bytes and a line pointer.
"""

from typing import Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP, UUID

HASHED: Final = "hashed"
TIME_ORDERED: Final = "time-ordered"
LAYOUTS: Final = (HASHED, TIME_ORDERED)

HASH_PARTITIONS: Final = 8

SUM_COLUMNS: Final = (
    "n_pred",
    "n",
    "sum_c",
    "sum_c2",
    "sum_y",
    "sum_cy",
    "excess_w",
    "excess_wy",
    "excess_wc",
    "excess_w2",
    "excess_w2y",
    "excess_w2c",
)
"""The columns of a sketch in the order of its rows; the six `excess_` ones are NULL when every label has weight 1."""

SERIES_NAME: Final = ("model", "signal", "segment_text", "source_group")
"""What names a series. Unique by digests, since the texts may be longer than a row of an index can be."""

DELAY_COLUMNS: Final = ("delays", "right_delays", "unsplit_delays")
"""The columns of a sketch's label delays in the order of their rows."""

SKETCH_COLUMNS: Final = ("cells", *SUM_COLUMNS, "delay_buckets", *DELAY_COLUMNS)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

instant = TIMESTAMP(timezone=True)
NOW: Final = text("now()")


def only_row() -> tuple[Column[int], CheckConstraint]:
    """The key of a table that has one row."""
    return (
        Column("id", SmallInteger, primary_key=True, autoincrement=False, server_default=text("1")),
        CheckConstraint("id = 1", name="only_row"),
    )


def sketch_columns() -> list[Column[list[int]]]:
    """The columns that hold one sketch: parallel arrays over its cells, then over its delay buckets."""
    counts = {
        "n_pred": "predictions in the cell",
        "n": "labelled predictions in the cell",
        "sum_c": "sum of confidence, 1e-9",
        "sum_c2": "sum of squared confidence, 1e-9",
        "sum_y": "sum of outcome, 1e-9",
        "sum_cy": "sum of confidence times outcome, 1e-9",
    }
    excesses = {
        "excess_w": "sum of w - 1, 1e-6; NULL when every weight is 1",
        "excess_wy": "sum of (w - 1) outcome, 1e-6",
        "excess_wc": "sum of (w - 1) confidence, 1e-6",
        "excess_w2": "sum of w^2 - 1, 1e-3",
        "excess_w2y": "sum of (w^2 - 1) outcome, 1e-3",
        "excess_w2c": "sum of (w^2 - 1) confidence, 1e-3",
    }
    return [
        Column("cells", ARRAY(SmallInteger), nullable=False, comment="cell indices, ascending, format version 1"),
        *(Column(name, ARRAY(BigInteger), nullable=False, comment=comment) for name, comment in counts.items()),
        *(Column(name, ARRAY(BigInteger), comment=comment) for name, comment in excesses.items()),
        Column("delay_buckets", ARRAY(SmallInteger), nullable=False, comment="label delay buckets, ascending"),
        Column("delays", ARRAY(BigInteger), nullable=False, comment="labels in each delay bucket"),
        Column(
            "right_delays",
            ARRAY(BigInteger),
            comment="sum of outcome of the labels in each delay bucket, 1e-9; NULL before revision 0004: not known",
        ),
        Column(
            "unsplit_delays",
            ARRAY(BigInteger),
            comment="labels in each delay bucket that right_delays was never told of; NULL: none",
        ),
    ]


installation = Table(
    "installation",
    metadata,
    *only_row(),
    Column("ids", Text, nullable=False, comment="layout of pair, fixed by the first upgrade"),
    Column("clock_epoch_at", instant, nullable=False, comment="what the clock showed at clock_started_at"),
    Column("clock_started_at", instant, nullable=False, comment="wall time at which the clock started"),
    Column("clock_rate", Double, nullable=False, server_default=text("1"), comment="clock seconds per wall second"),
    Column("created_at", instant, nullable=False, server_default=NOW),
    CheckConstraint("ids IN ('hashed', 'time-ordered')", name="ids"),
    CheckConstraint("clock_rate > 0", name="clock_rate"),
    comment="one row: the layout and the one clock",
)

kafka_offset = Table(
    "kafka_offset",
    metadata,
    Column("group_id", Text, primary_key=True),
    Column("topic", Text, primary_key=True),
    Column("part", Integer, primary_key=True, comment="number of the partition"),
    Column("next_offset", BigInteger, nullable=False, comment="first offset that is not yet applied"),
    Column("cluster_id", Text, nullable=False, comment="id of the Kafka cluster the offset belongs to"),
    Column("high_water", BigInteger, comment="end offset when last seen; lag is high_water - next_offset"),
    Column("updated_at", instant, nullable=False, server_default=NOW, comment="clock time of the last batch"),
    Column("waits_since", instant, comment="clock time from which on messages waited; NULL: none does, as last seen"),
    Column("left_at", instant, comment="clock time at which a process that reads last ended in order; NULL: none did"),
    postgresql_with={"fillfactor": 50},
    comment="the only authority on what has been read; changed by compare-and-swap",
)

segment_set = Table(
    "segment_set",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("key", Text, nullable=False, comment="canonical text of all that follows"),
    Column("model", Text, nullable=False),
    Column("model_version", Text),
    Column("segments", JSONB, nullable=False, comment="{dimension: value}, frozen when the prediction is stored"),
    Column("signals", ARRAY(Text), nullable=False, comment="names of the extra signals, in order of pair.signals"),
    Column("created_at", instant, server_default=NOW, comment="wall time; NULL: before revision 0006"),
    Index("uq_segment_set_key", text("md5(key)"), unique=True),
    comment="everything that a prediction's series depend on",
)

series = Table(
    "series",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("model", Text, nullable=False),
    Column("signal", Text, nullable=False),
    Column("segment", JSONB, nullable=False, comment="{dimension: value}; {} is the whole model"),
    Column("segment_text", Text, nullable=False, comment="canonical JSON of segment"),
    Column("source_group", Text, nullable=False, server_default=text("''"), comment="'' = primary label sources"),
    Column("created_at", instant, nullable=False, server_default=NOW),
    Index("uq_series_name", *(text(f"md5({part})") for part in SERIES_NAME), unique=True),
    comment="model x signal x segment x group of label sources",
)

label_source = Table(
    "label_source",
    metadata,
    Column("id", SmallInteger, Identity(), primary_key=True, comment="0 is never given: deltas use it for the primary"),
    Column("name", Text, nullable=False, unique=True),
    Column("is_primary", Boolean, nullable=False, comment="feeds the main series"),
    comment="who labels",
)

pair = Table(
    "pair",
    metadata,
    Column("id", UUID, primary_key=True, comment="the prediction id if it is a UUID, else its blake2b-128"),
    Column("predicted_at", instant, comment="NULL until the prediction comes"),
    Column("confidence", Double, comment="main signal, 0..1"),
    Column("labelled_at", instant),
    Column("label_version", BigInteger, comment="0 when the producer gives none; NULL until a label comes"),
    Column("label_number", Double, comment="correct (0..1) or value; 0 for other kinds"),
    Column("segment_set", Integer, comment="segment_set.id"),
    Column("label_kind", SmallInteger, comment="0 retraction, 1 correct, 2 label, 3 value"),
    Column("label_source", SmallInteger, comment="label_source.id"),
    Column("signals", ARRAY(Double), comment="extra signals, 0..1, in order of segment_set.signals"),
    Column("predicted", Text),
    Column("probabilities", JSONB, comment="{class: probability}"),
    Column("interval", ARRAY(Double), comment="low, high, level"),
    Column("numbers", JSONB, comment="raw values of the numeric dimensions"),
    Column("reference", Text, comment="for reviewers: a URL or a short text"),
    Column("chain_id", Text),
    Column("step", Integer),
    Column("label_text", Text, comment="what a label of kind 2 says"),
    Column("label_propensity", Double, comment="chance that the prediction was chosen for labelling, (0, 1]"),
    Column("previous_labelled_at", instant, comment="previous_*: the label that the last one replaced"),
    Column("previous_label_number", Double),
    Column("previous_label_propensity", Double),
    Column("previous_label_kind", SmallInteger),
    Column("previous_label_source", SmallInteger),
    Column("previous_label_text", Text),
    comment="one rendezvous row per prediction id; partitioned by HASH (id) or, time-ordered, by RANGE (id)",
)

retention_floor = Table(
    "retention_floor",
    metadata,
    *only_row(),
    Column("floor_at", instant, nullable=False, comment="older events are expired; every batch reads it FOR SHARE"),
    comment="how far back pair reaches; only ever raised",
)

upkeep = Table(
    "upkeep",
    metadata,
    *only_row(),
    Column("walked_pages", BigInteger, comment="pages of pair searched for rows under the floor; NULL: all are gone"),
    Column("folded_at", instant, comment="pane_history up to here is folded into base rows; NULL: none yet"),
    comment="how far the leader has come with what retention removes",
)

statistics_delta = Table(
    "statistics_delta",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("body", LargeBinary, nullable=False, comment="monitor.rolling.deltas"),
    Column("written_at", instant, nullable=False, server_default=NOW, comment="wall time of the writing transaction"),
    comment="what one ingest batch changed; the leader takes rows and adds them to panes",
)

leader_epoch = Table(
    "leader_epoch",
    metadata,
    *only_row(),
    Column("epoch", BigInteger, nullable=False, server_default=text("0")),
    comment="the leader's fence: compared and swapped in every transaction that applies deltas",
)

pane = Table(
    "pane",
    metadata,
    Column("series", Integer, ForeignKey("series.id"), primary_key=True, autoincrement=False),
    Column("pane_start", instant, primary_key=True, comment="of prediction time"),
    Column("width", Integer, nullable=False, comment="seconds: 3600, or 86400 once merged"),
    *sketch_columns(),
    postgresql_with={"fillfactor": 80},
    comment="the shortest stored interval of a series",
)

pane_history = Table(
    "pane_history",
    metadata,
    Column("series", Integer, ForeignKey("series.id"), primary_key=True, autoincrement=False),
    Column("pane_start", instant, primary_key=True, comment="of prediction time"),
    Column("known_at", instant, primary_key=True, comment="clock time when it was applied, rounded up to the hour"),
    Column("width", Integer, nullable=False, comment="seconds"),
    *sketch_columns(),
    Index("ix_pane_history_known_at", "known_at", postgresql_using="brin"),
    comment="what was added to panes and when: the state known at T is the sum where known_at <= T",
)

window_sum = Table(
    "window_sum",
    metadata,
    Column("series", Integer, ForeignKey("series.id"), primary_key=True, autoincrement=False),
    Column("window_name", Text, primary_key=True),
    Column("start_at", instant, nullable=False),
    Column("end_at", instant, nullable=False),
    *sketch_columns(),
    postgresql_with={"fillfactor": 50},
    comment="rolling sums: panes that enter are added, panes that leave are subtracted",
)

reading = Table(
    "reading",
    metadata,
    Column("series", Integer, ForeignKey("series.id"), primary_key=True, autoincrement=False),
    Column("window_name", Text, primary_key=True),
    Column("as_of", instant, primary_key=True, comment="clock time that the reading describes"),
    Column("computed_at", instant, nullable=False, comment="clock time of its evaluation"),
    Column("n", BigInteger, nullable=False, comment="labelled predictions"),
    Column("n_predictions", BigInteger, nullable=False),
    Column("ece", Double, comment="NULL: not enough labels; body.missing says why"),
    Column("ece_low", Double),
    Column("ece_high", Double),
    Column("null_low", Double, comment="null band: what ECE would be if the model were calibrated"),
    Column("null_high", Double),
    Column("signed_gap", Double, comment="mean confidence - outcome rate; positive = over-confident"),
    Column("coverage", Double, comment="labelled / predicted"),
    Column("body", JSONB, nullable=False, comment="the whole reading, as `caldrift reading --json` prints it"),
    Index("ix_reading_as_of", "as_of"),
    comment="one reading of a series and a window, kept as history",
)

detector = Table(
    "detector",
    metadata,
    Column("series", Integer, ForeignKey("series.id"), primary_key=True, autoincrement=False),
    Column("first_at", instant, nullable=False, comment="the first pane that was taken"),
    Column("began_at", instant, comment="the first pane of the baseline; NULL: a new one begins with the next pane"),
    Column("until_at", instant, nullable=False, comment="the last pane that was taken; all after it are still to come"),
    Column("panes", BigInteger, nullable=False, comment="panes with labels that were taken since first_at"),
    Column("baseline_panes", Integer, nullable=False, comment="of them, how many have taught the baseline so far"),
    Column("taught_until_at", instant, comment="the last of them, once they were enough"),
    *sketch_columns(),
    Column("baseline", JSONB, comment="monitor.drift.baseline, taught by the sketch; NULL: it is still being taught"),
    Column("numbers", LargeBinary, comment="state of the two tiers: float64, little-endian"),
    Column("opinion", LargeBinary, comment="state of river's ADWIN"),
    Column("shift_at", instant, comment="pane at which ADWIN last found a shift"),
    Column("shift", Double, comment="its size, expected minus outcome"),
    Column("shift_mean", Double, comment="mean residual of the window that it kept"),
    Column("shift_panes", Integer, comment="panes in that window"),
    Column("labels", Double, nullable=False, server_default=text("0"), comment="fed since the baseline"),
    Column("residual", Double, comment="their mean of expected minus outcome; NULL: none were fed"),
    Column("page_evidence", Double, comment="log of what the page tier holds; it alarms from page_limit on"),
    Column("page_limit", Double, comment="-log of the false alarms expected a pane; NULL: the tier is off"),
    Column("warn_evidence", Double),
    Column("warn_limit", Double),
    Column(
        "late_labels", BigInteger, nullable=False, server_default=text("0"), comment="changed after their pane was fed"
    ),
    Column("renew", Boolean, nullable=False, server_default=text("false"), comment="a new baseline was asked for"),
    postgresql_with={"fillfactor": 50},
    comment="drift detectors of a series: its panes teach a baseline, then are fed against it, once and in order",
)

fed_pane = Table(
    "fed_pane",
    metadata,
    Column("series", Integer, ForeignKey("series.id"), primary_key=True, autoincrement=False),
    Column("pane_start", instant, primary_key=True, comment="of prediction time"),
    Column("known_at", instant, nullable=False, comment="it was fed as pane_history has it up to here"),
    Column("labels", Double, nullable=False, comment="labels in it then"),
    Column("residual", Double, comment="their mean of expected minus outcome; NULL: they taught the baseline"),
    Column("page_alpha", Double, nullable=False, comment="false pages expected of it"),
    Column("warn_alpha", Double, nullable=False, comment="false warnings expected of it"),
    comment="which panes the detectors were fed, as they were known when; kept as long as pane_history is whole",
)

alarm = Table(
    "alarm",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("series", Integer, ForeignKey("series.id"), nullable=False),
    Column("tier", Text, nullable=False, comment="page or warn"),
    Column("raised_at", instant, nullable=False, comment="clock time"),
    Column("pane_start", instant, nullable=False, comment="the pane that raised it"),
    Column("band", Text, nullable=False, comment="of confidence: all, low, middle, high"),
    Column("sign", SmallInteger, nullable=False, comment="1 over-confident, -1 under-confident"),
    Column("onset_at", instant, nullable=False, comment="pane at which the drift is estimated to have begun"),
    Column("onset_low_at", instant, nullable=False, comment="95 % interval"),
    Column("onset_high_at", instant, nullable=False),
    Column("size", Double, nullable=False, comment="change of the mean residual, expected minus outcome"),
    Column("size_low", Double, nullable=False, comment="95 % interval"),
    Column("size_high", Double, nullable=False),
    Column("value", Double, nullable=False, comment="what the tier held, at least 1 / alpha"),
    Column("alpha", Double, nullable=False, comment="false alarms expected a pane"),
    Column("labels", Double, nullable=False, comment="fed since the baseline"),
    Column("slope", Double, nullable=False, comment="of a warning: the line over log odds that explains it best"),
    Column("intercept", Double, nullable=False),
    UniqueConstraint("series", "tier", "pane_start"),
    Index("ix_alarm_raised_at", "raised_at"),
    CheckConstraint("tier IN ('page', 'warn')", name="tier"),
    comment="what the detectors said; kept for ever",
)

count = Table(
    "count",
    metadata,
    Column("name", Text, primary_key=True),
    Column("model", Text, primary_key=True, server_default=text("''")),
    Column("n", BigInteger, nullable=False),
    comment="exactly-once counters: summed from deltas in the leader's transaction",
)

dead_letter = Table(
    "dead_letter",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("topic", Text, nullable=False),
    Column("part", Integer, nullable=False),
    Column("kafka_offset", BigInteger, nullable=False),
    Column("cluster_id", Text, nullable=False, server_default=text("''"), comment="Kafka cluster of the offset"),
    Column("reason", Text, nullable=False, comment="one of events.REASONS"),
    Column("message", Text, nullable=False, comment="what was wrong, where, what is allowed"),
    Column("key", LargeBinary),
    Column("value", LargeBinary, comment="the message as it came"),
    Column("received_at", instant, nullable=False, comment="clock time"),
    UniqueConstraint("cluster_id", "topic", "part", "kafka_offset"),
    Index("ix_dead_letter_reason_id", "reason", "id"),
    comment="messages that could not be used, written in the batch's transaction",
)

evaluation = Table(
    "evaluation",
    metadata,
    *only_row(),
    Column("evaluated_at", instant, comment="clock time of the last evaluation; NULL: none yet"),
    Column("applied_deltas", BigInteger, nullable=False, server_default=text("0"), comment="since the beginning"),
    Column("applied_at", instant, comment="clock time when deltas were last applied"),
    Column("panes_read", BigInteger, nullable=False, server_default=text("0"), comment="by the last evaluation"),
    Column("bytes_read", BigInteger, nullable=False, server_default=text("0"), comment="by the last evaluation"),
    Column("took_seconds", Double, comment="wall time of the last evaluation"),
    comment="what the leader did last",
)

role = Table(
    "role",
    metadata,
    Column("name", Text, primary_key=True, comment="ingest, evaluate, web"),
    Column("instance", Text, primary_key=True),
    Column("pid", Integer, nullable=False),
    Column("host", Text, nullable=False),
    Column("beat_at", instant, nullable=False, comment="wall time of the last sign of life"),
    Column("detail", JSONB, nullable=False, server_default=text("'{}'")),
    postgresql_with={"fillfactor": 50},
    comment="heartbeats of the processes",
)

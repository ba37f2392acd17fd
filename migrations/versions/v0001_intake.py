"""The intake: installation, offsets, pairs, deltas, dead letters, and what retention goes by."""

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None

INSTANT = postgresql.TIMESTAMP(timezone=True)
JSONB = postgresql.JSONB()

HASH_PARTITIONS = 8
STORAGE = "fillfactor = 75, autovacuum_vacuum_scale_factor = 0.05"
DAYS_BACK = 100
DAYS_AHEAD = 7

ADD_DAY = """
CREATE FUNCTION caldrift_add_day(day date) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {schema}, pg_temp AS $$
DECLARE
    leaf text := 'pair_day_' || to_char(day, 'YYYYMMDD');
    low text := lpad(to_hex((extract(epoch FROM day) * 1000)::bigint), 12, '0') || repeat('0', 20);
    high text := lpad(to_hex((extract(epoch FROM day + 1) * 1000)::bigint), 12, '0') || repeat('0', 20);
BEGIN
    IF (SELECT ids FROM installation) <> 'time-ordered' THEN
        RAISE EXCEPTION 'pair is not partitioned by day';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('caldrift_add_day'));
    IF to_regclass(leaf) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE pair) WITH ({storage})', leaf);
    EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I PRIMARY KEY (id)', leaf, 'pk_' || leaf);
    EXECUTE format('ALTER TABLE pair ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', leaf, low, high);
    RETURN true;
END $$
"""
DROP_DAY = """
CREATE FUNCTION caldrift_drop_day(day date) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {schema}, pg_temp AS $$
DECLARE
    leaf text := 'pair_day_' || to_char(day, 'YYYYMMDD');
BEGIN
    IF (SELECT floor_at FROM retention_floor) < ((day + 2)::timestamp AT TIME ZONE 'UTC') THEN
        RAISE EXCEPTION 'the retention floor must be a day past the end of % before it is dropped', day;
    END IF;
    IF to_regclass(leaf) IS NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('DROP TABLE %I', leaf);
    RETURN true;
END $$
"""


def upgrade() -> None:
    """Make the tables. The layout of `pair` comes from the attribute `ids` (hashed or time-ordered)."""
    ids = context.config.attributes.get("ids", "hashed")
    _installation()
    _kafka_offset()
    _retention_floor()
    _upkeep()
    _segment_set()
    _label_source()
    _pair("HASH (id)" if ids == "hashed" else "RANGE (id)")
    _statistics_delta()
    _dead_letter()
    op.execute(f"INSERT INTO installation (ids, clock_epoch_at, clock_started_at) VALUES ('{ids}', now(), now())")
    op.execute("INSERT INTO retention_floor (floor_at) VALUES ('2000-01-01 00:00+00')")
    op.execute("INSERT INTO upkeep DEFAULT VALUES")
    _partitions(ids)


def downgrade() -> None:
    """Drop everything that `upgrade` made, with what it holds."""
    op.execute("DROP FUNCTION caldrift_add_day, caldrift_drop_day")
    for table in TABLES:
        op.drop_table(table)


TABLES = (
    "dead_letter", "statistics_delta", "pair", "label_source", "segment_set", "upkeep", "retention_floor",
    "kafka_offset", "installation",
)  # fmt: skip


def _partitions(ids: str) -> None:
    schema = op.get_bind().execute(sa.text("SELECT quote_ident(current_schema())")).scalar()
    op.execute(ADD_DAY.format(schema=schema, storage=STORAGE))
    op.execute(DROP_DAY.format(schema=schema))
    op.execute("REVOKE EXECUTE ON FUNCTION caldrift_add_day, caldrift_drop_day FROM PUBLIC")
    if ids == "hashed":
        for i in range(HASH_PARTITIONS):
            op.execute(
                f"CREATE TABLE pair_hash_{i} PARTITION OF pair FOR VALUES WITH "
                f"(MODULUS {HASH_PARTITIONS}, REMAINDER {i}) WITH ({STORAGE})"
            )
    else:
        op.execute(
            "SELECT caldrift_add_day((now() AT TIME ZONE 'UTC')::date + d) "
            f"FROM generate_series(-{DAYS_BACK}, {DAYS_AHEAD}) AS d"
        )


def _installation() -> None:
    op.create_table(
        "installation",
        sa.Column("id", sa.SmallInteger, server_default=sa.text("1"), autoincrement=False, nullable=False),
        sa.Column("ids", sa.Text, nullable=False, comment="layout of pair, fixed by the first upgrade"),
        sa.Column("clock_epoch_at", INSTANT, nullable=False, comment="what the clock showed at clock_started_at"),
        sa.Column("clock_started_at", INSTANT, nullable=False, comment="wall time at which the clock started"),
        sa.Column(
            "clock_rate",
            sa.Double,
            server_default=sa.text("1"),
            nullable=False,
            comment="clock seconds per wall second",
        ),
        sa.Column("created_at", INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("ids IN ('hashed', 'time-ordered')", name=op.f("ck_installation_ids")),
        sa.CheckConstraint("clock_rate > 0", name=op.f("ck_installation_clock_rate")),
        sa.CheckConstraint("id = 1", name=op.f("ck_installation_only_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation")),
        comment="one row: the layout and the one clock",
    )


def _kafka_offset() -> None:
    op.create_table(
        "kafka_offset",
        sa.Column("group_id", sa.Text, nullable=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("part", sa.Integer, nullable=False, comment="number of the partition"),
        sa.Column("next_offset", sa.BigInteger, nullable=False, comment="first offset that is not yet applied"),
        sa.Column("cluster_id", sa.Text, nullable=False, comment="id of the Kafka cluster the offset belongs to"),
        sa.Column("high_water", sa.BigInteger, comment="end offset when last seen; lag is high_water - next_offset"),
        sa.Column(
            "updated_at",
            INSTANT,
            server_default=sa.text("now()"),
            nullable=False,
            comment="clock time of the last batch",
        ),
        sa.PrimaryKeyConstraint("group_id", "topic", "part", name=op.f("pk_kafka_offset")),
        comment="the only authority on what has been read; changed by compare-and-swap",
        postgresql_with={"fillfactor": 50},
    )


def _retention_floor() -> None:
    op.create_table(
        "retention_floor",
        sa.Column("id", sa.SmallInteger, server_default=sa.text("1"), autoincrement=False, nullable=False),
        sa.Column(
            "floor_at", INSTANT, nullable=False, comment="older events are expired; every batch reads it FOR SHARE"
        ),
        sa.CheckConstraint("id = 1", name=op.f("ck_retention_floor_only_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retention_floor")),
        comment="how far back pair reaches; only ever raised",
    )


def _upkeep() -> None:
    op.create_table(
        "upkeep",
        sa.Column("id", sa.SmallInteger, server_default=sa.text("1"), autoincrement=False, nullable=False),
        sa.Column(
            "walked_pages", sa.BigInteger, comment="pages of pair searched for rows under the floor; NULL: all are gone"
        ),
        sa.Column("folded_at", INSTANT, comment="pane_history up to here is folded into base rows; NULL: none yet"),
        sa.CheckConstraint("id = 1", name=op.f("ck_upkeep_only_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upkeep")),
        comment="how far the leader has come with what retention removes",
    )


def _segment_set() -> None:
    op.create_table(
        "segment_set",
        sa.Column("id", sa.Integer, sa.Identity(always=False), nullable=False),
        sa.Column("key", sa.Text, nullable=False, comment="canonical text of all that follows"),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("model_version", sa.Text),
        sa.Column(
            "segments", JSONB, nullable=False, comment="{dimension: value}, frozen when the prediction is stored"
        ),
        sa.Column(
            "signals", sa.ARRAY(sa.Text), nullable=False, comment="names of the extra signals, in order of pair.signals"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segment_set")),
        comment="everything that a prediction's series depend on",
    )
    op.create_index("uq_segment_set_key", "segment_set", [sa.literal_column("md5(key)")], unique=True)


def _label_source() -> None:
    op.create_table(
        "label_source",
        sa.Column(
            "id",
            sa.SmallInteger,
            sa.Identity(always=False),
            nullable=False,
            comment="0 is never given: deltas use it for the primary",
        ),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("is_primary", sa.Boolean, nullable=False, comment="feeds the main series"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_label_source")),
        sa.UniqueConstraint("name", name=op.f("uq_label_source_name")),
        comment="who labels",
    )


def _pair(partition_by: str) -> None:
    op.create_table(
        "pair",
        sa.Column("id", sa.UUID, nullable=False, comment="the prediction id if it is a UUID, else its blake2b-128"),
        sa.Column("predicted_at", INSTANT, comment="NULL until the prediction comes"),
        sa.Column("confidence", sa.Double, comment="main signal, 0..1"),
        sa.Column("labelled_at", INSTANT),
        sa.Column("label_version", sa.BigInteger, comment="0 when the producer gives none; NULL until a label comes"),
        sa.Column("label_number", sa.Double, comment="correct (0..1) or value; 0 for other kinds"),
        sa.Column("segment_set", sa.Integer, comment="segment_set.id"),
        sa.Column("label_kind", sa.SmallInteger, comment="0 retraction, 1 correct, 2 label, 3 value"),
        sa.Column("label_source", sa.SmallInteger, comment="label_source.id"),
        sa.Column("signals", sa.ARRAY(sa.Double), comment="extra signals, 0..1, in order of segment_set.signals"),
        sa.Column("predicted", sa.Text),
        sa.Column("probabilities", JSONB, comment="{class: probability}"),
        sa.Column("interval", sa.ARRAY(sa.Double), comment="low, high, level"),
        sa.Column("numbers", JSONB, comment="raw values of the numeric dimensions"),
        sa.Column("reference", sa.Text, comment="for reviewers: a URL or a short text"),
        sa.Column("chain_id", sa.Text),
        sa.Column("step", sa.Integer),
        sa.Column("label_text", sa.Text, comment="what a label of kind 2 says"),
        sa.Column("label_propensity", sa.Double, comment="chance that the prediction was chosen for labelling, (0, 1]"),
        sa.Column("previous_labelled_at", INSTANT, comment="previous_*: the label that the last one replaced"),
        sa.Column("previous_label_number", sa.Double),
        sa.Column("previous_label_propensity", sa.Double),
        sa.Column("previous_label_kind", sa.SmallInteger),
        sa.Column("previous_label_source", sa.SmallInteger),
        sa.Column("previous_label_text", sa.Text),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pair")),
        comment="one rendezvous row per prediction id; partitioned by HASH (id) or, time-ordered, by RANGE (id)",
        postgresql_partition_by=partition_by,
    )


def _statistics_delta() -> None:
    op.create_table(
        "statistics_delta",
        sa.Column("id", sa.BigInteger, sa.Identity(always=False), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False, comment="monitor.rolling.deltas"),
        sa.Column(
            "written_at",
            INSTANT,
            server_default=sa.text("now()"),
            nullable=False,
            comment="wall time of the writing transaction",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_statistics_delta")),
        comment="what one ingest batch changed; the leader takes rows and adds them to panes",
    )


def _dead_letter() -> None:
    op.create_table(
        "dead_letter",
        sa.Column("id", sa.BigInteger, sa.Identity(always=False), nullable=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("part", sa.Integer, nullable=False),
        sa.Column("kafka_offset", sa.BigInteger, nullable=False),
        sa.Column(
            "cluster_id", sa.Text, server_default=sa.text("''"), nullable=False, comment="Kafka cluster of the offset"
        ),
        sa.Column("reason", sa.Text, nullable=False, comment="one of events.REASONS"),
        sa.Column("message", sa.Text, nullable=False, comment="what was wrong, where, what is allowed"),
        sa.Column("key", sa.LargeBinary),
        sa.Column("value", sa.LargeBinary, comment="the message as it came"),
        sa.Column("received_at", INSTANT, nullable=False, comment="clock time"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dead_letter")),
        sa.UniqueConstraint(
            "cluster_id",
            "topic",
            "part",
            "kafka_offset",
            name=op.f("uq_dead_letter_cluster_id_topic_part_kafka_offset"),
        ),
        comment="messages that could not be used, written in the batch's transaction",
    )
    op.create_index("ix_dead_letter_reason_id", "dead_letter", ["reason", "id"], unique=False)

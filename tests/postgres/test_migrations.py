"""The schema: from nothing to head and back, equal to the metadata, in both layouts, by several at once."""

from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.resources import files

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from monitor.calibration.sketch import SUMS
from monitor.errors import BadSettings, Refused, Unavailable
from monitor.postgres import migration
from monitor.postgres.database import Connection, connect
from monitor.postgres.schema import whole_schema
from monitor.postgres.sketches import COLUMNS, read_stack
from monitor.postgres.tables import HASH_PARTITIONS, LAYOUTS, SUM_COLUMNS

STORAGE = "fillfactor=75,autovacuum_vacuum_scale_factor=0.05"


def differences(dsn: str) -> list[str]:
    with migration.engine_of(dsn).connect() as connection:
        assert migration.current(connection) == migration.head()
        return migration.differences(connection)


def relations(dsn: str) -> set[str]:
    with connect(dsn, "test") as connection:
        rows = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " UNION SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        )
        return {str(row[0]) for row in rows}


def leaves(connection: Connection) -> list[tuple[str, str]]:
    rows = connection.execute(
        "SELECT relname, array_to_string(reloptions, ',') FROM pg_class JOIN pg_inherits ON inhrelid = pg_class.oid"
        " WHERE inhparent = 'pair'::regclass ORDER BY relname"
    )
    return [(str(name), str(options)) for name, options in rows]


@pytest.mark.parametrize("ids", LAYOUTS)
def test_the_schema_goes_up_down_and_up_again_and_equals_the_metadata_each_time(empty_database: str, ids: str) -> None:
    assert migration.upgrade(empty_database, ids) == ids
    assert differences(empty_database) == []
    migration.downgrade(empty_database, "base")
    assert relations(empty_database) == {"alembic_version", "alembic_version_pkc"}
    assert migration.upgrade(empty_database, ids) == ids
    assert differences(empty_database) == []


def test_every_revision_can_be_undone_and_done_again_by_itself(empty_database: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(files("monitor.migrations")))
    steps = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()][::-1]
    for step in steps:
        migration.upgrade(empty_database, revision=step)
        before = relations(empty_database)
        migration.downgrade(empty_database, "-1")
        migration.upgrade(empty_database, revision=step)
        assert relations(empty_database) == before


OLD_PANE = (
    "INSERT INTO {} ({}, cells, n_pred, n, sum_c, sum_c2, sum_y, sum_cy, delay_buckets, delays) SELECT id, {}, '{{7}}',"
    " '{{5}}', '{{3}}', '{{9}}', '{{27}}', '{{2}}', '{{6}}', '{{1,4}}', '{{2,1}}' FROM series"
)


def test_label_delays_from_before_right_answers_were_kept_stay_and_are_not_told_apart(empty_database: str) -> None:
    tables = {
        "pane": ("series, pane_start, width", "'2026-05-01 00:00+00', 3600"),
        "pane_history": ("series, pane_start, known_at, width", "'2026-05-01 00:00+00', '2026-05-01 01:00+00', 3600"),
        "window_sum": ("series, window_name, start_at, end_at", "'1d', '2026-05-01 00:00+00', '2026-05-02 00:00+00'"),
    }
    migration.upgrade(empty_database, revision="0003")
    with connect(empty_database, "test") as connection:
        connection.execute("INSERT INTO series (model, signal, segment, segment_text) VALUES ('m', 's', '{}', '{}')")
        for table, (keys, values) in tables.items():
            connection.execute(OLD_PANE.format(table, keys, values).encode())
        before = {table: connection.execute(f"SELECT * FROM {table}".encode()).fetchall() for table in tables}
        migration.upgrade(empty_database)
        for table in tables:
            read = read_stack(connection, f"SELECT series::bigint, {COLUMNS} FROM {table}", {}).stack
            assert read.delay_buckets.tolist() == [1, 4]
            assert read.delay_sums.tolist() == [[2, 1], [0, 0], [2, 1]]
            assert read.sums[:6, 0].tolist() == [5, 3, 9, 27, 2, 6]
            # A label of bucket 4 is taken back, and one of bucket 6 was added and taken back.
            connection.execute(
                f"UPDATE {table} SET delay_buckets = '{{1,4,6}}', delays = '{{2,0,0}}', right_delays = '{{0,-9,0}}',"
                " unsplit_delays = '{2,1,1}'".encode()
            )
        migration.downgrade(empty_database, "0003")
        for table, (row,) in before.items():
            (now,) = connection.execute(f"SELECT * FROM {table}".encode()).fetchall()
            assert row[-2:] == ([1, 4], [2, 1])
            assert (*now[:-2], [1, 4], [2, 1]) == row
            assert now[-2:] == ([1], [2])


def test_when_something_of_a_model_last_came_is_known_from_before_it_was_written_down(empty_database: str) -> None:
    keys = "series, pane_start, known_at, width"
    hours = "'2026-05-01 00:00+00', '2026-05-01 0{}:00+00', 3600"
    migration.upgrade(empty_database, revision="0005")
    with connect(empty_database, "test") as connection:
        for model in ("labelled", "mute"):
            connection.execute(
                "INSERT INTO series (model, signal, segment, segment_text) VALUES (%s, 's', '{}', '{}')", (model,)
            )
        for known_at in (1, 2):
            connection.execute(OLD_PANE.format("pane_history", keys, hours.format(known_at)).encode())
        connection.execute(
            "UPDATE pane_history SET n = '{0}' FROM series WHERE id = series AND (model = 'mute' OR known_at ="
            " '2026-05-01 02:00+00')"
        )
        migration.upgrade(empty_database)
        found = connection.execute("SELECT * FROM arrival ORDER BY model").fetchall()
    first, second = (datetime(2026, 5, 1, hour, tzinfo=UTC) for hour in (1, 2))
    assert found == [("labelled", second, first), ("mute", second, None)]


def test_the_comparison_sees_what_was_changed_by_hand(database: str) -> None:
    with connect(database, "test") as connection:
        connection.execute("ALTER TABLE pair ADD COLUMN extra int")
        connection.execute("ALTER TABLE reading ALTER COLUMN n DROP NOT NULL")
        connection.execute("CREATE TABLE stray (id int)")
    found = "\n".join(differences(database))
    assert "extra" in found
    assert "modify_nullable" in found
    assert "stray" in found


def test_alembic_by_itself_takes_the_database_and_the_layout_as_its_x_arguments(empty_database: str) -> None:
    config = Config(cmd_opts=Namespace(x=[f"dsn={empty_database}", "ids=time-ordered"]))
    config.set_main_option("script_location", str(files("monitor.migrations")))
    command.upgrade(config, "head")
    assert differences(empty_database) == []
    assert migration.upgrade(empty_database) == "time-ordered"


def test_two_upgrades_at_once_leave_one_schema(empty_database: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        layouts = list(pool.map(migration.upgrade, [empty_database] * 4))
    assert layouts == ["hashed"] * 4
    assert differences(empty_database) == []


def test_the_layout_is_fixed_once(empty_database: str) -> None:
    assert migration.upgrade(empty_database, "time-ordered") == "time-ordered"
    assert migration.upgrade(empty_database) == "time-ordered"
    with pytest.raises(Refused, match="stores time-ordered ids"):
        migration.upgrade(empty_database, "hashed")


def test_an_unknown_layout_is_a_bad_setting(empty_database: str) -> None:
    with pytest.raises(BadSettings, match="hashed, time-ordered, got uuid"):
        migration.upgrade(empty_database, "uuid")


def test_a_failing_migration_leaves_nothing(empty_database: str) -> None:
    with connect(empty_database, "test") as connection:
        connection.execute("CREATE VIEW pane_v1 AS SELECT 1 AS one")
    before = relations(empty_database)
    with pytest.raises(Exception, match="pane_v1"):
        migration.upgrade(empty_database)
    assert relations(empty_database) == before


def test_hashed_ids_go_to_partitions_with_room_for_updates(connection: Connection) -> None:
    assert leaves(connection) == [(f"pair_hash_{i}", STORAGE) for i in range(HASH_PARTITIONS)]


def test_time_ordered_ids_go_to_a_partition_a_day_with_room_for_updates(time_ordered: Connection) -> None:
    found = leaves(time_ordered)
    assert len(found) == 100 + 1 + 7
    assert {options for _, options in found} == {STORAGE}


def test_a_server_that_is_away_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        migration.upgrade("postgresql://127.0.0.1:1/nothing?connect_timeout=2")


def test_the_sums_of_the_tables_are_those_of_the_sketch_in_its_order() -> None:
    assert SUM_COLUMNS == SUMS


def test_every_table_and_unit_is_described() -> None:
    for table in whole_schema.sorted_tables:
        assert table.comment, table.name


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO installation (id, ids, clock_epoch_at, clock_started_at) VALUES (2, 'hashed', now(), now())",
        "UPDATE installation SET ids = 'uuid'",
        "UPDATE installation SET clock_rate = 0",
        "INSERT INTO retention_floor (id, floor_at) VALUES (2, now())",
    ],
)
def test_rows_that_must_be_single_and_valid_are(connection: Connection, statement: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(statement.encode())

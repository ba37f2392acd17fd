"""The longest names that an event may bear are stored: they must never stop the intake."""

from monitor.events.messages import NAME_LENGTH, SEGMENTS, SIGNALS
from monitor.postgres.database import connect
from monitor.postgres.segment_sets import SegmentSets
from monitor.postgres.series import series_ids
from monitor.rolling.bound import SeriesBound
from monitor.rolling.segments import SegmentKey, SeriesName, key_text, segment_text

LONG = [f"{number:03}" + "\U0001f600" * (NAME_LENGTH - 3) for number in range(SEGMENTS)]


def test_the_longest_segment_key_is_stored_and_found_again(database: str) -> None:
    dims = tuple((name, name) for name in LONG)
    key = SegmentKey(LONG[0], LONG[1], dims, tuple(LONG[:SIGNALS]), (dims[:8],))
    with connect(database, "test") as connection:
        sets = SegmentSets(SeriesBound(100))
        sets.resolve(connection, [key])
        again = SegmentSets(SeriesBound(100))
        again.resolve(connection, [key])
        assert again.number(key) == sets.number(key)
        stored = connection.execute("SELECT key FROM segment_set").fetchall()
        assert len(stored) == 1
    assert len(key_text(key).encode()) > 8191


def test_the_longest_series_is_stored_once(database: str) -> None:
    name = SeriesName(LONG[0], LONG[1], segment_text({each: each for each in LONG[:8]}), LONG[2])
    with connect(database, "test") as connection:
        ids, created = series_ids(connection, [name])
        assert list(ids.values()) == created
        assert series_ids(connection, [name]) == (ids, [])

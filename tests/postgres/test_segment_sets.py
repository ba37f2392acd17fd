"""Numbers of segment sets and label sources: the same for every process, bounded, never changed."""

import numpy as np

from monitor.postgres.counts import read_counts
from monitor.postgres.database import Connection
from monitor.postgres.segment_sets import MOST_SOURCES, LabelSources, SegmentSets
from monitor.rolling.bound import SeriesBound
from monitor.rolling.segments import OTHER, SegmentKey
from tests.postgres.sessions import another


def key(lang: str, model: str = "m", *signals: str) -> SegmentKey:
    return SegmentKey(model, None, (("lang", lang),), signals)


def test_two_processes_give_a_key_the_same_number(connection: Connection) -> None:
    second = another(connection)
    mine, yours = SegmentSets(SeriesBound()), SegmentSets(SeriesBound())
    mine.resolve(connection, [key("de"), key("en")])
    yours.resolve(second, [key("fr"), key("en")])
    mine.resolve(connection, [key("fr")])
    second.close()
    assert mine.number(key("en")) == yours.number(key("en"))
    assert mine.number(key("fr")) == yours.number(key("fr"))
    assert connection.execute("SELECT count(*) FROM segment_set").fetchone() == (3,)


def test_what_is_stored_says_everything_about_the_key(connection: Connection) -> None:
    sets = SegmentSets(SeriesBound())
    sets.resolve(connection, [SegmentKey("m", "v1", (("a b", 'c"d'), ("lang", "de")), ("s1", "s,2"))])
    row = connection.execute("SELECT model, model_version, segments, signals FROM segment_set").fetchone()
    assert row == ("m", "v1", {"a b": 'c"d', "lang": "de"}, ["s1", "s,2"])
    sets.resolve(connection, [SegmentKey("m", None, (), ())])
    assert connection.execute("SELECT signals FROM segment_set ORDER BY id DESC LIMIT 1").fetchone() == ([],)


def test_past_the_bound_values_fold_and_every_process_folds_alike(connection: Connection) -> None:
    sets = SegmentSets(SeriesBound(max_series=3))
    assert sets.resolve(connection, [key("de")]) == 0
    assert sets.resolve(connection, [key("en")]) == 0
    assert sets.resolve(connection, [key("fr")]) == 1
    other = SegmentSets(SeriesBound(max_series=3))
    other.resolve(connection, [key("it")])
    assert other.number(key("it")) == sets.number(key("fr"))
    rows = connection.execute("SELECT segments->>'lang' FROM segment_set ORDER BY id").fetchall()
    assert [row[0] for row in rows] == ["de", "en", OTHER]
    assert read_counts(connection)["folded_value", ""] == 2


def classes(*names: str) -> SegmentKey:
    return SegmentKey("m", None, (), (), (), tuple(sorted(f"class:{name}" for name in names)))


def test_another_process_and_a_restart_go_on_with_the_widest_set_of_classes(connection: Connection) -> None:
    for asked in (classes("a"), classes("b"), classes("a"), classes("a", "b"), classes("c"), classes("a", "c")):
        sets = SegmentSets(SeriesBound(max_classes=2))
        sets.resolve(connection, [asked])
        last = connection.execute("SELECT max(id) FROM segment_set").fetchone()
        assert last == (sets.number(asked),)
    keys = connection.execute("SELECT key::jsonb->5 FROM segment_set ORDER BY id").fetchall()
    assert keys == [
        (["class:a"],),
        (["class:a", "class:b"],),
        (["class:__other__", "class:a", "class:b"],),
    ]
    steady = SegmentSets(SeriesBound(max_classes=2))
    steady.resolve(connection, [classes("a"), classes("b")])
    assert steady.number(classes("a")) == steady.number(classes("b")) == sets.number(classes("a", "c"))


def test_a_source_keeps_its_number_and_its_group(connection: Connection) -> None:
    sources = LabelSources(lambda name: name != "complaint")
    sources.resolve(connection, ["human", "complaint"])
    again = LabelSources(lambda _: True)
    again.resolve(connection, ["complaint", "judge"])
    assert again.number("complaint") == sources.number("complaint")
    complaint = sources.number("complaint")
    groups = again.groups(connection, np.array([0, complaint, again.number("judge")], np.int16))
    assert (groups[0], groups[complaint], groups[again.number("judge")]) == (0, complaint, 0)


def test_a_source_that_another_process_named_is_looked_up(connection: Connection) -> None:
    mine, yours = LabelSources(lambda _: False), LabelSources(lambda _: False)
    yours.resolve(connection, ["complaint"])
    number = yours.number("complaint")
    assert mine.groups(connection, np.array([number], np.int16))[number] == number


def test_endless_sources_share_one_number(connection: Connection) -> None:
    sources = LabelSources(lambda _: True)
    sources.resolve(connection, [f"s{number}" for number in range(MOST_SOURCES + 5)])
    assert sources.knows(["never seen"])
    assert sources.number("never seen") == sources.number(OTHER)
    assert connection.execute("SELECT count(*) FROM label_source").fetchone() == (MOST_SOURCES + 1,)

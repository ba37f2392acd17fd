"""The values that leave the settings are what the layers below take."""

from pathlib import Path

import pytest

from monitor.calibration.reading import ReadingSettings
from monitor.config import connections, values
from monitor.config.loading import load_settings
from monitor.config.sections import Settings
from monitor.errors import BadSettings
from monitor.events.mapping import CONTAINERS, FIELDS
from monitor.events.rules import EventRules
from monitor.rolling.agreement import Agreement
from monitor.rolling.bound import MAX_SERIES
from monitor.rolling.segments import Dimension, SegmentScheme


def test_without_settings_the_layers_below_have_their_own_defaults() -> None:
    assert values.event_rules(Settings()) == EventRules()
    assert values.segment_scheme(Settings()) == SegmentScheme()
    assert values.series_bound(Settings()).max_series == MAX_SERIES
    assert values.series_bound(Settings()).max_classes == 0
    assert values.reading_settings(Settings()) == ReadingSettings()
    assert connections.kafka_access(Settings()).bootstrap_servers == ("localhost:9092",)
    assert connections.intake_settings(Settings()).topics == ("predictions", "labels")


def test_every_field_of_an_event_can_be_mapped_and_no_other() -> None:
    fields = Settings().events.fields
    assert {name for name, _ in fields.prediction} == set(FIELDS["prediction"])
    assert {name for name, _ in fields.label} == set(FIELDS["label"])
    assert set(CONTAINERS) < set(FIELDS["prediction"])


def test_dimensions_mappings_and_windows_reach_their_layers(tmp_path: Path) -> None:
    path = tmp_path / "caldrift.toml"
    path.write_text("""
[events.fields.prediction]
segments.lang = "meta.language"
"signals.logprob" = "token_p"
model = "name"
[segments]
crosses = [["lang", "difficulty"]]
agreements = [["confidence >= 0.9", "self>=consistency >= 0.5"]]
max_classes = 7
[segments.dimensions.difficulty]
field = "prompt_tokens"
cuts = [200, 1000]
names = ["easy", "medium", "hard"]
[windows]
lengths = ["7d", "36h"]
""")
    settings = load_settings(path, {})
    assert values.event_rules(settings).predictions.names == (
        ("model", "name"),
        ("segments.lang", "meta.language"),
        ("signals.logprob", "token_p"),
    )
    assert values.segment_scheme(settings) == SegmentScheme(
        (Dimension("difficulty", "prompt_tokens", (200.0, 1000.0), ("easy", "medium", "hard")),),
        (("lang", "difficulty"),),
        classes=True,
        agreements=(Agreement("confidence", 0.9, "self>=consistency", 0.5),),
    )
    assert values.series_bound(settings).max_classes == 7
    assert [(window.name, window.hours) for window in values.windows(settings)] == [
        ("36h", 36),
        ("7d", 168),
        ("all", None),
    ]


def test_a_mapping_of_a_field_that_no_event_has_is_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "caldrift.toml"
    path.write_text(
        "[events.fields]\n"
        'prediction.modle = "m"\n'
        'label.segments.lang = "x"\n'
        "prediction.segments.a = 3\n"
        'prediction.model.b = "x"\n'
    )
    with pytest.raises(BadSettings) as caught:
        load_settings(path, {})
    assert [line.removeprefix(f"{path}:") for line in caught.value.mistakes] == [
        "2:1: events.fields.prediction.modle: unknown key; did you mean events.fields.prediction.model?",
        (
            "3:1: events.fields.label.segments.lang: unknown key; allowed: "
            "prediction_id, model, labelled_at, correct, label, value, retract, version, source, propensity"
        ),
        "4:25: events.fields.prediction.segments.a: must be text, got 3",
        "5:1: events.fields.prediction.model.b: unknown key; did you mean events.fields.prediction.model?",
    ]


@pytest.mark.parametrize(
    ("environ", "primary"),
    [
        ({}, {None, "human", "judge"}),
        ({"CALDRIFT_EVENTS__NON_PRIMARY_SOURCES": "judge"}, {None, "human", "complaint"}),
        ({"CALDRIFT_EVENTS__PRIMARY_SOURCES": "human"}, {None, "human"}),
    ],
)
def test_primary_sources_are_those_named_or_all_but_the_others(environ: dict[str, str], primary: set[str]) -> None:
    settings = load_settings(None, environ)
    sources = (None, "human", "judge", "complaint")
    assert {source for source in sources if values.is_primary_source(settings, source)} == primary

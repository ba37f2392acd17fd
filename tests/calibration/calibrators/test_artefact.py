"""The artefact as JSON: what another program makes of it, and what is refused."""

import json
import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.calibration.calibrators.artefact import Calibrator, Method, SegmentMap, decode, encode, fingerprint
from monitor.calibration.calibrators.curves import apply
from monitor.calibration.calibrators.fitting import METHODS, Part, Policy
from monitor.calibration.calibrators.lookup import Lookup
from monitor.errors import BadInput, Refused
from tests.calibration.calibrators.making import fitted, segments
from tests.calibration.calibrators.test_adaptive import levels
from tests.calibration.streams import confidences

EVERY = pytest.mark.parametrize("method", ["by_labels", *METHODS, "adaptive_temperature"])


def artefact(method: Method | Policy = "by_labels") -> Calibrator:
    if method == "adaptive_temperature":
        return fitted(levels(300), method)
    return fitted(segments(3, 400, np.random.default_rng(1)), method)


def told(document: dict[str, Any], confidence: float, segment: dict[str, str], fields: dict[str, float]) -> float:
    """What the page tells a program in another language to do, from the JSON alone."""
    clip, curve = document["clip"], next(each for each in document["maps"] if each["segment"] == segment)["curve"]
    c = min(max(confidence, clip), 1 - clip)
    match curve["shape"]:
        case "log_odds":
            p = 1 / (1 + math.exp(-(curve["a"] * math.log(c) - curve["b"] * math.log(1 - c) + curve["m"])))
        case "points":
            p = float(np.interp(c, curve["x"], curve["y"]))
        case "steps":
            p = curve["y"][sum(c > end for end in curve["upto"])]
        case "adaptive":
            total = curve["intercept"]
            for field in curve["fields"]:
                value = min(max(fields.get(field["name"], field["centre"]), field["low"]), field["high"])
                total += field["weight"] * (value - field["centre"]) / field["scale"]
            p = 1 / (1 + math.exp(-math.exp(total) * (math.log(c) - math.log(1 - c))))
    return float(min(max(p, clip), 1 - clip))


@EVERY
def test_another_program_finds_the_reference_table_with_the_json_alone(method: Method | Policy) -> None:
    document = json.loads(encode(artefact(method)))
    assert len(document["reference"]) >= 14
    for row in document["reference"]:
        found = told(document, row["confidence"], row["segment"], row["fields"])
        assert found == pytest.approx(row["calibrated"], abs=1e-9)


@EVERY
@given(asked=st.lists(confidences, min_size=1, max_size=5))
def test_another_program_agrees_on_any_confidence(method: Method | Policy, asked: list[float]) -> None:
    found = ARTEFACTS.setdefault(method, artefact(method))
    document = json.loads(encode(found))
    for c in asked:
        assert told(document, c, {}, {}) == pytest.approx(Lookup(found).apply(c), abs=1e-9)


ARTEFACTS: dict[Method | Policy, Calibrator] = {}


@EVERY
def test_what_was_written_is_what_is_read(method: Method | Policy) -> None:
    found = artefact(method)
    assert decode(encode(found)) == found


def test_equal_fits_have_one_fingerprint_and_others_another() -> None:
    assert fingerprint(artefact()) == fingerprint(artefact())
    assert fingerprint(artefact("platt")) != fingerprint(artefact("beta"))


@pytest.mark.parametrize("name", ["format", "sketch_version"])
def test_another_version_is_refused_with_what_to_do(name: str) -> None:
    document = json.loads(encode(artefact())) | {name: 2, "maps": "of a kind yet unknown"}
    with pytest.raises(Refused, match="use the caldrift that wrote it, or fit it again"):
        decode(json.dumps(document))


DAMAGE: dict[str, tuple[Any, str]] = {
    "cut off": (lambda text: text[:-9], "not a calibrator"),
    "something else": (lambda text: '{"schema": 1}', "format"),
    "without maps": (lambda text: json.dumps(json.loads(text) | {"maps": []}), "the last map .* must be that of every"),
    "a clip of 1": (lambda text: json.dumps(json.loads(text) | {"clip": 1.0}), "clip .* between 0 and 0.5, got 1.0"),
    "one value changed": (lambda text: text.replace('"calibrated": 0.', '"calibrated": 0.0', 1), "damaged"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_artefact_is_refused(damage: str) -> None:
    spoil, words = DAMAGE[damage]
    with pytest.raises(BadInput, match=words):
        decode(spoil(encode(artefact()).decode()))


FALLING: dict[str, tuple[str, str]] = {
    "log odds": ('{"shape": "log_odds", "a": -1.0, "b": 1.0, "m": 0.0}', "a and b must not be below 0"),
    "points": ('{"shape": "points", "x": [0.2, 0.5], "y": [0.5, 0.2]}', "y must never fall"),
    "points twice": ('{"shape": "points", "x": [0.2, 0.2], "y": [0.1, 0.2]}', "x must ascend"),
    "points outside": ('{"shape": "points", "x": [0.2, 0.5], "y": [0.5, 1.2]}', "y must lie within 0..1"),
    "points of no kind": ('{"shape": "points", "x": [0.2, 0.5], "y": [0.5]}', "equally many"),
    "steps": ('{"shape": "steps", "upto": [0.5], "y": [0.5, 0.2]}', "y must never fall"),
    "steps too few": ('{"shape": "steps", "upto": [0.5], "y": [0.5]}', "one more than upto"),
    "adaptive": (
        """{"shape": "adaptive", "intercept": 0.0,
            "fields": [{"name": "d", "weight": 1.0, "centre": 0.0, "scale": 0.0, "low": 0.0, "high": 1.0}]}""",
        "scale or range of the field d",
    ),
}


@pytest.mark.parametrize("case", FALLING)
def test_a_map_that_falls_or_leaves_its_range_is_refused(case: str) -> None:
    curve, words = FALLING[case]
    document = json.loads(encode(artefact())) | {"reference": []}
    document["maps"][0]["curve"] = json.loads(curve)
    with pytest.raises(BadInput, match=words):
        decode(json.dumps(document))


def test_the_most_specific_map_holds() -> None:
    found = artefact()
    lang, everything = found.maps[0], found.maps[-1]
    both = msgspec.structs.replace(lang, segment={"lang": "l0", "domain": "law"})
    lookup = Lookup(msgspec.structs.replace(found, maps=(lang, both, everything)))
    assert lang.segment == {"lang": "l0"}
    expected: list[tuple[dict[str, str], SegmentMap]] = [
        ({"lang": "l0"}, lang),
        ({"lang": "l0", "domain": "art"}, lang),
        ({"lang": "l0", "domain": "law", "tier": "gold"}, both),
        ({"domain": "law"}, everything),
        ({"lang": "other"}, everything),
        ({}, everything),
    ]
    for segment, holds in expected:
        assert lookup.map_of(segment) is holds
        assert lookup.apply(0.9, segment) == apply(holds.curve, 0.9, found.clip)


def test_parts_without_a_segment_have_the_map_of_everything_only() -> None:
    parts = segments(2, 400, np.random.default_rng(2))
    found = fitted([parts[0], Part({}, parts[1].sketch, {})])
    assert [each.segment for each in found.maps] == [{"lang": "l0"}, {}]
    assert found.maps[-1].labels == 800

"""docs/recalibrators.md tells other languages how to apply an artefact: its names and its example are the program's."""

import json
import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from monitor.calibration.calibrators.artefact import Calibrator, Method, SegmentMap
from monitor.calibration.calibrators.curves import Adaptive, Field, LogOdds, Points, Steps, apply
from monitor.calibration.calibrators.fitting import CHOICE, FREE_SHAPE, OWN_CHOICE, OWN_MAP
from monitor.calibration.gate import Gate
from monitor.calibration.odds import CLIP

PAGE = (Path(__file__).parents[3] / "docs" / "recalibrators.md").read_text(encoding="utf-8")
NAMES = [
    *get_args(Method),
    *Calibrator.__struct_fields__,
    *(name for name in SegmentMap.__struct_fields__ if name != "scores"),
    *(str(shape.__struct_config__.tag) for shape in (LogOdds, Points, Steps, Adaptive)),
]


@pytest.mark.parametrize("name", NAMES)
def test_every_method_key_and_shape_is_on_the_page(name: str) -> None:
    assert re.search(rf"`{name}(\[\])?`", PAGE)


@pytest.mark.parametrize("name", [name for curve in (Points, Steps, Field) for name in curve.__struct_fields__])
def test_every_number_of_a_curve_is_used_on_the_page(name: str) -> None:
    told = PAGE[PAGE.index("### Applying it") :]
    assert re.search(rf"\b{name}\b", told)


def test_the_example_holds() -> None:
    found = re.search(r"```json\n(.*)\n```", PAGE)
    assert found is not None
    curve = msgspec.convert(json.loads(found[1]), LogOdds)
    assert f"a stated 0.9 becomes {apply(curve, 0.9, CLIP):.3f}" in PAGE
    assert f"a stated 1.0 becomes {apply(curve, 1.0, CLIP):.3f}" in PAGE


def test_the_numbers_of_policy_and_gate_are_those_of_the_program() -> None:
    gate = Gate()
    for words in (
        f"fewer than {OWN_MAP} |",
        f"| {OWN_MAP} to {OWN_CHOICE - 1} |",
        f"| {FREE_SHAPE:,} and more |",
        f"at least {gate.min_labels} labels, and {gate.min_each} right and {gate.min_each} wrong",
        f"paired {100 * gate.level:.0f} %",
        f"{gate.slopes[0]}..{gate.slopes[1]:g}",
        f"with {gate.large} labels or more is it worse by more than {gate.worst_loss} nats",
    ):
        assert words in PAGE, words
    policy = PAGE[PAGE.index("### Which one") : PAGE.index("## The gate")]
    for method in CHOICE:
        assert f"`{method}`" in policy

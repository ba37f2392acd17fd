"""What a client makes of confidences: what the artefact says, and nothing that could hurt a request."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.calibration.calibrators.artefact import Method
from monitor.calibration.calibrators.fitting import METHODS, Part, Policy
from monitor.calibration.calibrators.lookup import Lookup
from monitor.calibration.calibrators.served import DeclaredDimension, Stage
from monitor.calibration.sketch import sketch_of
from monitor.client import Client
from tests.calibration.calibrators.making import fitted, pairs
from tests.calibration.streams import confidences
from tests.client.conftest import Make, eventually, reply
from tests.client.promoting import MODEL, artefact, document
from tests.notify.receivers import Receiver, receiving


@pytest.fixture(scope="module")
def fetched() -> Iterator[Client]:
    """A client that has a map."""
    with receiving(lambda _: reply(document(artefact()))) as server, Client(MODEL, server=server.url) as client:
        assert client.wait_until_ready()
        yield client


@pytest.mark.parametrize("method", [*METHODS, "adaptive_temperature"])
def test_the_values_are_those_of_the_reference_table(method: Method | Policy, make: Make, server: Receiver) -> None:
    served = artefact(method)
    server.script = [reply(document(served))] * 3
    client = make(server=server.url)
    assert client.wait_until_ready()
    assert len(served.reference) >= 14
    for row in served.reference:
        found = client.calibrate(row.confidence, {**row.segment, **row.fields})
        assert found == pytest.approx(row.calibrated, abs=1e-9)


@given(st.lists(confidences, max_size=50), st.sampled_from([{}, {"lang": "l1"}, {"lang": "?", "size": 3}]))
def test_an_array_is_what_its_single_confidences_are(
    fetched: Client, asked: list[float], segments: dict[str, Any]
) -> None:
    found = fetched.calibrate(np.array(asked), segments)
    assert found.tolist() == pytest.approx([fetched.calibrate(c, segments) for c in asked], abs=1e-12)


@pytest.mark.parametrize("clip", [0.005, 1e-7])
@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_an_array_of_half_precision_is_what_its_single_confidences_are(
    clip: float, method: Method, make: Make, server: Receiver
) -> None:
    c, y = pairs(5000, 0.6, -0.3, np.random.default_rng(1))
    calibrator = fitted([Part({}, sketch_of(c, y), {})], method, clip=clip)
    server.script = [reply(document(calibrator))] * 3
    client = make(server=server.url)
    assert client.wait_until_ready()
    some = np.array([0.0, 0.3, 0.9, 0.9995, 1.0], np.float16)
    found = client.calibrate(np.tile(some, 10_000))
    assert found[:5].tolist() == pytest.approx([client.calibrate(c) for c in some.tolist()], abs=1e-12)
    assert client.stats.refused == 0


def test_in_an_array_what_is_no_confidence_comes_back_as_it_is(fetched: Client) -> None:
    found = fetched.calibrate(np.array([0.9, -1.0, np.nan, 1.5, np.inf]))
    assert found[0] == pytest.approx(fetched.calibrate(0.9), abs=1e-12)
    assert found[[1, 3, 4]].tolist() == [-1.0, 1.5, math.inf]
    assert math.isnan(found[2])


ODD: list[Any] = [math.nan, math.inf, -0.1, 1.1, "0.9", None, [0.9], {}, b"1", 10**400, object()]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: f"{type(odd).__name__} {str(odd)[:9]}")
def test_what_is_no_confidence_comes_back_is_counted_and_goes_to_review(fetched: Client, odd: Any) -> None:
    before = fetched.stats
    assert fetched.calibrate(odd) is odd
    assert fetched.log_prediction(odd).value is odd
    assert fetched.decide(odd, accept=0.0, reject=1.0) == "review"
    after = fetched.stats
    assert after.invalid + after.refused == before.invalid + before.refused + 3


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(JUNK, JUNK, JUNK, JUNK)
def test_no_argument_raises_into_a_request(fetched: Client, first: Any, second: Any, third: Any, fourth: Any) -> None:
    fetched.calibrate(first, second)
    fetched.decide(first, second, accept=0.9)
    fetched.log_prediction(first, segments=second, signals=third, predicted=fourth, prediction_id=fourth)
    fetched.log_label(first, correct=second, version=third, label=fourth)


def test_until_the_first_answer_confidences_are_taken_as_stated(make: Make, server: Receiver) -> None:
    client = make(server=server.url)
    logged = client.log_prediction(0.93)
    assert (logged.value, logged.calibrated, logged.version, client.version) == (0.93, None, None, None)
    assert client.calibrate(0.93) == 0.93


@pytest.mark.parametrize(("stage", "acted_on"), [("active", True), ("shadow", False)])
def test_a_map_on_trial_is_applied_but_not_acted_on(stage: Stage, acted_on: bool, make: Make, server: Receiver) -> None:
    server.answering = lambda _: reply(document(artefact(), stage=stage))
    client = make(server=server.url)
    eventually(lambda: client.version == 3)
    calibrated = Lookup(artefact()).apply(0.93)
    assert abs(calibrated - 0.93) > 0.05
    logged = client.log_prediction(0.93)
    assert (logged.calibrated, logged.version, logged.stage) == (calibrated, 3, stage)
    assert logged.value == client.calibrate(0.93) == (calibrated if acted_on else 0.93)
    assert client.calibrate(np.array([0.93]))[0] == pytest.approx(logged.value, abs=1e-12)
    assert logged.decide(accept=0.93) == ("review" if acted_on else "accept")


def test_a_number_falls_between_the_cuts_that_the_server_tells(make: Make, server: Receiver) -> None:
    cut = DeclaredDimension(name="lang", field="length", cuts=(10.0, 20.0), names=("l0", "l1", "l2"))
    named = DeclaredDimension(name="lang", field="model_version")
    lookup = Lookup(artefact("histogram"))
    apart = {lookup.apply(0.9, {"lang": name}) for name in ("l0", "l1", "l2")}
    assert len(apart) == 3
    server.answering = lambda _: reply(document(artefact("histogram"), dimensions=(cut,)))
    client = make(server=server.url)
    eventually(lambda: client.version == 3)
    assert client.calibrate(0.9, {"length": 15}) == lookup.apply(0.9, {"lang": "l1"})
    server.answering = lambda _: reply(document(artefact("histogram"), 4, dimensions=(named,)))
    of_release = make(server=server.url, model_version="l2")
    eventually(lambda: of_release.version == 4)
    assert of_release.log_prediction(0.9).value == lookup.apply(0.9, {"lang": "l2"})


def test_a_map_that_depends_on_a_number_finds_it_in_the_field_that_its_dimension_reads(
    make: Make, server: Receiver
) -> None:
    read = DeclaredDimension(name="difficulty", field="prompt_tokens", cuts=(0.0,))
    served = artefact("adaptive_temperature")
    server.answering = lambda _: reply(document(served, dimensions=(read,)))
    client = make(server=server.url)
    eventually(lambda: client.version == 3)
    hard, easy = client.calibrate(0.9, {"prompt_tokens": 1.0}), client.calibrate(0.9, {"prompt_tokens": -1.0})
    assert hard == Lookup(served).apply(0.9, {}, {"difficulty": 1.0})
    assert easy > hard + 0.1


@pytest.mark.parametrize(
    ("value", "decision"), [(0.9, "accept"), (0.95, "accept"), (0.89, "review"), (0.5, "review"), (0.49, "reject")]
)
def test_a_decision_accepts_from_its_threshold_on_and_rejects_below_the_other(value: float, decision: str) -> None:
    assert Client(MODEL).decide(value, accept=0.9, reject=0.5) == decision


@pytest.mark.parametrize(
    "options",
    [
        {"model": ""},
        {"server": "localhost:8080"},
        {"server": "ftp://localhost"},
        {"server": "http://user:secret@localhost"},
        {"refresh_seconds": 0},
        {"bootstrap_servers": "broker:port"},
        {"bootstrap_servers": ["localhost:9092", ""]},
        {"buffer_bytes": -1},
        {"refresh_seconds": math.nan},
        {"refresh_seconds": math.inf},
        {"timeout_seconds": math.inf},
        {"bootstrap_servers": "broker:99999"},
        {"signal": ""},
    ],
    ids=str,
)
def test_a_setting_that_cannot_be_is_told_when_the_service_starts(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Client(**{"model": MODEL, **options})

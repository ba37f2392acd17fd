"""A service with `monitor.client` beside a running caldrift: what is calibrated is monitored beside what was stated."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitor.calibration.odds import logit, sigmoid
from monitor.client import Client
from tests.client.conftest import eventually
from tests.client.promoting import MODEL, artefact, promoted
from tests.end_to_end.test_embedded_run import Run, folder, running

__all__ = ["folder"]  # the fixture

N = 600


def reading(run: Run, *chosen: str) -> dict[str, Any]:
    """Of the model over all time."""
    text = run.caldrift("reading", MODEL, *chosen, "--window", "all", "--maturity", "0", "--json")
    found: dict[str, Any] = json.loads(text)["readings"][0]
    return found


@pytest.mark.timeout(600)
def test_the_values_of_a_map_are_a_signal_of_their_own_with_its_version_as_a_segment(folder: Path) -> None:
    rng = np.random.default_rng(3)
    with running(folder) as run:
        servers = json.loads((folder / "servers.json").read_text())
        promoted(servers["postgres"], artefact())
        with Client(MODEL, server=servers["web"], bootstrap_servers=servers["kafka"], refresh_seconds=0.1) as client:
            first = client.log_prediction(0.9, predicted="a")
            eventually(lambda: client.version == 1)
            assert client.log_label(first.prediction_id, label="a")
            for stated in rng.choice([0.7, 0.9, 0.97], N).tolist():
                logged = client.log_prediction(stated, segments={"lang": "l1"})
                right = bool(rng.random() < sigmoid(0.6 * logit(stated) - 0.3))
                assert client.log_label(logged.prediction_id, correct=right)
            assert client.flush(60)
            assert (client.stats.acknowledged, client.stats.refused) == (2 * N + 2, 0)
        run.caldrift("status", "--wait", "120s")
        stated, calibrated = reading(run), reading(run, "--signal", "calibrated", "--segment", "calibrator=1")
        of_map = reading(run, "--segment", "calibrator=1")
        assert (stated["n"], calibrated["n"], of_map["n"]) == (N + 1, N, N)
        assert of_map["signed_gap"] > 0.1 > abs(calibrated["signed_gap"])
        assert of_map["ece"] > 2 * calibrated["ece"]

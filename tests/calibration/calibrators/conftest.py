"""Real answers by segment."""

import os
from collections import defaultdict

import numpy as np
import pytest

from tests.calibration.streams import Floats
from tests.oracles import lifeeval


@pytest.fixture(scope="session")
def lifeeval_segments() -> dict[str, Floats]:
    """(k, 2) stated confidences and outcomes by model and question set. The study has no times."""
    if not lifeeval.found():
        why = f"the LifeEval study's data are not in {lifeeval.FOLDER}; CALDRIFT_LIFEEVAL names their folder"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    rows = defaultdict[str, list[tuple[float, float]]](list)
    for answer in lifeeval.answers():
        if answer.question_set != "life_eval":
            rows[f"{answer.model}/{answer.question_set}"].append((answer.stated, answer.outcome))
    return {name: np.array(pairs) for name, pairs in rows.items()}

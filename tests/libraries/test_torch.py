"""Measures of bins by the libraries that need torch, on raw pairs."""

import numpy as np
import pytest
import torch
from netcal.metrics import ACE, ECE, MCE
from torchmetrics.functional.classification import binary_calibration_error

from monitor.calibration.bins import Bins
from monitor.calibration.cells import Edges
from monitor.calibration.sketch import Sketch, sketch_of
from tests.calibration import one
from tests.calibration.one import value
from tests.calibration.streams import Floats
from tests.libraries.cases import CASES, off_edges, pairs

# Both keep an edge in the bin above it. They compute edges, so it is only with eighths that they meet it exactly.
SETTINGS = pytest.mark.parametrize(("count", "edges"), [(8, "left_closed"), (10, "right_closed"), (15, "left_closed")])


def comparable(kind: str, n: int, gap: float, count: int) -> tuple[Floats, Floats, Sketch]:
    """Pairs of which no library can say that another bin is right, and their sketch."""
    c, y = pairs(kind, n, gap)
    inside = off_edges(c, count) | (count == 8)
    return c[inside], y[inside], sketch_of(c[inside], y[inside])


@CASES
@SETTINGS
def test_errors_by_bins_are_those_of_torchmetrics(kind: str, n: int, gap: float, count: int, *, edges: Edges) -> None:
    c, y, sketch = comparable(kind, n, gap, count)
    for norm, name, power in (("l1", "ece", 1), ("max", "mce", 1), ("l2", "reliability", 2)):
        theirs = binary_calibration_error(torch.from_numpy(c), torch.from_numpy(y.astype(int)), count, norm)
        assert value(name, sketch, count, edges) == pytest.approx(float(theirs) ** power, abs=1e-8), name


@CASES
@SETTINGS
def test_errors_by_bins_are_those_of_netcal(kind: str, n: int, gap: float, count: int, *, edges: Edges) -> None:
    c, y, sketch = comparable(kind, n, gap, count)
    assert value("ece", sketch, count, edges) == pytest.approx(ECE(count).measure(c, y.astype(int)), abs=1e-8)
    assert value("mce", sketch, count, edges) == pytest.approx(MCE(count).measure(c, y.astype(int)), abs=1e-8)
    bins = one.of(sketch, count, edges).bins
    assert mean_gap(bins) == pytest.approx(ACE(count).measure(c, y.astype(int)), abs=1e-8)


def mean_gap(bins: Bins) -> float:
    """The mean over bins with labels of |mean confidence - accuracy|: average calibration error."""
    used = bins.n[0] > 0
    return float((np.abs(bins.gap[0])[used] / bins.n[0][used]).mean())

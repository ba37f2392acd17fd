"""Calibration measures by plain numpy on raw pairs, as one would write them by hand; nothing of the package.

Confidences within 1e-9 of j/600 are that value first, as the format says.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def snap(confidence: npt.ArrayLike) -> Floats:
    """Confidences with those within 1e-9 of j/600 moved there."""
    c = np.asarray(confidence, dtype=np.float64)
    nearest = np.floor(600 * c + 0.5)
    return np.where(np.abs(600 * c - nearest) <= 600e-9, nearest / 600, c)


def bins_of(c: Floats, count: int, edges: str) -> npt.NDArray[np.int64]:
    """Bin numbers by comparison with the edges m / count."""
    inner = np.arange(1, count) / count
    return np.asarray(np.searchsorted(inner, c, side="left" if edges == "right_closed" else "right"), dtype=np.int64)


def _gaps(c: Floats, y: Floats, bins: npt.NDArray[np.int64]) -> list[tuple[int, float]]:
    return [
        (int((bins == number).sum()), float(c[bins == number].mean() - y[bins == number].mean()))
        for number in np.unique(bins)
    ]


def ece(c: Floats, y: Floats, count: int = 10, edges: str = "right_closed") -> float:
    """Expected calibration error with equal-width bins."""
    return sum(n * abs(gap) for n, gap in _gaps(c, y, bins_of(c, count, edges))) / len(c)


def mce(c: Floats, y: Floats, count: int = 10, edges: str = "right_closed") -> float:
    """Maximum calibration error with equal-width bins."""
    return max(abs(gap) for _, gap in _gaps(c, y, bins_of(c, count, edges)))


def one_sided(c: Floats, y: Floats, sign: int, count: int = 10, edges: str = "right_closed") -> float:
    """The over-confident (sign 1) or under-confident (-1) part of ECE."""
    return sum(n * max(0.0, sign * gap) for n, gap in _gaps(c, y, bins_of(c, count, edges))) / len(c)


def ece_equal_mass(c: Floats, y: Floats, count: int = 10) -> float:
    """ECE with equal-mass bins: equal values together, by their middle rank."""
    values, inverse, n = np.unique(c, return_inverse=True, return_counts=True)
    middle = np.cumsum(n) - n / 2
    bins = np.minimum(np.floor(middle * count / len(c) + 1e-12).astype(np.int64), count - 1)[inverse]
    assert len(values)
    return sum(size * abs(gap) for size, gap in _gaps(c, y, bins)) / len(c)


def auroc(c: Floats, y: Floats) -> float:
    """Chance that a right answer has more confidence than a wrong one; ties half. By all pairs."""
    right, wrong = c[y == 1], c[y == 0]
    more = (right[:, None] > wrong[None, :]).sum() + 0.5 * (right[:, None] == wrong[None, :]).sum()
    return float(more / (len(right) * len(wrong)))


def log_loss(c: Floats, y: Floats, clip: float = 1e-7) -> float:
    """Mean log loss in nats."""
    p = np.clip(c, clip, 1 - clip)
    return float(-(y * np.log(p) + (1 - y) * np.log1p(-p)).mean())


def brier(c: Floats, y: Floats) -> float:
    """Mean of c^2 - 2cy + y: for outcomes 0 and 1 the squared error."""
    return float((c * c - 2 * c * y + y).mean())

"""The Shiryaev-Roberts recursion, in logarithms: M <- (M + 1) x factor, set to 0 at each alarm.

M is the sum over all panes at which a drift may have begun of the product of all factors since, so its shares tell when
the drift began. If every factor has mean at most 1 without drift, M minus the number of panes does not rise on average;
so alarms at M >= 1 / alpha, each followed by 0, number at most alpha x panes on average (Shin, Ramdas, Rinaldo 2022).
"""

from dataclasses import dataclass

import numpy as np

from monitor.calibration.cells import FloatArray


def log_mean(values: FloatArray) -> FloatArray:
    """(S,) the logarithm of the mean of exp(values) over all axes but the first."""
    flat = values.reshape(len(values), -1)
    top = flat.max(axis=1)
    return np.asarray(top + np.log(np.exp(flat - top[:, None]).mean(axis=1)))


def log_plus_one(log_m: FloatArray) -> FloatArray:
    """log(M + 1) of log M: what a pane is fed to; 0 of M = 0 and above."""
    return np.asarray(np.maximum(log_m, 0.0) + np.log(1 + np.exp(-np.abs(log_m))))


@dataclass(frozen=True, slots=True, eq=False)
class Onset:
    """When the drift began, if there is one, and what was fed since: means over the shares of each M, all (...).

    `pane` and `variance` of the first pane of the drift; `labels` and sum of `residual` since then. A pane multiplies
    all shares alike, so only the 1 that begins with it moves these means: no history is needed.
    """

    pane: FloatArray
    variance: FloatArray
    labels: FloatArray
    residual: FloatArray

    def after(self, held: FloatArray, pane: FloatArray, labels: FloatArray, residual: FloatArray) -> "Onset":
        """The onset after a pane, of held = log(M + 1) before it; where M was 0 all before is forgotten."""
        fresh, later = np.exp(-held), pane - self.pane
        return Onset(
            self.pane + fresh * later,
            (1 - fresh) * (self.variance + fresh * later**2),
            (1 - fresh) * self.labels + labels,
            (1 - fresh) * self.residual + residual,
        )

    def mixed(self, place: tuple[int, ...], log_m: FloatArray) -> tuple[float, float, float, float]:
        """Pane, variance, labels and residual at a place, averaged over its k bets by their log M (k,)."""
        share = np.exp(log_m - log_m.max())
        share = share / share.sum()
        pane, variance, labels, residual = (
            each[place] for each in (self.pane, self.variance, self.labels, self.residual)
        )
        middle = float(share @ pane)
        spread = float(share @ (variance + (pane - middle) ** 2))
        return middle, spread, float(share @ labels), float(share @ residual)

"""The same maps by scikit-learn, betacal and numpy on raw rows, one segment after the other, fitted and gated.

Run by the Python of an environment that has them; argument: an .npz file with `c`, `y`, `ends` and `held`, the share
of each segment that is held out. Prints JSON: by method the seconds of CPU time and the log loss of each segment.
"""

import json
import sys
import time
import warnings

import numpy as np
from betacal import BetaCalibration
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

warnings.filterwarnings("ignore")
CLIP = 0.005
BINS = 10


def odds(p):
    return np.log(p / (1 - p))[:, None]


def line(intercept):
    def fit(c, y):
        fitted = LogisticRegression(C=np.inf, fit_intercept=intercept, tol=1e-6).fit(odds(c), y)
        return lambda held: fitted.predict_proba(odds(held))[:, 1]

    return fit


def beta(c, y):
    fitted = BetaCalibration("abm").fit(c[:, None], y)
    return lambda held: fitted.predict(held[:, None])


def isotonic(c, y):
    return IsotonicRegression(out_of_bounds="clip").fit(c, y).predict


def inner_edges(c):
    return np.unique(np.quantile(c, np.linspace(0, 1, BINS + 1))[1:-1])


def histogram(c, y):
    edges = inner_edges(c)
    place = np.searchsorted(edges, c)
    n = np.bincount(place, minlength=len(edges) + 1)
    rates = (np.bincount(place, y, len(edges) + 1) + 0.5) / (n + 1)
    return lambda held: rates[np.searchsorted(edges, held)]


def scaling_binning(c, y):
    edges, scaled = inner_edges(c), line(True)(c, y)(c)
    place = np.searchsorted(edges, c)
    n = np.bincount(place, minlength=len(edges) + 1)
    means = np.bincount(place, scaled, len(edges) + 1) / np.maximum(n, 1)
    return lambda held: means[np.searchsorted(edges, held)]


METHODS = {
    "temperature": line(False),
    "platt": line(True),
    "beta": beta,
    "isotonic": isotonic,
    "histogram": histogram,
    "scaling_binning": scaling_binning,
}


def gated(fit, c, y, held):
    """The log loss of a map on the held-out rows, and the interval of its gain."""
    said = np.clip(fit(c[:held], y[:held])(c[held:]), CLIP, 1 - CLIP)
    right = y[held:] > 0
    gain = np.log(np.where(right, said / c[held:], (1 - said) / (1 - c[held:])))
    reach = 1.96 * gain.std() / np.sqrt(len(gain))
    return log_loss(y[held:], said), gain.mean() - reach, gain.mean() + reach


rows = np.load(sys.argv[1])
ends = rows["ends"][:-1]
series = list(zip(np.split(np.clip(rows["c"], CLIP, 1 - CLIP), ends), np.split(rows["y"], ends), strict=True))
share = float(rows["held"])
found = {}
for name, method in METHODS.items():
    gated(method, *series[0], int(len(series[0][0]) * (1 - share)))  # the first call of a library is slower
    began = time.process_time()
    losses = [gated(method, c, y, int(len(c) * (1 - share)))[0] for c, y in series]
    found[name] = {"seconds": time.process_time() - began, "losses": losses}
print(json.dumps(found))

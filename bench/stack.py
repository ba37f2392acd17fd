"""The measures of one reading by the libraries that people stack today, on raw rows, one series after the other.

Run by the Python of an environment that has them; arguments: an .npz file with `c`, `y` and `ends`, and a number of
resamples. Prints JSON: microseconds a series by part, without any interval; and those of one series with an interval of
each measure by so many resamples, where there are any.
"""

import json
import sys
import time
import warnings

import calibration
import calibstats
import numpy as np
import relplot
from model_diagnostics.scoring import SquaredError, decompose
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

warnings.filterwarnings("ignore")


def debiased(c, y):
    """uncertainty-calibration refuses bins with one class; fewer bins then."""
    for bins in (15, 10, 5, 2):
        try:
            return calibration.get_ece(c, y, num_bins=bins, debias=True, mode="marginal")
        except ValueError:
            continue
    return None


def slope(c, y):
    p = np.clip(c, 0.005, 0.995)
    return LogisticRegression(C=np.inf, tol=1e-6).fit(np.log(p / (1 - p))[:, None], y)


PARTS = {
    "ECE (calibstats)": lambda c, y: calibstats.ece(c, y, n_bins=10),
    "debiased ECE (uncertainty-calibration)": debiased,
    "smooth ECE (relplot)": relplot.smECE,
    "Brier and log loss (scikit-learn)": lambda c, y: (brier_score_loss(y, c), log_loss(y, c)),
    "AUROC (scikit-learn)": lambda c, y: roc_auc_score(y, c),
    "CORP (model-diagnostics)": lambda c, y: decompose(y_obs=y, y_pred=c, scoring_function=SquaredError()),
    "slope and intercept (scikit-learn)": slope,
}

rows = np.load(sys.argv[1])
series = list(zip(np.split(rows["c"], rows["ends"][:-1]), np.split(rows["y"], rows["ends"][:-1]), strict=True))
spent = dict.fromkeys(PARTS, 0.0)
for number, (c, y) in enumerate(series):
    for name, measure in PARTS.items():
        started = time.perf_counter()
        measure(c, y.astype(int) if name != "smooth ECE (relplot)" else y)
        if number:  # the first call of a library is slower
            spent[name] += time.perf_counter() - started
resamples = int(sys.argv[2])
resampled = None
if resamples:
    (c, y), rng = series[0], np.random.default_rng(1)
    started = time.perf_counter()
    for _ in range(resamples):
        drawn = rng.integers(0, len(c), len(c))
        for name, measure in PARTS.items():
            measure(c[drawn], y[drawn].astype(int) if name != "smooth ECE (relplot)" else y[drawn])
    resampled = 1e6 * (time.perf_counter() - started)
print(
    json.dumps(
        {"resampled": resampled, "parts": {name: 1e6 * seconds / (len(series) - 1) for name, seconds in spent.items()}}
    )
)

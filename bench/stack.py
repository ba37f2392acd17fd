"""The measures of one reading by the libraries that people stack today, on raw rows, one series after the other.

Run by the Python of an environment that has them; argument: an .npz file with `c`, `y` and `ends`. Each line of the
standard input asks for something and is answered by a line of JSON: `measure` by the microseconds a series of each
part, over all series and without any interval; `resample N` by those of the series in the middle with an interval of
each measure by N resamples.
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
    "smooth ECE (relplot)": lambda c, y: relplot.smECE(c, y.astype(float)),
    "Brier and log loss (scikit-learn)": lambda c, y: (brier_score_loss(y, c), log_loss(y, c)),
    "AUROC (scikit-learn)": lambda c, y: roc_auc_score(y, c),
    "CORP (model-diagnostics)": lambda c, y: decompose(y_obs=y, y_pred=c, scoring_function=SquaredError()),
    "slope and intercept (scikit-learn)": slope,
}

rows = np.load(sys.argv[1])
c_and_y = (np.split(column, rows["ends"][:-1]) for column in (rows["c"], rows["y"].astype(int)))
series = list(zip(*c_and_y, strict=True))


def measure():
    spent = dict.fromkeys(PARTS, 0.0)
    for c, y in series:
        for name, measured in PARTS.items():
            started = time.perf_counter()
            measured(c, y)
            spent[name] += time.perf_counter() - started
    return {name: 1e6 * seconds / len(series) for name, seconds in spent.items()}


def resample(resamples):
    (c, y), rng = series[len(series) // 2], np.random.default_rng(1)
    started = time.perf_counter()
    for _ in range(resamples):
        drawn = rng.integers(0, len(c), len(c))
        for measured in PARTS.values():
            measured(c[drawn], y[drawn])
    return 1e6 * (time.perf_counter() - started)


measure()  # the first call of a library is slower
for line in sys.stdin:
    asked, *numbers = line.split()
    print(json.dumps({"measure": measure, "resample": resample}[asked](*map(int, numbers))), flush=True)

"""Discovery: which of many series to believe at one look."""

import numpy as np
import numpy.typing as npt

from monitor.calibration.cells import FloatArray


def false_discovery(p_values: FloatArray, q: float) -> npt.NDArray[np.bool_]:
    """(m,) which of m hypotheses to reject so that at most the share q of those rejected are true, on average.

    Benjamini and Hochberg, J. R. Statist. Soc. B 57 (1995) 289-300, for independent p-values; also where they depend on
    each other positively (Benjamini and Yekutieli, Ann. Statist. 29 (2001) 1165-1188), which is taken to be so of a
    model and its segments. It holds for ONE evaluation: repeated at every evaluation it bounds nothing over a day, as
    each is another chance. Over time only the detectors' yearly budget does (`monitor.drift.budget`).

    `p_values` (m,) in 0..1, `q` in 0..1: ValueError otherwise.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not (0 <= q <= 1 and bool(np.all((p >= 0) & (p <= 1)))):
        raise ValueError("p-values and q must lie in 0..1")
    order = np.argsort(p, kind="stable")
    accepted = np.flatnonzero(p[order] * len(p) <= q * np.arange(1, len(p) + 1))
    mask = np.zeros(len(p), dtype=np.bool_)
    if len(accepted):
        mask[order[: accepted[-1] + 1]] = True
    return mask

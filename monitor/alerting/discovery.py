"""Discovery: which of many crossings to believe at one look."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
from msgspec import structs

from monitor.alerting.alertrules import AlertRule
from monitor.alerting.round import Look
from monitor.alerting.verdict import Measured, Verdict, sign_of
from monitor.calibration.cells import FloatArray
from monitor.calibration.uncertainty import z_of


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


def p_value(evidence: Measured) -> float:
    """How likely an estimate at least so far beyond `enter` is where the truth lies on it, 0..1; one-sided, normal.

    The spread is what the interval's end nearer to the limit tells; where that end is lowered by a bias (ECE), the
    p-value is too large rather than too small. Of an exact value: 0 beyond the limit, else 1.
    """
    judged, sign = evidence.judged, sign_of(evidence.compare)
    beyond = sign * (judged.value - evidence.enter)
    bound = judged.value if judged.interval is None else judged.interval[0 if sign > 0 else 1]
    spread = abs(judged.value - bound) / z_of(evidence.confidence_level)
    if not spread:
        return 0.0 if beyond > 0 else 1.0
    return NormalDist().cdf(-beyond / spread)


def believed(verdicts: Sequence[Verdict], q: float, known: int = 0) -> list[Verdict]:
    """The verdicts of one rule on its series at ONE evaluation; crossings that chance explains become `between`.

    Of the crossings that stay, at most the share q is expected to be of series that are not beyond `enter`; see
    `false_discovery` for what that takes. Every verdict that was measured counts as a look, crossed or not. `known`:
    of how many series in all the rule could tell; those without a verdict here, as nothing is the matter with them,
    count as looks with a p-value of 1, which believes rather too little than too much. The evidence stays as it was.
    """
    looks = {place: each.evidence for place, each in enumerate(verdicts) if isinstance(each.evidence, Measured)}
    p_values = [p_value(evidence) for evidence in looks.values()]
    mask = false_discovery(np.array(p_values + [1.0] * (known - len(p_values))), q)
    held = dict(zip(looks, mask.tolist(), strict=False))
    return [
        structs.replace(each, finding="between") if each.finding == "crossed" and not held.get(place, True) else each
        for place, each in enumerate(verdicts)
    ]


def sifted(looks: Sequence[Look], rule: AlertRule, known: int) -> Sequence[Look]:
    """The looks of a rule in one window at one evaluation, sifted as the rule wants it; `known` as in `believed`."""
    if rule.false_discovery_rate is None:
        return looks
    verdicts = believed([look.verdict for look in looks], rule.false_discovery_rate, known)
    return [replace(look, verdict=verdict) for look, verdict in zip(looks, verdicts, strict=True)]

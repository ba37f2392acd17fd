"""Log odds: where slopes and intercepts live."""

from typing import Final

import numpy as np

from monitor.calibration.cells import FloatArray

CLIP: Final = 0.005
"""Confidences are clipped to [clip, 1 - clip]: a stated 1.0 that is wrong would else decide a fit alone."""


def logit(confidence: FloatArray) -> FloatArray:
    """Log odds of confidences, which are clipped first; finite."""
    return log_odds(np.clip(confidence, CLIP, 1 - CLIP))


def log_odds(chance: FloatArray) -> FloatArray:
    """Log odds of chances within 0..1, without the ends."""
    return np.asarray(np.log(chance / (1 - chance)))


def sigmoid(odds: FloatArray) -> FloatArray:
    """Chance of log odds."""
    return np.asarray(0.5 * (1 + np.tanh(odds / 2)))

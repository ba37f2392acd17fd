"""Recalibration maps: laws, answers by scikit-learn, and stories of bad input."""

"""Outcomes: was a prediction right, given its label? A pure function of what is stored, for first labels and old."""

from collections.abc import Mapping

import numpy as np

from monitor.events.messages import LabelKind
from monitor.rolling.rows import NO_LABEL, Floats, JoinedRows, LabelColumns


def outcomes(rows: JoinedRows, label: LabelColumns) -> Floats:
    """The outcome of each row under a label, (n,) in 0..1; NaN without a label, after a retraction, or if incomparable.

    CORRECT: what the label says. LABEL: 1 where its text equals the answer, else 0; the answer is `predicted`, or the
    most probable class. VALUE: 1 inside the interval, ends included, else 0. A label that does not fit its prediction
    (a value without an interval, a text without an answer) is incomparable. The same holds for every signal of a row.
    """
    correct = label.kind == LabelKind.CORRECT
    if correct.all():
        return label.number
    outcome = np.where(correct, label.number, np.nan)
    values = label.kind == LabelKind.VALUE
    if values.any() and rows.interval is not None:
        low, high = rows.interval[:, 0], rows.interval[:, 1]
        known = values & ~np.isnan(low)
        inside = (low[known] <= label.number[known]) & (label.number[known] <= high[known])
        outcome[known] = inside
    for row in np.flatnonzero(label.kind == LabelKind.LABEL).tolist():
        given = answer(rows, row)
        if given is not None:
            said = label.text[row] if label.text is not None else None
            outcome[row] = float(given == (said or ""))
    return outcome


def incomparable(label: LabelColumns, outcome: Floats) -> int:
    """How many labels say something that cannot be compared with their prediction."""
    silent = (label.kind == NO_LABEL) | (label.kind == LabelKind.RETRACTION)
    return int(np.count_nonzero(np.isnan(outcome) & ~silent))


def answer(rows: JoinedRows, row: int) -> str | None:
    """The answer of a row: what was predicted, else the most probable class, else None."""
    given = rows.predicted[row] if rows.predicted is not None else None
    if given is not None:
        return given
    classes = rows.probabilities[row] if rows.probabilities is not None else None
    return most_probable(classes) if classes else None


def most_probable(probabilities: Mapping[str, float]) -> str:
    """The class with the greatest probability; of several, the first by code point, so that every route agrees."""
    greatest = max(probabilities.values())
    return min(name for name, value in probabilities.items() if value == greatest)

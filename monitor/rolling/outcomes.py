"""Outcomes: was an answer right, given its label? A pure function of what is stored, for first labels and old ones."""

from collections.abc import Mapping

import numpy as np

from monitor.events.messages import LabelKind
from monitor.rolling.rows import Floats, JoinedRows, LabelColumns


def outcomes(rows: JoinedRows, label: LabelColumns) -> Floats:
    """The outcome of each row's answer, (n,) in 0..1; NaN without a label, after a retraction, or if incomparable.

    CORRECT: what the label says. LABEL: 1 where its text equals the answer, else 0; the answer is `predicted`, or the
    most probable class. VALUE: 1 inside the interval, ends included, else 0. A label that does not fit its prediction
    (a value without an interval, a text without an answer) is incomparable.
    """
    correct = label.kind == LabelKind.CORRECT
    if correct.all():
        return label.number
    outcome = np.where(correct, label.number, np.nan)
    values = label.kind == LabelKind.VALUE
    if values.any():
        outcome[values] = inside(rows, label)[values]
    for row in np.flatnonzero(label.kind == LabelKind.LABEL).tolist():
        given = answer(rows, row)
        if given is not None:
            said = label.text[row] if label.text is not None else None
            outcome[row] = float(given == (said or ""))
    return outcome


def inside(rows: JoinedRows, label: LabelColumns) -> Floats:
    """Whether the number of the label lies inside each row's interval, ends included: 1 or 0, NaN without one."""
    if rows.interval is None:
        return np.full(len(rows), np.nan)
    low, high = rows.interval[:, 0], rows.interval[:, 1]
    return np.where(np.isnan(low), np.nan, (low <= label.number) & (label.number <= high))


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

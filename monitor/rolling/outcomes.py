"""Outcomes: was an answer right, given its label? A pure function of what is stored, for first labels and old ones."""

import numpy as np

from monitor.events.messages import LabelKind
from monitor.rolling.rows import Floats, JoinedRows, LabelColumns, Texts


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
    named = np.flatnonzero(label.kind == LabelKind.LABEL).tolist()
    given = answers(rows) if named else None
    if given is not None:
        said = label.text or [None] * len(rows)
        outcome[named] = [np.nan if given[row] is None else float(given[row] == (said[row] or "")) for row in named]
    return outcome


def inside(rows: JoinedRows, label: LabelColumns) -> Floats:
    """Whether the number of the label lies inside each row's interval, ends included: 1 or 0, NaN without one."""
    if rows.interval is None:
        return np.full(len(rows), np.nan)
    low, high = rows.interval[:, 0], rows.interval[:, 1]
    return np.where(np.isnan(low), np.nan, (low <= label.number) & (label.number <= high))


def answers(rows: JoinedRows) -> Texts | None:
    """The answer of each row: what was predicted, or else the most probable class; None without one, and for all."""
    if rows.classes is None:
        return rows.predicted
    names = [*rows.classes.names, None]  # NO_CLASS is the last place
    top = [names[code] for code in rows.classes.top_code().tolist()]
    if rows.predicted is None:
        return top
    return [likely if given is None else given for given, likely in zip(rows.predicted, top, strict=True)]

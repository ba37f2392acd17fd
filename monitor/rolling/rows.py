"""Joined rows: columns of what the join returned, one row a prediction that is newly known or newly labelled."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from monitor.rolling.tables import ClassTables

Floats: TypeAlias = npt.NDArray[np.float64]
Int16s: TypeAlias = npt.NDArray[np.int16]
Int32s: TypeAlias = npt.NDArray[np.int32]
Int64s: TypeAlias = npt.NDArray[np.int64]
Texts: TypeAlias = Sequence[str | None]

NO_LABEL: Final = -1
"""Stands in `kind` for a row without a label."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelColumns:
    """Labels as they are stored, one a row. What stands beside the kind NO_LABEL is not read."""

    kind: Int16s
    """(n,) a LabelKind, or NO_LABEL."""
    number: Floats
    """(n,) CORRECT: the outcome; VALUE: the true value."""
    source: Int16s
    """(n,) id of the label source, 0 where none was named."""
    labelled_us: Int64s
    """(n,) microseconds since the epoch."""
    text: Texts | None = None
    """n texts, read where the kind is LABEL, where None is the empty text; None where no row has one."""
    propensity: Floats | None = None
    """(n,) in (0, 1], NaN where none was given; None where no row has one."""


@dataclass(frozen=True, slots=True, eq=False)
class JoinedRows:
    """Rows of n known predictions.

    Either all are newly known, and a label that is there came first; or each has a label that was applied just now, and
    `previous` holds the one that it replaced.
    """

    new_predictions: bool
    """Whether these predictions are newly known; else their labels are new."""
    segment_set: Int32s
    """(n,) id of the stored segment key."""
    predicted_us: Int64s
    """(n,) microseconds since the epoch."""
    confidence: Floats
    """(n,) 0..1: the main signal."""
    signals: Floats
    """(n, s) the extra signals in the order of the segment key, NaN past a row's last; s may be 0."""
    label: LabelColumns
    previous: LabelColumns | None = None
    """The labels that were replaced; None where none was."""
    predicted: Texts | None = None
    """n answers; None where no row has one."""
    classes: ClassTables | None = None
    """The probabilities of classes; None where no row has any."""
    interval: Floats | None = None
    """(n, 3) low, high, level, NaN for none; None where no row has one."""

    def __len__(self) -> int:
        return len(self.confidence)

    def relabelled(self, previous: LabelColumns) -> "JoinedRows":
        """The same predictions as known before, with labels that replaced others."""
        return replace(self, new_predictions=False, previous=previous)

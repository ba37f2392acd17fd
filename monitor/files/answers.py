"""Files as single answers: confidence, outcome and which question it was, so that two models can be compared."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import datetime
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from monitor.calibration.comparison import Answers
from monitor.errors import BadInput
from monitor.events.identity import Ids
from monitor.files.events import labels, prediction_fields, predictions
from monitor.files.formats import Format, Source
from monitor.files.measure import Reader
from monitor.files.pairs import Floats, PairColumns, pair_rows
from monitor.files.rejections import Rejections
from monitor.files.rows import Told, lines, records
from monitor.rolling.rendezvous import Rendezvous
from monitor.rolling.segments import Dimension

MODELS_NAMED: Final = 20
ID_COLUMNS: Final = ("prediction_id", "question_id", "id", "question")
"""Columns that are taken as the question where none is named, the first that is there."""


def id_column(file: Source) -> str | None:
    """The column of a file of pairs that tells the question, if it has one of the usual name."""
    held = _columns(file)
    return next((name for name in ID_COLUMNS if name in held), None)


def _columns(file: Source) -> Sequence[str]:
    if file.format is not Format.JSON_LINES:
        first = next(records(file, lambda _: None), None)
        return () if first is None else first.columns
    for run in lines(file, lambda _: None):
        for body in run.bodies:
            try:
                record = msgspec.json.decode(body)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                continue
            if isinstance(record, dict):
                return tuple(map(str, record))
    return ()


def pair_answers(
    file: Source, columns: PairColumns, question: str | None, *, told: Told, rejections: Rejections, only: str | None
) -> tuple[Answers, int]:
    """The labelled rows of a file of pairs; of a question that comes again the first, and how often one came again.

    `columns` name no dimensions; `only` keeps one model. Raises BadInput when the file has no row of it.
    """
    by = () if question is None else (Dimension("question", question),)
    rows = pair_rows(file, replace(columns, dimensions=by), told, lambda bad: rejections.add(file.path, bad), only)
    _require(only, {name[0] for name in rows.names}, file)
    known = ~np.isnan(rows.outcome)
    confidence, outcome = rows.confidence[known], rows.outcome[known]
    if question is None:
        return Answers(confidence, outcome), 0
    named = np.array([name[1] for name in rows.names] or [""], dtype=np.str_)
    return first_of_each(confidence, outcome, named[rows.group[known]])


def event_answers(
    files: tuple[Source, Source],
    reader: Reader,
    now: datetime,
    *,
    told: Told,
    rejections: Rejections,
    only: str | None = None,
) -> tuple[Answers, int]:
    """The answers of a file of predictions that a file of labels judges; a question is a prediction id.

    `only` keeps one model. Raises BadInput when no prediction is its.
    """
    meeting = Rendezvous(reader.scheme, reader.bound, reader.is_primary, reader.rules.id_scope)
    predicted, labelled = files
    models = set[str]()
    for good, bad in predictions(predicted, reader.rules, prediction_fields(reader.rules, reader.scheme), now, told):
        rejections.add(predicted.path, bad)
        models.update(each.model for each in good)
        meeting.add_predictions([each for each in good if only in {None, each.model}])
    _require(only, models, predicted)
    for found, bad in labels(labelled, reader.rules, now, told):
        rejections.add(labelled.path, bad)
        meeting.add_labels(found)
    answered = meeting.answered()
    return first_of_each(answered.confidence, answered.outcome, _as_numbers(answered.ids))


def _require(model: str | None, held: AbstractSet[str], file: Source) -> None:
    if model is not None and model not in held:
        others = ", ".join(sorted(held)[:MODELS_NAMED]) + (", ..." if len(held) > MODELS_NAMED else "")
        raise BadInput(f"{file.path}: no row is of the model {model}; there are {others or 'no good rows'}", "model")


def _as_numbers(ids: Ids) -> npt.NDArray[np.generic]:
    """Ids as something that can be sorted."""
    return np.array([value.tobytes().hex() for value in ids], dtype=np.str_)


def first_of_each(confidence: Floats, outcome: Floats, question: npt.NDArray[np.generic]) -> tuple[Answers, int]:
    """The first answer to each question, in order of the questions, and how many others there were.

    Answers without a question, an empty text, are left out and count among the others.
    """
    names, first = np.unique(question, return_index=True)
    if len(names) and names[0] == "":
        names, first = names[1:], first[1:]
    return Answers(confidence[first], outcome[first], names), len(confidence) - len(first)

"""Files of predictions and labels: their rows through the service's own decoding."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from monitor.events.decoding import (
    LabelDecoder,
    PredictionDecoder,
    decode_labels,
    decode_predictions,
    label_decoder,
    prediction_decoder,
)
from monitor.events.messages import Label, Prediction, Rejected
from monitor.events.rules import EventRules
from monitor.files.bodies import Bodies, bodies
from monitor.files.fields import FlatFields
from monitor.files.formats import Source
from monitor.files.rows import BadRow, Told
from monitor.rolling.segments import SegmentScheme


def prediction_fields(rules: EventRules, scheme: SegmentScheme, wanted: Sequence[str] = ()) -> FlatFields:
    """How columns of predictions are called; `wanted` dimensions may stand in columns of their bare names."""
    declared = {dimension.name: dimension.source for dimension in scheme.dimensions}
    numeric = frozenset(dimension.source for dimension in scheme.dimensions if dimension.cuts)
    extra = frozenset(declared.get(name, name) for name in wanted)
    return FlatFields("prediction", rules.predictions, extra, numeric)


def predictions(
    file: Source, rules: EventRules, fields: FlatFields, now: datetime, told: Told
) -> Iterator[tuple[list[Prediction], list[BadRow]]]:
    """The predictions of a file in its order, in runs, each with the rows that are none."""
    decoder: PredictionDecoder = prediction_decoder(rules)
    for run in bodies(file, fields, told):
        good, rejected = decode_predictions(run.bodies, decoder, now)
        yield good, _bad(run, rejected)


def labels(file: Source, rules: EventRules, now: datetime, told: Told) -> Iterator[tuple[list[Label], list[BadRow]]]:
    """The labels of a file in its order, in runs, each with the rows that are none."""
    decoder: LabelDecoder = label_decoder(rules)
    for run in bodies(file, FlatFields("label", rules.labels), told):
        good, rejected = decode_labels(run.bodies, decoder, now)
        yield good, _bad(run, rejected)


def _bad(run: Bodies, rejected: Sequence[Rejected]) -> list[BadRow]:
    decoded = [BadRow(run.rows[each.index], each.reason, each.message, run.bodies[each.index]) for each in rejected]
    return sorted((*run.bad, *decoded), key=lambda bad: bad.row)

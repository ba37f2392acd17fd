"""What of a prediction chooses its recalibration map: the dimensions that text makes, and the numeric fields."""

from collections.abc import Mapping, Sequence

from monitor.rolling.segments import Dimension

RawSegments = Mapping[str, str | float | bool]
"""Values of a prediction by dimension, as they stand in its event."""


def choosing(segments: RawSegments, dimensions: Sequence[Dimension]) -> tuple[dict[str, str], dict[str, float]]:
    """The segment of a prediction, and its numeric fields. `dimensions` are the declared ones.

    As in the store, neither the name of a declared dimension nor the field that it reads is one of its own. A number
    that a dimension cuts is a numeric field by the name of the dimension too: maps know it by that. Raises TypeError or
    ValueError for a value that is neither text nor a number, true or false.
    """
    texts: dict[str, str] = {}
    numbers: dict[str, float] = {}
    for name, value in segments.items():
        if isinstance(value, str):
            texts[name] = value
        elif value is True or value is False:
            texts[name] = "true" if value else "false"
        else:
            numbers[name] = float(value)
    if not dimensions:
        return texts, numbers
    raw: dict[str, str | float] = {**texts, **numbers}
    for dimension in dimensions:
        texts.pop(dimension.source, None)
        texts.pop(dimension.name, None)
    for dimension in dimensions:
        if dimension.source not in raw:
            continue
        value = raw[dimension.source]
        if found := dimension.value_of(value):
            texts[dimension.name] = found
        if dimension.cuts and not isinstance(value, str):
            numbers[dimension.name] = value
    return texts, numbers

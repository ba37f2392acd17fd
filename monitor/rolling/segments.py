"""Segments: which slices a prediction belongs to, and which series its label will feed."""

import json
from bisect import bisect_right
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from monitor.errors import BadInput
from monitor.events.messages import NAME_LENGTH, Prediction
from monitor.events.rules import MAIN_SIGNAL
from monitor.rolling.agreement import Agreement

OTHER: Final = "__other__"
"""Stands for values past the bound on series, and for text where a dimension with cut points wants a number."""

INTERVAL: Final = "interval"
"""The derived signal of a stated interval: its level, and whether the truth lies inside."""
TOP_LABEL: Final = "top_label"
"""The derived signal of the most probable class: its probability, and whether it is the right one."""
CLASS: Final = "class:"
"""Begins the names of the derived signals of single classes: their probability, and whether each is the right one."""

EVENT_FIELDS: Final = ("model_version", "predicted", "step")
"""Fields of the prediction itself that a dimension may read, where `segments` has none of that name."""

Segment = Mapping[str, str]
"""A slice, as {dimension: value}; {} is everything."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """A declared dimension: the field that it reads, and cut points where that field is a number.

    n cuts, ascending, make n + 1 values: below the first, from each cut (included) to the next, from the last on.
    """

    name: str
    field: str = ""
    """Key under `segments`, or one of EVENT_FIELDS; empty: the dimension's own name."""
    cuts: tuple[float, ...] = ()
    names: tuple[str, ...] = ()
    """Names of the n + 1 values; empty: `<200`, `200-1000`, `>=1000`."""

    @property
    def source(self) -> str:
        """The field that holds the value."""
        return self.field or self.name

    def value_of(self, raw: str | float) -> str | None:
        """The value that a raw value stands for; None where a number has no cut points and so makes no series."""
        if not self.cuts:
            return raw if isinstance(raw, str) else None
        if isinstance(raw, str):
            return OTHER
        place = bisect_right(self.cuts, raw)
        if self.names:
            return self.names[place]
        if place == 0:
            return f"<{self.cuts[0]:g}"
        if place == len(self.cuts):
            return f">={self.cuts[-1]:g}"
        return f"{self.cuts[place - 1]:g}-{self.cuts[place]:g}"


class SegmentKey(NamedTuple):
    """All that decides which series a prediction feeds.

    It is stored with the prediction, so that a correction under another configuration reaches the same series.
    """

    model: str
    model_version: str | None
    dims: tuple[tuple[str, str], ...]
    """(dimension, value), ascending."""
    signals: tuple[str, ...]
    """Names of the extra signals, in the order of the stored array; ascending, but for names folded to OTHER."""
    crosses: tuple[tuple[tuple[str, str], ...], ...] = ()
    """Declared crosses that apply, each as its (dimension, value) pairs, ascending."""
    derived: tuple[str, ...] | None = None
    """Names of the derived signals, ascending; their numbers follow those of `signals`. None where the prediction has
    neither interval nor probabilities, and for all that were stored before there were derived signals. There may be
    more classes than a prediction names; those it does not state."""
    level_is_confidence: bool = False
    """Whether the main signal is the level of the interval."""


DERIVED: Final = SegmentKey._fields.index("derived")
"""The place of the derived signals in the text of a key."""


class SeriesName(NamedTuple):
    """One series: model x signal x segment x group of label sources."""

    model: str
    signal: str
    segment: str
    """Canonical text, as `segment_text` writes it."""
    source_group: str = ""
    """Empty: the primary label sources together. Otherwise the name of one that is not primary."""


def whole_first(name: SeriesName) -> tuple[str, str, str, int, str]:
    """A key to sort by: everything of a model and signal first, then its slices, by name."""
    return name.model, name.signal, name.source_group, name.segment.count('":"'), name.segment


@dataclass(frozen=True, slots=True)
class SegmentScheme:
    """How predictions fall into segments: by declared dimensions, and by every other text under `segments`."""

    dimensions: tuple[Dimension, ...] = ()
    crosses: tuple[tuple[str, ...], ...] = ()
    main_signal: str = MAIN_SIGNAL
    classes: bool = False
    """Whether each class of `probabilities` is a derived signal."""
    agreements: tuple[Agreement, ...] = ()
    _by_source: dict[str, tuple[Dimension, ...]] = field(init=False, repr=False, compare=False)
    _of_event: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_source: dict[str, tuple[Dimension, ...]] = {}
        for dimension in self.dimensions:
            by_source[dimension.source] = (*by_source.get(dimension.source, ()), dimension)
        object.__setattr__(self, "_by_source", by_source)
        object.__setattr__(self, "_of_event", tuple(name for name in EVENT_FIELDS if name in by_source))

    def raw_key(self, prediction: Prediction) -> Hashable:
        """A cheap key: predictions with equal raw keys have segment keys that are equal but for their classes."""
        segments = prediction.segments
        values: tuple[Hashable, ...] = tuple(segments.values())
        for value in values:
            if type(value) is float:
                values = tuple(self._place(name, raw) for name, raw in segments.items())
                break
        if self._of_event:
            values += tuple(self._place(name, getattr(prediction, name)) for name in self._of_event)
        has_classes, quadrants = bool(prediction.probabilities), self._quadrants(prediction)
        derived = prediction.interval is None, prediction.level_is_confidence, has_classes, *quadrants
        return prediction.model, prediction.model_version, tuple(segments), values, tuple(prediction.signals), derived

    def _place(self, source: str, raw: str | float | None) -> Hashable:
        """What remains of a raw value once numbers have fallen between their cut points."""
        if raw is None or isinstance(raw, str):
            return raw
        return tuple(bisect_right(dimension.cuts, raw) for dimension in self._by_source.get(source, ()))

    def segment_key(self, prediction: Prediction) -> SegmentKey:
        """The segments of a prediction, to be stored with it."""
        dims = dict(self._dims(prediction))
        return SegmentKey(
            prediction.model,
            prediction.model_version,
            tuple(sorted(dims.items())),
            tuple(sorted(prediction.signals)),
            tuple(
                tuple(sorted((name, dims[name]) for name in cross))
                for cross in self.crosses
                if all(name in dims for name in cross)
            ),
            self._derived(prediction),
            prediction.level_is_confidence,
        )

    def _quadrants(self, prediction: Prediction) -> list[str | None]:
        """The quadrant of each declared agreement."""
        if not self.agreements:
            return []
        stated = {**prediction.signals, self.main_signal: prediction.confidence}
        return [agreement.quadrant(stated) for agreement in self.agreements]

    def _derived(self, prediction: Prediction) -> tuple[str, ...] | None:
        names = [INTERVAL] if prediction.interval is not None else []
        if prediction.probabilities:
            names.append(TOP_LABEL)
            names += [CLASS + name for name in prediction.probabilities] if self.classes else []
        if not names:
            return None
        stated = {self.main_signal, *prediction.signals}
        return tuple(sorted(name for name in names if name not in stated))

    def _dims(self, prediction: Prediction) -> Iterator[tuple[str, str]]:
        declared = {each.name for each in self.dimensions} | {each.dimension for each in self.agreements}
        for name, raw in prediction.segments.items():
            if isinstance(raw, str) and name not in self._by_source and name not in declared:
                yield name, raw
        for dimension in self.dimensions:
            raw_value = prediction.segments.get(dimension.source)
            if raw_value is None and dimension.source in EVENT_FIELDS:
                raw_value = getattr(prediction, dimension.source)
            value = None if raw_value is None else dimension.value_of(raw_value)
            if value:
                yield dimension.name, value[:NAME_LENGTH]
        for agreement, quadrant in zip(self.agreements, self._quadrants(prediction), strict=True):
            if quadrant is not None:
                yield agreement.dimension, quadrant

    def unused_numbers(self, prediction: Prediction) -> frozenset[str]:
        """Numeric dimensions of this prediction that make no series for want of cut points; to be said once."""
        return frozenset(
            name
            for name, raw in prediction.segments.items()
            if not isinstance(raw, str) and not any(dimension.cuts for dimension in self._by_source.get(name, ()))
        )


def classes_of(key: SegmentKey) -> frozenset[str]:
    """The derived signals of single classes, that of all others among them."""
    return frozenset(name for name in key.derived or () if name.startswith(CLASS))


def without_classes(key: SegmentKey) -> SegmentKey:
    """The key without the derived signals of single classes."""
    classes = classes_of(key)
    if key.derived is None or not classes:
        return key
    return key._replace(derived=tuple(name for name in key.derived if name not in classes))


def segments_of(key: SegmentKey) -> list[dict[str, str]]:
    """The segments of a key: everything, each value of each dimension, each cross. No two are equal."""
    return [dict(pairs) for pairs in dict.fromkeys([(), *((pair,) for pair in key.dims), *key.crosses])]


def signal_names(key: SegmentKey, main_signal: str = MAIN_SIGNAL) -> tuple[str, ...]:
    """The names of the signals by their numbers: the main one, the key's extra signals, its derived ones."""
    return main_signal, *key.signals, *(key.derived or ())


def series_names(
    key: SegmentKey, signal: int, main_signal: str = MAIN_SIGNAL, source_group: str = ""
) -> list[SeriesName]:
    """The series that one signal of a prediction with this key feeds, one a segment."""
    name = signal_names(key, main_signal)[signal]
    return [SeriesName(key.model, name, segment_text(segment), source_group) for segment in segments_of(key)]


def segment_text(segment: Segment) -> str:
    """The canonical text of a segment: JSON, sorted by dimension, no spaces; `{}` is everything."""
    return json.dumps(dict(segment), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def parse_segment(text: str) -> dict[str, str]:
    """A segment as a person types it: `lang=de,difficulty=hard`, or the canonical text; empty is everything.

    Raises BadInput that says what is allowed.
    """
    given = text.strip()
    if given.startswith("{"):
        try:
            parsed = json.loads(given)
        except ValueError:
            parsed = None
        if not isinstance(parsed, dict) or not all(isinstance(value, str) for value in parsed.values()):
            raise BadInput(f'a segment in JSON must be an object of texts such as {{"lang":"de"}}, got {text}')
        return dict(sorted(parsed.items()))
    segment: dict[str, str] = {}
    for part in given.split(",") if given else ():
        name, equals, value = (side.strip() for side in part.partition("="))
        if not equals or not name or not value:
            raise BadInput(f"a segment must look like lang=de or lang=de,difficulty=hard, got {text}")
        if name in segment:
            raise BadInput(f"a segment must name each dimension once, got {name} twice in {text}")
        segment[name] = value
    return dict(sorted(segment.items()))


def key_text(key: SegmentKey) -> str:
    """The canonical text of a segment key: equal texts are equal keys, and `parse_key` gives the key back.

    What says nothing at its end is left out, so keys without derived signals keep the texts that they had before.
    """
    said = key if key.level_is_confidence else key[:-1] if key.derived is not None else key[:-2]
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


def parse_key(text: str) -> SegmentKey:
    """The segment key of its canonical text."""
    model, version, dims, signals, crosses, *more = json.loads(text)
    return SegmentKey(
        model,
        version,
        tuple((name, value) for name, value in dims),
        tuple(signals),
        tuple(tuple((name, value) for name, value in cross) for cross in crosses),
        tuple(more[0]) if more and more[0] is not None else None,
        *more[1:],
    )

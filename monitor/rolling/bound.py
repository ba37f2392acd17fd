"""The bound on the number of series: past it new values are folded into `__other__`, and every folding is counted."""

from typing import Final

from monitor.events.rules import MAIN_SIGNAL
from monitor.rolling.segments import (
    CLASS,
    OTHER,
    SegmentKey,
    SeriesName,
    classes_of,
    segment_text,
    series_names,
    signal_names,
    without_classes,
)

MAX_SERIES: Final = 10_000
_NONE: Final[frozenset[str]] = frozenset()


class SeriesBound:
    """Which series there are, and whether there may be more. One owner fills it from the stored keys, then asks it.

    Series that hold `__other__` are not counted: they are no more than the names that led there. Whether a value is
    folded depends on what came before; what is stored with a prediction never changes afterwards.
    """

    __slots__ = (
        "_classes", "_counted", "_dimensions", "_known", "_widest", "main_signal", "max_classes", "max_series",
    )  # fmt: skip

    def __init__(self, max_series: int = MAX_SERIES, main_signal: str = MAIN_SIGNAL, max_classes: int = 0) -> None:
        self.max_series = max_series
        self.main_signal = main_signal
        self.max_classes = max_classes
        self._classes: dict[str, set[str]] = {}
        self._widest: dict[SegmentKey, frozenset[str]] = {}
        self._known: set[SeriesName] = set()
        self._dimensions: set[tuple[str, str]] = set()
        self._counted = 0

    def __len__(self) -> int:
        """How many series there are, those that hold `__other__` left out."""
        return self._counted

    def learn(self, key: SegmentKey) -> None:
        """Take a stored key as it is."""
        if classes := classes_of(key):
            rest = without_classes(key)
            self._widest[rest] = self._widest.get(rest, _NONE) | classes
        self._dimensions.update((key.model, name) for name, _ in key.dims)
        self._classes.setdefault(key.model, set()).update(filter(_is_class, key.derived or ()))
        for name in self._names(key) - self._known:
            self._known.add(name)
            self._counted += not _is_other(name)

    def admit(self, key: SegmentKey) -> tuple[SegmentKey, int]:
        """The key to store, and how many of its values were folded to make it fit. It counts as learnt.

        A key with classes gets those too that keys which are otherwise equal had before: so there are no more such keys
        than classes, however many combinations of them come, and no series that none of them had.
        """
        folded, changes = self._fold_classes(key)
        if not self._fits(folded):
            folded, more = self._fold(folded)
            changes += more
        classes = classes_of(folded)
        known = self._widest.get(without_classes(folded), _NONE) if classes else _NONE
        if known:
            folded = folded._replace(derived=tuple(sorted({*(folded.derived or ()), *known})))
        if not classes or not classes <= known:
            self.learn(folded)
        return folded, changes

    def _fold_classes(self, key: SegmentKey) -> tuple[SegmentKey, int]:
        """The key with classes past the bound of its model as the class of all others."""
        known = self._classes.get(key.model, set())
        new = [name for name in key.derived or () if _is_class(name) and name not in known]
        past = new[max(0, self.max_classes - len(known)) :]
        if not past:
            return key, 0
        kept = {CLASS + OTHER, *(key.derived or ())}.difference(past)
        return key._replace(derived=tuple(sorted(kept))), len(past)

    def _names(self, key: SegmentKey) -> set[SeriesName]:
        signals = range(len(signal_names(key, self.main_signal)))
        return {name for signal in signals for name in series_names(key, signal, self.main_signal)}

    def _fits(self, key: SegmentKey) -> bool:
        new = sum(not _is_other(name) for name in self._names(key) - self._known)
        return new == 0 or self._counted + new <= self.max_series

    def _fold(self, key: SegmentKey) -> tuple[SegmentKey, int]:
        """The key with every value that would need a new series folded; the main signal's series decide first.

        Derived signals that would need one are left out: folded into another they would answer for its events. Classes
        answer each for their own under the class of all others too, where that is known.
        """
        known_model = self._knows(key.model, self.main_signal, {})
        model = key.model if known_model else OTHER
        dims = tuple(self._folded_value(model, *pair) for pair in key.dims)
        crosses = tuple(self._folded_cross(model, cross) for cross in key.crosses)
        version = key.model_version if known_model else None
        plain = SegmentKey(model, version, tuple(sorted(set(dims))), (), crosses)
        signals = tuple(name if self._knows_signal(plain, name) else OTHER for name in key.signals)
        derived = None if key.derived is None else self._folded_derived(plain, key.derived)
        changes = int(not known_model) + len(set(key.derived or ()).difference(derived or ()))
        for before, after in ((key.signals, signals), (key.dims, dims), (key.crosses, crosses)):
            changes += sum(one != other for one, other in zip(before, after, strict=True))
        return key._replace(
            model=model, model_version=version, dims=plain.dims, signals=signals, crosses=crosses, derived=derived
        ), changes

    def _folded_derived(self, key: SegmentKey, derived: tuple[str, ...]) -> tuple[str, ...]:
        kept = {name for name in derived if self._knows_signal(key, name)}
        if any(map(_is_class, set(derived) - kept)) and self._knows_signal(key, CLASS + OTHER):
            kept.add(CLASS + OTHER)
        return tuple(sorted(kept))

    def _knows_signal(self, key: SegmentKey, signal: str) -> bool:
        names = series_names(key._replace(signals=(signal,)), 1, self.main_signal)
        return all(name in self._known or (_is_other(name) and name.segment != "{}") for name in names)

    def _folded_cross(self, model: str, cross: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        if self._knows(model, self.main_signal, dict(cross)):
            return cross
        return tuple(sorted({(self._folded_value(model, *pair)[0], OTHER) for pair in cross}))

    def _folded_value(self, model: str, name: str, value: str) -> tuple[str, str]:
        if self._knows(model, self.main_signal, {name: value}):
            return name, value
        return (name, OTHER) if (model, name) in self._dimensions else (OTHER, OTHER)

    def _knows(self, model: str, signal: str, segment: dict[str, str]) -> bool:
        return SeriesName(model, signal, segment_text(segment)) in self._known


def _is_class(name: str) -> bool:
    return name.startswith(CLASS) and name != CLASS + OTHER


def _is_other(name: SeriesName) -> bool:
    return name.model == OTHER or name.signal in {OTHER, CLASS + OTHER} or f'"{OTHER}"' in name.segment

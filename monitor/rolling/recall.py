"""Recall: which segment set a prediction belongs to, remembered from predictions like it."""

from collections.abc import Hashable, Sequence, Set
from typing import Final

from msgspec.structs import replace

from monitor.events.messages import Prediction
from monitor.rolling.segments import SegmentScheme

_NONE: Final[Set[str]] = frozenset()


class Recall:
    """Numbers of segment sets by the raw keys of predictions, and for which classes each set is known to be the one.

    A prediction may belong to a set that has more classes than it names. Of each class that was once asked for, the set
    says for ever under which number it counts, if any: so what is recalled may not be the newest, but is never wrong.
    """

    def __init__(self, scheme: SegmentScheme, most: int) -> None:
        """At most about so many raw keys, and as many classes of sets; then the memory starts again."""
        self._scheme, self._most = scheme, most
        self._numbers: dict[Hashable, int] = {}
        self._classes: dict[int, set[str]] = {}
        self._n_classes = 0

    def numbers(self, raw: Sequence[Hashable], predictions: Sequence[Prediction]) -> list[int | None]:
        """The set of each prediction by its raw key, None where one must be asked for."""
        return self.fitting(list(map(self._numbers.get, raw)), predictions)

    def fitting(self, numbers: list[int | None], predictions: Sequence[Prediction]) -> list[int | None]:
        """These numbers, None where a set is not known to be the one for all classes of its prediction."""
        if not self._scheme.classes:
            return numbers
        return [
            number if number is None or self._lacking(number, each) == _NONE else None
            for number, each in zip(numbers, predictions, strict=True)
        ]

    def _lacking(self, number: int | None, prediction: Prediction) -> Set[str]:
        """The classes of a prediction for which nothing is known about the set."""
        table = prediction.probabilities
        if not table or not self._scheme.classes:
            return _NONE
        known = _NONE if number is None else self._classes.get(number, _NONE)
        return _NONE if table.keys() <= known else {name for name in table if name not in known}

    def unknown(self, raw: Sequence[Hashable], predictions: Sequence[Prediction]) -> dict[Hashable, Prediction]:
        """By raw key, for which predictions a set must be asked for: each stands for all of its raw key, and names the
        classes that they have and that nothing is known about."""
        found: dict[Hashable, Prediction] = {}
        lacking: dict[Hashable, set[str]] = {}
        for key, each in zip(raw, predictions, strict=True):
            number = self._numbers.get(key)
            classes = self._lacking(number, each)
            if number is None or classes:
                found.setdefault(key, each)
                lacking.setdefault(key, set()).update(classes)
        return {
            key: replace(each, probabilities=dict.fromkeys(sorted(lacking[key]), 0.0)) if lacking[key] else each
            for key, each in found.items()
        }

    def learn(self, numbers: Sequence[tuple[Hashable, Prediction, int]]) -> None:
        """Take the sets that were given to predictions that `unknown` named."""
        if len(self._numbers) > self._most:
            self._numbers.clear()
        if self._n_classes > self._most:
            self._classes.clear()
            self._n_classes = 0
        for key, each, number in numbers:
            self._numbers[key] = number
            lacking = self._lacking(number, each)
            self._n_classes += len(lacking)
            self._classes.setdefault(number, set()).update(lacking)

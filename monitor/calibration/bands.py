"""Bands of confidence: accept, review, reject, each side with its certificate."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from monitor.calibration.certificates import Certificate, Promise, certify
from monitor.calibration.ladder import Rungs, above
from monitor.calibration.reading import SCHEMA, Subject
from monitor.calibration.sketch import Row, Sketch

Name = Literal["accept", "review", "reject"]


class Band(msgspec.Struct, frozen=True):
    """Predictions with confidence from `low` to below `high`; the last band holds 1 too."""

    name: Name
    low: float
    high: float
    coverage: float | None
    """Share of all predictions; null without any."""
    n: int
    """Labels."""
    accuracy: float | None


class Bands(Subject, frozen=True, kw_only=True):
    """The certificates of one series, and the bands that they make, from the highest confidence down.

    Predictions whose other signals miss a bar of `also` are in the band `review`, whatever their confidence.
    """

    n_predictions: int
    n: int
    coverage: float | None
    """Share of the predictions that have a label."""
    also: list[str] = msgspec.field(default_factory=list)
    """Bars that other signals have to reach, as `consistency >= 0.8`."""
    n_predictions_also: int
    """Predictions that reach them."""
    certificates: list[Certificate]
    bands: list[Band]
    warnings: list[str] = msgspec.field(default_factory=list)


class ManyBands(msgspec.Struct, frozen=True, kw_only=True):
    """What `caldrift thresholds --json` prints."""

    schema: int = SCHEMA
    thresholds: list[Bands]


def bands_of(
    sketch: Sketch,
    promises: Iterable[Promise],
    subject: Subject,
    *,
    whole: Sketch | None = None,
    also: Iterable[str] = (),
    warnings: Iterable[str] = (),
) -> Bands:
    """Certify each promise. `whole` is the series of which `sketch` holds the predictions that pass `also`.

    Where the two sides would meet, accepting goes first: nothing is rejected that is certified.
    """
    everything = sketch if whole is None else whole
    n_pred, n = everything.total(Row.N_PRED), everything.total(Row.N)
    found: list[Certificate] = []
    for promise in sorted(promises, key=lambda each: each.side):
        accepted = min((each.threshold for each in found if each.threshold is not None), default=1.0)
        bounded = promise if promise.side == "accept" else replace(promise, start=min(promise.start, accepted))
        found.append(certify(sketch, bounded, n_predictions=n_pred))
    return Bands(
        **msgspec.structs.asdict(subject),
        n_predictions=n_pred,
        n=n,
        coverage=n / n_pred if n_pred else None,
        also=list(also),
        n_predictions_also=sketch.total(Row.N_PRED),
        certificates=found,
        bands=_bands(sketch, everything, found),
        warnings=list(warnings),
    )


def _bands(sketch: Sketch, whole: Sketch, found: Iterable[Certificate]) -> list[Band]:
    """The bands that the certified thresholds make, where there is one at all; what neither side takes is reviewed."""
    cuts = {each.side: each.threshold for each in found if each.threshold is not None}
    if not cuts:
        return []
    everything = _Sums.of(above(whole, 0.0))
    high, low = cuts.get("accept", 1.0), cuts.get("reject", 0.0)
    accepted = _Sums.of(above(sketch, high)) if "accept" in cuts else _Sums()
    rejected = _Sums.of(above(sketch, 0.0)) - _Sums.of(above(sketch, low))
    sides: tuple[tuple[Name, float, float, _Sums], ...] = (
        ("accept", high, 1.0, accepted),
        ("review", low, high, everything - accepted - rejected),
        ("reject", 0.0, low, rejected),
    )
    return [
        sums.band(name, start, end, everything.n_pred)
        for name, start, end, sums in sides
        if name in cuts or (name == "review" and (start < end or sketch is not whole))
    ]


@dataclass(frozen=True, slots=True)
class _Sums:
    n_pred: float = 0.0
    n: float = 0.0
    right: float = 0.0

    @classmethod
    def of(cls, side: Rungs) -> "_Sums":
        return cls(float(side.n_pred[0]), float(side.n[0]), float(side.right[0]))

    def __sub__(self, other: "_Sums") -> "_Sums":
        return _Sums(self.n_pred - other.n_pred, self.n - other.n, self.right - other.right)

    def band(self, name: Name, low: float, high: float, predictions: float) -> Band:
        share = self.n_pred / predictions if predictions else None
        return Band(name, low, high, share, int(self.n), self.right / self.n if self.n else None)

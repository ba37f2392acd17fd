"""Bands of confidence: accept, review, reject, each side with its certificate."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

import msgspec

from monitor.calibration.certificates import Certificate, Promise, certify
from monitor.calibration.ladder import above, exact_threshold
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

    Predictions of a series whose other signals miss a bar of `also` are in no band but `review`.
    """

    n_predictions: int
    n: int
    coverage: float | None
    """Share of the predictions that have a label."""
    also: list[str] = []
    """Bars that other signals have to reach, as `consistency >= 0.8`."""
    n_predictions_also: int
    """Predictions that reach them."""
    certificates: list[Certificate]
    bands: list[Band]
    warnings: list[str] = []


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
        bands=_bands(sketch, n_pred, found),
        warnings=list(warnings),
    )


def _bands(sketch: Sketch, n_pred: int, found: Iterable[Certificate]) -> list[Band]:
    """The bands that the certified thresholds make, where there is one at all."""
    cuts = {each.side: each.threshold for each in found if each.threshold is not None}
    if not cuts:
        return []
    high, low = exact_threshold(cuts.get("accept", 1.0)), cuts.get("reject", 0.0)
    edges: list[tuple[Name, float, float]] = [("review", low, high)]
    if "accept" in cuts:
        edges.insert(0, ("accept", high, 1.0))
    if "reject" in cuts:
        edges.append(("reject", 0.0, low))
    return [_band(sketch, n_pred, *edge) for edge in edges if edge[1] < edge[2]]


def _band(sketch: Sketch, n_pred: int, name: Name, low: float, high: float) -> Band:
    inside, beyond = above(sketch, low), above(sketch, high)
    keeps_top = name == "accept" or high == 1.0
    predictions, n, right = (
        float(of_low[0] - (0.0 if keeps_top else of_high[0]))
        for of_low, of_high in (
            (inside.n_pred, beyond.n_pred),
            (inside.n, beyond.n),
            (inside.right, beyond.right),
        )
    )
    return Band(name, low, high, predictions / n_pred if n_pred else None, int(n), right / n if n else None)

"""Fitting the maps of one model and signal: which method each segment gets, and the artefact of all."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final, Literal

import numpy as np

from monitor.calibration.calibrators.adaptive import adaptive_temperature
from monitor.calibration.calibrators.artefact import (
    Calibrator,
    LeftOut,
    Method,
    Scores,
    SegmentMap,
    reference_of,
)
from monitor.calibration.calibrators.binning import histogram, scaling_binning
from monitor.calibration.calibrators.curves import IDENTITY, NO_FIELDS, Curve
from monitor.calibration.calibrators.isotonic import isotonic
from monitor.calibration.calibrators.logistic import NOT_RISING, Found, beta, platt, reasons, temperature
from monitor.calibration.calibrators.lookup import EVERYTHING
from monitor.calibration.calibrators.newton import Prior
from monitor.calibration.calibrators.sample import Sample, folds, sample_of
from monitor.calibration.calibrators.scoring import applied, mean_loss, mean_square
from monitor.calibration.calibrators.shrunk import prior_of, shrunk_platt
from monitor.calibration.cells import FloatArray
from monitor.calibration.odds import CLIP
from monitor.calibration.sketch import Row, Sketch, merge
from monitor.calibration.uncertainty import seeded
from monitor.errors import NotEnoughData

OWN_MAP: Final = 30
"""Labels below which a segment takes the map of everything, and everything has none."""
OWN_CHOICE: Final = 200
"""Labels from which on the method of a segment is chosen by cross-validation; below, shrinkage decides."""
FREE_SHAPE: Final = 1000
"""Labels from which on maps without a formula compete too."""
FOLDS: Final = 5
LEVEL: Final = 1e-6
"""A map of everything that rises less is a constant."""

METHODS: Final[Mapping[Method, Callable[[Sample], Found]]] = {
    "temperature": temperature,
    "platt": platt,
    "beta": beta,
    "isotonic": isotonic,
    "histogram": histogram,
    "scaling_binning": scaling_binning,
    "shrunk_platt": shrunk_platt,
}
"""Those that fit each series by itself, and the one that shrinks them towards each other."""
CHOICE: Final[Mapping[Method, int]] = {
    "shrunk_platt": OWN_CHOICE,
    "platt": OWN_CHOICE,
    "beta": OWN_CHOICE,
    "isotonic": FREE_SHAPE,
    "scaling_binning": FREE_SHAPE,
}
"""What cross-validation chooses from, and from how many labels on; the first of those that are equally good."""

Policy = Literal["by_labels"]


@dataclass(frozen=True)
class Part:
    """A segment with the sketch of its labels. The parts of a model are disjoint, and {} is what no other part holds.

    `fields`: numeric fields of the segment's predictions, such as their mean difficulty.
    """

    segment: Mapping[str, str]
    sketch: Sketch
    fields: Mapping[str, float]

    @cached_property
    def labels(self) -> int:
        """Of any weight."""
        return self.sketch.total(Row.N)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where labels come from: model and signal, and since and until (UTC) when their predictions were made."""

    model: str
    signal: str
    since: datetime
    until: datetime


def fit(
    parts: Sequence[Part],
    origin: Origin,
    *,
    method: Method | Policy = "by_labels",
    clip: float = CLIP,
    code_version: str,
) -> Calibrator:
    """Maps for everything and for each part with at least 30 labels, as a candidate that the gate has yet to judge.

    `by_labels` is the policy: shrunk Platt up to 200 labels, from there on what cross-validation prefers. Other methods
    are taken as asked for; a segment that one cannot fit takes the map of everything, and the artefact says why.
    Raises NotEnoughData when there can be no map of everything: too few labels, one class, one confidence, or answers
    that are not more often right at higher confidence.
    """
    known = sorted((part for part in parts if part.labels), key=lambda part: sorted(part.segment.items()))
    labels = sum(part.labels for part in known)
    if labels < OWN_MAP:
        raise NotEnoughData(f"{labels} labels: a map takes at least {OWN_MAP}")
    whole = merge(*(part.sketch for part in known))
    root = sample_of([whole], clip)
    if reason := reasons(root, np.ones(1), two_confidences=True)[0]:
        raise NotEnoughData(reason)
    if method == "adaptive_temperature":
        return _adaptive(known, root, origin, clip, code_version)
    of_parts, left_out = _of_parts(known, whole, method, clip)
    of_everything = _described([EVERYTHING], root, clip, _chosen(root, whole, method, clip))[0]
    if isinstance(of_everything, LeftOut):
        raise NotEnoughData(of_everything.reason)
    if np.ptp(applied([of_everything.curve], root, clip)) < LEVEL:
        raise NotEnoughData(NOT_RISING)
    return _artefact([*of_parts, of_everything], left_out, origin, clip, code_version)


def _of_parts(
    parts: Sequence[Part], whole: Sketch, method: Method | Policy, clip: float
) -> tuple[list[SegmentMap], list[LeftOut]]:
    """The maps of the segments that have enough labels, and the others."""
    named = [part for part in parts if part.segment]
    own = [part for part in named if part.labels >= OWN_MAP]
    too_few = f"fewer than {OWN_MAP} labels"
    left_out = [LeftOut(dict(part.segment), float(part.labels), too_few) for part in named if part.labels < OWN_MAP]
    if not own:
        return [], left_out
    sample = sample_of([part.sketch for part in own], clip)
    described = _described([part.segment for part in own], sample, clip, _chosen(sample, whole, method, clip))
    maps = [each for each in described if isinstance(each, SegmentMap)]
    return maps, left_out + [each for each in described if isinstance(each, LeftOut)]


def _chosen(sample: Sample, seed: Sketch, method: Method | Policy, clip: float) -> list[tuple[Method, Curve | str]]:
    """Method and map of each series, or why it has none; `seed` decides how labels are dealt to folds."""
    if method == "adaptive_temperature":
        raise ValueError("adaptive temperature has one map for all segments")
    if method != "by_labels":
        return [(method, curve) for curve in METHODS[method](sample)]
    prior = prior_of(sample)
    chosen: list[tuple[Method, Curve | str]] = [("shrunk_platt", curve) for curve in shrunk_platt(sample, prior)]
    many = np.flatnonzero(sample.labels >= OWN_CHOICE)
    if not len(many):
        return chosen
    some = sample.only(sample.labels >= OWN_CHOICE)
    best = cross_validated(some, prior, clip, seeded(seed)).argmin(axis=0)
    for place, name in enumerate(CHOICE):
        if name == "shrunk_platt" or not (best == place).any():
            continue
        curves = METHODS[name](some.only(best == place))
        for series, curve in zip(many[best == place].tolist(), curves, strict=True):
            chosen[series] = (name, curve)
    return chosen


def cross_validated(sample: Sample, prior: Prior, clip: float, rng: np.random.Generator) -> FloatArray:
    """(methods, S) the log loss of each method of `CHOICE` on labels that it was not fitted on, summed over folds.

    Infinite where a series has too few labels for a method, or too few classes or confidences in one of the folds.
    """
    losses = np.zeros((len(CHOICE), len(sample)))
    for rest, alone in folds(sample, FOLDS, rng):
        for place, name in enumerate(CHOICE):
            found = shrunk_platt(rest, prior) if name == "shrunk_platt" else METHODS[name](rest)
            losses[place] += alone.labels * mean_loss(alone, applied(_or_identity(found), alone, clip))
            losses[place, [isinstance(curve, str) for curve in found]] = np.inf
    for place, least in enumerate(CHOICE.values()):
        losses[place, sample.labels < least] = np.inf
    return losses


def _or_identity(found: Sequence[Curve | str]) -> list[Curve]:
    return [IDENTITY if isinstance(curve, str) else curve for curve in found]


def _described(
    segments: Sequence[Mapping[str, str]], sample: Sample, clip: float, chosen: Sequence[tuple[Method, Curve | str]]
) -> list[SegmentMap | LeftOut]:
    """What stands in the artefact for each series of a sample."""
    chance = applied(_or_identity([curve for _, curve in chosen]), sample, clip)
    scores = _scores(sample, chance)
    last = np.append(sample.starts[1:], len(sample.series)) - 1
    lowest, highest = sample.confidence[sample.starts].tolist(), sample.confidence[last].tolist()
    labels = sample.labels.tolist()
    return [
        LeftOut(dict(segment), labels[series], f"{method}: {curve}")
        if isinstance(curve, str)
        else SegmentMap(dict(segment), method, curve, labels[series], lowest[series], highest[series], scores[series])
        for series, (segment, (method, curve)) in enumerate(zip(segments, chosen, strict=True))
    ]


def _scores(sample: Sample, chance: FloatArray) -> list[Scores]:
    columns = [
        measure(sample, stated).tolist()
        for measure in (mean_loss, mean_square)
        for stated in (sample.confidence, chance)
    ]
    return [Scores(*row) for row in zip(*columns, strict=True)]


def _adaptive(parts: Sequence[Part], root: Sample, origin: Origin, clip: float, code_version: str) -> Calibrator:
    """One map of everything, from the parts whose numeric fields are known."""
    known = [part for part in parts if part.fields]
    if not known:
        raise NotEnoughData("no part has numeric fields, which an adaptive temperature depends on")
    sample, fields = sample_of([part.sketch for part in known], clip), [part.fields for part in known]
    curve = adaptive_temperature(sample, fields)
    chance = applied([curve] * len(known), sample, clip, fields)
    pooled = sample.pooled()
    lowest, highest = float(root.confidence[0]), float(root.confidence[-1])
    only = SegmentMap(
        {}, "adaptive_temperature", curve, float(pooled.labels[0]), lowest, highest, _scores(pooled, chance)[0]
    )
    return _artefact([only], [], origin, clip, code_version, fields=known[0].fields)


def _artefact(
    maps: Sequence[SegmentMap],
    left_out: Sequence[LeftOut],
    origin: Origin,
    clip: float,
    code_version: str,
    *,
    fields: Mapping[str, float] = NO_FIELDS,
) -> Calibrator:
    return Calibrator(
        code_version=code_version,
        model=origin.model,
        signal=origin.signal,
        since=origin.since,
        until=origin.until,
        clip=clip,
        maps=tuple(maps),
        left_out=tuple(left_out),
        reference=reference_of(maps, clip, fields),
    )

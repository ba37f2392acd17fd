"""Three simulated models and what becomes of their answers: values in, values out, chance by the generator given.

`support-agent` states its confidence in words turned into tenths, crowding on 0.9 and 1.0, and is over-confident where
prompts are long. `document-router` reports token probabilities, crowding against 1. `risk-scorer` is well calibrated,
until its French traffic changes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LANGUAGES: Final = ("de", "en", "fr")
LANGUAGE_SHARES: Final = (0.3, 0.45, 0.25)
CUTS: Final = (200, 1000)
"""Prompt lengths in tokens: below the first is easy, from the second on hard."""

DRIFT_LOSS: Final = 0.3
"""How much less often the drifting segment is right than its confidence says."""


@dataclass(frozen=True, slots=True)
class SimulatedModel:
    """How a model speaks of its confidence, and how often it is right then.

    `confidence(rng, n)` draws n confidences. `right(confidence, prompt_tokens)` is the chance of being right. `signals`
    draws further confidences from the chance of being right.
    """

    name: str
    version: str
    confidence: Callable[[np.random.Generator, int], Floats]
    right: Callable[[Floats, Floats], Floats]
    signals: Mapping[str, Callable[[np.random.Generator, Floats], Floats]]
    drifting_language: str | None = None


@dataclass(frozen=True, slots=True)
class Answers:
    """n answers of one model, as columns. `outcome` is 1.0 where it was right."""

    model: SimulatedModel
    confidence: Floats
    signals: Mapping[str, Floats]
    language: NDArray[np.str_]
    prompt_tokens: Floats
    outcome: Floats


def _stated(rng: np.random.Generator, n: int) -> Floats:
    levels = np.array([0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0])
    stated: Floats = rng.choice(levels, size=n, p=[0.02, 0.04, 0.05, 0.1, 0.19, 0.08, 0.27, 0.13, 0.12])
    return stated


def _stated_right(confidence: Floats, prompt_tokens: Floats) -> Floats:
    excess: Floats = np.select([prompt_tokens < CUTS[0], prompt_tokens < CUTS[1]], [0.01, 0.06], default=0.22)
    right: Floats = (confidence - excess - 0.04 * (confidence == 1.0)).clip(0.02, 0.985)
    return right


def _logistic(logit: Floats) -> Floats:
    chance: Floats = 1.0 / (1.0 + np.exp(-logit))
    return chance


def _token_probability(rng: np.random.Generator, n: int) -> Floats:
    return np.clip(_logistic(rng.normal(4.2, 2.3, n)), 1e-6, 1.0 - 1e-9)


def _token_right(confidence: Floats, prompt_tokens: Floats) -> Floats:
    logit = np.log(confidence / (1.0 - confidence))
    return _logistic(0.6 * logit + 0.1 - 0.2 * (prompt_tokens >= CUTS[1]))


def _honest(rng: np.random.Generator, n: int) -> Floats:
    return np.asarray(rng.beta(2.6, 1.1, n), np.float64).round(4)


def _honest_right(confidence: Floats, _prompt_tokens: Floats) -> Floats:
    return confidence


def _consistency(rng: np.random.Generator, right: Floats) -> Floats:
    """The share of five repeated answers that agree."""
    agreeing: Floats = rng.binomial(5, np.clip(right * 0.94 + 0.05, 0.0, 1.0)) / 5.0
    return agreeing


def _sequence_probability(rng: np.random.Generator, right: Floats) -> Floats:
    noisy: Floats = right + rng.normal(0.05, 0.08, right.size)
    return noisy.clip(0.001, 0.9999).round(6)


MODELS: Final = (
    SimulatedModel(
        "support-agent", "2026-10", _stated, _stated_right,
        {"consistency": _consistency, "logprob": _sequence_probability},
    ),
    SimulatedModel("document-router", "r41", _token_probability, _token_right, {}),
    SimulatedModel("risk-scorer", "v7", _honest, _honest_right, {}, drifting_language="fr"),
)  # fmt: skip


def answers(model: SimulatedModel, rng: np.random.Generator, n: int, *, drifted: bool = False) -> Answers:
    """n answers of a model; where `drifted`, the drifting language is right less often at the same confidence."""
    confidence = model.confidence(rng, n)
    language = rng.choice(LANGUAGES, size=n, p=LANGUAGE_SHARES)
    prompt_tokens = np.asarray(np.exp(rng.normal(6.0, 1.0, n)), np.float64).round()
    right = model.right(confidence, prompt_tokens)
    if drifted and model.drifting_language is not None:
        right = np.where(language == model.drifting_language, np.clip(right - DRIFT_LOSS, 0.0, 1.0), right)
    outcome = (rng.random(n) < right).astype(np.float64)
    signals = {name: draw(rng, right) for name, draw in model.signals.items()}
    return Answers(model, confidence, signals, language, prompt_tokens, outcome)

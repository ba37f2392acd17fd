"""The generic path: named values -> event, one check a field. Slower; takes more spellings and knows every reason."""

from collections.abc import Mapping
from typing import Final

from monitor.errors import BadInput
from monitor.events.checks import answer, instant, number, reject, share, shown, table, text, whole
from monitor.events.messages import (
    CLASSES,
    ID_LENGTH,
    SEGMENTS,
    SIGNALS,
    TEXT_LENGTH,
    Interval,
    Label,
    LabelKind,
    Prediction,
)
from monitor.events.rules import EARLIEST_US, MAIN_SIGNAL, EventRules
from monitor.events.wire import GREATEST_STEP, GREATEST_VERSION

_RANGE: Final = "confidence_out_of_range"
_SAYS: Final = ("correct", "label", "value", "retract")


def prediction_of(fields: Mapping[str, object], rules: EventRules, latest_us: int) -> Prediction:
    """The prediction that these fields (by our names) make. A null field counts as absent. Raises BadInput."""
    given = {name: value for name, value in fields.items() if value is not None}
    prediction_id = _prediction_id(given)
    model = text(_required(given, "model"), "model")
    predicted_at = instant(_required(given, "predicted_at"), "predicted_at", latest_us, EARLIEST_US)
    interval = _interval(given["interval"]) if "interval" in given else None
    signals = {
        name: share(value, f"signals.{name}", _RANGE)
        for name, value in table(given.get("signals", {}), "signals", SIGNALS + 1).items()
    }
    confidence = share(given["confidence"], "confidence", _RANGE) if "confidence" in given else None
    confidence, signals, level_is_confidence = main_signal(confidence, signals, interval, rules.main_signal)
    probabilities = None
    if "probabilities" in given:
        classes = table(given["probabilities"], "probabilities", CLASSES)
        probabilities = {name: share(value, f"probabilities.{name}") for name, value in classes.items()}
    return Prediction(
        prediction_id=prediction_id,
        model=model,
        predicted_at=predicted_at,
        confidence=confidence,
        model_version=text(given["model_version"], "model_version") if "model_version" in given else None,
        signals=signals,
        predicted=answer(given["predicted"], "predicted", TEXT_LENGTH) if "predicted" in given else None,
        probabilities=probabilities,
        interval=interval,
        segments={
            name: _segment(value, f"segments.{name}")
            for name, value in table(given.get("segments", {}), "segments", SEGMENTS).items()
        },
        reference=text(given["reference"], "reference", TEXT_LENGTH) if "reference" in given else None,
        chain_id=text(given["chain_id"], "chain_id") if "chain_id" in given else None,
        step=whole(given["step"], "step", GREATEST_STEP) if "step" in given else None,
        level_is_confidence=level_is_confidence,
    )


def label_of(fields: Mapping[str, object], rules: EventRules, latest_us: int) -> Label:
    """The label that these fields (by our names) make. A null field counts as absent. Raises BadInput."""
    given = {name: value for name, value in fields.items() if value is not None}
    prediction_id = _prediction_id(given)
    labelled_at = instant(_required(given, "labelled_at"), "labelled_at", latest_us, EARLIEST_US)
    kind, says, words = _payload(given)
    version = whole(given["version"], "version", GREATEST_VERSION) if "version" in given else 0
    source = text(given["source"], "source") if "source" in given else None
    propensity = None
    if "propensity" in given:
        propensity = share(given["propensity"], "propensity")
        if propensity == 0:
            reject("schema", "propensity", "a number above 0, at most 1", given["propensity"])
    model = text(given["model"], "model") if "model" in given else None
    if rules.id_scope == "model" and model is None:
        raise BadInput("model is missing: ids are scoped by model, so a label must name it", "model_missing")
    return Label(prediction_id, labelled_at, kind, says, words, version, source, propensity, model)


def main_signal(
    confidence: float | None, signals: dict[str, float], interval: Interval | None, name: str
) -> tuple[float, dict[str, float], bool]:
    """The confidence, and the other signals: the one named as the main signal is taken out of `signals`.

    Where the main signal is not `confidence`, a field `confidence` is one of the others. An interval stands in with its
    level, and the last value says so. Raises BadInput where no confidence is left, or where two are given.
    """
    if MAIN_SIGNAL in signals and confidence is not None:
        raise BadInput("signals.confidence must be absent where the field confidence is given", "schema")
    every = signals if confidence is None else {**signals, MAIN_SIGNAL: confidence}
    main = every.get(name)
    stands_in = main is None and interval is not None
    if main is None and interval is not None:
        main = interval.level
    if main is None:
        where = "confidence" if name == MAIN_SIGNAL else f"signals.{name} (the main signal)"
        raise BadInput(f"{where} is missing", "schema")
    others = {other: value for other, value in every.items() if other != name}
    if len(others) > SIGNALS:
        raise BadInput(f"signals must hold at most {SIGNALS} values, got {len(others)}", "schema")
    return main, others, stands_in


def ordered(interval: Interval) -> Interval:
    """The interval itself. Raises BadInput when low > high or the level is outside 0..1."""
    if not 0 <= interval.level <= 1:
        reject(_RANGE, "interval.level", "a number from 0 to 1", interval.level)
    if interval.low > interval.high:
        raise BadInput(f"interval.low must be at most interval.high, got {interval.low} > {interval.high}", "schema")
    return interval


def _required(given: Mapping[str, object], name: str) -> object:
    if name not in given:
        raise BadInput(f"{name} is missing", "schema")
    return given[name]


def _prediction_id(given: Mapping[str, object]) -> str:
    value = given.get("prediction_id")
    if value is None or value == "":
        raise BadInput(f"prediction_id must be text of 1 to {ID_LENGTH} characters, got {shown(value)}", "id_missing")
    if isinstance(value, str) and len(value) > ID_LENGTH:
        text(value, "prediction_id", ID_LENGTH, reason="id_too_long")
    return text(value, "prediction_id", ID_LENGTH)


def _interval(value: object) -> Interval:
    given = table(value, "interval", SEGMENTS)
    low, high = (number(_required_part(given, name), f"interval.{name}") for name in ("low", "high"))
    return ordered(Interval(low, high, share(_required_part(given, "level"), "interval.level", _RANGE)))


def _required_part(given: Mapping[str, object], name: str) -> object:
    if name not in given:
        raise BadInput(f"interval.{name} is missing: an interval has low, high and level", "schema")
    return given[name]


def _segment(value: object, where: str) -> str | float:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return text(value, where)
    if not isinstance(value, int | float):
        reject("schema", where, "text, a number, true or false", value)
    return number(value, where)


def _payload(given: Mapping[str, object]) -> tuple[LabelKind, float, str]:
    """Kind, number and text of a label. `retract: false` says nothing."""
    retract = given.get("retract", False)
    if not isinstance(retract, bool):
        reject("schema", "retract", "true, or absent", retract)
    said = [name for name in _SAYS if name in given and (name != "retract" or retract)]
    if not said:
        raise BadInput("a label must say one of correct, label, value or retract: true, got none", "label_missing")
    if len(said) > 1:
        raise BadInput(
            f"a label must say one of correct, label, value or retract: true, got {' and '.join(said)}",
            "ambiguous_label",
        )
    match said[0]:
        case "correct":
            correct = given["correct"]
            return LabelKind.CORRECT, float(correct) if isinstance(correct, bool) else share(correct, "correct"), ""
        case "label":
            return LabelKind.LABEL, 0.0, answer(given["label"], "label", TEXT_LENGTH)
        case "value":
            return LabelKind.VALUE, number(given["value"], "value") + 0.0, ""
        case _:
            return LabelKind.RETRACTION, 0.0, ""

"""Messages as tests write them: good ones by default, one thing changed at a time; and strategies of many."""

import json
from datetime import UTC, datetime, timedelta
from typing import Final

from hypothesis import strategies as st

NOW: Final = datetime(2026, 6, 1, tzinfo=UTC)

PREDICTION: Final[dict[str, object]] = {
    "prediction_id": "0b9c6a1e-4f6b-4d52-9a37-3d1c0a8f7e21",
    "model": "triage",
    "predicted_at": "2026-05-01T12:00:00Z",
    "confidence": 0.9,
}
LABEL: Final[dict[str, object]] = {
    "prediction_id": "0b9c6a1e-4f6b-4d52-9a37-3d1c0a8f7e21",
    "labelled_at": "2026-05-02T12:00:00Z",
    "correct": True,
}


class Absent:
    """Stands for a field that is left out."""


ABSENT: Final = Absent()


def changed(message: dict[str, object], **changes: object) -> bytes:
    """The message with some fields changed, as it comes over the wire."""
    fields = {name: value for name, value in (message | changes).items() if not isinstance(value, Absent)}
    return json.dumps(fields).encode()


names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
shares = st.floats(0, 1)
moments = st.datetimes(datetime(2000, 1, 2), datetime(2026, 5, 31), timezones=st.just(UTC))  # noqa: DTZ001
times = moments.map(lambda at: at.isoformat()) | moments.map(lambda at: int(at.timestamp() * 1000))
finite = st.floats(allow_nan=False, allow_infinity=False)
intervals = st.tuples(finite, finite, shares).map(
    lambda parts: {"low": min(parts[:2]), "high": max(parts[:2]), "level": parts[2]}
)
predictions = st.fixed_dictionaries(
    {"prediction_id": names, "model": names, "predicted_at": times, "confidence": shares | st.sampled_from([0, 1])},
    optional={
        "model_version": names,
        "signals": st.dictionaries(names.filter(lambda name: name != "confidence"), shares, max_size=16),
        "predicted": st.text(st.characters(codec="utf-8", exclude_characters="\0")),
        "probabilities": st.dictionaries(names, shares),
        "interval": intervals,
        "segments": st.dictionaries(names, names | finite | st.integers(-(10**9), 10**9)),
        "reference": names,
        "chain_id": names,
        "step": st.integers(0, 2**31 - 1),
        "unknown": st.integers(),
    },
)
payloads = st.one_of(
    st.fixed_dictionaries({"correct": st.booleans() | shares}),
    st.fixed_dictionaries({"label": st.text(st.characters(codec="utf-8", exclude_characters="\0"))}),
    st.fixed_dictionaries({"value": finite}),
    st.just({"retract": True}),
)
labels = st.builds(
    lambda fields, payload: fields | payload,
    st.fixed_dictionaries(
        {"prediction_id": names, "labelled_at": times},
        optional={
            "version": st.integers(0, 2**63 - 1),
            "source": names,
            "propensity": st.floats(0, 1, exclude_min=True),
            "model": names,
        },
    ),
    payloads,
)


def hours_after(moment: datetime, hours: float) -> str:
    """A later time, in RFC 3339."""
    return (moment + timedelta(hours=hours)).isoformat()

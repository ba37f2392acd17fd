"""The client of a service: every call returns at once, and none raises into the request that made it."""

from __future__ import annotations

import importlib.util
import logging
import os
import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, Self, overload

import numpy as np

from monitor.calibration.calibrators.served import Stage
from monitor.client.active import AS_STATED, ActiveMap
from monitor.client.events import LabelEvent, PredictionEvent, encode, new_id, now
from monitor.client.exchange import place_of
from monitor.client.refresh import Refresher, Source
from monitor.client.sender import Event, Sender, address_of
from monitor.client.stats import Counts, Stats
from monitor.events.decoding import label_decoder, prediction_decoder
from monitor.events.messages import SEGMENTS, SIGNALS
from monitor.events.rules import CALIBRATED, CALIBRATOR, MAIN_SIGNAL, EventRules
from monitor.rolling.chosen import RawSegments

if TYPE_CHECKING:
    from monitor.calibration.cells import FloatArray

LOG: Final = logging.getLogger("caldrift.client")
NOTHING: Final[Mapping[str, float]] = {}
SNAP: Final = 1e-9
"""A confidence so near below a threshold counts as on it, as it does in the sketches that certified it."""
LONGEST_SECONDS: Final = 366 * 86_400.0
Verdict = Literal["accept", "review", "reject"]


@dataclass(frozen=True, slots=True)
class Logged:
    """What became of one confidence."""

    prediction_id: str
    """What its label will refer to."""
    confidence: float
    """As stated."""
    calibrated: float | None
    """What the map made of it; None where there is no map, or where the confidence is no number from 0 to 1."""
    version: int | None
    """Of that map."""
    stage: Stage

    @property
    def value(self) -> float:
        """What to act on: the calibrated value, but what was stated where there is none or the map is on trial."""
        return self.confidence if self.calibrated is None or self.stage == "shadow" else self.calibrated

    def decide(self, *, accept: float, reject: float | None = None) -> Verdict:
        """What to do with the answer, by its value. See `Client.decide`."""
        return verdict(self.value, accept, reject)


def verdict(value: float, accept: float, reject: float | None) -> Verdict:
    """`accept` from that threshold on, `reject` below that one, else `review`, which is also for what is no number."""
    try:
        if not 0 <= value <= 1:
            return "review"
        if value >= accept - SNAP:
            return "accept"
        return "reject" if reject is not None and value < reject - SNAP else "review"
    except (TypeError, ValueError):  # a text, an array
        return "review"


@dataclass(slots=True)
class _Running:
    """What lives in one process, and is made anew in a forked one."""

    counts: Counts = field(default_factory=Counts)
    refresher: Refresher | None = None
    sender: Sender | None = None


class Client:
    """Logs the predictions and labels of one model, and applies the map that is in force for one of its signals.

    Threads may share it. After a fork the child has a client of its own: the map stays, connections are made anew, and
    what waited in the buffer is the parent's to send. Nothing is asked or sent before the first call.
    """

    def __init__(
        self,
        model: str,
        *,
        server: str | None = None,
        bootstrap_servers: str | Sequence[str] | None = None,
        signal: str = MAIN_SIGNAL,
        token: str | None = None,
        model_version: str | None = None,
        predictions_topic: str = "predictions",
        labels_topic: str = "labels",
        refresh_seconds: float = 30.0,
        timeout_seconds: float = 5.0,
        buffer_bytes: int = 32 * 1024 * 1024,
        kafka: Mapping[str, object] = NOTHING,
    ) -> None:
        """Without `server` no map is applied; without `bootstrap_servers` nothing is logged.

        `signal` names the confidence that calls give (`main_signal` of the installation). `kafka` holds further
        options of kafka-python's producer, say `security_protocol`. Raises ValueError for a setting that cannot be.
        """
        if not model or not signal:
            raise ValueError("model and signal must be text of at least one character")
        if not all(0 < each <= LONGEST_SECONDS for each in (refresh_seconds, timeout_seconds)) or not buffer_bytes > 0:
            raise ValueError(
                "refresh_seconds, timeout_seconds and buffer_bytes must be above 0, the seconds at most a year's, "
                f"got {refresh_seconds!r}, {timeout_seconds!r} and {buffer_bytes!r}"
            )
        if bootstrap_servers is not None and importlib.util.find_spec("kafka") is None:
            raise ValueError("bootstrap_servers is given, but kafka-python is not installed")
        self.model, self.signal, self.model_version = model, signal, model_version
        self._topics = predictions_topic, labels_topic
        rules = EventRules(main_signal=signal)
        self._decoders = prediction_decoder(rules), label_decoder(rules)
        self._source = server and Source(
            place_of(server, model, signal), model, signal, token, refresh_seconds, timeout_seconds
        )
        named = bootstrap_servers.split(",") if isinstance(bootstrap_servers, str) else list(bootstrap_servers or ())
        for each in named:
            address_of(each)
        self._kafka = named and {"bootstrap_servers": named, **kafka}
        self._buffer_bytes = buffer_bytes
        self._active: ActiveMap = AS_STATED
        self._running: _Running | None = None
        self._beginning = threading.Lock()
        self._told = set[str]()
        _CLIENTS.add(self)

    def log_prediction(
        self,
        confidence: float,
        *,
        segments: RawSegments = NOTHING,
        signals: Mapping[str, float] = NOTHING,
        predicted: str | float | None = None,
        probabilities: Mapping[str, float] | None = None,
        interval: Mapping[str, float] | None = None,
        prediction_id: str | None = None,
        predicted_at: datetime | None = None,
        reference: str | None = None,
        chain_id: str | None = None,
        step: int | None = None,
    ) -> Logged:
        """Apply the map, and log the prediction. Its fields are those of docs/events.md.

        Where a map was applied, the event carries the calibrated value as the signal `calibrated`, and the version of
        the map as the segment `calibrator`. A prediction that is none is not sent, and counted.
        """
        active = self._active
        version = active.version if active.lookup is not None else None
        calibrated = None
        try:
            running = self._running or self._begun()
            known: RawSegments = segments
            if active.event_fields:
                of_event = {"model_version": self.model_version, "predicted": predicted, "step": step}
                wanted = {name: of_event[name] for name in active.event_fields}
                known = {name: value for name, value in wanted.items() if value is not None} | dict(segments)
            calibrated = self._applied(active, confidence, known)
            named = prediction_id or new_id(predicted_at)
            if running.sender is not None:
                if calibrated is not None:
                    if len(signals) < SIGNALS:
                        signals = {**signals, CALIBRATED: calibrated}
                    if len(segments) < SEGMENTS:
                        segments = {**segments, CALIBRATOR: active.label}
                stated = confidence if self.signal == MAIN_SIGNAL else None
                if stated is None:
                    signals = {**signals, self.signal: confidence}
                event = PredictionEvent(
                    named,
                    self.model,
                    predicted_at or now(),
                    stated,
                    self.model_version,
                    signals or None,
                    predicted,
                    probabilities,
                    interval,
                    segments or None,
                    reference,
                    chain_id,
                    step,
                )
                running.sender.offer(Event(self._decoders[0], self._topics[0], named.encode(), encode(event)))
        except Exception as failure:  # noqa: BLE001 - whatever it is, it is not the fault of the user's request
            self._refused(failure)
            named = str(prediction_id or "")
        return Logged(named, confidence, calibrated, version, active.stage)

    def log_label(
        self,
        prediction_id: str,
        *,
        correct: bool | float | None = None,
        label: str | float | None = None,
        value: float | None = None,
        retract: bool | None = None,
        labelled_at: datetime | None = None,
        version: int = 0,
        source: str | None = None,
        propensity: float | None = None,
    ) -> bool:
        """Log what was true of a prediction: one of `correct`, `label`, `value` and `retract`, as in docs/events.md.

        Whether it was taken into the buffer. A label that is none is not sent, and counted.
        """
        try:
            running = self._running or self._begun()
            if running.sender is None:
                return False
            event = LabelEvent(
                prediction_id,
                labelled_at or now(),
                correct,
                label,
                value,
                retract,
                version,
                source,
                propensity,
                self.model,
            )
            body = encode(event)
            return running.sender.offer(Event(self._decoders[1], self._topics[1], prediction_id.encode(), body))
        except Exception as failure:  # noqa: BLE001 - as above
            self._refused(failure)
            return False

    @overload
    def calibrate(self, confidence: float, segments: RawSegments = ...) -> float: ...

    @overload
    def calibrate(self, confidence: FloatArray, segments: RawSegments = ...) -> FloatArray: ...

    def calibrate(self, confidence: float | FloatArray, segments: RawSegments = NOTHING) -> float | FloatArray:
        """What to act on instead of a stated confidence, or of an array of them that share their segments.

        Without a map, or with one that is on trial, and for whatever is no number from 0 to 1, the confidence itself.
        """
        active = self._active
        try:
            if self._running is None:
                self._begun()
            if isinstance(confidence, np.ndarray):
                return self._all_applied(active, confidence, segments)
            if active.stage == "shadow":
                return confidence
            calibrated = self._applied(active, confidence, segments)
        except Exception as failure:  # noqa: BLE001 - as above
            self._refused(failure)
            return confidence
        return confidence if calibrated is None else calibrated

    def decide(
        self, confidence: float, segments: RawSegments = NOTHING, *, accept: float, reject: float | None = None
    ) -> Verdict:
        """`accept` where the calibrated confidence is at least that, `reject` where it is below that, else `review`.

        What is no number from 0 to 1 is for review.
        """
        return verdict(self.calibrate(confidence, segments), accept, reject)

    @property
    def version(self) -> int | None:
        """Of the map in force, as far as this client knows; None where confidences are taken as stated."""
        return self._active.version

    @property
    def stats(self) -> Stats:
        """What it did in this process, to be exported as metrics."""
        return (self._running or _Running()).counts.snapshot()

    def wait_until_ready(self, timeout_seconds: float = 5.0) -> bool:
        """Wait for the server's first answer, if a service wants no request to go without; whether it came."""
        running = self._running or self._begun()
        return running.refresher is not None and running.refresher.answered.wait(timeout_seconds)

    def flush(self, timeout_seconds: float = 5.0) -> bool:
        """Wait until the broker has every event that was logged; whether it has."""
        sender = (self._running or _Running()).sender
        return sender is None or sender.flush(timeout_seconds)

    def close(self, timeout_seconds: float = 5.0) -> None:
        """Send what is left, within the time, and end the threads. What is logged from now on is dropped."""
        with self._beginning:
            running = self._running = self._running or _Running()
        if running.refresher is not None:
            running.refresher.stop(0.0)
        if running.sender is not None:
            running.sender.close(timeout_seconds)

    def __enter__(self) -> Self:
        self._begun()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begun(self) -> _Running:
        """The threads of this process, started."""
        with self._beginning:
            if self._running is None:
                running = _Running()
                if self._source:
                    running.refresher = Refresher(self._source, running.counts, self._take)
                    running.refresher.start()
                if self._kafka:
                    running.sender = Sender(self._kafka, running.counts, self._buffer_bytes)
                    running.sender.start()
                self._running = running
            return self._running

    def _take(self, found: ActiveMap) -> None:
        if found.version != self._active.version or found.stage != self._active.stage:
            LOG.info("the map of %s is now version %s (%s)", self.model, found.version, found.stage)
        self._active = found

    def _applied(self, active: ActiveMap, confidence: float, segments: RawSegments) -> float | None:
        """The calibrated value; None without a map, or for what is no number from 0 to 1."""
        if not 0 <= confidence <= 1:
            self._invalid(f"confidence must be a number from 0 to 1, got {confidence!r}")
            return None
        return None if active.lookup is None else active.apply(active.lookup, confidence, segments)

    def _all_applied(self, active: ActiveMap, confidence: FloatArray, segments: RawSegments) -> FloatArray:
        if active.lookup is None or active.stage == "shadow" or not confidence.size:
            return confidence
        if confidence.min() >= 0 and confidence.max() <= 1:
            return active.apply_all(active.lookup, confidence, segments)
        good = (confidence >= 0) & (confidence <= 1)
        self._invalid("confidences must be numbers from 0 to 1")
        return np.where(good, active.apply_all(active.lookup, np.where(good, confidence, 0.5), segments), confidence)

    def _invalid(self, words: str) -> None:
        (self._running or self._begun()).counts.add("invalid")
        self._warn("invalid", words)

    def _refused(self, failure: Exception) -> None:
        """Count a call whose arguments are of no use."""
        if self._running is not None:
            self._running.counts.add("refused")
        self._warn(type(failure).__name__, f"{type(failure).__name__}: {failure}")

    def _warn(self, kind: str, words: str) -> None:
        """Say each kind of mistake once: a service may make it a thousand times a second."""
        if kind not in self._told:
            self._told.add(kind)
            LOG.warning("a call of the client for %s was of no use: %s", self.model, words)

    def _forked(self) -> None:
        """In a child: its own threads and connections, from its first call on."""
        running, self._running = self._running, None
        self._beginning = threading.Lock()
        if running is not None and running.sender is not None:
            running.sender.abandon()


_CLIENTS: Final[weakref.WeakSet[Client]] = weakref.WeakSet()


def _after_fork() -> None:
    for client in list(_CLIENTS):
        client._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

"""What `monitor.client` costs the service that calls it: applying the map in force, and logging an event.

    python -m bench client [--events 2000] [--rounds 15]

A map is applied to one confidence and to an array of a million, against scikit-learn's predict of the same map
(logistic regression on the log odds for `platt`, isotonic regression for `isotonic`; the values are compared first).

Logging a prediction, its map applied, is held against kafka-python's `send` of the same bytes, made beforehand: rounds
of one and of the other take turns, each on a producer of its own with the same options, and what waits is delivered
before the next round. Once the caller calls in a loop, the hardest case, as the threads that deliver want the same
interpreter; once with a pause after each call. Also its CPU time, and the process's until the broker has everything.
"""

import argparse
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import numpy as np
import numpy.typing as npt
from kafka import KafkaProducer
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from bench.servers import kafka
from monitor.calibration.calibrators.artefact import Calibrator, Method, encode, fingerprint
from monitor.calibration.calibrators.curves import LogOdds, Points
from monitor.calibration.calibrators.fitting import Origin, Part, fit
from monitor.calibration.calibrators.served import Served, encode_served
from monitor.calibration.odds import CLIP, logit
from monitor.calibration.sketch import sketch_of
from monitor.client import Client
from monitor.client.events import PredictionEvent, new_id, now
from monitor.client.events import encode as encode_event
from monitor.kafka.access import KafkaAccess
from monitor.kafka.topics import create_topics

Floats = npt.NDArray[np.float64]
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
ORIGIN = Origin("m", "confidence", BEGIN, BEGIN + timedelta(days=30))
METHODS: tuple[Method, ...] = ("platt", "isotonic")
MANY = 1_000_000
LABELS = 20_000
ONE_FACTOR, SEND_RATIO = 10.0, 1.3
SEGMENTS = {"lang": "de", "channel": "mail"}
OPTIONS = {"acks": "all", "enable_idempotence": False, "linger_ms": 20}
"""Of the plain producer: those of the client's."""


Predict = Callable[[Floats], Floats]


def rival(artefact: Calibrator) -> Predict:
    """scikit-learn's estimator with the same map, from stated confidences to calibrated ones."""
    match artefact.maps[-1].curve:
        case LogOdds(slope, _, intercept):
            line = LogisticRegression()
            line.classes_ = np.array([0, 1])
            line.coef_, line.intercept_ = np.array([[slope]]), np.array([intercept])
            return lambda c: np.asarray(line.predict_proba(logit(c)[:, None])[:, 1])
        case Points(x, y):
            return IsotonicRegression(out_of_bounds="clip").fit(x, y).predict
    raise AssertionError("a curve that scikit-learn does not have")


@contextmanager
def serving(artefact: Calibrator) -> Iterator[str]:
    """The address of a server that says that the map is in force."""
    body = encode_served(
        Served(
            model="m",
            signal="confidence",
            version=1,
            fingerprint=fingerprint(artefact),
            stage="active",
            promoted_at=BEGIN,
            calibrator=msgspec.Raw(encode(artefact)),
        )
    )

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def seconds(call: Callable[[], object], times: int) -> float:
    """Of one call, in a loop."""
    began = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - began) / times


def applying(name: str, artefact: Calibrator, predict: Predict, many: Floats, rounds: int) -> None:
    """Print what a map costs here and there, medians of rounds that take turns."""
    one = np.array([0.83])
    with serving(artefact) as server, Client("m", server=server) as client:
        assert client.wait_until_ready()
        apart = float(np.abs(client.calibrate(many) - np.clip(predict(many), CLIP, 1 - CLIP)).max())
        assert apart < 1e-9, apart
        single = [
            (seconds(lambda: client.calibrate(0.83), 2_000), seconds(lambda: predict(one), 200)) for _ in range(rounds)
        ]
        array = [(seconds(lambda: client.calibrate(many), 1), seconds(lambda: predict(many), 1)) for _ in range(rounds)]
    ours, theirs = np.median(single, axis=0)
    reached = "reaches" if theirs / ours >= ONE_FACTOR else "misses"
    print(
        f"{name:9} one confidence: {ours * 1e6:6.1f} us, scikit-learn {theirs * 1e6:6.1f} us:"
        f" {theirs / ours:5.0f} times faster ({reached} {ONE_FACTOR:.0f})"
    )
    ours, theirs = np.median(array, axis=0)
    print(
        f"{'':9} {len(many):,} of them: {ours * 1e3:6.1f} ms, scikit-learn {theirs * 1e3:6.1f} ms:"
        f" {theirs / ours:5.1f} times faster ({'reaches' if theirs >= ours else 'misses'} 1); values differ by"
        f" {apart:.0e} at most"
    )


class Spent:
    """Seconds of a round: of the caller by the wall, of the caller's CPU, of the process's CPU until all is delivered;
    and the time of each call."""

    def __init__(self) -> None:
        self.wall = self.caller = self.process = 0.0
        self.calls: list[float] = []


def round_of(call: Callable[[int], object], deliver: Callable[[], object], events: int, pause: float) -> Spent:
    """So many calls, `pause` seconds apart, and what they cost."""
    spent = Spent()
    cpu, own = time.process_time(), time.thread_time()
    for place in range(events):
        began = time.perf_counter()
        call(place)
        spent.calls.append(time.perf_counter() - began)
        if pause:
            time.sleep(pause)
    spent.wall, spent.caller = sum(spent.calls), time.thread_time() - own
    deliver()
    spent.process = time.process_time() - cpu
    return spent


def logging(artefact: Calibrator, bootstrap: str, events: int, rounds: int, pause: float) -> None:
    """Print what logging costs, and what `send` does."""
    confidence = np.random.default_rng(2).random(events).tolist()
    with serving(artefact) as server, Client("m", server=server, bootstrap_servers=bootstrap) as client:
        assert client.wait_until_ready()
        bodies = [body_of(client, each) for each in confidence]
        keys = [msgspec.json.decode(body)["prediction_id"].encode() for body in bodies]
        producer = KafkaProducer(bootstrap_servers=bootstrap, **OPTIONS)

        def log(place: int) -> object:
            return client.log_prediction(confidence[place], segments=SEGMENTS, predicted="refund")

        def send(place: int) -> object:
            return producer.send("predictions", key=keys[place], value=bodies[place])

        def delivered() -> None:
            assert client.flush(60.0)

        sides = [(log, delivered), (send, producer.flush)]
        for call, deliver in sides:
            round_of(call, deliver, events, 0.0)
        found: list[list[Spent]] = [[], []]
        for number in range(rounds):
            for side in (0, 1) if number % 2 else (1, 0):
                found[side].append(round_of(*sides[side], events, pause))
        producer.close()
        said = client.stats
        assert said.acknowledged == events * (rounds + 1), said
    print(f"logging {events:,} events of {len(bodies[0])} bytes" + (f", {pause * 1e3:g} ms apart" if pause else ""))
    for name, of in (
        ("the caller waits", lambda spent: spent.wall),
        ("the caller's CPU", lambda spent: spent.caller),
        ("the process's CPU", lambda spent: spent.process),
    ):
        ours, theirs = (np.median([of(spent) for spent in side]) / events * 1e6 for side in found)
        ratio = np.median([of(a) / of(b) for a, b in zip(*found, strict=True)])
        print(f"  {name:18} {ours:6.1f} us an event, send {theirs:6.1f} us: {ratio:5.2f} times")
    ours, theirs = (np.quantile(np.concatenate([spent.calls for spent in side]), 0.99) * 1e6 for side in found)
    print(f"  99 % of the calls  {ours:6.1f} us at most, send {theirs:6.1f} us")
    ratio = np.median([a.wall / b.wall for a, b in zip(*found, strict=True)])
    print(f"  {'reaches' if ratio <= SEND_RATIO else 'misses'} {SEND_RATIO} times a plain send")


def body_of(client: Client, confidence: float) -> bytes:
    """The bytes that the client makes of a prediction."""
    return encode_event(
        PredictionEvent(
            new_id(),
            "m",
            now(),
            confidence,
            signals={"calibrated": client.calibrate(confidence)},
            predicted="refund",
            segments={**SEGMENTS, "calibrator": "1"},
        )
    )


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench client", description=__doc__)
    parser.add_argument("--events", type=int, default=2_000, help="in a round")
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args(arguments)
    rng = np.random.default_rng(1)
    stated = rng.random(LABELS)
    right = (rng.random(LABELS) < stated**2).astype(np.float64)
    parts = [Part({}, sketch_of(stated, right), {})]
    for method in METHODS:
        artefact = fit(parts, ORIGIN, method=method, clip=CLIP, code_version="bench")
        applying(method, artefact, rival(artefact), rng.random(MANY), given.rounds)
    with kafka() as (bootstrap, what):
        print(f"on {what}")
        create_topics(KafkaAccess((bootstrap,)), ["predictions"], 4)
        logging(artefact, bootstrap, given.events, given.rounds, 0.0)
        logging(artefact, bootstrap, given.events // 2, given.rounds, 0.001)


if __name__ == "__main__":
    main(sys.argv[1:])

"""What no single value can get wrong: values that do not go together."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Final

from monitor.config.sections import Settings
from monitor.config.thresholds import high_from
from monitor.forms.durations import text

Mistake = tuple[tuple[str | int, ...], str]
_HOUR: Final = timedelta(hours=1)


def check(settings: Settings) -> Iterator[Mistake]:
    """Every value that does not fit the others, by its path, with what is allowed and what came."""
    yield from _kafka(settings)
    yield from _events(settings)
    yield from _segments(settings)
    yield from _agreements(settings)
    yield from _windows(settings)
    yield from _clock(settings)


def _kafka(settings: Settings) -> Iterator[Mistake]:
    kafka = settings.kafka
    if kafka.predictions_topic == kafka.labels_topic:
        yield (
            ("kafka", "labels_topic"),
            f'must differ from kafka.predictions_topic, got "{kafka.labels_topic}" for both',
        )
    if kafka.heartbeat_interval * 3 > kafka.session_timeout:
        limit = f"a third of kafka.session_timeout ({text(kafka.session_timeout)})"
        yield ("kafka", "heartbeat_interval"), f"must be at most {limit}, got {text(kafka.heartbeat_interval)}"
    if kafka.request_timeout >= kafka.max_poll_interval:
        yield (
            ("kafka", "request_timeout"),
            f"must be less than kafka.max_poll_interval, got {text(kafka.request_timeout)}",
        )
    sasl = "SASL" in kafka.security_protocol
    if sasl and kafka.sasl_mechanism is None:
        yield ("kafka", "security_protocol"), f'needs kafka.sasl_mechanism, got "{kafka.security_protocol}" without it'
    if not sasl and kafka.sasl_mechanism is not None:
        yield ("kafka", "sasl_mechanism"), f'needs a security_protocol with SASL, got "{kafka.security_protocol}"'
    if kafka.sasl_mechanism == "OAUTHBEARER" and kafka.sasl_oauth_token_path is None:
        yield ("kafka", "sasl_mechanism"), 'needs kafka.sasl_oauth_token_path, got "OAUTHBEARER" without it'
    if kafka.sasl_mechanism not in {None, "OAUTHBEARER"} and (
        kafka.sasl_username is None or kafka.sasl_password is None
    ):
        yield (
            ("kafka", "sasl_mechanism"),
            f'needs kafka.sasl_username and kafka.sasl_password, got "{kafka.sasl_mechanism}" without them',
        )
    if kafka.ssl_keyfile is not None and kafka.ssl_certfile is None:
        yield ("kafka", "ssl_keyfile"), "needs kafka.ssl_certfile"


def _events(settings: Settings) -> Iterator[Mistake]:
    events = settings.events
    for index, source in enumerate(events.non_primary_sources):
        if source in events.primary_sources:
            yield ("events", "non_primary_sources", index), f'must not be in events.primary_sources too, got "{source}"'
    for kind in ("prediction", "label"):
        section = getattr(events.fields, kind)
        seen: dict[str, str] = {}
        for name, path in section:
            if path in seen:
                yield ("events", "fields", kind, name), f'must differ from {seen[path]}, got "{path}" for both'
            seen.setdefault(path, name)


def _segments(settings: Settings) -> Iterator[Mistake]:
    for name, dimension in settings.segments.dimensions.items():
        path = ("segments", "dimensions", name)
        for index, (low, high) in enumerate(pairwise(dimension.cuts), 1):
            if not low < high:
                yield (*path, "cuts", index), f"must be greater than the cut before it ({low:g}), got {high:g}"
        if dimension.names and not dimension.cuts:
            yield (*path, "names"), "needs cuts: names name the ranges between them"
        elif dimension.names and len(dimension.names) != len(dimension.cuts) + 1:
            yield (
                (*path, "names"),
                f"must be {len(dimension.cuts) + 1} names, one more than cuts, got {len(dimension.names)}",
            )
        if len(set(dimension.names)) < len(dimension.names):
            yield (*path, "names"), "must differ from each other"
    crosses = settings.segments.crosses
    for number, cross in enumerate(crosses):
        if len(set(cross)) < len(cross):
            yield ("segments", "crosses", number), f"must name each dimension once, got {', '.join(cross)}"
        if any(set(cross) == set(other) for other in crosses[:number]):
            yield (
                ("segments", "crosses", number),
                f"must differ from the crosses before it, got {', '.join(cross)} again",
            )


def _agreements(settings: Settings) -> Iterator[Mistake]:
    seen: list[tuple[str, ...]] = []
    for number, pair in enumerate(settings.segments.agreements):
        path = ("segments", "agreements", number)
        names: list[str] = []
        for text_of_one in pair:
            try:
                names.append(high_from(text_of_one)[0])
            except ValueError:
                yield (
                    path,
                    f'must be two signals with thresholds from 0 to 1, as "confidence >= 0.9", got "{text_of_one}"',
                )
        if len(names) < len(pair):
            continue
        if len(set(names)) < len(names):
            yield path, f"must name two different signals, got {' and '.join(names)}"
        elif tuple(names) in seen:
            yield path, f"must differ from the pairs before it, got {' and '.join(names)} again"
        seen.append(tuple(names))


def _windows(settings: Settings) -> Iterator[Mistake]:
    windows = settings.windows
    for index, length in enumerate(windows.lengths):
        if length < _HOUR or length % _HOUR:
            yield ("windows", "lengths", index), f"must be a whole number of hours, got {text(length)}"
        if length in windows.lengths[:index]:
            yield ("windows", "lengths", index), f"must differ from the lengths before it, got {text(length)} again"
    if windows.maturity % _HOUR:
        yield ("windows", "maturity"), f"must be a whole number of hours, got {text(windows.maturity)}"
    retention = settings.retention
    for name, length in (
        ("label_horizon", retention.label_horizon),
        ("correction_horizon", retention.correction_horizon),
    ):
        if length % _HOUR:
            yield ("retention", name), f"must be a whole number of hours, got {text(length)}"
    if retention.label_horizon < windows.maturity:
        limit = f"windows.maturity ({text(windows.maturity)})"
        yield ("retention", "label_horizon"), f"must be at least {limit}, got {text(retention.label_horizon)}"


def _clock(settings: Settings) -> Iterator[Mistake]:
    if settings.clock.epoch is not None and settings.clock.rate == 1.0:
        yield ("clock", "epoch"), "needs a clock.rate other than 1"

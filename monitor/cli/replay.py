"""`caldrift replay`: publish files of events to the topics, as fast as wanted."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from monitor.cli import context
from monitor.errors import BadInput, Refused

if TYPE_CHECKING:
    from monitor.config.sections import Settings
    from monitor.events.mapping import MessageKind
    from monitor.files.formats import Source
    from monitor.files.rejections import Rejections
    from monitor.files.replay import Outgoing
    from monitor.files.rows import Told
    from monitor.kafka.access import KafkaAccess

PARTIAL: Final = 4
INTERRUPTED: Final = 130
_SHORTEST_PAUSE_SECONDS: Final = 0.005
_CODECS: Final = ("none", "gzip", "snappy", "lz4", "zstd")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("replay")(replay)


def replay(
    *,
    predictions: Annotated[
        Path | None, typer.Option("--predictions", help="File of predictions: JSON lines, CSV or Parquet.")
    ] = None,
    labels: Annotated[Path | None, typer.Option("--labels", help="File of labels.")] = None,
    rate: Annotated[
        float, typer.Option("--rate", min=0, help="Most events a second, both files together; 0 is as fast as it goes.")
    ] = 0,
    compression: Annotated[str, typer.Option("--compression", help="none, gzip, snappy, lz4 or zstd.")] = "none",
    shown: Annotated[int, typer.Option("--shown", min=0, help="Bad rows to name, of each reason.")] = 20,
    rejects: Annotated[Path | None, typer.Option("--rejects", metavar="OUT", help="Write every bad row here.")] = None,
) -> None:
    """Publish files to the topics, keyed by prediction id. Missing topics are created. JSON lines go out byte for byte.

    Exit code 4 when some rows could not be made into messages. Doing it again is harmless: nothing counts twice.
    """
    from monitor.cli.figures import plural
    from monitor.cli.progress import progress
    from monitor.config.connections import kafka_access
    from monitor.files.formats import source
    from monitor.files.rejections import Rejections

    if compression not in _CODECS:
        raise BadInput(f"--compression must be one of {', '.join(_CODECS)}, got {compression}", "usage")
    files: dict[MessageKind, Source] = {}
    if predictions is not None:
        files["prediction"] = source(predictions)
    if labels is not None:
        files["label"] = source(labels)
    if not files:
        raise BadInput("give --predictions, --labels, or both", "usage")
    settings = context.settings()
    access = kafka_access(settings)
    _prepare_topics(settings, access)
    topics: dict[MessageKind, str] = {
        "prediction": settings.kafka.predictions_topic,
        "label": settings.kafka.labels_topic,
    }
    size = sum(file.size for file in files.values())
    with Rejections(_say, shown, rejects) as refused, progress("publishing", size) as told:
        messages = _messages(settings, files, told, refused)
        sent, whole = _publish(access, messages, topics, rate, None if compression == "none" else compression)
        refused.finish()
    _say(" and ".join(plural(n, kind) for kind, n in sent.items()) + " published")
    if not whole:
        _say("interrupted: what was published so far is delivered; run it again to publish everything")
        raise typer.Exit(INTERRUPTED)
    if refused.counts:
        raise typer.Exit(PARTIAL)


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _prepare_topics(settings: "Settings", access: "KafkaAccess") -> None:
    """Create the topics that are missing. Raises Refused when they differ in their number of partitions."""
    from monitor.kafka.topics import create_topics, partitions_of

    kafka = settings.kafka
    topics = (kafka.predictions_topic, kafka.labels_topic)
    create_topics(access, topics, kafka.partitions, kafka.replication_factor)
    found = partitions_of(access, topics)
    counts = {topic: sum(1 for name, _ in found if name == topic) for topic in topics}
    if len(set(counts.values())) > 1:
        words = ", ".join(f"{topic} has {n}" for topic, n in counts.items())
        raise Refused(f"both topics must have the same number of partitions, or messages of one id part: {words}")


def _messages(
    settings: "Settings", files: "dict[MessageKind, Source]", told: "Told", refused: "Rejections"
) -> "Iterator[Outgoing]":
    from monitor.config.values import event_rules, segment_scheme
    from monitor.files.events import prediction_fields
    from monitor.files.fields import FlatFields
    from monitor.files.replay import merged, outgoing

    rules = event_rules(settings)
    fields = {
        "prediction": prediction_fields(rules, segment_scheme(settings)),
        "label": FlatFields("label", rules.labels),
    }
    return merged([outgoing(file, fields[kind], told, refused) for kind, file in files.items()])


def _publish(
    access: "KafkaAccess",
    messages: "Iterator[Outgoing]",
    topics: "dict[MessageKind, str]",
    rate: float,
    compression: str | None,
) -> "tuple[dict[MessageKind, int], bool]":
    """Send everything and wait until it is acknowledged. How many of each kind, and whether that was all."""
    from monitor.kafka.publisher import Publisher

    sent: dict[MessageKind, int] = {"prediction": 0, "label": 0}
    with Publisher(access, compression) as publisher:
        try:
            for message in _paced(messages, rate):
                publisher.send(topics[message.kind], message.key, message.body)
                sent[message.kind] += 1
        except KeyboardInterrupt:
            publisher.flush()
            return sent, False
        publisher.flush()
    return sent, True


def _paced(messages: "Iterator[Outgoing]", rate: float) -> "Iterator[Outgoing]":
    """The messages at no more than `rate` a second; all at once where that is 0."""
    if not rate:
        yield from messages
        return
    started = time.monotonic()
    for number, message in enumerate(messages):
        while (ahead := number / rate - (time.monotonic() - started)) > 0:
            time.sleep(max(ahead, _SHORTEST_PAUSE_SECONDS))
        yield message

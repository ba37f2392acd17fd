"""A batch of messages, decoded: which offsets it spans, its events, and what of it is a dead letter. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from monitor.events.decoding import LabelDecoder, PredictionDecoder, decode_labels, decode_predictions
from monitor.events.messages import Label, Prediction, Rejected
from monitor.kafka.access import Partition
from monitor.kafka.records import Message
from monitor.postgres.dead_letters import DeadLetter
from monitor.postgres.offsets import Advance
from monitor.workers.flood import Flood, FloodGate


@dataclass(frozen=True, slots=True)
class Decoders:
    """How the messages of the two topics are read."""

    predictions_topic: str
    predictions: PredictionDecoder
    labels_topic: str
    labels: LabelDecoder


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """The messages of one partition in a batch, and those among them that are no events."""

    partition: Partition
    messages: Sequence[Message]
    rejected: Sequence[Rejected]

    @property
    def events(self) -> int:
        """How many messages are events."""
        return len(self.messages) - len(self.rejected)

    def message_of(self, event: int) -> Message:
        """The message that the event of this number came in."""
        place = event
        for each in self.rejected:
            if each.index > place:
                break
            place += 1
        return self.messages[place]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What one transaction applies. Events stand in the order of their chunks, chunks in the order of (topic, part)."""

    advances: Sequence[Advance]
    predictions: Sequence[Prediction] = ()
    labels: Sequence[Label] = ()
    prediction_chunks: Sequence[Chunk] = ()
    label_chunks: Sequence[Chunk] = ()
    read_at: datetime | None = None
    flood: Flood | None = field(default=None)
    """Set where the batch was cut short: the message behind its end is one bad message too many."""

    @property
    def messages(self) -> int:
        """How many messages the batch holds."""
        return sum(len(chunk.messages) for chunk in (*self.prediction_chunks, *self.label_chunks))

    def dead_letters(self, received_at: datetime) -> list[DeadLetter]:
        """What could not be decoded."""
        return [
            dead_letter(chunk.partition, chunk.messages[each.index], each.reason, each.message, received_at)
            for chunk in (*self.prediction_chunks, *self.label_chunks)
            for each in chunk.rejected
        ]


def dead_letter(partition: Partition, message: Message, reason: str, text: str, received_at: datetime) -> DeadLetter:
    """The row for a message that cannot be used."""
    offset, key, value = message
    return DeadLetter(partition[0], partition[1], offset, reason, text, key, value, received_at)


def located(chunks: Sequence[Chunk], event: int) -> tuple[Partition, Message]:
    """Where the event of this number in the batch came from."""
    for chunk in chunks:
        if event < chunk.events:
            return chunk.partition, chunk.message_of(event)
        event -= chunk.events
    raise IndexError("the batch has fewer events")


def decode_batch(
    records: Mapping[Partition, Sequence[Message]],
    spans: Sequence[Advance],
    decoders: Decoders,
    gate: FloodGate,
    now: datetime,
) -> Batch:
    """Decode what was polled. Where the gate says that it is too much, the batch ends before the message at fault."""
    predictions: list[Prediction] = []
    labels: list[Label] = []
    prediction_chunks: list[Chunk] = []
    label_chunks: list[Chunk] = []
    advances: list[Advance] = []
    flood: Flood | None = None
    for span in spans:
        partition = (span.topic, span.part)
        messages = records.get(partition, ())
        if flood is not None:
            continue
        bodies = [message[2] for message in messages]
        is_prediction = span.topic == decoders.predictions_topic
        if is_prediction:
            found, rejected = decode_predictions(bodies, decoders.predictions, now)
        else:
            found_labels, rejected = decode_labels(bodies, decoders.labels, now)
        flood = gate.admit(partition, messages, rejected)
        if flood is not None:
            cut = flood.place
            kept = cut - sum(each.index < cut for each in rejected)
            messages = messages[:cut]
            rejected = [each for each in rejected if each.index < cut]
        end = span.high if flood is None else flood.offset
        advances.append(replace(span, high=end))
        chunk = Chunk(partition, messages, rejected)
        if is_prediction:
            predictions += found if flood is None else found[:kept]
            prediction_chunks.append(chunk)
        else:
            labels += found_labels if flood is None else found_labels[:kept]
            label_chunks.append(chunk)
    return Batch(
        [each for each in advances if each.high > each.low],
        predictions,
        labels,
        prediction_chunks,
        label_chunks,
        now,
        flood,
    )

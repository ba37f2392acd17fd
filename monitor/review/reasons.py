"""What a reviewer may say. The lists are closed: they are counted, and metrics use them as labels."""

from dataclasses import dataclass
from typing import Final, Literal

Queue = Literal["errors", "spot_check"]
"""`errors`: confident errors with a random control sample among them; `spot_check`: predictions drawn at random."""
QUEUES: Final[tuple[Queue, ...]] = ("errors", "spot_check")

LABEL_WRONG: Final = "label_wrong"
RIGHT: Final = "right"
WRONG: Final = "wrong"
SPOT_CHECK: Final = "spot_check"
"""The source that the labels of spot checks name."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing to say: its key on the keyboard, its words on the button, and what follows from it."""

    name: str
    key: str
    words: str
    meaning: str


REASONS: Final[dict[Queue, tuple[Reason, ...]]] = {
    "errors": (
        Reason("model_wrong", "1", "The model was wrong", "the label stands"),
        Reason(LABEL_WRONG, "2", "The label was wrong", "a correction is sent"),
        Reason("ambiguous", "3", "Ambiguous", "people would disagree; the label stands"),
        Reason("missing_context", "4", "Context was missing", "nobody could have known; the label stands"),
        Reason("out_of_scope", "5", "Out of scope", "the model was not made for this; the label stands"),
        Reason("nothing_wrong", "6", "Nothing is wrong", "answer and label are both right"),
    ),
    "spot_check": (
        Reason(RIGHT, "1", "Right", "becomes a label"),
        Reason(WRONG, "2", "Wrong", "becomes a label"),
        Reason("cannot_tell", "3", "Cannot tell", "no label; it counts as not answered"),
    ),
}


def reason_of(queue: Queue, name: str) -> Reason | None:
    """The reason of this name; None where the queue has none."""
    return next((each for each in REASONS[queue] if each.name == name), None)

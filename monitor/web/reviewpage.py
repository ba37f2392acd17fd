"""What the pages of review show: one prediction to look at, what may be said of it, and what was said so far. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote, urlencode

from monitor.errors import CaldriftError
from monitor.events.messages import LabelKind
from monitor.postgres.reviews import Item, Tally
from monitor.postgres.spot_checks import Draw
from monitor.review.matrix import BANDS, Cell, Row
from monitor.review.reasons import LABEL_WRONG, REASONS, Queue, Reason, reason_of
from monitor.rolling.windows import window_named
from monitor.web.scales import instant_text, plain
from monitor.web.sentences import plural

MOST_WAITING = 500
"""Items that a page counts; more are "500 or more"."""
DRAWS = 5
_HALF = 0.5


class UnknownModelError(CaldriftError):
    """The address names a model of which there is no series."""


@dataclass(frozen=True, slots=True)
class Address:
    """Which queue, and which part of it; `window` "" and an empty `segment` take all."""

    queue: Queue
    model: str
    window: str = ""
    segment: tuple[tuple[str, str], ...] = ()
    dimension: str = ""

    def page(self, **more: object) -> str:
        """The URL, with more parameters."""
        head = "review" if self.queue == "errors" else "spot-check"
        pairs = [("window", self.window)] if self.window else []
        pairs += [("segment", f"{name}={value}") for name, value in self.segment]
        pairs += [("dimension", self.dimension)] if self.dimension else []
        pairs += [(name, str(value)) for name, value in more.items()]
        return f"/{head}/{quote(self.model, safe='')}" + (f"?{urlencode(pairs)}" if pairs else "")


def since(window: str, now: datetime) -> datetime | None:
    """When a window begins; None for that of everything and for none. Raises BadInput for a name that is no window."""
    hours = window_named(window).hours if window else None
    return None if hours is None else now - timedelta(hours=hours)


@dataclass(frozen=True, slots=True)
class Found:
    """What the page reads. `answered` is the item that was answered just before."""

    waiting: Sequence[Item]
    answered: Item | None
    tallies: Sequence[Tally]
    draws: Sequence[Draw]
    rows: Sequence[Row]
    dimensions: Sequence[str]
    now: datetime


@dataclass(frozen=True, slots=True)
class ItemView:
    """One prediction as a reviewer sees it: nothing that says how sure the model was."""

    number: int
    title: str
    has_answer: bool
    reference: str
    reference_url: str
    facts: Sequence[tuple[str, str]]
    reasons: Sequence[Reason]
    asks_truth: str
    unsent: str
    given: str


@dataclass(frozen=True, slots=True)
class MatrixView:
    """The confidence-accuracy matrix of one dimension."""

    dimension: str
    bands: Sequence[str]
    rows: Sequence[tuple[str, Sequence[tuple[str, str, str]], tuple[str, str, str]]]
    others: Sequence[tuple[str, str, bool]]


@dataclass(frozen=True, slots=True)
class ReviewView:
    """The whole page."""

    queue: Queue
    model: str
    title: str
    sentence: str
    item: ItemView | None
    answered: str
    here: str
    other_url: str
    window: str
    segment: str
    tally: Sequence[tuple[str, int, int]]
    draws: Sequence[tuple[str, str, str, str]]
    matrix: MatrixView | None
    now: datetime


def view_of(found: Found, address: Address, share: float) -> ReviewView:
    """The page of what was found. `share` of the predictions are drawn for spot checks."""
    is_errors = address.queue == "errors"
    other: Queue = "spot_check" if is_errors else "errors"
    mine = [each for each in found.tallies if (each.model, each.queue) == (address.model, address.queue)]
    return ReviewView(
        queue=address.queue,
        model=address.model,
        title=f"{'Confident errors' if is_errors else 'Spot checks'} of {address.model}",
        sentence=_sentence(len(found.waiting), address, share),
        item=_item(found.waiting[0]) if found.waiting else None,
        answered=_answered(found.answered),
        here=address.page(),
        other_url=Address(other, address.model).page(),
        window=address.window,
        segment=",".join(f"{name}={value}" for name, value in address.segment),
        tally=_tally(mine, address.queue),
        draws=[_draw(each) for each in found.draws[:DRAWS]],
        matrix=_matrix(found, address) if is_errors else None,
        now=found.now,
    )


def _sentence(n: int, address: Address, share: float) -> str:
    many = f"{MOST_WAITING} or more" if n >= MOST_WAITING else plain(n)
    if address.queue == "errors":
        if n:
            return f"{many} {'answer waits' if n == 1 else 'answers wait'} for somebody to look at them."
        return "Nothing waits here. Look for confident errors: wrong answers of which the model was sure."
    if n:
        return f"{many} {'prediction waits' if n == 1 else 'predictions wait'} to be checked; none has a label yet."
    return f"Nothing waits here. Draw {plain(100 * share)} % of the predictions that came since the last draw."


def _item(item: Item) -> ItemView:
    reference = item.reference or ""
    asks = ""
    if item.queue == "spot_check":
        asks = "The right answer, if you know it" if item.predicted is not None else ""
    elif item.label_kind == LabelKind.LABEL:
        asks = "The right answer, if the label was wrong"
    elif item.label_kind == LabelKind.VALUE:
        asks = "The true number, if the label was wrong"
    return ItemView(
        number=item.id,
        title=item.predicted if item.predicted is not None else f"prediction {item.prediction}",
        has_answer=item.predicted is not None,
        reference=reference,
        reference_url=reference if reference.startswith(("https://", "http://")) and " " not in reference else "",
        facts=_facts(item),
        reasons=REASONS[item.queue],
        asks_truth=asks,
        unsent=f"{_words(item)}, by {item.by}; its label is not known to have reached Kafka. Answer again to send it."
        if item.reason
        else "",
        given=item.reason or "",
    )


def _facts(item: Item) -> list[tuple[str, str]]:
    facts = [("predicted at", instant_text(item.predicted_at))]
    if item.queue == "errors":
        facts.append(("label", _label_words(item)))
        if item.label_source:
            facts.append(("label of", item.label_source))
    if item.interval is not None and len(item.interval) == 3:
        facts.append(("interval", f"{item.interval[0]:g} to {item.interval[1]:g}"))
    facts += [(name, value) for name, value in sorted(item.segments.items())]
    facts += [(name, f"{value:g}") for name, value in sorted((item.numbers or {}).items())]
    if item.chain_id is not None:
        facts.append(("chain", item.chain_id if item.step is None else f"{item.chain_id}, step {item.step}"))
    if item.alike:
        facts.append(("alike", f"{plural(item.alike, 'other answer')} of the same kind"))
    return [*facts, ("id", str(item.prediction))]


def _label_words(item: Item) -> str:
    match item.label_kind:
        case LabelKind.CORRECT:
            number = item.label_number or 0.0
            return {0.0: "wrong", 1.0: "right"}.get(number, f"{plain(number, 0.01)} right")
        case LabelKind.LABEL:
            return item.label_text or "(empty)"
        case LabelKind.VALUE:
            return f"{item.label_number:g}"
        case _:
            return "none"


def _words(item: Item) -> str:
    found = reason_of(item.queue, item.reason or "")
    return found.words if found is not None else item.reason or ""


def _answered(item: Item | None) -> str:
    """What the last item was, once it cannot sway anybody."""
    if item is None or item.reason is None:
        return ""
    said = f"{_words(item)}: {plain(item.confidence, 0.001)} was stated"
    if item.queue == "errors":
        right = item.outcome is not None and item.outcome >= _HALF
        drawn = "drawn at random, as a control" if item.is_control else "chosen because the model was sure and wrong"
        said += f", it was {drawn}"
        if item.reason == LABEL_WRONG:
            return f"{said}. {'The correction is on its way.' if item.settled_at else 'The correction was not sent.'}"
        return f"{said}, and its label says {'right' if right else 'wrong'}."
    return f"{said}. {'The label is on its way.' if item.label and item.settled_at else 'No label was sent.'}"


def _tally(mine: Sequence[Tally], queue: Queue) -> list[tuple[str, int, int]]:
    """Words, how many of those chosen, how many of those drawn at random."""
    if not mine:
        return []
    counts = {(each.reason, each.is_control): each.n for each in mine}
    return [(one.words, counts.get((one.name, False), 0), counts.get((one.name, True), 0)) for one in REASONS[queue]]


def _draw(draw: Draw) -> tuple[str, str, str, str]:
    propensities = sorted({round(each["propensity"], 3) for each in draw.strata})
    spread = (
        " to ".join(f"{100 * p:g} %" for p in dict.fromkeys([propensities[0], propensities[-1]]))
        if propensities
        else ""
    )
    gain = f"{spread}, by confidence: {100 * (1 - draw.gain):.0f} % less variance" if draw.gain < 1 else f"{spread}"
    return (
        f"{instant_text(draw.since_at)} to {instant_text(draw.until_at)}",
        f"{plain(draw.drawn)} of {plain(draw.n)}",
        gain,
        draw.made_by,
    )


def _matrix(found: Found, address: Address) -> MatrixView | None:
    if not found.dimensions:
        return None
    chosen = address.dimension or found.dimensions[0]
    ends = [*BANDS[1:], 1.0]
    others = [
        (name, Address(address.queue, address.model, address.window, address.segment, name).page(), name == chosen)
        for name in found.dimensions
    ]
    rows = [(row.value, [_cell(each) for each in row.cells], _cell(row.total)) for row in found.rows]
    bands = [f"{plain(low, 0.01)} to {plain(high, 0.01)}" for low, high in zip(BANDS, ends, strict=True)]
    return MatrixView(chosen, bands, rows, others)


def _cell(cell: Cell) -> tuple[str, str, str]:
    """Accuracy, interval and count, and whether the stated confidence lies outside the interval: over or under."""
    if cell.accuracy is None or cell.low is None or cell.high is None:
        return "", "", ""
    aside = f"{100 * cell.low:.0f} to {100 * cell.high:.0f}, n {plain(cell.n)}"
    return f"{100 * cell.accuracy:.0f} %", aside, cell.off


def counted(
    tallies: Sequence[Tally], waiting: Mapping[tuple[str, Queue], int], models: Sequence[str]
) -> list[tuple[str, str, int, str, int, int]]:
    """For the list of models: name, page and number of waiting errors, the same of spot checks, answers so far."""
    answered: dict[str, int] = {}
    for each in tallies:
        answered[each.model] = answered.get(each.model, 0) + each.n
    return [
        (
            model,
            Address("errors", model).page(),
            waiting.get((model, "errors"), 0),
            Address("spot_check", model).page(),
            waiting.get((model, "spot_check"), 0),
            answered.get(model, 0),
        )
        for model in models
    ]

"""Life cycle of an alert: what a verdict does to a state. docs/alerting.md shows it as a table.

Time is counted between verdicts, by their `as_of`, so that a replay of history decides what was decided live. `now` is
the clock at the decision: it stamps transitions, and tells verdicts and states of a clock that ran ahead.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias, assert_never

from msgspec import structs

from monitor.alerting.states import Firing, Ok, Pending, Recovering, State, name_of
from monitor.alerting.terms import Terms
from monitor.alerting.transition import Reason, Transition
from monitor.alerting.verdict import Verdict

News: TypeAlias = Literal["fired", "reminder", "resolved"]
Count: TypeAlias = Literal["stale", "insufficient", "failed", "damped_flap"]
Effect: TypeAlias = Literal["enter", "stay", "exit", "hold", "end"]
"""What a verdict pushes for: the three sides of the limits, nothing, or the end of whatever there is."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The state after a verdict; the transition, where it is another one; the notice to send; what is to be counted.

    `state` is the very object that was given where the verdict was not taken. A notice `resolved` comes only for what
    was told to have fired.
    """

    state: State
    transition: Transition | None = None
    notice: News | None = None
    counted: tuple[Count, ...] = ()


def decide(state: State, verdict: Verdict, terms: Terms, now: datetime) -> Decision:
    """What the verdict does to the state.

    A verdict is taken once: applied again, by whichever leader, it changes nothing and counts as stale.
    """
    if not _is_news(verdict.as_of, state.judged_at, now, terms):
        return Decision(state, counted=("stale",))
    step = min(max(verdict.as_of - state.judged_at, timedelta(0)), terms.longest_step)
    after = _after(_judged(state, verdict.as_of), verdict, step, terms)
    after, notice = _told(after, terms)
    if isinstance(state, Firing | Recovering) and isinstance(after, Ok) and state.told_at is not None:
        notice = "resolved"
    if type(after) is type(state):
        return Decision(after, None, notice, _counted(verdict))
    after = structs.replace(after, number=state.number + 1)
    transition = _transition(state, after, verdict, now)
    return Decision(after, transition, notice, _counted(verdict, flapped=transition.reason == "flapped"))


def _is_news(as_of: datetime, judged_at: datetime, now: datetime, terms: Terms) -> bool:
    """Whether a verdict is to be taken: newer than the last one, and not of a clock that ran ahead.

    A state that was judged by a clock ahead gives way to any verdict that was not: after the clock is set back by more
    than `longest_step`, alerts are not blind until that time comes again. A smaller step back is waited out.
    """
    latest = now + terms.longest_step
    return as_of <= latest and (as_of > judged_at or judged_at > latest)


def _judged(state: State, as_of: datetime) -> State:
    """The state as it meets a verdict. Where the clock was set back, its last notice was sent now at the latest."""
    if isinstance(state, Firing | Recovering) and state.told_at is not None:
        return structs.replace(state, judged_at=as_of, told_at=min(state.told_at, as_of))
    return structs.replace(state, judged_at=as_of)


def _effect(verdict: Verdict, terms: Terms) -> Effect:
    match verdict.finding:
        case "crossed":
            return "enter"
        case "between":
            return "stay"
        case "below":
            return "exit"
        case "failed":
            return "enter" if terms.on_error == "alert" else "hold"  # an error of ours never resolves
        case "series_ended" | "rule_ended":
            return "end"
        case "insufficient":
            match terms.on_insufficient_data:
                case "hold":
                    return "hold"
                case "ok":
                    return "end"
                case "alert":
                    return "enter"


def _after(state: State, verdict: Verdict, step: timedelta, terms: Terms) -> State:
    """The state after the verdict, which stands for the time `step`. The number is still the old one."""
    effect = _effect(verdict, terms)
    if effect == "end":
        return _ok(state)
    match state:
        case Ok():
            return _beginning(state, verdict, terms) if effect == "enter" else state
        case Pending():
            seen = structs.replace(state, new_labels=state.new_labels + verdict.new_labels)
            if effect == "hold":
                return seen
            if effect != "enter":
                return _ok(state)
            return _waited(structs.replace(seen, watched=state.watched + step), verdict, terms)
        case Firing():
            return _rested(_recovering(state), terms) if effect == "exit" else state
        case Recovering():
            if effect == "hold":
                return state
            if effect != "exit":
                return _firing_again(state)
            return _rested(structs.replace(state, watched=state.watched + step), terms)
        case _ as unknown:
            assert_never(unknown)


def _ok(state: State) -> Ok:
    return Ok(judged_at=state.judged_at, number=state.number)


def _beginning(state: Ok, verdict: Verdict, terms: Terms) -> Pending | Firing:
    """The labels that led to the crossing are no evidence that it lasts: the count begins after it."""
    pending = Pending(judged_at=state.judged_at, number=state.number, watched=timedelta(0), new_labels=0)
    return _waited(pending, verdict, terms)


def _waited(pending: Pending, verdict: Verdict, terms: Terms) -> Pending | Firing:
    """Firing once it lasted. No labels are asked where nothing can be known: that they are missing may be why."""
    has_labels = verdict.finding != "crossed" or pending.new_labels >= terms.for_new_labels
    if pending.watched < terms.wait or not has_labels:
        return pending
    return Firing(judged_at=pending.judged_at, number=pending.number, fired_at=pending.judged_at)


def _recovering(state: Firing) -> Recovering:
    return Recovering(
        judged_at=state.judged_at, number=state.number, fired_at=state.fired_at, told_at=state.told_at,
        flaps=state.flaps, watched=timedelta(0),
    )  # fmt: skip


def _rested(recovering: Recovering, terms: Terms) -> Recovering | Ok:
    return recovering if recovering.watched < terms.keep_firing_for else _ok(recovering)


def _firing_again(state: Recovering) -> Firing:
    return Firing(
        judged_at=state.judged_at, number=state.number, fired_at=state.fired_at, told_at=state.told_at,
        flaps=state.flaps + 1,
    )  # fmt: skip


def _told(state: State, terms: Terms) -> tuple[State, News | None]:
    """Who fires is told once, and again every `repeat_every`; in shadow nobody is, until the rule becomes active."""
    if not isinstance(state, Firing) or terms.mode == "shadow":
        return state, None
    if state.told_at is None:
        return structs.replace(state, told_at=state.judged_at), "fired"
    if terms.repeat_every and state.judged_at - state.told_at >= terms.repeat_every:
        return structs.replace(state, told_at=state.judged_at), "reminder"
    return state, None


def _counted(verdict: Verdict, *, flapped: bool = False) -> tuple[Count, ...]:
    flap: tuple[Count, ...] = ("damped_flap",) if flapped else ()
    match verdict.finding:
        case "insufficient" | "failed" as finding:
            return (finding, *flap)
        case _:
            return flap


def _transition(before: State, after: State, verdict: Verdict, now: datetime) -> Transition:
    fired = next((state for state in (after, before) if isinstance(state, Firing | Recovering)), None)
    return Transition(
        number=after.number,
        before=name_of(before),
        after=name_of(after),
        reason=_reason(before, after, verdict),
        at=now,
        finding=verdict.finding,
        evidence=verdict.evidence,
        fired_at=None if fired is None else fired.fired_at,
        flaps=0 if fired is None else fired.flaps,
    )


def _reason(before: State, after: State, verdict: Verdict) -> Reason:
    match after:
        case Pending():
            return "pending"
        case Recovering():
            return "recovering"
        case Firing():
            return "flapped" if isinstance(before, Recovering) else "fired"
        case Ok():
            match verdict.finding:
                case "series_ended":
                    return "series ended"
                case "rule_ended":
                    return "rule ended"
                case "insufficient":
                    return "no data"
                case _:
                    return "withdrawn" if isinstance(before, Pending) else "resolved"
        case _ as unknown:
            assert_never(unknown)

"""The evidence of a verdict: its figures and the reliability diagram behind them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from markupsafe import Markup

from monitor.alerting.round import FIRING_SHARE
from monitor.alerting.verdict import Alarmed, Diagram, Evidence, Measured, Said, sign_of
from monitor.rolling.panes import start_of
from monitor.web.alertwords import alarm_text, estimate_text, measure_name, number_text, value_text
from monitor.web.charts import bins_diagram, level
from monitor.web.scales import instant_text, plain
from monitor.web.svg import EMPTY
from monitor.web.tables import figure
from monitor.web.verdicts import percent


@dataclass(frozen=True, slots=True)
class EvidenceView:
    """Evidence under a heading."""

    ident: str
    title: str
    facts: Sequence[tuple[str, str]]
    diagram: Markup


def evidence_view(evidence: Evidence, ident: str, title: str) -> EvidenceView:
    """The view of evidence; `ident` begins the ids of its parts."""
    drawn, diagram = _drawn(evidence), EMPTY
    if drawn is not None and drawn.bins:
        diagram = figure(
            bins_diagram(drawn.bins, drawn.confidence_level, f"{ident}-reliability", f"Reliability {ident}")
        )
    return EvidenceView(ident, title, [*_facts(evidence), ("as of", instant_text(evidence.as_of))], diagram)


def _drawn(evidence: Evidence) -> Measured | Diagram | None:
    """What the diagram of the evidence is drawn from."""
    match evidence:
        case Measured():
            return evidence
        case Alarmed(diagram=diagram):
            return diagram
        case _:
            return None


def _facts(evidence: Evidence) -> list[tuple[str, str]]:
    match evidence:
        case Measured():
            return _measured(evidence)
        case Alarmed():
            return _alarmed(evidence)
        case Said(reason=reason, n=n, coverage=coverage):
            labels = [("labels (n)", plain(n))] if n is not None else []
            return [("what is known", reason), *labels, *_coverage(coverage)]
        case _ as unknown:
            assert_never(unknown)


def _measured(evidence: Measured) -> list[tuple[str, str]]:
    change = evidence.baseline is not None
    name, measure = measure_name(evidence.measure), evidence.measure
    interval = f", {level(evidence.confidence_level)} interval" if evidence.judged.interval else ""
    facts = [(f"{name}{interval}", estimate_text(measure, evidence.estimate))]
    if evidence.baseline is not None:
        facts.append(
            (
                "at the baseline",
                f"{estimate_text(measure, evidence.baseline)}, {number_text(measure, evidence.baseline.n)}",
            )
        )
        facts.append(("change since then", estimate_text(measure, evidence.judged, change=True)))
    side = "above" if sign_of(evidence.compare) > 0 else "below"
    whole = ", with the whole interval" if evidence.proof == "confident" and evidence.judged.interval else ""
    facts.append(("limit", f"{side} {value_text(measure, evidence.enter, change=change)}{whole}"))
    facts.append(("exit", value_text(measure, evidence.exit, change=change)))
    if evidence.estimate.n:
        facts.append(("series" if measure == FIRING_SHARE else "labels (n)", plain(evidence.estimate.n)))
    return [*facts, *_coverage(evidence.coverage)]


def _alarmed(evidence: Alarmed) -> list[tuple[str, str]]:
    low, high = (instant_text(start_of(pane)) for pane in evidence.onset_interval)
    return [
        ("alarm", alarm_text(evidence)),
        ("raised for", f"predictions of {instant_text(start_of(evidence.pane))}"),
        ("since about", f"{instant_text(start_of(evidence.onset))} ({low} to {high})"),
        ("labels since the baseline", plain(evidence.labels)),
        (
            "labels since the alarm",
            f"{plain(evidence.labels_since)} of {plain(evidence.calm_labels)} without another one that end it",
        ),
        *([("diagram", f"window {evidence.diagram.window}")] if evidence.diagram else []),
    ]


def _coverage(coverage: float | None) -> list[tuple[str, str]]:
    return [] if coverage is None else [("coverage of labels", percent(coverage))]

"""Certificates, gates and comparisons as text for a person, who reads them in one look."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from monitor.cli.figures import segment_words, table

if TYPE_CHECKING:
    from monitor.calibration.audit import Audit, Audited
    from monitor.calibration.bands import Band, Bands
    from monitor.calibration.certificates import Certificate
    from monitor.calibration.comparison import Comparison
    from monitor.calibration.reading import Subject

WIDEST: Final = {"better": "BETTER", "same": "SAME", "worse": "WORSE", "cannot tell": "CANNOT TELL"}


def thresholds_text(found: "Sequence[Bands]") -> str:
    """One series in full, or a line each."""
    return _one(found[0]) if len(found) == 1 else _many(found)


def _one(bands: "Bands") -> str:
    lines = [_head(bands), f"{bands.n} labelled of {bands.n_predictions} predictions"]
    lines += [f"only where {rule}" for rule in bands.also]
    if bands.bands:
        rows = [[band.name, _range(band), share(band.coverage), str(band.n), _accuracy(band)] for band in bands.bands]
        lines += ["", table(["", "confidence", "of all", "n", "right"], rows, right={2, 3, 4})]
    lines += ["", *(promise_words(each) for each in bands.certificates)]
    return "\n".join([*lines, *_warnings([bands.warnings])])


def _many(found: "Sequence[Bands]") -> str:
    rows = [_row(bands, each) for bands in found for each in bands.certificates]
    head = ["model", "signal", "segment", "", "n", "confidence", "of all", "right", "bound", ""]
    first = found[0].certificates
    return "\n".join(
        [
            table(head, rows, right={4, 6, 7, 8}),
            "",
            *(f"{each.side}: {_meaning(each)}" for each in first),
            *_warnings(each.warnings for each in found),
        ]
    )


def _row(bands: "Bands", each: "Certificate") -> list[str]:
    measured = (each.coverage, each.accuracy, each.bound) if each.certified else (None, None, None)
    return [
        bands.model,
        bands.signal,
        segment_words(bands.segment),
        each.side,
        str(each.n_labels),
        _from(each),
        share(measured[0]),
        _three(measured[1]),
        _three(measured[2]),
        each.reason,
    ]


def promise_words(found: "Certificate") -> str:
    """`accept from 0.85 on: at least 0.95 right, wrong with a chance of at most 0.05 (measured 0.97 of 400)`."""
    if not found.certified or found.threshold is None:
        return f"{found.side}: {found.reason}"
    where = f"from {found.threshold:.5g} on" if found.side == "accept" else f"below {found.threshold:.5g}"
    measured = f"{_three(found.accuracy)} of {found.n} labels, bound {_three(found.bound)}"
    return f"{found.side} {where}: {_meaning(found)} (measured {measured})"


def _meaning(found: "Certificate") -> str:
    least = "at least" if found.side == "accept" else "at most"
    return f"{least} {found.target:g} right; this is wrong with a chance of at most {found.delta:.3g}"


def _from(found: "Certificate") -> str:
    if found.threshold is None:
        return "-"
    return f">= {found.threshold:.5g}" if found.side == "accept" else f"< {found.threshold:.5g}"


def _range(band: "Band") -> str:
    if band.name == "accept":
        return f">= {band.low:.5g}"
    return f"< {band.high:.5g}" if band.low == 0 else f"{band.low:.5g} to {band.high:.5g}"


def _accuracy(band: "Band") -> str:
    return _three(band.accuracy)


def _head(subject: "Subject") -> str:
    since = f", window {subject.window}" if subject.window != "all" else ""
    return f"{subject.model}: {subject.signal}, {segment_words(subject.segment)}{since}"


def share(value: float | None) -> str:
    """A share as per cent."""
    return "-" if value is None else f"{100 * value:.1f} %"


def _three(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _warnings(each: Iterable[Sequence[str]]) -> list[str]:
    return [f"warning: {words}" for words in dict.fromkeys(words for some in each for words in some)]


def audits_text(found: "Sequence[Audit]") -> str:
    """A paragraph a gate."""
    parts = []
    for one in found:
        lines = [_head(one), f"{one.n} labelled of {one.n_predictions} predictions", ""]
        for gate in one.gates:
            lines += gate_lines(gate, one.confidence_level)
        parts.append("\n".join([*lines, *_warnings([one.warnings])]))
    return "\n\n".join(parts)


def gate_lines(gate: "Audited", level: float) -> list[str]:
    """What one gate buys, and what would buy what it promises."""
    named = f"gate at {gate.gate:g}" + (f" (read as {gate.threshold:.5g})" if gate.threshold != gate.gate else "")
    if gate.accuracy is None or gate.interval is None:
        return [f"{named}: {gate.n_predictions} predictions pass, none with a label; nobody can tell what it buys"]
    low, high = gate.interval
    said = {"keeps": "kept", "breaks": "BROKEN", "cannot tell": "cannot tell yet"}[gate.verdict]
    wrong, expected = 1000 * (1 - gate.accuracy), 1000 * (1 - (gate.stated or 0.0))
    lines = [
        (
            f"{named} buys {gate.accuracy:.2f} ({low:.3f} to {high:.3f} at {100 * level:g} %, n = {gate.n}), "
            f"promised {gate.promised:g}: {said}"
        ),
        (
            f"  {share(gate.coverage)} of predictions pass; of 1,000 that pass about {wrong:.0f} are wrong, "
            f"by their stated confidence of {_three(gate.stated)} it would be {expected:.0f}"
        ),
    ]
    if gate.verdict != "keeps" and gate.certified_from is not None:
        lines.append(
            f"  {gate.promised:g} is certified from {gate.certified_from:.5g} on, which lets "
            f"{share(gate.certified_coverage)} pass"
        )
    elif gate.verdict != "keeps":
        lines.append(f"  {gate.promised:g} is {gate.missing['certified_from']}")
    return lines


def comparison_text(found: "Comparison") -> str:
    """The verdict first, then what it rests on."""
    how = f"paired, {found.n_both} questions" if found.paired else "two independent samples"
    lines = [f"{WIDEST[found.verdict]}: {found.after} against {found.before}" + _why(found)]
    lines.append(f"n = {found.n_before} before, {found.n_after} after; {how}")
    rows = [
        [
            {"ece": "ECE", "brier": "Brier score"}.get(name, name.replace("_", " ")),
            f"{each.before:.4f}",
            f"{each.after:.4f}",
            f"{each.value:+z.4f}",
            f"{each.interval[0]:+z.4f} to {each.interval[1]:+z.4f}",
        ]
        for name, each in found.differences.items()
    ]
    level = f"{100 * found.confidence_level:g} % interval"
    if rows:
        lines += ["", table(["", "before", "after", "change", level], rows, right={1, 2, 3})]
    return "\n".join([*lines, *(f"note: {words}" for words in found.notes)])


def _why(found: "Comparison") -> str:
    if found.reason:
        return f" ({found.reason})"
    if found.interval is None:
        return ""
    return f" (ECE changed by {found.interval[0]:+z.3f} to {found.interval[1]:+z.3f}, limit {found.limit:g})"

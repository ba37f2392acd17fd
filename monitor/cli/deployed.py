"""Certificates in force: put there, shown, taken out."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from monitor.cli import context
from monitor.cli.choice import Chosen
from monitor.cli.figures import segment_words, table
from monitor.errors import BadInput

if TYPE_CHECKING:
    from monitor.calibration.bands import Bands
    from monitor.config.sections import Settings
    from monitor.postgres.certificates import Deployed


def put_in_force(settings: "Settings", series: Sequence[Chosen], found: "Sequence[Bands]") -> list[str]:
    """Deploy all that was certified; returns a line for each."""
    from monitor.cli.person import person
    from monitor.postgres.certificates import deploy
    from monitor.postgres.database import answering, connect
    from monitor.rolling.segments import SeriesName, segment_text
    from monitor.workers.clock import load_clock

    dsn, lines = settings.postgres.dsn, []
    with answering(dsn), connect(dsn, "caldrift thresholds") as connection, connection.transaction():
        now = load_clock(connection).now()
        for chosen, bands in zip(series, found, strict=True):
            name = SeriesName(bands.model, bands.signal, segment_text(bands.segment))
            for each in bands.certificates:
                if not each.certified:
                    continue
                made = deploy(connection, name, each, parts=chosen.parts, also=bands.also, by=person(), now=now)
                words = f"{each.side} {'from' if each.side == 'accept' else 'below'} {each.threshold:.5g}"
                lines.append(f"certificate {made} is in force: {bands.model}, {segment_words(bands.segment)}, {words}")
    return lines or ["nothing is certified, so nothing was deployed"]


def on_deployed(
    model: str | None, *, deployed: bool, retire: int | None, deploy: bool, past: bool, as_json: bool
) -> bool:
    """Show or retire, as the options say; returns whether a promise that is shown is broken."""
    if deploy or (deployed and retire is not None):
        raise BadInput("give one of --deploy, --deployed and --retire", "usage")
    if retire is not None:
        print(_retired(retire))
        return False
    return _show(model, past=past, as_json=as_json)


def _retired(certificate: int) -> str:
    from monitor.cli.person import person
    from monitor.postgres.certificates import retire
    from monitor.postgres.database import answering, connect
    from monitor.workers.clock import load_clock

    dsn = context.settings().postgres.dsn
    with answering(dsn), connect(dsn, "caldrift thresholds") as connection:
        retire(connection, certificate, by=person(), now=load_clock(connection).now())
    return f"certificate {certificate} is retired: nobody watches its promise any longer"


def _show(model: str | None, *, past: bool, as_json: bool) -> bool:
    import msgspec

    from monitor.postgres.certificates import deployed, document
    from monitor.postgres.database import answering, connect

    dsn = context.settings().postgres.dsn
    with answering(dsn), connect(dsn, "caldrift thresholds") as connection:
        found = deployed(connection, model, past=past)
    if as_json:
        shown = {"schema": 1, "certificates": [document(each) for each in found]}
        sys.stdout.write(msgspec.json.encode(shown).decode() + "\n")
    elif found:
        print(_text(found))
    else:
        print("no certificate is in force", file=sys.stderr)
    return any(each.verdict == "broken" and each.retired_at is None for each in found)


def _text(found: "Sequence[Deployed]") -> str:
    head = ["id", "model", "signal", "segment", "promise", "deployed", "n", "right", "bound", "stands"]
    return table(head, [_row(each) for each in found], right={0, 6, 7, 8})


def _row(each: "Deployed") -> list[str]:
    least, sign = ("at least", ">=") if each.side == "accept" else ("at most", "<")
    also = "".join(f", {bar}" for bar in each.also)
    stands = each.verdict if each.retired_at is None else f"retired by {each.retired_by}"
    if each.verdict == "broken" and each.worst_from is not None:
        stands += f": {each.worst_accuracy:.3f} of {each.worst_n} labels since {each.worst_from:%Y-%m-%d}"
    return [
        str(each.id),
        each.model,
        each.signal,
        segment_words(each.segment),
        f"{least} {each.target:g} right {sign} {each.threshold:.5g}{also}",
        f"{each.deployed_at:%Y-%m-%d %H:%M} by {each.deployed_by}",
        str(each.seen_n),
        "-" if each.seen_accuracy is None else f"{each.seen_accuracy:.3f}",
        "-" if each.seen_bound is None else f"{each.seen_bound:.3f}",
        stands,
    ]

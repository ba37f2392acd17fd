"""Run a benchmark: `python -m bench ingest [...]`; without a name, list them."""

import importlib
import sys

BENCHES = {
    "ingest": ("bench.ingest", "Kafka to joined pairs and deltas, against the plain loop"),
    "evaluate": ("bench.evaluate", "from publishing to panes; the leader's memory with many series"),
    "readings": ("bench.readings", "every measure of thousands of series, against libraries on the raw rows"),
    "coverage": ("bench.coverage", "how often intervals hold the truth; writes docs/interval-coverage.md"),
    "certificates": (
        "bench.certificates",
        "thresholds with a promise; writes the table of docs/thresholds.md",
    ),
    "watch": ("bench.watch", "the watch over deployed certificates; writes a table of docs/thresholds.md"),
    "compare": ("bench.compare", "two releases: coverage and false verdicts; writes the table of docs/compare.md"),
    "sequences": ("bench.sequences", "intervals that hold at every look; writes docs/confidence-sequences.md"),
    "shift": ("bench.shift", "confidences that changed, without labels; writes docs/confidence-shift.md"),
    "recalibrate": ("bench.recalibrate", "fitting and gating maps from cells, against libraries on the raw rows"),
    "recalibration-quality": ("bench.quality", "every map on real answers, and what the gate lets through; a page"),
    "client": ("bench.client", "applying a map and logging an event, against scikit-learn's predict and a plain send"),
    "rules": ("bench.rules", "20 rules over thousands of series: a share of evaluating them"),
    "rolling": ("bench.rolling", "one event, correction and reading as the window grows, against recounts"),
    "characteristics": ("bench.characteristics", "drift detectors: false alarms against the promise, delays"),
    "backtest": ("bench.backtest", "rules judged hourly over months, against reading raw rows at each step"),
    "lifeeval": ("bench.lifeeval", "the rules that ship on real answers; writes docs/backtest-on-real-answers.md"),
    "demo": ("bench.demo", "drift detectors on the demo's traffic, many seeds; writes docs/drift-in-the-demo.md"),
    "told": ("bench.told", "no bench: pictures of what Slack and PagerDuty are told; writes docs/pictures/told-*.png"),
    "outbox": ("bench.outbox", "notices a second to a receiver; a channel beside a flood on another one"),
    "faults": ("bench.faults", "the outbox through errors, deaths and outages: told, twice, in order"),
    "peers": ("bench.peers.run", "the same events through Pathway, Bytewax and Quix Streams"),
}


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in BENCHES:
        for name, (_, meaning) in BENCHES.items():
            print(f"python -m bench {name:21} {meaning}")
        sys.exit(0 if len(sys.argv) < 2 else 2)
    module, _ = BENCHES[sys.argv[1]]
    importlib.import_module(module).main(sys.argv[2:])


if __name__ == "__main__":
    main()

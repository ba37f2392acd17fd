"""The page of operating characteristics: tables of a run, and what they mean."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Table = Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Promise:
    """A run without drift: labels fed, false alarms that are allowed on average, false alarms seen."""

    name: str
    tier: str
    labels: int
    allowed: float
    alarms: int

    @property
    def offered(self) -> bool:
        """Whether a promise is made for this case at all."""
        return "not offered" not in self.name


@dataclass(frozen=True, slots=True)
class Delay:
    """A detector: labels to a false alarm (promised, or measured of a rival), median labels to each drift."""

    tier: str
    name: str
    run_length: float
    delay: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Real:
    """A detector on shuffled real answers: streams that alarmed against those that may, and delays by gap."""

    name: str
    streams: int
    allowed: float
    alarmed: int
    delay: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Onset:
    """First pages after a drift: how many, the share with the right side, the share whose interval held the onset."""

    drift: str
    pages: int
    right_side: float
    held: float
    off: float
    size: float
    size_held: float


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that a run found."""

    command: str
    machine: str
    streams: int
    promises: Sequence[Promise]
    delays: Mapping[str, Sequence[Delay]]
    onsets: Sequence[Onset]
    real: Sequence[Real]
    budget: float
    budgets: Sequence[Promise]
    minutes: float


WORLDS = {
    "stated": "Twelve stated values from .3 to .99, calibrated",
    "high": "Confidences crowded around .9 (Beta(18, 2)), calibrated",
}


def written(page: Page) -> str:
    """The page as Markdown."""
    parts = [INTRODUCTION, _promises(page), _budgets(page)]
    parts += [_delays(page, world) for world in page.delays]
    parts += [_real(page)] if page.real else []
    parts += [_onsets(page), NOT_PROMISED, _how(page)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


INTRODUCTION = """
# Operating characteristics of the drift detectors

When a detector raises an alarm, two questions decide what its word is worth: how often does it alarm when nothing has
changed, and how many labels does it need when something has? This page answers both by simulation and on real answers.

**What is promised.** You choose one number, `false_pages_per_year`. While nothing drifts, the expected number of pages
over all series together is at most that number, whatever the series have to do with each other. Each series gets a rate
alpha per update (an update is one mature pane with labels that is fed), so that the sum of alpha x updates a year stays
within the budget. The expected number of false alarms in H updates is then at most alpha x H, for every H.

**On what it is conditional.**

- "Nothing drifts" means for the **page tier**: in each of three bands of confidence (below .75, .75 to .9, from .9)
  the mean of expected minus outcome stays what it was since the baseline. For the **warn tier**: so do the means of its
  twelve likelihood ratios. Both hold when every confidence keeps its accuracy and the mix of confidences stays.
- What those means were is estimated from the labels of the baseline and of all panes fed since; the error of the
  estimate is taken as normal, and the promise is an average over it. A baseline may be small: it then sees less, and
  does not alarm more.
- A mix of confidences that changes within a band matters only as far as the baseline's map is wrong there.
- Labels are mature and fed in order of prediction time. Each outcome is calibrated given all earlier ones: answers that
  share a cause must be declared as one cluster.
"""

NOT_PROMISED = """
## What is not promised

- No yearly number for the warn tier: its ratios are large where a sure answer is wrong, and the error of their mean is
  less normal than that of a band. The table shows what it did on real answers. It warns, it never pages.
- Nothing for labels that are fed in order of arrival, before they are mature, and nothing when many answers share one
  outcome and nobody says so: see the rows marked "not offered" in the first table.
- A slow drift is compared with the mean of everything since the baseline, drifted part included, so it is seen later
  than a jump of the same size. A drift that was there when the baseline was fitted is part of the baseline.
- Sizes are read at the moment that looked worst: see how often their interval held the truth. ADWIN, the second
  opinion, has no rate that you choose.
"""


def _promises(page: Page) -> str:
    rows = [
        (
            row.name,
            row.tier,
            f"{row.labels:,}",
            f"{row.allowed:.0f}",
            str(row.alarms),
            f"{row.labels / row.allowed:,.0f}",
            f"{row.labels / row.alarms:,.0f}" if row.alarms else f"> {row.labels:,}",
        )
        for row in page.promises
    ]
    header = ("nothing drifts", "tier", "labels fed", "alarms promised at most", "seen", "run length promised", "seen")
    return f"""
## False alarms against the promise

`stated`: twelve stated values from .3 to .99; `high`: confidences crowded around .9. Simulated baselines are those of a
model that is over-confident in a stable way (log odds x .6 - .1), which was accepted; `no line in log odds`: the
accuracy is .7 of the confidence. Real answers are those of the eleven models of the LifeEval study, shuffled. Run
lengths are labels per alarm; detectors are reset at each alarm.

{table(header, rows)}

![False alarms seen, as a share of those promised](pictures/false-alarms.svg)
"""


def _budgets(page: Page) -> str:
    rows = [
        (row.name, f"{row.allowed / page.budget:,.0f}", f"{row.allowed:,.0f}", f"{row.alarms:,}")
        for row in page.budgets
    ]
    return f"""
## One budget for any number of series

`false_pages_per_year = {page.budget:g}`, one pane of 20 labels a day for a year, baselines fitted on 1,000 labels.

{table(("series", "years simulated", "false pages promised at most", "seen"), rows)}
"""


def _delays(page: Page, world: str) -> str:
    rows = page.delays[world]
    drifts = list(rows[0].delay)
    ours = [row for row in rows if row.tier != "rival"]
    lines = [
        (row.tier, row.name, f"{row.run_length:,.0f} promised", *(_labels(row.delay[each]) for each in drifts))
        for row in ours
    ]
    lines += [
        ("", row.name, _run(row.run_length), *(_labels(row.delay[each]) for each in drifts))
        for row in rows
        if row.tier == "rival"
    ]
    header = ("tier", "baseline or detector", "labels to a false alarm", *(_drift(each) for each in drifts))
    slope = ";\n`slope x .5` halves the log odds and leaves the mean gap at 0" if "slope x .5" in drifts else ""
    picture = "\n\n![Labels until a drift is seen](pictures/detection-delay.svg)" if world == "stated" else ""
    return f"""
## Delay: {WORLDS[world]}

Median labels from the drift, 2,000 labels after the start, to the first alarm; `-`: fewer than half were seen within
8,000 labels. A gap makes every answer right less often by so much{slope}.
Rivals see every label, ours a pane of 20 at a time; a rival's run length is measured, and where it is short its delays
mean little.

{table(header, lines)}{picture}
"""


def _real(page: Page) -> str:
    gaps = list(page.real[0].delay)
    rows = [
        (
            row.name,
            f"{row.alarmed} of {row.streams}",
            f"{row.allowed:.0f}",
            *(_labels(row.delay[each]) for each in gaps),
        )
        for row in page.real
    ]
    header = ("detector", "alarmed without drift", "promised at most", *(_drift(each) for each in gaps))
    return f"""
## Real answers

Eleven models' answers in random orders: 1,500 labels for the baseline, 4,500 fed; the drift begins 400 labels after the
baseline, by turning right answers wrong. The `frozen` rows are the same bets on a baseline that stays as it was fitted,
with the tolerances that this design replaced: a flat one breaks the promise, a careful one is slow. The tiers' baseline
grows with the panes that are fed, and its uncertainty is divided off instead of tolerated.

{table(header, rows)}
"""


def _onsets(page: Page) -> str:
    rows = [
        (
            _drift(row.drift),
            str(row.pages),
            f"{row.right_side:.2f}",
            f"{row.held:.2f}",
            f"{row.off:.0f}",
            f"{row.size:.3f}",
            f"{row.size_held:.2f}",
        )
        for row in page.onsets
    ]
    header = (
        "drift",
        "pages",
        "right side",
        "interval holds the onset",
        "median error, panes",
        "median size",
        "interval holds the size",
    )
    return f"""
## Onset and size

The first page after the drift, baseline fitted on 1,000 labels, stated values; panes of 20 labels. The level of both
intervals is .95. The size is that of the band that paged; its interval is read at the moment that looked worst.

{table(header, rows)}
"""


def _how(page: Page) -> str:
    return f"""
## How this page was made

Every number above comes from one run of `{page.command}`
({page.machine}; {page.minutes:.1f} minutes; {page.streams} streams a simulated case, panes of 20 labels unless said
otherwise). The same command gives the same numbers.
"""


def table(header: Sequence[str], rows: Table) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _labels(delay: float) -> str:
    return f"{delay:,.0f}" if math.isfinite(delay) else "-"


def _run(labels: float) -> str:
    return f"{labels:,.0f}" if math.isfinite(labels) else "none seen"


def _drift(name: str) -> str:
    return name if name.startswith("slope") else f"gap {name.removeprefix('0')}"

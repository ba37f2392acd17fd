"""What the words on the pages mean: the targets of every "why?" link. Data only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Definition:
    """A word, what it means in a few sentences, and where the definition comes from."""

    anchor: str
    word: str
    meaning: str
    source: str = ""


DEFINITIONS = (
    Definition(
        "confidence",
        "Confidence, signal",
        "What a model says about its own answer, from 0 to 1. A model may state several (said in words, token "
        "probability, agreement of several answers); each is a signal, and each is judged by itself.",
    ),
    Definition(
        "reliability",
        "Reliability diagram",
        "Labelled predictions are put into bins of stated confidence. Each mark shows one bin: how confident the "
        "model was on average (across) and which share was right (up). On the diagonal 0.9 means 0.9. Below the "
        "line the model was right less often than it said: over-confident. Above it, under-confident. The bars "
        "are 95 % Wilson intervals: a bin whose bar crosses the line may well be calibrated.",
        "Murphy and Winkler 1977; Wilson 1927",
    ),
    Definition(
        "ece",
        "Expected calibration error (ECE)",
        "The mean distance between stated confidence and share right over equal-width bins, each bin weighted by "
        "its labels. 0 is perfect. It is never 0 in practice: chance alone moves every bin a little off the line, "
        "so read it against its null band. Which bin a value on an edge belongs to is a setting that is stored "
        "with the reading.",
        "Naeini et al. 2015; Guo et al. 2017",
    ),
    Definition(
        "null-band",
        "Null band",
        "The ECE that a perfectly calibrated model would show with exactly these confidences and this many "
        "labels: the middle 95 % of what chance makes of it. An ECE above the band is more than chance. By chance "
        "alone about one in forty calibrated series lies above its band at any moment.",
    ),
    Definition(
        "interval",
        "Interval of the ECE",
        "A 95 % basic bootstrap interval: the ECE that other labels of the same kind would have given. Below the "
        "top of the null band it starts at 0 and is widened to hold the debiased estimate, since the bootstrap is "
        "too short there.",
        "Efron and Tibshirani 1993",
    ),
    Definition(
        "standing",
        "Within, outside, clearly outside",
        "Within: the ECE is not above the top of its null band. Outside: it is. Clearly outside: even the lower "
        "end of its interval is. Series are ranked by how far that lower end lies above the band, so that much "
        "data with a small, sure fault stands before little data with a large, doubtful one.",
    ),
    Definition(
        "signed-gap",
        "Signed gap",
        "Mean confidence minus share right. Positive: over-confident; negative: under-confident. Faults that "
        "cancel out over the range leave it near 0: where it is less than half of the ECE, the pages say over- and "
        "under-confident.",
    ),
    Definition(
        "parts",
        "Over- and under-confident part",
        "The two sides of the ECE: what comes from bins below the line, and from bins above it. They add up to "
        "the ECE.",
    ),
    Definition(
        "mce",
        "Maximum calibration error (MCE)",
        "The largest distance of any bin from the line. It is ruled by the bin with the fewest labels: look at its n.",
        "Naeini et al. 2015",
    ),
    Definition(
        "ece-equal-mass",
        "ECE with equal-mass bins",
        "The same mean distance over bins that hold about as many labels each. It takes whole cells of the "
        "sketch, so a confidence that very many predictions share stays in one bin.",
        "Nguyen and O'Connor 2015",
    ),
    Definition(
        "ece-debiased",
        "Debiased ECE",
        "The ECE less what chance adds to it, estimated by resampling. Near 0 about half of that bias stays, so the "
        "null band remains the judge.",
        "Br\N{LATIN SMALL LETTER O WITH DIAERESIS}cker 2012; Kumar et al. 2019",
    ),
    Definition(
        "smooth-ece",
        "Smooth ECE",
        "Calibration error without bins: the residuals are smoothed over confidence, as wide as the error itself "
        "turns out to be. It changes smoothly with the confidences, so no edge of a bin can move it.",
        "B\N{LATIN SMALL LETTER L WITH STROKE}asiok and Nakkiran 2023",
    ),
    Definition(
        "slope",
        "Calibration slope and intercept",
        "The line that maps stated to true log-odds. Calibrated: slope 1, intercept 0. A slope below 1: confidences "
        "are too extreme, over-confident where high and under-confident where low. Over segments of difficulty a low "
        "slope with errors on the hard questions is the hard-easy pattern.",
        "Cox 1958",
    ),
    Definition(
        "spiegelhalter",
        "Spiegelhalter\N{RIGHT SINGLE QUOTATION MARK}s Z",
        "How many standard errors the Brier score lies above what the stated confidences promise. Within about -2 to "
        "2 where a model is calibrated.",
        "Spiegelhalter 1986",
    ),
    Definition(
        "brier",
        "Brier score",
        "The mean squared distance between confidence and outcome; lower is better. It rewards telling right from "
        "wrong as well as calibration. An outcome that is a fraction counts as drawn with that chance.",
        "Brier 1950",
    ),
    Definition(
        "brier-parts",
        "Parts of the Brier score",
        "Miscalibration is what the best monotone recalibration would take off; discrimination is what confidence "
        "knows beyond the mean; uncertainty is the score of the mean. The score is the first less the second plus the "
        "third. Reliability and resolution are the same two over the bins.",
        "Dimitriadis, Gneiting and Jordan 2021; Murphy 1973",
    ),
    Definition(
        "log-loss",
        "Log loss",
        "The mean of minus the logarithm of the probability that was given to what happened. Confidence is "
        "clipped at 1e-7, since a wrong answer at confidence 1 would count infinitely much.",
        "Good 1952",
    ),
    Definition(
        "auroc",
        "AUROC",
        "The chance that a right answer was stated with more confidence than a wrong one; 0.5 is no better than a "
        "coin. It says whether confidence sorts answers, not whether its values are true.",
        "Hanley and McNeil 1982",
    ),
    Definition(
        "aurc",
        "Area under the risk-coverage curve (AURC)",
        "Keep only the most confident answers: the curve shows which share of those is wrong for each share that is "
        "kept, and this is its mean. Lower is better.",
        "Geifman and El-Yaniv 2017",
    ),
    Definition(
        "sharpness",
        "Sharpness",
        "The variance of the stated confidences: 0 where the model always says the same.",
        "Murphy and Winkler 1987",
    ),
    Definition(
        "abstention",
        "Abstention rate",
        "The share of all predictions, labelled or not, whose confidence is below 0.9: what a gate at 0.9 leaves to "
        "people.",
    ),
    Definition(
        "confident-errors",
        "Share of confident errors",
        "The share of labelled predictions that were stated with at least 0.9 and were wrong.",
    ),
    Definition(
        "above",
        "Above a threshold",
        "What an automatic approval above that confidence would buy: the share of predictions that lie there "
        "(coverage) and the share of them that was right (accuracy), with its interval.",
        "El-Yaniv and Wiener 2010",
    ),
    Definition(
        "coverage",
        "Coverage of labels",
        "Labelled predictions divided by all predictions in the window. When labels are few or come for some "
        "kinds of answers only, every number here is about those that were labelled.",
    ),
    Definition(
        "maturity",
        "Window, maturity, provisional",
        "A window holds predictions by the time they were made. Labels of errors often come faster than others, "
        "so the youngest predictions are left out until their labels are mostly in. A reading that includes "
        "younger ones is provisional, and is drawn hollow.",
    ),
    Definition(
        "back-filled",
        "Back-filled",
        "A reading that was worked out after the time it describes, for instance when a month of events was put "
        "in at once. It is drawn hollow too.",
    ),
    Definition(
        "delay",
        "Label delay",
        "The time from a prediction to its label; the median over the labelled predictions of the window.",
    ),
    Definition(
        "lag",
        "Lag of the intake",
        "Messages in the topics that are not joined yet: the end of each partition when last seen, minus the next "
        "offset.",
    ),
    Definition(
        "every-look",
        "At every look",
        "An interval is a promise about one look: whoever looks every hour, and acts on the first one that leaves 0, "
        "acts on chance sooner or later. A confidence sequence holds the truth at all looks together, at the same "
        "level; it is about 1.7 times as wide. It is over everything since the beginning: a window that forgets has "
        "another beginning at each look.",
        "Ville 1939; Waudby-Smith and Ramdas 2024",
    ),
    Definition(
        "confidence-shift",
        "Confidences moved",
        "How far the confidences of this window lie from those that taught the baseline of the drift detectors: by how "
        "much a prediction must be moved, on average, to make one set of the other. It needs no label, and says "
        "nothing about calibration: other traffic moves confidences too, and a model that becomes wrong while it goes "
        "on as sure as before moves none.",
        "del Barrio et al. 1999",
    ),
    Definition(
        "drift",
        "Drift: baseline, pages, warnings",
        "The first mature labels of a series teach its baseline: how often it is right at each confidence. Every "
        "later hour, once its labels are in, is held against it. Evidence grows while answers are right less often "
        "(or more often) than expected, and falls when they are not. Pages are so rare without drift that all series "
        "together bring no more than the chosen number a year; warnings are quicker and less sure. An alarm says how "
        "far the share right has moved and when that began, each with a 95 % interval. After a page the series "
        "learns a new baseline. The numbers hold if labels do not depend on each other and come before their hour is "
        "mature; those that come late are counted, and change nothing that was fed.",
        "Shin, Ramdas and Rinaldo 2022; Waudby-Smith and Ramdas 2024; Bifet and Gavalda 2007 (ADWIN)",
    ),
    Definition(
        "dead-letters",
        "Dead letter",
        "A message that could not be used. It is kept with the reason, and counted; a flood of them stops the intake.",
    ),
    Definition(
        "alert",
        "Alert",
        "One rule on one series, one model or the service. It is pending once its limit is crossed, fires once that "
        "has lasted over time and new labels, recovers once it is back within exit, and is over after that has lasted "
        "too. The end of the interval must cross the limit, so that noise does not fire; on the way back the value "
        "decides. Its evidence is kept as it was when it fired, and shown beside what is known now.",
    ),
    Definition(
        "firing",
        "Firing, and what is red",
        "Red is an alert that fires, and nothing else on these pages is red; a bar on a time line that is only drawn "
        "in outline is over. Of an alert that is silenced, muted, inhibited or in the shadow nobody is told: it is "
        "listed with the reason. Orange is no alert: it says over-confident, wrong, or outside the null band.",
    ),
    Definition(
        "recalibration",
        "Recalibration",
        "A map that turns what a model states into what it means: 0.9 into 0.74, if that is how often it is right. It "
        "is fitted to earlier labels and judged on later ones, the hold-out: it must lower the log loss beyond chance, "
        "against the map in force and against no map, and harm no large segment. What passes is proposed, or put in "
        "force, as the settings say; each map has a version, and a roll-back leads to the one before.",
        "docs/recalibration.md; Guo et al. 2017; Platt 1999",
    ),
    Definition(
        "source",
        "Source of labels",
        "Who labelled. Labels of sources that only hear of faults, such as complaints, are kept in series of "
        "their own and never mixed into the main ones.",
    ),
)

ANCHORS = {
    "ece": "ece",
    "ece_debiased": "ece-debiased",
    "smooth_ece": "smooth-ece",
    "ece_equal_mass": "ece-equal-mass",
    "mce": "mce",
    "signed_gap": "signed-gap",
    "over_confident_part": "parts",
    "under_confident_part": "parts",
    "calibration_slope": "slope",
    "calibration_intercept": "slope",
    "spiegelhalter_z": "spiegelhalter",
    "brier": "brier",
    "brier_miscalibration": "brier-parts",
    "brier_discrimination": "brier-parts",
    "brier_uncertainty": "brier-parts",
    "reliability": "brier-parts",
    "resolution": "brier-parts",
    "log_loss": "log-loss",
    "auroc": "auroc",
    "aurc": "aurc",
    "sharpness": "sharpness",
    "abstention_rate": "abstention",
    "accuracy": "reliability",
    "mean_confidence": "confidence",
    "confident_error_share": "confident-errors",
    "coverage": "coverage",
    "label_delay_seconds": "delay",
}
"""Where the pages' "why?" links of a measure lead."""

"""A night's calibrated sums -> expected strict precision, recall and F1, without gold. See docs/estimated-f1.md."""

from __future__ import annotations

import math

from enigma_tasks.estimates import DevError, EstimatedF1

QUANTILE = 1.96
"""Of the normal distribution: 95 % lie within so many standard deviations."""


def estimated_f1(*, notes: int, spans: int, matched: float, missed: float, dev: DevError) -> EstimatedF1 | None:
    """The estimate for some notes; None where neither a span nor a missed mention is expected.

    `matched`: sum of the spans' calibrated probabilities; `missed`: sum of the notes' expected missed mentions; `dev`:
    the error of the calibration on dev.

    Matched spans, wrong spans (spans - matched) and missed mentions are the expected true positives, false positives
    and false negatives, so F1 is 2 * matched / (spans + matched + missed).
    """
    gold = matched + missed
    if not spans + gold > 0:
        return None
    f1 = 2 * matched / (spans + gold)
    half = QUANTILE * _deviation(dev, gold)
    return EstimatedF1(
        notes=notes,
        spans=spans,
        matched=round(matched, 3),
        missed=round(missed, 3),
        precision=round(matched / spans if spans else 0.0, 4),
        recall=round(matched / gold if gold > 0 else 0.0, 4),
        f1=round(f1, 4),
        low=round(max(0.0, f1 - half), 4),
        high=round(min(1.0, f1 + half), 4),
        dev=dev,
    )


def _deviation(dev: DevError, mentions: float) -> float:
    """Standard deviation of the estimate less the notes' real F1.

    Two parts: the calibration's own error, which is that on dev as its counts come from there; and the real outcome's
    scatter about its expectation, which falls with the square root of the number of mentions.
    """
    return dev.rms * math.sqrt(1 + dev.mentions / mentions) if mentions > 0 else 1.0

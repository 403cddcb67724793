"""Strict F1 on reviewed notes, by any grouping of them, with intervals.

Notes of the random stream are weighted by 1 / inclusion probability (Horvitz-Thompson; the ratio of two such sums is
Hájek's), so that the estimate is one of all the nights' notes. Notes that were chosen say nothing about the others:
they have figures apart, without weights, and no estimate uses them.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING

from scipy import stats

from enigma_tasks.frozen import Frozen
from enigma_tasks.monitoring.f1_sums import F1Sums, NoteScore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from enigma_tasks.monitoring.reviews import ReviewedNote

ALL = "all"
"""The group of all languages."""


class F1Estimate(Frozen):
    """Strict F1 of a group of reviewed notes."""

    f1: float
    low: float
    high: float
    notes: int
    mentions: int
    """In the reviewed notes: those of the reviewer and those of the models, summed."""


def week_of(time: str) -> str:
    """ISO 8601 -> the ISO week: `2026-W24`."""
    year, week, _ = dt.datetime.fromisoformat(time).isocalendar()
    return f"{year}-W{week:02}"


def note_score(review: ReviewedNote, night: str, entity_type: str | None = None) -> NoteScore:
    """The note's counts of one type, or of all that were reviewed."""
    counts = [c for kind, c in review.counts.items() if entity_type in (None, kind)]
    agreed = 2.0 * sum(c.tp for c in counts)
    weight = 1 / review.probability if review.probability else 1.0
    return NoteScore(night, agreed, agreed + sum(c.fp + c.fn for c in counts), weight)


def estimate(scores: Sequence[NoteScore], level: float) -> F1Estimate | None:
    """F1 with a two-sided interval; None where neither models nor people marked anything.

    The interval is a t-interval on the logit of F1. Where every note is alike or F1 is 0 or 1, the notes' spread says
    nothing: Wilson's interval for as many trials as there are notes.
    """
    if not scores:
        return None
    sums = F1Sums.of(scores)
    if not sums.mentions:
        return None
    f1, variance = sums.f1, sums.variance / sums.effective
    if variance > 0 and 0 < f1 < 1:
        logit = math.log(f1 / (1 - f1))
        width = float(stats.t.isf((1 - level) / 2, sums.notes - 1)) * math.sqrt(variance) / (f1 * (1 - f1))
        low, high = (_expit(logit + side * width) for side in (-1, 1))
    else:
        low, high = _wilson(f1, sums.notes, level)
    mentions = sum(round(s.mentions) for s in scores)
    return F1Estimate(f1=round(f1, 6), low=round(low, 6), high=round(high, 6), notes=sums.notes, mentions=mentions)


def grouped(
    reviews: Iterable[ReviewedNote],
    keys: Callable[[ReviewedNote], Iterable[tuple[str, ...]]],
    level: float,
    entity_type: str | None = None,
) -> dict[tuple[str, ...], F1Estimate]:
    """An estimate for each group; `keys`: the groups of a note."""
    groups: dict[tuple[str, ...], list[NoteScore]] = {}
    for review in reviews:
        for group in keys(review):
            groups.setdefault(group, []).append(note_score(review, review.batch_id, entity_type))
    found = {group: estimate(scores, level) for group, scores in sorted(groups.items())}
    return {group: value for group, value in found.items() if value is not None}


def of_stream(reviews: Iterable[ReviewedNote], stream: str) -> list[ReviewedNote]:
    """The reviews of one stream."""
    return [r for r in reviews if r.stream == stream]


def by_night(reviews: Iterable[ReviewedNote]) -> dict[str, list[NoteScore]]:
    """Language, or ALL -> its notes' scores for the control chart."""
    scores: dict[str, list[NoteScore]] = {}
    for review in reviews:
        score = note_score(review, review.planned_at)
        scores.setdefault(review.language, []).append(score)
        scores.setdefault(ALL, []).append(score)
    return scores


def _expit(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value > -700 else 0.0


def _wilson(share: float, trials: int, level: float) -> tuple[float, float]:
    z2 = float(stats.norm.isf((1 - level) / 2)) ** 2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    width = math.sqrt(z2 * share * (1 - share) / trials + z2**2 / (4 * trials**2)) / (1 + z2 / trials)
    return max(0.0, centre - width), min(1.0, centre + width)

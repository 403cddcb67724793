"""Drift without labels: which of a night's figures differ from those of past nights.

The unit is a night, since the notes of one night have more in common than those of two. Tonight's figure is compared
with the mean of the reference nights by a two-sample t-test in which one sample is a single night: its variance is that
between nights (the nights' variance less the mean sampling variance, and at least a stated minimum) plus the figure's
sampling variance; degrees of freedom by Satterthwaite (1946). False discoveries over all figures of the night are
controlled with scipy.stats.false_discovery_control.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from enigma_tasks.monitoring.measures import compared, entry, shown, shown_limit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from enigma_tasks.monitoring.moments import Moments
    from enigma_tasks.params.monitor import DriftParams

Subject = tuple[str, str]
"""(language, measure)."""


@dataclass(frozen=True, slots=True)
class WatchedNight:
    """A night as the tests see it."""

    figures: Mapping[Subject, Moments]
    models: Mapping[str, tuple[str, ...]]
    """Language -> digests of its champions."""
    flagged: frozenset[Subject] = field(default_factory=frozenset)
    """What was flagged in it."""


@dataclass(frozen=True, slots=True)
class DriftTest:
    """One figure against its reference nights."""

    language: str
    measure: str
    value: float
    """As people read it, like `usual`, `low` and `high`."""
    usual: float
    low: float
    high: float
    """Outside [low, high] the figure is flagged, the other figures being as they are."""
    p_value: float
    adjusted: float
    """The p-value after the control of false discoveries."""
    nights: int
    """Reference nights."""
    other_models: bool
    """Whether the reference holds nights of other champions, as there are too few of the present ones."""
    drifted: bool


@dataclass(frozen=True, slots=True)
class _Difference:
    subject: Subject
    value: float
    centre: float
    error: float
    freedom: float
    nights: int
    other_models: bool

    @property
    def p_value(self) -> float:
        return float(2 * stats.t.sf(abs(self.value - self.centre) / self.error, self.freedom))


def drift_tests(
    tonight: WatchedNight,
    history: Sequence[WatchedNight],
    params: DriftParams,
    *,
    nights_needed: int,
    notes_needed: int,
) -> list[DriftTest]:
    """A test for each figure with at least `notes_needed` notes and `nights_needed` reference nights.

    `history`: the past nights, oldest first.
    """
    differences = []
    for subject, moments in sorted(tonight.figures.items()):
        if moments.n < notes_needed or not moments.b:
            continue
        past, other_models = _reference(subject, tonight, history, nights_needed, notes_needed)
        if len(past) >= nights_needed:
            differences.append(_difference(subject, moments, past, params.least_variation, other_models=other_models))
    if not differences:
        return []
    raw = [d.p_value for d in differences]
    adjusted = stats.false_discovery_control(raw, method="bh")
    level = params.false_discoveries
    found = sum(bool(a <= level) for a in adjusted)
    limit = level * max(found, 1) / len(raw)  # Benjamini-Hochberg rejects the p-values up to here, and no others
    return [
        _test(d, tonight.figures[d.subject], p, float(a), limit, drifted=bool(a <= level))
        for d, p, a in zip(differences, raw, adjusted, strict=True)
    ]


def reference_nights(subject: Subject, nights: Iterable[WatchedNight], nights_needed: int) -> list[WatchedNight]:
    """The nights that say what is usual: those not flagged for the figure, so that a fault does not become usual.

    But `nights_needed` flagged nights in a row are a change that stays: the reference begins with them.
    """
    kept: list[WatchedNight] = []
    flagged: list[WatchedNight] = []
    for night in nights:
        if subject not in night.flagged:
            kept.append(night)
            flagged = []
            continue
        flagged.append(night)
        if len(flagged) == nights_needed:
            kept, flagged = flagged, []
    return kept


def _reference(
    subject: Subject, tonight: WatchedNight, history: Sequence[WatchedNight], nights_needed: int, notes_needed: int
) -> tuple[list[Moments], bool]:
    """The reference nights' sums, and whether they include other champions' nights."""
    language, measure = subject
    known = [n for n in history if (m := n.figures.get(subject)) is not None and m.b and m.n >= notes_needed]
    usable = reference_nights(subject, known, nights_needed)
    other_models = False
    if entry(measure).of_models:
        same = [n for n in usable if n.models.get(language) == tonight.models.get(language)]
        other_models = len(same) < min(nights_needed, len(usable))
        usable = usable if other_models else same
    return [n.figures[subject] for n in usable], other_models


def _difference(
    subject: Subject, tonight: Moments, past: Sequence[Moments], least_variation: float, *, other_models: bool
) -> _Difference:
    measure = subject[1]
    values, variances = np.array([compared(measure, m) for m in past]).T
    centre = float(values.mean())
    value, variance = compared(measure, tonight, centre)
    count = len(past)
    sampling = float(variances.mean())
    estimated = max(0.0, float(values.var(ddof=1)) - sampling)
    between = max(estimated, least_variation**2)
    total = between + variance + (between + sampling) / count
    # what is added to reach the least variation is not estimated, so it has no error
    spread = (estimated * (1 + 1 / count)) ** 2 / (count - 1) + variance**2 / (tonight.n - 1)
    return _Difference(subject, value, centre, math.sqrt(total), total**2 / spread, count, other_models)


def _test(
    difference: _Difference, tonight: Moments, p_value: float, adjusted: float, limit: float, *, drifted: bool
) -> DriftTest:
    language, measure = difference.subject
    width = float(stats.t.isf(limit / 2, difference.freedom)) * difference.error
    ends = [shown_limit(measure, difference.centre + side * width, tonight) for side in (-1, 1)]
    value = shown(measure, tonight)
    assert value is not None
    return DriftTest(
        language=language,
        measure=measure,
        value=value,
        usual=shown_limit(measure, difference.centre, tonight),
        low=min(ends),
        high=max(ends),
        p_value=p_value,
        adjusted=adjusted,
        nights=difference.nights,
        other_models=difference.other_models,
        drifted=drifted,
    )

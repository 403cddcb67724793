"""Two models' counts in the same documents -> the gain in strict F1, its interval and its p-value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.stats import bootstrap, permutation_test

from enigma_tasks.errors import UsageError
from enigma_tasks.promotion.decision import Interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from enigma_tasks.ner.scoring import Counts

Alternative = Literal["greater", "less"]
BATCH = 4_000_000
"""Resampled documents in memory at once."""
QUICK = 999
"""Resamples that settle a comparison whose p-value is far above its level."""
FAR_ABOVE = 10
PER_REJECTION = 25
"""Resamples at least as extreme that are expected where the p-value equals the level: it is then known to a fifth."""
INTERVAL_RESAMPLES = 2000
DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Gain:
    """Strict F1 of the second model minus that of the first."""

    interval: Interval
    """95 %, by paired bootstrap over documents."""
    p_value: float
    """One-sided, of no difference in the alternative's direction."""


def strict_sums(documents: Sequence[Counts]) -> NDArray[np.complex128]:
    """Of each document `gold + predicted` and `matched`, as real and imaginary part.

    Strict F1 is 2 matched / (gold + predicted) of the sums, so one array of numbers is all that a resampling sums.
    """
    return np.array([complex(c.gold + c.predicted, c.matched) for c in documents])


def strict_f1(sums: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Strict F1 of sums of `strict_sums`; 0 where nothing is annotated or predicted."""
    f1: NDArray[np.float64] = np.divide(
        2 * np.imag(sums), np.real(sums), out=np.zeros(np.shape(sums)), where=np.real(sums) > 0
    )
    return f1


def score(documents: Sequence[Counts], seed: int) -> Interval:
    """Strict F1 with its 95 % interval. Raises UsageError for no documents."""
    sums = strict_sums(documents)
    return _interval((sums,), lambda x, axis=-1: strict_f1(x.sum(axis)), seed)


def gain(
    first: Sequence[Counts], second: Sequence[Counts], level: float, seed: int, alternative: Alternative = "greater"
) -> Gain:
    """Compare two models on the same documents, in the same order.

    The test swaps the models' results within documents at random: where the models are equally good, each is as likely
    to have produced either result. The number of resamples follows from `level`, the greatest p-value that matters.

    Raises:
        UsageError: no documents, or not the same ones: their numbers or gold spans differ.
    """
    if not first or [c.gold for c in first] != [c.gold for c in second]:
        raise UsageError("a comparison is of two models on the same documents")
    pair = (strict_sums(first), strict_sums(second))
    p_value = _p_value(pair, QUICK, seed, alternative)
    if p_value <= max(FAR_ABOVE * level, FAR_ABOVE / QUICK):
        p_value = _p_value(pair, max(QUICK, math.ceil(PER_REJECTION / level)), seed, alternative)
    return Gain(_interval(pair, _difference, seed), p_value)


def lower_bound(first: Sequence[Counts], second: Sequence[Counts], level: float, seed: int) -> float:
    """One-sided bound at `level` of the gain of the second model, by paired bootstrap."""
    pair = (strict_sums(first), strict_sums(second))
    return _interval(pair, _difference, seed, confidence=1 - 2 * level).low


def _difference(x: Any, y: Any, axis: int = -1) -> Any:
    return strict_f1(y.sum(axis)) - strict_f1(x.sum(axis))


def _p_value(pair: tuple[Any, Any], resamples: int, seed: int, alternative: Alternative) -> float:
    if np.array_equal(*pair):
        return 1.0
    found = permutation_test(
        pair, _difference, permutation_type="samples", vectorized=True, n_resamples=resamples, alternative=alternative,
        batch=max(1, BATCH // len(pair[0])), rng=seed,
    )  # fmt: skip
    return round(float(np.real(found.pvalue)), 9)


def _interval(samples: tuple[Any, ...], statistic: Any, seed: int, confidence: float = 0.95) -> Interval:
    value = float(statistic(*samples))
    if not len(samples[0]):
        raise UsageError("an interval needs at least one document")
    if len(samples[0]) == 1:
        return Interval(value=round(value, DECIMALS), low=round(value, DECIMALS), high=round(value, DECIMALS))
    found = bootstrap(
        samples, statistic, paired=True, vectorized=True, n_resamples=INTERVAL_RESAMPLES, method="percentile",
        confidence_level=confidence, batch=max(1, BATCH // len(samples[0])), rng=seed,
    )  # fmt: skip
    low, high = found.confidence_interval
    return Interval(value=round(value, DECIMALS), low=round(float(low), DECIMALS), high=round(float(high), DECIMALS))

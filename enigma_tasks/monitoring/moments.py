"""Sums from which a night's figure and its sampling error are computed, without the notes.

A figure is a ratio of sums over notes, e.g. entities / words. With the sums of the squares and of the product as well,
the error of the ratio is known too (Cochran 1977, Sampling Techniques, section 2.11), so no old night is read again.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Self

import numpy as np

from enigma_tasks.frozen import Frozen

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

HALF = 0.5
"""Added to both sums of a logarithm, so that a night without a single count has a finite one."""


class Moments(Frozen):
    """Sums over `n` notes of a numerator a and a denominator b."""

    n: int = 0
    a: float = 0.0
    b: float = 0.0
    aa: float = 0.0
    ab: float = 0.0
    bb: float = 0.0

    @classmethod
    def of(cls, a: ArrayLike, b: ArrayLike) -> Self:
        """Of one numerator and denominator for each note."""
        x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
        sums = (float(x.sum()), float(y.sum()), float(x @ x), float(x @ y), float(y @ y))
        a_sum, b_sum, aa, ab, bb = (round(s, 6) for s in sums)
        return cls(n=len(x), a=a_sum, b=b_sum, aa=aa, ab=ab, bb=bb)

    @property
    def ratio(self) -> float | None:
        """Sum of a / sum of b; None where b is 0."""
        return self.a / self.b if self.b else None

    def _ratio_variance(self, ratio: float) -> float:
        """Of the ratio of the sums, notes being independent."""
        if self.n < 2 or not self.b:
            return 0.0
        residuals = self.aa - 2 * ratio * self.ab + ratio * ratio * self.bb
        return max(0.0, residuals) * self.n / (self.n - 1) / (self.b * self.b)

    def mean(self) -> tuple[float, float]:
        """(ratio, its variance); `b` is positive."""
        ratio = self.a / self.b
        return ratio, self._ratio_variance(ratio)

    def log_rate(self, usual: float | None = None) -> tuple[float, float]:
        """(logarithm of the ratio, its variance) of a count per unit; at least that of a Poisson count.

        `usual`: the logarithm that is expected; the least variance is then that of the expected count, so that a night
        without a single count is not taken for an uncertain one.
        """
        value = math.log((self.a + HALF) / (self.b + HALF))
        count = self.a + HALF if usual is None else math.exp(usual) * (self.b + HALF)
        ratio = self.a / self.b if self.b else 0.0
        relative = self._ratio_variance(ratio) / (ratio * ratio) if ratio else 0.0
        return value, max(relative, 1 / count)

    def ratio_at(self, log_rate: float) -> float:
        """The ratio at which `log_rate` would have this value; 0 where it has it for no count."""
        return max(0.0, math.exp(log_rate) * (self.b + HALF) - HALF) / self.b

"""Strict F1 of reviewed notes as a ratio of weighted sums over notes, with its error."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class NoteScore:
    """One reviewed note."""

    night: str
    agreed: float
    """2 tp: mentions that both the models and the reviewer marked, counted for both."""
    mentions: float
    """2 tp + fp + fn, so that F1 is the ratio of the sums."""
    weight: float = 1.0
    """1 / inclusion probability."""


@dataclass(frozen=True, slots=True)
class F1Sums:
    """Weighted sums over notes (Hájek's estimator of the ratio; variance by linearisation)."""

    notes: int = 0
    weight: float = 0.0
    weight_squares: float = 0.0
    agreed: float = 0.0
    mentions: float = 0.0
    agreed_squares: float = 0.0
    products: float = 0.0
    mentions_squares: float = 0.0

    @classmethod
    def of(cls, scores: Iterable[NoteScore]) -> F1Sums:
        """Of at least one note."""
        rows = np.array([(s.weight, s.agreed, s.mentions) for s in scores])
        w, a, m = rows.T
        return cls(len(rows), *map(float, (w.sum(), w @ w, w @ a, w @ m, w @ (a * a), w @ (a * m), w @ (m * m))))

    def __add__(self, other: F1Sums) -> F1Sums:
        return F1Sums(*(x + y for x, y in zip(astuple(self), astuple(other), strict=True)))

    @property
    def f1(self) -> float:
        """0 where nothing was marked."""
        return self.agreed / self.mentions if self.mentions else 0.0

    @property
    def effective(self) -> float:
        """Notes of equal weight that would be as precise (Kish 1965)."""
        return self.weight**2 / self.weight_squares

    @property
    def variance(self) -> float:
        """Of one note's contribution to F1, by the linearised ratio; 0 where it is not known."""
        if self.notes < 2 or not self.mentions:
            return 0.0
        f1, per_note = self.f1, self.mentions / self.weight
        squares = self.agreed_squares - 2 * f1 * self.products + f1 * f1 * self.mentions_squares
        return max(0.0, squares / self.weight / per_note**2 * self.notes / (self.notes - 1))

    def error(self, notes: float) -> float:
        """Standard error of the difference between a night of so many notes and these notes."""
        return math.sqrt(self.variance * (1 / notes + 1 / self.effective))

    def standardised(self, night: F1Sums) -> float:
        """How far a night is from these notes, as a standard normal value."""
        deviation = (night.agreed - self.f1 * night.mentions) / night.weight / (self.mentions / self.weight)
        value = deviation / self.error(night.effective)
        # the variance is estimated too: Student's t to normal, by equal tail probabilities
        tail = float(stats.t.sf(abs(value), self.notes - 1))
        return math.copysign(float(stats.norm.isf(tail)), value) if tail > 0 else value

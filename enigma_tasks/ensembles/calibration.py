"""Evidence of spans -> calibrated probabilities and the expected number of missed mentions; fitted on dev.

Fitted on documents that no member was trained on. `docs/estimated-f1.md` explains what it is for and where it fails.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from enigma_tasks.estimates import DevError
from enigma_tasks.frozen import Frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from enigma_tasks.ensembles.span_evidence import SpanEvidence, Values

LEAST = 0.005
"""Uncovered probability below which a place counts by its note's length only."""
CHARACTERS = 1000
"""Unit of `Calibration.unseen`."""
_DECIMALS = 6
_EDGE = 1e-6
_STRENGTH = 10.0


class Curve(Frozen):
    """Probability p -> sigmoid(intercept + slope * log(p / (1 - p))), which never falls (Platt, 1999)."""

    intercept: float
    slope: float = Field(ge=0)

    def of(self, probabilities: Values) -> Values:
        """The calibrated probabilities, in (0, 1)."""
        return _sigmoid(self.intercept + self.slope * _log_odds(probabilities))


class Calibration(Frozen):
    """What an ensemble's evidence of one entity type means."""

    found: Curve
    """Of `SpanEvidence.found`: that the span is a strict match."""
    missed: Curve
    """Of `SpanEvidence.uncovered`, where that is at least LEAST: that a mention starts there which was not found."""
    unseen: float = Field(ge=0)
    """Further missed mentions per 1,000 characters, which no member gives any probability."""
    dev: DevError

    def matches(self, evidence: SpanEvidence) -> Values:
        """[S] probability that each span is a strict match."""
        return self.found.of(evidence.found)

    def missing(self, evidence: SpanEvidence, characters: int) -> float:
        """Expected number of mentions in the document that are none of its spans."""
        return _missing(self.missed, self.unseen, evidence, characters)


@dataclass(frozen=True, slots=True)
class CalibrationDocument:
    """A dev document: the ensemble's evidence, and what gold says of it."""

    evidence: SpanEvidence
    right: NDArray[np.bool_]
    """[S] whether each span is gold."""
    missed: NDArray[np.int64]
    """[N] gold mentions that start at each of the evidence's places and were not found."""
    gold: int
    """Gold mentions; those that were neither found nor start at any place included."""
    characters: int


def calibration_document(
    evidence: SpanEvidence,
    spans: Sequence[tuple[int, int]],
    gold: Sequence[tuple[int, int]],
    characters: int,
) -> CalibrationDocument:
    """`spans`: of the ensemble, in the order of the evidence; `gold`: a repeated mention counts once."""
    wanted, there = set(gold), set(spans)
    right = np.array([span in wanted for span in spans], dtype=bool)
    missed = np.zeros(len(evidence.starts), dtype=np.int64)
    for start, _ in sorted(wanted - there):
        place = int(np.searchsorted(evidence.starts, start, side="right")) - 1  # the word that the mention starts in
        if place >= 0:
            missed[place] += 1
    return CalibrationDocument(evidence, right, missed, len(wanted), characters)


def fit_calibration(documents: Sequence[CalibrationDocument], folds: int, seed: int, samples: int) -> Calibration:
    """Fit on all documents; the error is cross-validated. The same documents in the same order give equal numbers.

    `samples`: bootstrap resamples of the documents.
    """
    found, missed, unseen = _fit(documents)
    return Calibration(found=found, missed=missed, unseen=unseen, dev=_dev_error(documents, folds, seed, samples))


def strict_f1(matched: Values | float, predicted: Values | float, gold: Values | float) -> Values:
    """2 * matched / (predicted + gold); 0 where there is neither."""
    both = np.asarray(predicted, dtype=np.float64) + gold
    return np.divide(2.0 * np.asarray(matched), both, out=np.zeros_like(both), where=both > 0)


def _fit(documents: Sequence[CalibrationDocument]) -> tuple[Curve, Curve, float]:
    found = _curve(_joined([d.evidence.found for d in documents]), _joined([d.right for d in documents]) > 0)
    uncovered = _joined([d.evidence.uncovered for d in documents])
    starts = _joined([d.missed for d in documents])
    seen = uncovered >= LEAST
    missed = _curve(uncovered[seen], starts[seen] > 0)
    total = sum(d.gold - int(d.right.sum()) for d in documents)
    characters = sum(d.characters for d in documents)
    rest = max(0.0, total - float(missed.of(uncovered[seen]).sum()))
    return found, missed, round(rest / max(1, characters) * CHARACTERS, _DECIMALS)


def _missing(missed: Curve, unseen: float, evidence: SpanEvidence, characters: int) -> float:
    seen = evidence.uncovered[evidence.uncovered >= LEAST]
    return math.fsum(missed.of(seen)) + unseen * characters / CHARACTERS


def _dev_error(documents: Sequence[CalibrationDocument], folds: int, seed: int, samples: int) -> DevError:
    """Rows of the table: expected matched, expected missed, spans, matched, gold."""
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(documents))
    rows = np.zeros((len(documents), 5))
    for i in range(min(folds, len(documents))):
        held_out = set(order[i::folds].tolist())
        found, missed, unseen = _fit([d for j, d in enumerate(documents) if j not in held_out])
        for j in held_out:
            d = documents[j]
            expected = math.fsum(found.of(d.evidence.found)), _missing(missed, unseen, d.evidence, d.characters)
            rows[j] = (*expected, len(d.right), d.right.sum(), d.gold)
    drawn = generator.multinomial(len(documents), np.full(len(documents), 1 / len(documents)), size=samples)
    estimated, measured = _both(rows.sum(0))
    differences = np.subtract(*_both(drawn @ rows))
    return DevError(
        documents=len(documents),
        mentions=int(rows[:, 4].sum()),
        estimated=round(float(estimated), _DECIMALS),
        measured=round(float(measured), _DECIMALS),
        rms=round(float(np.sqrt(np.square(differences).mean())), _DECIMALS),
    )


def _both(sums: Values) -> tuple[Values, Values]:
    """Estimated and measured F1."""
    expected, missed, spans, matched, gold = np.moveaxis(sums, -1, 0)
    return strict_f1(expected, spans, expected + missed), strict_f1(matched, spans, gold)


def _curve(probabilities: Values, right: NDArray[np.bool_]) -> Curve:
    """Logistic regression on the log odds; where all are right, or all wrong, the slope is 0."""
    slope, positive = 0.0, int(right.sum())
    intercept = math.log((positive + 0.5) / (len(right) - positive + 0.5))
    if 0 < positive < len(right):
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(C=_STRENGTH, max_iter=1000).fit(_log_odds(probabilities)[:, None], right)
        if model.coef_[0, 0] > 0:
            slope, intercept = float(model.coef_[0, 0]), float(model.intercept_[0])
    return Curve(intercept=round(intercept, _DECIMALS), slope=round(slope, _DECIMALS))


def _joined(parts: Sequence[NDArray[np.generic]]) -> NDArray[np.float64]:
    return np.concatenate([np.zeros(0), *parts]).astype(np.float64)


def _log_odds(probabilities: Values) -> Values:
    clipped = np.clip(probabilities, _EDGE, 1 - _EDGE)
    odds: Values = np.log(clipped / (1 - clipped))
    return odds


def _sigmoid(values: Values) -> Values:
    return 0.5 * (1 + np.tanh(values / 2))

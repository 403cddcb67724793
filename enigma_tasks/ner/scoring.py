"""Gold and predicted entities -> strict and character scores, intervals, paired differences.

The definitions are the shared task's (MultiClinNER 2026, the organisers' evaluation program): strict matches are
one-to-one by (document, label, start, end); the character score is the overlap F1 of each gold span's best match among
the predictions (recall) and of each prediction's best match in gold (precision), averaged over all spans. Repeated
predictions count once, repeated gold spans each.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from math import fsum
from operator import add
from typing import TYPE_CHECKING, Literal

import numpy as np

from enigma_tasks.documents import LABELS, Entity
from enigma_tasks.errors import UsageError
from enigma_tasks.ner.best_overlap import best_overlaps

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from enigma_tasks.ner.best_overlap import Span

Metric = Literal["strict", "character"]
DECIMALS = 4
_CELLS = 4_000_000
"""Limit of resampled document counts in memory at once."""


@dataclass(frozen=True, slots=True)
class Score:
    """Strict precision, recall and F1 in [0, 1] (0 where undefined), with the counts behind them."""

    precision: float
    recall: float
    f1: float
    tp: int
    fp: int
    fn: int
    gold: int
    predicted: int


@dataclass(frozen=True, slots=True)
class CharacterScore:
    """Character precision, recall and F1 in [0, 1] (0 where undefined)."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class Counts:
    """The counts behind every score; those of several documents or labels can be added."""

    gold: int = 0
    predicted: int = 0
    matched: int = 0
    gold_overlap: float = 0.0
    """Sum over gold spans of the overlap F1 with the best matching prediction."""
    predicted_overlap: float = 0.0
    """Sum over predictions of the overlap F1 with the best matching gold span."""

    def __add__(self, other: Counts) -> Counts:
        return Counts(*map(add, astuple(self), astuple(other)))

    @property
    def strict(self) -> Score:
        """Micro-averaged over the counted spans."""
        precision, recall = _ratio(self.matched, self.predicted), _ratio(self.matched, self.gold)
        fp, fn = self.predicted - self.matched, self.gold - self.matched
        return Score(precision, recall, _harmonic(precision, recall), self.matched, fp, fn, self.gold, self.predicted)

    @property
    def character(self) -> CharacterScore:
        """Averaged over the counted spans."""
        precision, recall = _ratio(self.predicted_overlap, self.predicted), _ratio(self.gold_overlap, self.gold)
        return CharacterScore(precision, recall, _harmonic(precision, recall))


@dataclass(frozen=True, slots=True)
class Interval:
    """Bounds of a 95 % bootstrap interval."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """F1 of the second minus F1 of the first, on the same documents."""

    difference: float
    interval: Interval
    not_better: float
    """Share of resamples in which the second is no better than the first: a one-sided p-value."""


DocumentCounts = dict[str, dict[str, Counts]]
"""Document -> label -> counts; for every document of the sample, and every label with spans in it."""


def count(gold: Iterable[Entity], predicted: Iterable[Entity]) -> dict[str, Counts]:
    """Counts by label of one document; n log n for n spans."""
    spans_by_label: dict[str, tuple[list[Span], set[Span]]] = {}
    for e in gold:
        spans_by_label.setdefault(e.label, ([], set()))[0].append(e.span)
    for e in predicted:
        spans_by_label.setdefault(e.label, ([], set()))[1].add(e.span)
    return {
        label: Counts(
            gold=len(golds),
            predicted=len(preds),
            matched=len(preds.intersection(golds)),
            gold_overlap=fsum(best_overlaps(golds, preds)),
            predicted_overlap=fsum(best_overlaps(preds, golds)),
        )
        for label, (golds, preds) in sorted(spans_by_label.items())
    }


def count_documents(
    gold: Mapping[str, Iterable[Entity]],
    predicted: Mapping[str, Iterable[Entity]],
    annotated: Mapping[str, Iterable[str]] | None = None,
    labels: Iterable[str] = LABELS,
) -> DocumentCounts:
    """Counts of every document and label that can be scored.

    Args:
        gold: document -> its gold spans.
        predicted: document -> the predicted spans.
        annotated: document -> the labels that it was annotated for. Predictions of other labels, and of documents that
            are not named, are left out: whether they are right is unknown. None: all documents, of either side, are
            annotated for all labels.
        labels: score these only.
    """
    wanted = set(labels)
    known = dict.fromkeys([*gold, *predicted], wanted) if annotated is None else annotated
    return {
        document: {
            label: counts
            for label, counts in count(gold.get(document, ()), predicted.get(document, ())).items()
            if label in wanted.intersection(known[document])
        }
        for document in sorted(known)
        if wanted.intersection(known[document])
    }


def by_document(documents: DocumentCounts) -> dict[str, Counts]:
    """Each document's counts over its labels."""
    return {document: sum(labels.values(), Counts()) for document, labels in documents.items()}


def by_label(documents: DocumentCounts) -> dict[str, Counts]:
    """Each label's counts over the documents."""
    totals: dict[str, Counts] = {}
    for labels in documents.values():
        for label, counts in labels.items():
            totals[label] = totals.get(label, Counts()) + counts
    return {label: totals[label] for label in sorted(totals)}


def total(documents: DocumentCounts) -> Counts:
    """Counts over all documents and labels."""
    return sum(by_document(documents).values(), Counts())


def bootstrap(documents: Sequence[Counts], seed: int, *, metric: Metric = "strict", samples: int = 2000) -> Interval:
    """95 % percentile interval of F1 under resampling of documents. Raises UsageError for no documents."""
    if not documents:
        raise UsageError("a bootstrap needs at least one document")
    return _interval(_resampled([documents], seed, metric, samples)[0])


def paired_bootstrap(
    first: Sequence[Counts], second: Sequence[Counts], seed: int, *, metric: Metric = "strict", samples: int = 10_000
) -> PairedDifference:
    """Test whether the second is better than the first; both are counted on the same documents, in the same order.

    Each resample draws the same documents for both, so that hard documents do not add to the variance.

    Raises:
        UsageError: no documents, or not the same ones: their numbers or gold spans differ.
    """
    if not first or [c.gold for c in first] != [c.gold for c in second]:
        raise UsageError("a paired bootstrap compares two predictions of the same documents")
    before, after = _resampled([first, second], seed, metric, samples)
    observed = _f1(_matrix(second).sum(0), metric) - _f1(_matrix(first).sum(0), metric)
    return PairedDifference(float(observed), _interval(after - before), float(np.mean(after <= before)))


def _resampled(
    systems: Sequence[Sequence[Counts]], seed: int, metric: Metric, samples: int
) -> list[NDArray[np.float64]]:
    """F1 of each system in each resample, `samples` long; the resamples are the same for all systems."""
    generator = np.random.default_rng(seed)
    size = len(systems[0])
    matrices = [_matrix(s) for s in systems]
    chunks: list[list[NDArray[np.float64]]] = [[] for _ in systems]
    step = max(1, _CELLS // size)
    for start in range(0, samples, step):
        rows = min(step, samples - start)
        times_drawn = generator.multinomial(size, np.full(size, 1 / size), size=rows).astype(np.float64)
        for chunk, matrix in zip(chunks, matrices, strict=True):
            chunk.append(_f1(times_drawn @ matrix, metric))
    return [np.concatenate(c) for c in chunks]


def _matrix(documents: Sequence[Counts]) -> NDArray[np.float64]:
    return np.array([astuple(c) for c in documents], dtype=np.float64)


def _f1(counts: NDArray[np.float64], metric: Metric) -> NDArray[np.float64]:
    """(..., 5) sums of counts -> (...) F1; 0 where undefined."""
    gold, predicted, matched, gold_overlap, predicted_overlap = np.moveaxis(counts, -1, 0)
    hits = (matched, matched) if metric == "strict" else (predicted_overlap, gold_overlap)
    precision = np.divide(hits[0], predicted, out=np.zeros_like(hits[0]), where=predicted > 0)
    recall = np.divide(hits[1], gold, out=np.zeros_like(hits[1]), where=gold > 0)
    both = precision + recall
    f1: NDArray[np.float64] = np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0)
    return f1


def _interval(values: NDArray[np.float64]) -> Interval:
    low, high = np.quantile(values, [0.025, 0.975])
    return Interval(float(low), float(high))


def _ratio(part: float, whole: int) -> float:
    return part / whole if whole else 0.0


def _harmonic(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0

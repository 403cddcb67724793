"""Ranks gold by its disagreement with out-of-fold predictions, by confident learning.

A document and one entity type that it was annotated for are one "sentence" of cleanlab's token classification methods,
the words of the document its tokens and O, B, I the classes (Wang and Mueller 2022; Northcutt and others 2021).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from enigma_tasks.ner.text.alignment import OUTSIDE, tag_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from enigma_tasks.documents import Document, EntityType
    from enigma_tasks.ner.engine import WordProbabilities
    from enigma_tasks.ner.text.alignment import IntArray


class Doubt(StrEnum):
    """What the models would have annotated instead."""

    MISSED = "missed"
    """A mention where gold has none."""
    SPURIOUS = "spurious"
    """No mention where gold has one."""
    BOUNDARY = "boundary"
    """Another begin of a mention inside one, or none at its begin."""


@dataclass(frozen=True, slots=True)
class Place:
    """Consecutive words of one doubt: code points, half-open; never their text."""

    char_start: int
    char_end: int
    doubt: Doubt


@dataclass(frozen=True, slots=True)
class Suspect:
    """One document's gold of one type."""

    document: Document
    entity_type: EntityType
    quality: float
    """The least probability that the models give to a gold tag of a word, 0 to 1: the lower, the more suspect."""
    places: tuple[Place, ...]
    """In order; those that confident learning takes for label errors."""


def suspects(documents: Sequence[Document], probabilities: Sequence[WordProbabilities]) -> list[Suspect]:
    """Every document and annotated type with at least one place, the most suspect first.

    Args:
        documents: with gold.
        probabilities: of a model that was trained on other documents, one for each document.
    """
    from cleanlab.token_classification.filter import find_label_issues  # type: ignore[import-untyped]
    from cleanlab.token_classification.rank import get_label_quality_scores  # type: ignore[import-untyped]

    rows = list(_rows(documents, probabilities))
    if not rows:
        return []
    tags, values = [row.tags.tolist() for row in rows], [row.values for row in rows]
    quality, _ = get_label_quality_scores(tags, values)
    issues: dict[int, list[int]] = defaultdict(list)
    for row, word in find_label_issues(tags, values):
        issues[int(row)].append(int(word))
    found = [
        Suspect(rows[i].document, rows[i].entity_type, float(quality[i]), tuple(_places(rows[i], sorted(words))))
        for i, words in issues.items()
    ]
    return sorted(found, key=lambda s: (s.quality, s.document.language or "", s.document.id, s.entity_type))


@dataclass(frozen=True, slots=True)
class _Row:
    document: Document
    entity_type: EntityType
    words: IntArray
    tags: NDArray[np.int8]
    """[W] of gold."""
    values: NDArray[np.float64]
    """[W, 3] predicted; each row sums to 1."""


def _rows(documents: Sequence[Document], probabilities: Sequence[WordProbabilities]) -> Iterator[_Row]:
    for document, predicted in zip(documents, probabilities, strict=True):
        if not len(predicted.words):
            continue
        for index, entity_type in enumerate(predicted.entity_types):
            if entity_type not in document.annotated:
                continue
            spans = [e.span for e in document.entities if e.label == entity_type.label]
            values = predicted.values[:, index].astype(np.float64)
            tags = tag_words(predicted.words, spans).tags
            yield _Row(document, entity_type, predicted.words, tags, values / values.sum(1, keepdims=True))


def _places(row: _Row, words: Sequence[int]) -> Iterator[Place]:
    """Runs of neighbouring words with one doubt."""
    predicted = row.values.argmax(1)
    doubts = [_doubt(int(row.tags[w]), int(predicted[w])) for w in words]
    first = 0
    for i in range(1, len(words) + 1):
        if i < len(words) and words[i] == words[i - 1] + 1 and doubts[i] == doubts[first]:
            continue
        yield Place(int(row.words[words[first], 0]), int(row.words[words[i - 1], 1]), doubts[first])
        first = i


def _doubt(gold: int, predicted: int) -> Doubt:
    if gold == OUTSIDE:
        return Doubt.MISSED
    if predicted == OUTSIDE:
        return Doubt.SPURIOUS
    return Doubt.BOUNDARY

"""Distillation: unlabelled documents and teachers -> training windows with the teachers' mean probabilities as targets.

A student with a head per entity type learns from all members of an ensemble and costs as much as one of them (Hinton
and others 2015); the paper names the cost of ensembles as a limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from enigma_tasks.errors import UsageError
from enigma_tasks.ner.batching import Example, windows_of
from enigma_tasks.ner.engine import Engine
from enigma_tasks.ner.text.alignment import IGNORED, TAGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from enigma_tasks.documents import Document, EntityType
    from enigma_tasks.ner.engine import WordProbabilities
    from enigma_tasks.ner.model_folder import Model
    from enigma_tasks.ner.text.alignment import IntArray

_CHUNK_DOCUMENTS = 64


@dataclass(frozen=True, slots=True)
class DistillationData:
    """Texts and teachers from which a student learns, besides gold."""

    documents: Sequence[Document]
    """Unlabelled; their mentions, if any, are ignored."""
    teachers: Sequence[Model]
    batch_tokens: int
    """Padded sub-words per forward pass of a teacher."""


def soft_examples(
    student: Model, documents: Sequence[Document], teachers: Sequence[Model], batch_tokens: int
) -> list[Example]:
    """Every window of every document by the student's recipe, with soft targets [w, K, 3]; language by language.

    A teacher is used for texts of the languages that it was trained for. A word that no teacher of a type has with the
    same characters is IGNORED for that type.

    Args:
        student: untrained.
        documents: each with its language.
        teachers: token classifiers of any architecture.
        batch_tokens: padded sub-words per forward pass of a teacher.

    Raises:
        UsageError: in one of the languages, no teacher has a head for one of the student's types.
    """
    types = student.card.entity_types
    languages = sorted({d.language or "" for d in documents})
    by_language = {code: [t for t in teachers if code in t.card.languages] for code in languages}
    for code, able in by_language.items():
        covered = {t for teacher in able for t in teacher.card.entity_types}
        if missing := [t.value for t in types if t not in covered]:
            raise UsageError(f"no teacher has a head for {', '.join(missing)} in {code or 'texts of no language'}")
    found: list[Example] = []
    for code, able in by_language.items():
        engine, in_language = Engine(able, batch_tokens), [d for d in documents if (d.language or "") == code]
        for first in range(0, len(in_language), _CHUNK_DOCUMENTS):
            found += _soft_windows(student, in_language[first : first + _CHUNK_DOCUMENTS], engine)
    return found


def _soft_windows(student: Model, documents: Sequence[Document], engine: Engine) -> Iterator[Example]:
    types = student.card.entity_types
    texts = student.tokenizer.encode([d.text for d in documents])
    for document, text, probabilities in zip(documents, texts, engine.probabilities(documents), strict=True):
        words = text.alignment.words
        soft, known = mean_targets(words, types, probabilities)
        tags = np.where(known, soft.argmax(-1), IGNORED).astype(np.int8)
        for window in windows_of(student, text, document):
            if len(window.words):
                yield Example(window, tags[window.words], soft[window.words])


def mean_targets(
    words: IntArray, types: Sequence[EntityType], probabilities: Sequence[WordProbabilities]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Teachers' mean probabilities [W, K, 3] at the student's `words` [W, 2], and where there are any [W, K].

    Words depend on the tokenizer: only words of exactly the same characters are matched.
    """
    total = np.zeros((len(words), len(types), len(TAGS)), dtype=np.float32)
    count = np.zeros((len(words), len(types), 1), dtype=np.float32)
    index = {(int(start), int(end)): i for i, (start, end) in enumerate(words)}
    for teacher in probabilities:
        pairs = [(index[span], i) for i, span in enumerate(map(tuple, teacher.words.tolist())) if span in index]
        if not pairs:
            continue
        mine, theirs = np.array(pairs).T
        for k, entity_type in enumerate(types):
            if entity_type in teacher.entity_types:
                total[mine, k] += teacher.values[theirs, teacher.entity_types.index(entity_type)]
                count[mine, k] += 1
    return (total / np.maximum(count, 1)).astype(np.float32), count[:, :, 0] > 0

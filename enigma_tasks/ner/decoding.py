"""Pooled word scores of whole texts -> entities with legal boundaries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from enigma_tasks.documents import Document, Entity, EntityType, sorted_entities
from enigma_tasks.ner.alignment import IntArray, tagged_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from enigma_tasks.ner.encoder import TokenClassifier

_BATCH_WORDS = 65_536


def decode(
    network: TokenClassifier,
    entity_types: Sequence[EntityType],
    documents: Sequence[Document],
    words: Sequence[IntArray],
    scores: Sequence[NDArray[np.float32]],
) -> list[tuple[Entity, ...]]:
    """Entities of each document, sorted; an entity's score is the mean probability of its words' tags.

    `words`: [W, 2] character ranges per document; `scores`: [W, K, L] per document, K as in `entity_types`. Tags are
    decided over the whole text at once, so no window's edge can cut an entity.
    """
    found: list[tuple[Entity, ...]] = [()] * len(documents)
    for batch in _batches([len(s) for s in scores]):
        longest = max(len(scores[i]) for i in batch)
        padded = torch.zeros(len(batch), longest, *scores[batch[0]].shape[1:])
        mask = torch.zeros(len(batch), longest, dtype=torch.bool)
        for row, i in enumerate(batch):
            padded[row, : len(scores[i])] = torch.from_numpy(scores[i])
            mask[row, : len(scores[i])] = True
        device = next(network.parameters()).device
        tags, chances = (t.cpu().numpy() for t in network.decode(padded.to(device), mask.to(device)))
        for row, i in enumerate(batch):
            size = len(scores[i])
            found[i] = sorted_entities(
                entity
                for k, entity_type in enumerate(entity_types)
                for entity in _entities(
                    documents[i].text, entity_type, words[i], tags[row, :size, k], chances[row, :size, k]
                )
            )
    return found


def _batches(sizes: Sequence[int]) -> Iterable[list[int]]:
    """Indexes of the texts that have words, by falling size, in batches of bounded padded size."""
    order = [i for i in sorted(range(len(sizes)), key=lambda i: (-sizes[i], i)) if sizes[i]]
    while order:
        count = max(1, _BATCH_WORDS // sizes[order[0]])
        yield order[:count]
        order = order[count:]


def _entities(
    text: str, entity_type: EntityType, words: IntArray, tags: NDArray[np.int64], chances: NDArray[np.float32]
) -> Iterable[Entity]:
    for first, stop in tagged_words(tags.astype(np.int8)):
        start, end = int(words[first, 0]), int(words[stop - 1, 1])
        yield Entity(entity_type.label, start, end, text[start:end], round(float(chances[first:stop].mean()), 6))

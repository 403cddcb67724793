"""Pooled word scores of whole texts -> tag probabilities, and entities with valid boundaries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from enigma_tasks.documents import Document, Entity, EntityType, sorted_entities
from enigma_tasks.ner.network.crf import constrained_viterbi
from enigma_tasks.ner.text.alignment import IntArray, tagged_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from enigma_tasks.ner.network.encoder import TokenClassifier

FloatArray = NDArray[np.float32]

_BATCH_WORDS = 65_536


def decode(
    network: TokenClassifier,
    entity_types: Sequence[EntityType],
    documents: Sequence[Document],
    words: Sequence[IntArray],
    scores: Sequence[FloatArray],
    *,
    known: Sequence[FloatArray] | None = None,
) -> list[tuple[Entity, ...]]:
    """Entities of each document, sorted; an entity's score is the mean probability of its words' tags.

    `words`: [W, 2] character ranges per document; `scores`: [W, K, L] per document, K as in `entity_types`. Tags are
    decoded over the whole text, so window edges do not cut entities. `known`: `probabilities` of the same scores, where
    they have been computed already.
    """
    if known is None:
        known = probabilities(network, scores)
    found: list[tuple[Entity, ...]] = [()] * len(documents)
    for batch, padded, mask in _batches(scores, next(network.parameters()).device):
        tags = network.best_tags(padded, mask).cpu().numpy()
        for row, i in enumerate(batch):
            best = tags[row, : len(scores[i])]
            chosen = np.take_along_axis(known[i], best[..., None], axis=2)[..., 0]
            found[i] = _entities(documents[i].text, entity_types, words[i], best, chosen)
    return found


def probabilities(network: TokenClassifier, scores: Sequence[FloatArray]) -> list[FloatArray]:
    """[W, K, L] scores per document -> [W, K, L] probabilities of O, B and I at each word; marginals of a CRF."""
    found = [np.zeros_like(s) for s in scores]
    for batch, padded, mask in _batches(scores, next(network.parameters()).device):
        values = network.probabilities(padded, mask).cpu().numpy()
        for row, i in enumerate(batch):
            found[i] = values[row, : len(scores[i])].copy()
    return found


def decode_probabilities(
    entity_types: Sequence[EntityType],
    documents: Sequence[Document],
    words: Sequence[IntArray],
    tag_probabilities: Sequence[FloatArray],
) -> list[tuple[Entity, ...]]:
    """`decode` for probabilities [W, K, L], such as the mean of several networks': the most probable valid tags."""
    found: list[tuple[Entity, ...]] = [()] * len(documents)
    for batch, padded, mask in _batches(tag_probabilities, torch.device("cpu")):
        logs = padded.clamp_min(1e-30).log()
        tags = torch.stack([constrained_viterbi(logs[:, :, k], mask) for k in range(len(entity_types))], dim=2)
        chosen = padded.gather(3, tags.unsqueeze(3)).squeeze(3).numpy()
        for row, i in enumerate(batch):
            size = len(tag_probabilities[i])
            found[i] = _entities(
                documents[i].text, entity_types, words[i], tags[row, :size].numpy(), chosen[row, :size]
            )
    return found


def _batches(
    scores: Sequence[FloatArray], device: torch.device
) -> Iterator[tuple[list[int], torch.Tensor, torch.Tensor]]:
    """Batches of texts with words, by falling size: indexes, padded scores [B, W, K, L], mask of words."""
    order = [i for i in sorted(range(len(scores)), key=lambda i: (-len(scores[i]), i)) if len(scores[i])]
    while order:
        longest = len(scores[order[0]])
        count = max(1, _BATCH_WORDS // longest)
        batch, order = order[:count], order[count:]
        padded = torch.zeros(len(batch), longest, *scores[batch[0]].shape[1:])
        mask = torch.zeros(len(batch), longest, dtype=torch.bool)
        for row, i in enumerate(batch):
            padded[row, : len(scores[i])] = torch.from_numpy(scores[i])
            mask[row, : len(scores[i])] = True
        yield batch, padded.to(device), mask.to(device)


def _entities(
    text: str,
    entity_types: Sequence[EntityType],
    words: IntArray,
    tags: NDArray[np.int64],
    tag_probabilities: FloatArray,
) -> tuple[Entity, ...]:
    """`tags`, `tag_probabilities`: [W, K]."""
    return sorted_entities(
        entity
        for k, entity_type in enumerate(entity_types)
        for entity in _entities_of_type(text, entity_type, words, tags[:, k], tag_probabilities[:, k])
    )


def _entities_of_type(
    text: str, entity_type: EntityType, words: IntArray, tags: NDArray[np.int64], tag_probabilities: FloatArray
) -> Iterable[Entity]:
    for first, stop in tagged_words(tags.astype(np.int8)):
        start, end = int(words[first, 0]), int(words[stop - 1, 1])
        yield Entity(
            entity_type.label, start, end, text[start:end], round(float(tag_probabilities[first:stop].mean()), 6)
        )

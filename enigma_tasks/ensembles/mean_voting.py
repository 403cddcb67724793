"""Members' tag probabilities -> the entities of their mean (paper, section 3.3).

Only members whose tokenizers divide a text into the same words can be averaged; others are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from enigma_tasks.errors import UsageError
from enigma_tasks.ner.decoding import decode_probabilities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.documents import Document, Entity, EntityType
    from enigma_tasks.ner.engine import WordProbabilities


def mean_entities(
    documents: Sequence[Document], probabilities: Sequence[Sequence[WordProbabilities]], entity_type: EntityType
) -> list[tuple[Entity, ...]]:
    """Per document, the entities of the most probable valid tags; an entity's score is the mean over its words.

    `probabilities`: per document, one for each member, in any order.

    Raises:
        UsageError: no members, one without the type, or members with different words.
    """
    words, values = [], []
    for document, members in zip(documents, probabilities, strict=True):
        if not members:
            raise UsageError("mean needs at least one member")
        for member in members:
            if entity_type not in member.entity_types:
                raise UsageError(f"mean: a member has no head for {entity_type.value}")
            if not np.array_equal(member.words, members[0].words):
                raise UsageError(f"mean: members divide {document.id} into different words; use another rule")
        stacked = np.stack([m.values[:, m.entity_types.index(entity_type)] for m in members])
        ordered = np.sort(stacked.astype(np.float64), axis=0)  # so that the sum does not depend on members' order
        words.append(members[0].words)
        values.append(ordered.mean(0).astype(np.float32)[:, None])
    return decode_probabilities([entity_type], documents, words, values)

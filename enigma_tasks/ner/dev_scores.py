"""Mentions found in the dev documents -> strict scores by entity type, as a model's card holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enigma_tasks.frozen import Frozen
from enigma_tasks.ner.scoring import Counts, count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.documents import Document, Entity, EntityType


class DevScore(Frozen):
    """Strict scores of one entity type on the dev documents annotated for it; the sample is said with them."""

    precision: float
    recall: float
    strict_f1: float
    documents: int
    gold: int
    predicted: int


def strict_scores(
    entity_types: Sequence[EntityType], dev: Sequence[Document], found: Sequence[Sequence[Entity]]
) -> dict[EntityType, DevScore]:
    """Strict scores per entity type of the mentions `found` in each dev document; a type annotated in none has none."""
    scores: dict[EntityType, DevScore] = {}
    for entity_type in entity_types:
        annotated = [i for i, d in enumerate(dev) if entity_type in d.annotated]
        if not annotated:
            continue
        counts = Counts()
        for i in annotated:
            predicted = [e for e in found[i] if e.label == entity_type.label]
            counts += count(dev[i].of_type(entity_type), predicted).get(entity_type.label, Counts())
        strict = counts.strict
        scores[entity_type] = DevScore(
            precision=strict.precision,
            recall=strict.recall,
            strict_f1=strict.f1,
            documents=len(annotated),
            gold=counts.gold,
            predicted=counts.predicted,
        )
    return scores

"""Predicted entities of the dev documents -> strict scores by entity type, for a model's card."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enigma_tasks.frozen import Frozen
from enigma_tasks.ner.scoring import Counts, count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.documents import Document, Entity, EntityType


class DevScore(Frozen):
    """Strict scores of one entity type on the dev documents annotated for it, with the size of the sample."""

    precision: float
    recall: float
    strict_f1: float
    documents: int
    gold: int
    predicted: int


def strict_scores(
    entity_types: Sequence[EntityType], dev: Sequence[Document], found: Sequence[Sequence[Entity]]
) -> dict[EntityType, DevScore]:
    """Strict scores of the entities `found` in each dev document, for every type that is annotated in some document."""
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

"""Scores that an ensemble's cards hold, by the names that they have in the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.documents import EntityType
    from enigma_tasks.ensembles.folder import Ensemble
    from enigma_tasks.ner.model_folder import Card


def dev_scores(cards: Sequence[Card[Any]], entity_type: EntityType) -> dict[str, float]:
    """Each member's strict scores on its own dev documents."""
    scores: dict[str, float] = {}
    for i, card in enumerate(cards):
        if entity_type in card.dev:
            dev = card.dev[entity_type]
            prefix = f"dev/{i}-{card.member}"
            scores[f"{prefix}/strict_f1"] = dev.strict_f1
            scores[f"{prefix}/precision"] = dev.precision
            scores[f"{prefix}/recall"] = dev.recall
            scores[f"{prefix}/documents"] = dev.documents
    return scores


def expected_scores(ensemble: Ensemble) -> dict[str, float]:
    """A fitted ensemble's expected scores on new documents."""
    if ensemble.fitted is None:
        return {}
    expected = ensemble.fitted.expected
    return {"expected/precision": expected.precision, "expected/recall": expected.recall, "expected/f1": expected.f1}

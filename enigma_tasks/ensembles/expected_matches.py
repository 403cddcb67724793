"""What calibrated ensembles expect of their entities in one document: matches, and mentions that are missed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enigma_tasks.ensembles.span_evidence import span_evidence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.documents import Entity, EntityType
    from enigma_tasks.ensembles.folder import Ensemble
    from enigma_tasks.ensembles.loaded_members import MemberPredictions
    from enigma_tasks.ensembles.span_evidence import SpanEvidence


def expected_matches(
    ensembles: Sequence[Ensemble],
    voted: Sequence[Sequence[Entity]],
    predictions: MemberPredictions,
    index: int,
    characters: int,
) -> tuple[dict[Entity, float], dict[str, float]]:
    """Each entity's probability of a strict match, and by label the expected number of missed mentions.

    `voted`: the entities of each ensemble in the document, `index` among those read; ensembles without a calibration
    are left out. `characters`: the document's length.
    """
    matches: dict[Entity, float] = {}
    missed: dict[str, float] = {}
    for ensemble, entities in zip(ensembles, voted, strict=True):
        if ensemble.calibration is not None:
            digests = [m.digest for m in ensemble.members]
            evidence = evidence_of(predictions, digests, index, entities, ensemble.entity_type)
            matches.update(zip(entities, ensemble.calibration.matches(evidence).tolist(), strict=True))
            missed[ensemble.entity_type.label] = ensemble.calibration.missing(evidence, characters)
    return matches, missed


def evidence_of(
    predictions: MemberPredictions,
    digests: Sequence[str],
    index: int,
    entities: Sequence[Entity],
    entity_type: EntityType,
) -> SpanEvidence:
    """What the members say of the ensemble's entities of one type in one document, `index` among those read."""
    members = [
        predictions.probabilities[d][index] if d in predictions.probabilities else predictions.entities[d][index]
        for d in digests
    ]
    return span_evidence(entities, members, entity_type)

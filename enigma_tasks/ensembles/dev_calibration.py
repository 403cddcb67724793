"""Fit an ensemble's calibration on dev, from the members' predictions there and the entities of its rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enigma_tasks.ensembles.calibration import calibration_document, fit_calibration
from enigma_tasks.ensembles.expected_matches import evidence_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from enigma_tasks.documents import Document, Entity, EntityType
    from enigma_tasks.ensembles.calibration import Calibration
    from enigma_tasks.ensembles.loaded_members import MemberPredictions
    from enigma_tasks.params.ensembles import FittingParams


def calibration_on_dev(
    documents: Sequence[Document],
    predictions: MemberPredictions,
    digests: Sequence[str],
    entity_type: EntityType,
    held_out: Mapping[str, Sequence[Entity]],
    *,
    params: FittingParams,
    seed: int,
) -> Calibration:
    """The calibration of one type.

    `documents`: with gold, as `predictions` has them; those that were not annotated for the type are left out.
    `held_out`: document -> the entities of the ensemble's rule, fitted on other documents; none for a missing one.
    """
    own = []
    for index, document in enumerate(documents):
        if entity_type in document.annotated:
            entities = held_out.get(document.id, ())
            evidence = evidence_of(predictions, digests, index, entities, entity_type)
            gold = [e.span for e in document.of_type(entity_type)]
            own.append(calibration_document(evidence, [e.span for e in entities], gold, len(document.text)))
    return fit_calibration(own, params.folds, seed, params.samples)

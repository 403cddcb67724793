"""Run ensembles of members of any kind on documents.

Each distinct member is loaded and run once, in however many ensembles it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from enigma_tasks.documents import sorted_entities
from enigma_tasks.ensembles.agreement import Agreement, agreement_of
from enigma_tasks.ensembles.expected_matches import expected_matches
from enigma_tasks.ensembles.loaded_members import load_members
from enigma_tasks.ensembles.mean_voting import mean_entities
from enigma_tasks.ensembles.voting import vote
from enigma_tasks.errors import ModelError
from enigma_tasks.ner.engine import cleaned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from enigma_tasks.documents import Document, Entity, EntityType
    from enigma_tasks.ensembles.agreement import Agreement
    from enigma_tasks.ensembles.folder import Ensemble
    from enigma_tasks.ensembles.loaded_members import MemberPredictions, OpenEndpoint
    from enigma_tasks.estimates import DevError
    from enigma_tasks.ner.engine import Precision, TextSize
    from enigma_tasks.ner.window_scores import WindowScores


@dataclass(frozen=True, slots=True)
class AnnotatedDocument:
    """The ensembles' entities in one document."""

    entities: tuple[Entity, ...]
    """Of all types, sorted by start, end, label."""
    characters_read: int
    """Code points before the first word that some member did not read; the text's length if all was read."""
    probabilities: tuple[float | None, ...] = ()
    """Per entity, that it is a strict match; None where the ensemble has no calibration."""
    missed: Mapping[str, float] = field(default_factory=dict)
    """Label -> expected number of mentions that are none of the entities, for ensembles with a calibration."""
    dev: Mapping[str, DevError] = field(default_factory=dict)
    """Label -> the error of that calibration on dev."""
    size: TextSize | None = None
    """By the tokenizer of the first encoder; None without an encoder."""
    agreement: Agreement | None = None
    """None where every ensemble has one member."""
    found_by: Mapping[str, int] = field(default_factory=dict)
    """Member digest -> spans that it found, of the types that it votes on."""


class EnsembleAnnotator:
    """Runs ensembles of several types (and languages)."""

    def __init__(
        self,
        ensembles: Sequence[Ensemble],
        batch_tokens: int,
        precision: Precision = "auto",
        *,
        resident_mib: int | None = None,
        open_endpoint: OpenEndpoint | None = None,
        window_scores: WindowScores | None = None,
    ) -> None:
        """Load every distinct member; raises as `load_members` does."""
        self.ensembles = tuple(ensembles)
        folders = {m.digest: m.folder for e in sorted(ensembles, key=lambda e: e.digest) for m in e.members}
        self._dev = {e.entity_type.label: e.calibration.dev for e in ensembles if e.calibration is not None}
        averaged = {m.digest for e in ensembles if e.rule.kind.needs_probabilities for m in e.members}
        calibrated = {m.digest for e in ensembles if e.calibration is not None for m in e.members}
        self._members = load_members(
            dict(sorted(folders.items())),
            batch_tokens,
            precision,
            averaged=averaged,
            calibrated=calibrated,
            resident_mib=resident_mib,
            open_endpoint=open_endpoint,
            window_scores=window_scores,
        )

    def annotate(self, documents: Sequence[Document]) -> list[AnnotatedDocument]:
        """Per document, the voted entities of all ensembles. The caller groups documents by language."""
        predictions = self._members.read(documents)
        voted = [_voted(ensemble, predictions, documents) for ensemble in self.ensembles]
        return [self._annotated(i, d, [v[i] for v in voted], predictions) for i, d in enumerate(documents)]

    def _annotated(
        self, index: int, document: Document, voted: Sequence[tuple[Entity, ...]], predictions: MemberPredictions
    ) -> AnnotatedDocument:
        """The voted entities, what is expected of them, and how far the members agree; `voted`: by ensemble."""
        entities = sorted_entities(e for of_ensemble in voted for e in of_ensemble)
        matches, missed = expected_matches(self.ensembles, voted, predictions, index, len(document.text))
        agreement, found_by = agreement_of(self.ensembles, predictions.entities, index)
        return AnnotatedDocument(
            entities,
            predictions.characters_read[index],
            tuple(matches.get(e) for e in entities),
            missed,
            self._dev,
            size=predictions.sizes[index] if predictions.sizes else None,
            agreement=agreement,
            found_by=found_by,
        )


def averaged_entities(
    predictions: MemberPredictions, digests: Sequence[str], documents: Sequence[Document], entity_type: EntityType
) -> list[tuple[Entity, ...]]:
    """The entities of the members' mean, after their post-processing rules.

    Raises:
        UsageError: as `mean_entities` does.
        ModelError: the members have different post-processing rules.
    """
    models = [predictions.models[d] for d in sorted(digests)]
    if any(m.card.recipe.postprocess != models[0].card.recipe.postprocess for m in models):
        raise ModelError("mean: members with different post-processing rules cannot be averaged")
    probabilities = [[predictions.probabilities[d][i] for d in digests] for i in range(len(documents))]
    found = mean_entities(documents, probabilities, entity_type)
    return [cleaned(models[0], d, entities) for d, entities in zip(documents, found, strict=True)]


def _voted(
    ensemble: Ensemble, predictions: MemberPredictions, documents: Sequence[Document]
) -> list[tuple[Entity, ...]]:
    digests = [m.digest for m in ensemble.members]
    if ensemble.rule.kind.needs_probabilities:
        return averaged_entities(predictions, digests, documents, ensemble.entity_type)
    label = ensemble.entity_type.label
    return [
        vote([[e for e in predictions.entities[d][i] if e.label == label] for d in digests], ensemble.rule)
        for i in range(len(documents))
    ]

"""Run ensembles of members of any kind on documents.

All encoders run in one engine, which tokenises and makes windows once; members of other kinds run after it. Each
distinct member is loaded and run once, in however many ensembles it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from enigma_tasks import artifacts
from enigma_tasks.documents import sorted_entities
from enigma_tasks.ensembles.agreement import agreement_of
from enigma_tasks.ensembles.expected_matches import expected_matches
from enigma_tasks.ensembles.mean_voting import mean_entities
from enigma_tasks.ensembles.voting import vote
from enigma_tasks.errors import ModelError, UsageError
from enigma_tasks.ner.engine import Engine, cleaned
from enigma_tasks.ner.model_folder import load_model, read_any_card, read_card_as

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from enigma_tasks.documents import Document, Entity, EntityType
    from enigma_tasks.ensembles.agreement import Agreement
    from enigma_tasks.ensembles.folder import Ensemble
    from enigma_tasks.estimates import DevError
    from enigma_tasks.ner.engine import Precision, TextSize, WordProbabilities
    from enigma_tasks.ner.model_folder import Model
    from enigma_tasks.params.annotators import LlmMemberParams
    from enigma_tasks.params.llm import Complete

    OpenEndpoint = Callable[[LlmMemberParams], Complete]

_MIB = 2**20


class Annotator(Protocol):
    """A member of another kind than token classifier."""

    def predict(self, documents: Sequence[Document]) -> list[tuple[Entity, ...]]:
        """Entities of each document, sorted."""


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


@dataclass
class MemberPredictions:
    """Members' predictions for documents, by member digest."""

    characters_read: list[int]
    entities: dict[str, list[tuple[Entity, ...]]]
    probabilities: dict[str, list[WordProbabilities]]
    """For the members whose probabilities are asked for."""
    models: dict[str, Model]
    """Those members; their recipes have the post-processing rules."""
    sizes: list[TextSize] = field(default_factory=list)
    """Per document, by the tokenizer of the first encoder; empty without one."""


class Members:
    """Model folders of any kind, run together."""

    def __init__(
        self,
        folders: Mapping[str, Path],
        batch_tokens: int,
        precision: Precision = "auto",
        *,
        averaged: Iterable[str] = (),
        calibrated: Iterable[str] = (),
        resident_mib: int | None = None,
        open_endpoint: OpenEndpoint | None = None,
    ) -> None:
        """Load all members, or prepare to load them in groups where their weights exceed `resident_mib`.

        `folders`: by digest. `averaged`: digests of the members whose word probabilities are returned too.
        `calibrated`: the same, where a member has word probabilities. `open_endpoint`: opens the endpoint of a language
        model.

        Raises:
            ModelError: a member is missing, damaged, of another digest, or has no probabilities to average.
            UsageError: a member is a language model without an endpoint or without permission to use it.
        """
        self._open_endpoint = open_endpoint
        self._folders, self._batch_tokens, self._precision = dict(folders), batch_tokens, precision
        self._kinds = {digest: _kind(folder) for digest, folder in folders.items()}
        self._averaged = set(averaged)
        for digest in sorted(self._averaged):
            if self._kinds[digest] != "encoder":
                raise ModelError(f"member {digest[:12]} is no token classifier: it has no probabilities to average")
        self._averaged.update(digest for digest in calibrated if self._kinds[digest] == "encoder")
        self._groups = list(_groups(folders, resident_mib))
        self._loaded = [self._load(group) for group in self._groups] if len(self._groups) < 2 else []

    def read(self, documents: Sequence[Document]) -> MemberPredictions:
        """Every member's predictions. Where members are in groups, one group is released before the next is loaded."""
        predictions = MemberPredictions([len(d.text) for d in documents], {}, {}, {})
        for group in self._loaded or self._groups:
            loaded = group if isinstance(group, _Loaded) else self._load(group)
            loaded.read_into(predictions, documents)
            del loaded
        return predictions

    def _load(self, digests: Sequence[str]) -> _Loaded:
        encoders = [d for d in digests if self._kinds[d] == "encoder"]
        models = {d: load_model(self._folders[d], d) for d in encoders}
        return _Loaded(
            engine=Engine(list(models.values()), self._batch_tokens, self._precision) if models else None,
            encoders=encoders,
            averaged={i: d for i, d in enumerate(encoders) if d in self._averaged},
            others={
                d: load_annotator(self._folders[d], d, self._open_endpoint)
                for d in digests
                if self._kinds[d] != "encoder"
            },
        )


@dataclass
class _Loaded:
    engine: Engine | None
    """Of the encoders."""
    encoders: list[str]
    averaged: dict[int, str]
    """Index in the engine -> digest, for the encoders whose probabilities are returned."""
    others: dict[str, Annotator]

    def read_into(self, predictions: MemberPredictions, documents: Sequence[Document]) -> None:
        """Add these members' predictions; each is run once."""
        if self.engine is not None:
            results = self.engine.read(documents, self.averaged)
            pairs = zip(predictions.characters_read, (r.characters_read for r in results), strict=True)
            predictions.characters_read = [min(pair) for pair in pairs]
            predictions.sizes = predictions.sizes or [r.size for r in results]
            for i, digest in enumerate(self.encoders):
                predictions.entities[digest] = [r.entities[i] for r in results]
            for i, digest in self.averaged.items():
                predictions.probabilities[digest] = [r.word_probabilities[i] for r in results]
                predictions.models[digest] = self.engine.models[i]
        for digest, annotator in self.others.items():
            predictions.entities[digest] = annotator.predict(documents)


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
    ) -> None:
        """Load every distinct member; raises as `Members` does."""
        self.ensembles = tuple(ensembles)
        folders = {m.digest: m.folder for e in sorted(ensembles, key=lambda e: e.digest) for m in e.members}
        self._dev = {e.entity_type.label: e.calibration.dev for e in ensembles if e.calibration is not None}
        averaged = {m.digest for e in ensembles if e.rule.kind.needs_probabilities for m in e.members}
        calibrated = {m.digest for e in ensembles if e.calibration is not None for m in e.members}
        self._members = Members(
            dict(sorted(folders.items())),
            batch_tokens,
            precision,
            averaged=averaged,
            calibrated=calibrated,
            resident_mib=resident_mib,
            open_endpoint=open_endpoint,
        )

    def annotate(self, documents: Sequence[Document]) -> list[AnnotatedDocument]:
        """Per document, the voted entities of all ensembles. The caller groups documents by language."""
        predictions = self._members.read(documents)
        voted = [_voted(ensemble, predictions, documents) for ensemble in self.ensembles]
        return [self._annotated(i, d, [v[i] for v in voted], predictions) for i, d in enumerate(documents)]

    def _annotated(
        self, index: int, document: Document, voted: Sequence[tuple[Entity, ...]], predictions: MemberPredictions
    ) -> AnnotatedDocument:
        """The document's voted entities with what is expected of them; `voted`: by ensemble."""
        entities = sorted_entities(e for of_ensemble in voted for e in of_ensemble)
        matches, missed = expected_matches(self.ensembles, voted, predictions, index, len(document.text))
        agreement, found_by = agreement_of(self.ensembles, predictions, index)
        return AnnotatedDocument(
            entities,
            predictions.characters_read[index],
            probabilities=tuple(matches.get(e) for e in entities),
            missed=missed,
            dev=self._dev,
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


def load_annotator(folder: Path, digest: str, open_endpoint: OpenEndpoint | None) -> Annotator:
    """Load a member of another kind than token classifier. Raises ModelError, UsageError as `Members` does."""
    kind = _kind(folder)
    if kind == "gliner":
        from enigma_tasks.members.gliner import GlinerAnnotator

        return GlinerAnnotator.load(folder, digest)
    if kind == "llm":
        from enigma_tasks.members.llm import LlmAnnotator, LlmCard

        if open_endpoint is None:
            raise UsageError(f"member {digest[:12]} is a language model, and there is no endpoint for it")
        return LlmAnnotator.load(folder, digest, open_endpoint(read_card_as(LlmCard, folder, ()).recipe))
    raise ModelError(f"member {digest[:12]}: unknown kind {kind!r}")


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


def _kind(folder: Path) -> str:
    recipe: Any = read_any_card(folder).recipe
    return str(recipe.get("kind", "encoder"))


def _groups(folders: Mapping[str, Path], resident_mib: int | None) -> Iterator[list[str]]:
    """Groups of digests, in order, each within the limit; a member above it is a group of its own."""
    group: list[str] = []
    group_mib = 0.0
    for digest, folder in folders.items():
        weights = folder / artifacts.MODEL_WEIGHTS
        size = weights.stat().st_size / _MIB if weights.is_file() else 0.0
        if group and resident_mib is not None and group_mib + size > resident_mib:
            yield group
            group, group_mib = [], 0.0
        group.append(digest)
        group_mib += size
    if group:
        yield group

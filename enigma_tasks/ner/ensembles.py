"""An ensemble folder <-> members and a voting rule; documents -> the voted entities of every type.

One ensemble answers for one language and one entity type. Members are named by digest: ensembles that share a
multi-head model share its folder's content, and it is loaded and run once.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from enigma_tasks import artifacts
from enigma_tasks.documents import Document, Entity, EntityType, Language, sorted_entities
from enigma_tasks.errors import ModelError, UsageError
from enigma_tasks.frozen import Frozen
from enigma_tasks.ner.engine import Engine, Precision
from enigma_tasks.ner.models import load_model
from enigma_tasks.ner.voting import VotingRule, vote

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class EnsembleCard(Frozen):
    """`ensemble.json`."""

    schema_version: Literal[1] = 1
    language: Language
    entity_type: EntityType
    members: tuple[str, ...]
    """Digests, in the order of the rule's weights."""
    rule: dict[str, object]


@dataclass(frozen=True, slots=True)
class MemberRef:
    """A model by digest, and where it lies on this machine."""

    digest: str
    folder: Path


@dataclass(frozen=True, slots=True)
class Ensemble:
    """The models that answer together for one language and one entity type."""

    language: Language
    entity_type: EntityType
    members: tuple[MemberRef, ...]
    rule: VotingRule
    digest: str
    """sha256 of the card, which names every member by digest."""


@dataclass(frozen=True, slots=True)
class AnnotatedDocument:
    """What the ensembles found in one document."""

    entities: tuple[Entity, ...]
    """Of all types, sorted by start, end, label."""
    characters_read: int
    """Code points before the first word that some member did not see; the text's length when nothing was cut."""


def write_ensemble(
    folder: Path, language: Language, entity_type: EntityType, model_folders: Sequence[Path], rule: VotingRule
) -> str:
    """Write an ensemble folder with a copy of each member; returns its digest. The same input gives the same bytes.

    Raises:
        ModelError: a member is damaged, or has no head for `entity_type`, or does not know `language`.
        UsageError: the rule does not fit the number of members, or a member is named twice.
    """
    rule.quorum(len(model_folders))
    models = [load_model(source) for source in model_folders]
    for source, model in zip(model_folders, models, strict=True):
        if entity_type not in model.card.entity_types:
            raise ModelError(f"model {source.name} has no head for {entity_type.value}")
        if language not in model.card.languages:
            raise ModelError(f"model {source.name} was not trained for {language}")
    digests = [model.digest for model in models]
    if len(set(digests)) < len(digests):
        raise UsageError("the same model is named twice in one ensemble")
    for source, model in zip(model_folders, models, strict=True):
        target = folder / artifacts.ENSEMBLE_MEMBERS / model.digest
        target.mkdir(parents=True, exist_ok=True)
        for name in (*model.card.files, artifacts.MODEL_CARD):
            shutil.copyfile(source / name, target / name)
    card_json = EnsembleCard(
        language=language, entity_type=entity_type, members=tuple(digests), rule=rule.to_json()
    ).model_dump(mode="json")
    content = (json.dumps(card_json, sort_keys=True, indent=1) + "\n").encode()
    (folder / artifacts.ENSEMBLE_CARD).write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def read_ensemble(folder: Path) -> Ensemble:
    """Read an ensemble's card; its members are checked when they are loaded.

    Raises:
        ModelError: the card or a member's folder is missing or damaged.
    """
    path = folder / artifacts.ENSEMBLE_CARD
    try:
        content = path.read_bytes()
        card = EnsembleCard.model_validate_json(content)
        rule = VotingRule.from_json(card.rule)
        rule.quorum(len(card.members))
    except FileNotFoundError:
        raise ModelError(f"ensemble {folder.name}: {artifacts.ENSEMBLE_CARD} is missing") from None
    except (ValidationError, UsageError) as error:
        raise ModelError(f"ensemble {folder.name}: {artifacts.ENSEMBLE_CARD} is damaged") from error
    members = tuple(MemberRef(d, folder / artifacts.ENSEMBLE_MEMBERS / d) for d in card.members)
    for member in members:
        if not member.folder.is_dir():
            raise ModelError(f"ensemble {folder.name}: member {member.digest[:12]} is missing")
    return Ensemble(card.language, card.entity_type, members, rule, hashlib.sha256(content).hexdigest())


class EnsembleAnnotator:
    """Ensembles of several types (and languages), each distinct member loaded and run once."""

    def __init__(self, ensembles: Sequence[Ensemble], batch_tokens: int, precision: Precision = "auto") -> None:
        """Load every distinct member. Raises ModelError: one is missing, damaged, or not what its ensemble names."""
        self.ensembles = tuple(ensembles)
        folders = {m.digest: m.folder for e in ensembles for m in e.members}
        self._position = {digest: i for i, digest in enumerate(sorted(folders))}
        models = [load_model(folders[digest], digest) for digest in self._position]
        self._engine = Engine(models, batch_tokens, precision)

    def annotate(self, documents: Sequence[Document]) -> list[AnnotatedDocument]:
        """The voted entities of every ensemble, merged, per document. The caller groups documents by language."""
        return [
            AnnotatedDocument(
                sorted_entities(e for ensemble in self.ensembles for e in self._vote(ensemble, reading.entities)),
                reading.characters_read,
            )
            for reading in self._engine.read(documents)
        ]

    def _vote(self, ensemble: Ensemble, found: Sequence[Sequence[Entity]]) -> tuple[Entity, ...]:
        label = ensemble.entity_type.label
        members = [[e for e in found[self._position[member.digest]] if e.label == label] for member in ensemble.members]
        return vote(members, ensemble.rule)

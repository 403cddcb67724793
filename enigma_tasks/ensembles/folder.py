"""Read and write ensemble folders: members and a voting rule; `ensembles.runner` runs them.

An ensemble is for one language and one entity type. Members are model folders of any kind, addressed by digest, so that
a multi-head model in several ensembles is loaded and run once.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from enigma_tasks import artifacts
from enigma_tasks.ensembles.card import EnsembleCard, card_bytes, read_card
from enigma_tasks.ensembles.voting_rule import VotingRule, weighted_or_majority
from enigma_tasks.errors import ModelError, UsageError
from enigma_tasks.ner.model_folder import read_any_card, verify_files
from enigma_tasks.params.strategies import STRATEGIES
from enigma_tasks.paths import model_file, refuse_model_links

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from enigma_tasks.documents import EntityType, Language
    from enigma_tasks.ensembles.calibration import Calibration
    from enigma_tasks.ensembles.card import FittedRule
    from enigma_tasks.ner.model_folder import Card


@dataclass(frozen=True, slots=True)
class MemberRef:
    """A model by digest, and its folder on this machine."""

    digest: str
    folder: Path


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Members and their voting rule for one language and one entity type."""

    language: Language
    entity_type: EntityType
    members: tuple[MemberRef, ...]
    rule: VotingRule
    digest: str
    """sha256 of the card, which names every member by digest."""
    fitted: FittedRule | None = None
    """As in the card."""
    calibration: Calibration | None = None
    """As in the card."""


def write_ensemble(
    folder: Path,
    language: Language,
    entity_type: EntityType,
    model_folders: Sequence[Path],
    rule: VotingRule,
    *,
    fitted: FittedRule | None = None,
    calibration: Calibration | None = None,
) -> str:
    """Write an ensemble folder with a copy of each member; returns its digest. The same input gives the same bytes.

    Raises:
        ModelError: a member is damaged, has no head for `entity_type`, or was not trained for `language`.
        UsageError: the rule does not fit the number of members, or a member is named twice.
    """
    rule.quorum(len(model_folders))
    cards = [read_any_card(source) for source in model_folders]
    digests = [verify_files(card, source, None) for card, source in zip(cards, model_folders, strict=True)]
    for source, model in zip(model_folders, cards, strict=True):
        if entity_type not in model.entity_types:
            raise ModelError(f"model {source.name} has no head for {entity_type.value}")
        if language not in model.languages:
            raise ModelError(f"model {source.name} was not trained for {language}")
    if len(set(digests)) < len(digests):
        raise UsageError("the same model is named twice in one ensemble")
    for source, model, digest in zip(model_folders, cards, digests, strict=True):
        target = folder / artifacts.ENSEMBLE_MEMBERS / digest
        target.mkdir(parents=True, exist_ok=True)
        for name in (*model.files, artifacts.MODEL_CARD):
            model_file(target, name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target / name)
    card = EnsembleCard(
        language=language,
        entity_type=entity_type,
        members=tuple(digests),
        rule=rule.to_json(),
        fitted=fitted,
        calibration=calibration,
    )
    content = card_bytes(card)
    (folder / artifacts.ENSEMBLE_CARD).write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def named_rule(strategy: str, cards: Sequence[Card[Any]], entity_type: EntityType) -> VotingRule:
    """An unfitted rule; its weights, if it takes any, are the members' strict F1 on their own dev documents.

    Where all of these are 0, the rule is the majority, with a warning.

    Raises:
        UsageError: a member has no such score.
    """
    if not STRATEGIES[strategy].takes_weights:
        return VotingRule(strategy)
    for card in cards:
        if entity_type not in card.dev:
            raise UsageError(f"model {card.member} has no dev score for {entity_type.value} to weigh it by")
    return weighted_or_majority(tuple(card.dev[entity_type].strict_f1 for card in cards), entity_type.label)


def read_ensemble(folder: Path) -> Ensemble:
    """Read an ensemble's card; its members are checked when they are loaded.

    Raises:
        ModelError: the card or a member's folder is missing or damaged; `path_outside`, `symbolic_link`.
    """
    refuse_model_links(folder)
    card, rule, digest = read_card(folder / artifacts.ENSEMBLE_CARD)
    place = folder / artifacts.ENSEMBLE_MEMBERS
    members = tuple(MemberRef(d, model_file(place, d)) for d in card.members)
    for member in members:
        if not member.folder.is_dir():
            raise ModelError(f"ensemble {folder.name}: member {member.digest[:12]} is missing")
    return Ensemble(card.language, card.entity_type, members, rule, digest, card.fitted, card.calibration)

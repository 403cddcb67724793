"""`enigma register`: model folders -> per entity type a version in the registry, and the alias on it."""

from __future__ import annotations

import hashlib
import json
import logging
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters.tracking import register_ensemble
from enigma_tasks.artifacts import DVC_LOCK, ENSEMBLE_ARTIFACT
from enigma_tasks.documents import EntityType
from enigma_tasks.errors import ModelError, UsageError
from enigma_tasks.ner.ensembles import write_ensemble
from enigma_tasks.ner.models import ModelCard, model_digest, read_card
from enigma_tasks.ner.voting import VotingRule

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from enigma_tasks.config import Params, Settings

log = logging.getLogger(__name__)


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """Register the same models for each entity type asked for; nothing is registered when one of them does not fit.

    Raises:
        UsageError: no registry configured, an unknown language, the same model twice.
        ModelError: a model is damaged, lacks a head for a type, or was not trained for the language.
        ServiceError: registry or artifact store unreachable.
    """
    if not settings.mlflow_tracking_uri:
        raise UsageError("set MLFLOW_TRACKING_URI")
    language = params.language(arguments.language)
    if language is None:
        raise UsageError(f"no language {arguments.language!r} in params.yaml")
    types = list(EntityType) if arguments.entity == "all" else [EntityType(arguments.entity)]
    folders = [Path(folder) for folder in arguments.model]
    cards = [_fitting_card(folder, language, types) for folder in folders]
    members = [model_digest(folder) for folder in folders]
    if len(set(members)) < len(members):
        raise UsageError("the same model is named twice: it would vote twice")
    tags = {"members": ",".join(members), "recipes": ",".join(card.member for card in cards), **_provenance()}
    versions = []
    for entity_type in types:
        rule = _rule(arguments.vote, cards, entity_type)
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / ENSEMBLE_ARTIFACT
            write_ensemble(folder, language, entity_type, folders, rule)
            pin = register_ensemble(
                folder,
                language,
                entity_type,
                arguments.alias,
                {**tags, "rule": json.dumps(rule.to_json(), sort_keys=True)},
                metrics=_dev_scores(cards, entity_type),
            )
        log.info("%s version %s is %s", pin.name, pin.version, arguments.alias)
        row = {"entity": entity_type.value, "name": pin.name, "version": pin.version}
        versions.append({**row, "digest": pin.digest, "alias": arguments.alias})
    return {"language": language, "members": len(members), "registered": versions}


def _fitting_card(folder: Path, language: str, types: Sequence[EntityType]) -> ModelCard:
    card = read_card(folder)
    if language not in card.languages:
        raise ModelError(f"model {folder.name}: trained for {', '.join(card.languages)}, not for {language}")
    lacking = [t.value for t in types if t not in card.entity_types]
    if lacking:
        raise ModelError(f"model {folder.name}: has no head for {', '.join(lacking)}")
    return card


def _rule(strategy: str, cards: Sequence[ModelCard], entity_type: EntityType) -> VotingRule:
    """The rule with its defaults; `weighted` weighs each member by its strict F1 on its dev documents."""
    if strategy != "weighted":
        return VotingRule(strategy)
    return VotingRule(strategy, weights=tuple(c.dev[entity_type].strict_f1 for c in cards))


def _dev_scores(cards: Sequence[ModelCard], entity_type: EntityType) -> dict[str, float]:
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


def _provenance() -> dict[str, str]:
    """Git commit (`-dirty` when files differ from it) and sha256 of dvc.lock, where the working directory has them."""
    tags: dict[str, str] = {}
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        tags["git_commit"] = described.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        log.info("no git commit to record")
    lock = Path(DVC_LOCK)
    if lock.is_file():
        tags["dvc_lock"] = hashlib.sha256(lock.read_bytes()).hexdigest()
    return tags

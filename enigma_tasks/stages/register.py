"""`enigma register`: models or fitted ensembles -> a version in the registry for each entity type, with the alias."""

from __future__ import annotations

import hashlib
import json
import logging
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters.mlflow_registry import REGISTERED_WITH_TAG, register_ensemble
from enigma_tasks.adapters.retrained_models import retrained
from enigma_tasks.artifacts import DVC_LOCK, ENSEMBLE_ARTIFACT, ENSEMBLE_CARD
from enigma_tasks.documents import EntityType
from enigma_tasks.ensembles.folder import named_rule, read_ensemble, write_ensemble
from enigma_tasks.errors import ModelError, UsageError
from enigma_tasks.formats.corpora import read_corpus
from enigma_tasks.ner.digests import data_digest
from enigma_tasks.ner.model_folder import model_digest, read_any_card, verify_files

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from enigma_tasks.adapters.retrained_models import Retrained
    from enigma_tasks.config import Params, Settings
    from enigma_tasks.ensembles.folder import Ensemble
    from enigma_tasks.ner.model_folder import Card

log = logging.getLogger(__name__)


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """Register the models for each type, or each type's ensemble; nothing is registered if one does not fit.

    Raises:
        UsageError: no registry configured, no or an unknown language, the same model twice.
        ModelError: a model or ensemble is damaged, lacks a head for a type, or is not for the language or the type.
        ServiceError: registry or artifact store unreachable.
    """
    if not settings.mlflow_tracking_uri:
        raise UsageError("set MLFLOW_TRACKING_URI")
    if arguments.retrained:
        with retrained(arguments.retrained, settings, command_seconds=params.ingest.command_seconds) as found:
            return _retrained(found, arguments.alias)
    language = params.require_language(arguments.language or "")
    types = list(EntityType) if arguments.entity == "all" else [EntityType(arguments.entity)]
    with tempfile.TemporaryDirectory() as scratch:
        if arguments.ensemble:
            folders = {t: _ensemble_folder(Path(arguments.ensemble), language, t) for t in types}
        else:
            folders = _written(arguments, language, types, Path(scratch))
        tags = dict.fromkeys(folders, _provenance())
        return {"language": language, "registered": _registered(language, folders, arguments.alias, tags)}


def _retrained(found: Retrained, alias: str) -> dict[str, Any]:
    """Register the ensembles of a retraining, but for types without test documents: those cannot be compared."""
    folders = {t: _ensemble_folder(found.ensembles, found.language, t) for t in _types_under(found.ensembles)}
    test = read_corpus(found.test, found.language)
    measured = {t: [d for d in test if t in d.annotated] for t in folders}
    together = sorted(t.value for t, documents in measured.items() if documents)
    common = {**found.tags, REGISTERED_WITH_TAG: json.dumps(together)}
    tags = {t: {**common, "test_set": data_digest(measured[t])} for t in folders if t.value in together}
    rows = _registered(found.language, {t: folders[t] for t in tags}, alias, tags)
    report = {
        "language": found.language,
        "revision": found.revision,
        "registered": rows,
        "without_test": sorted(t.value for t in folders.keys() - tags.keys()),
    }
    if rows:
        numbers = {row["name"]: int(row["version"]) for row in rows}
        return {**report, "announce": {"revision": found.revision, "versions": numbers}}
    return report


def _types_under(ensembles: Path) -> list[EntityType]:
    return [t for t in EntityType if (ensembles / t.value / ENSEMBLE_CARD).is_file()]


def _registered(
    language: str, folders: Mapping[EntityType, Path], alias: str, tags: Mapping[EntityType, Mapping[str, str]]
) -> list[dict[str, Any]]:
    """A version for each ensemble folder."""
    versions = []
    for entity_type, folder in folders.items():
        ensemble = read_ensemble(folder)
        cards = [read_any_card(member.folder) for member in ensemble.members]
        pin = register_ensemble(
            folder,
            language,
            entity_type,
            alias,
            {
                "members": ",".join(member.digest for member in ensemble.members),
                "recipes": ",".join(card.member for card in cards),
                "rule": json.dumps(ensemble.rule.to_json(), sort_keys=True),
                **tags[entity_type],
            },
            metrics={**_dev_scores(cards, entity_type), **_expected(ensemble)},
        )
        log.info("%s version %s is %s", pin.name, pin.version, alias)
        row = {"entity": entity_type.value, "name": pin.name, "version": pin.version, "members": len(cards)}
        versions.append({**row, "digest": pin.digest, "alias": alias})
    return versions


def _written(
    arguments: argparse.Namespace, language: str, types: Sequence[EntityType], scratch: Path
) -> dict[EntityType, Path]:
    """An ensemble folder of the models for each type, with the rule of `--vote`."""
    folders = [Path(folder) for folder in arguments.model]
    cards = [_fitting_card(folder, language, types) for folder in folders]
    if len({model_digest(folder) for folder in folders}) < len(folders):
        raise UsageError("the same model is named twice: it would vote twice")
    written = {}
    for entity_type in types:
        written[entity_type] = scratch / entity_type.value / ENSEMBLE_ARTIFACT
        write_ensemble(
            written[entity_type], language, entity_type, folders, named_rule(arguments.vote, cards, entity_type)
        )
    return written


def _ensemble_folder(root: Path, language: str, entity_type: EntityType) -> Path:
    """The verified ensemble of one type under `root`, or `root` itself."""
    folder = root if (root / ENSEMBLE_CARD).is_file() else root / entity_type.value
    ensemble = read_ensemble(folder)
    if (ensemble.language, ensemble.entity_type) != (language, entity_type):
        found = f"{ensemble.language} {ensemble.entity_type.value}"
        raise ModelError(f"ensemble {folder.name} is for {found}, not for {language} {entity_type.value}")
    for member in ensemble.members:
        verify_files(read_any_card(member.folder), member.folder, member.digest)
    return folder


def _fitting_card(folder: Path, language: str, types: Sequence[EntityType]) -> Card[Any]:
    card = read_any_card(folder)
    if language not in card.languages:
        raise ModelError(f"model {folder.name}: trained for {', '.join(card.languages)}, not for {language}")
    lacking = [t.value for t in types if t not in card.entity_types]
    if lacking:
        raise ModelError(f"model {folder.name}: has no head for {', '.join(lacking)}")
    return card


def _dev_scores(cards: Sequence[Card[Any]], entity_type: EntityType) -> dict[str, float]:
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


def _expected(ensemble: Ensemble) -> dict[str, float]:
    """A fitted ensemble's expected scores on new documents."""
    expected = (ensemble.fitted or {}).get("expected")
    if not isinstance(expected, dict):
        return {}
    return {f"expected/{key}": float(expected[key]) for key in ("precision", "recall", "f1")}


def _provenance() -> dict[str, str]:
    """Git commit (`-dirty` if files differ from it) and sha256 of dvc.lock, if the working directory has them."""
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

"""`enigma register`: models or fitted ensembles -> a version in the registry for each entity type: the challenger."""

from __future__ import annotations

import hashlib
import json
import logging
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters import champions
from enigma_tasks.adapters.champions import CHALLENGER, CHAMPION
from enigma_tasks.adapters.git_environment import quiet_environment
from enigma_tasks.adapters.journal_store import JournalStore
from enigma_tasks.adapters.mlflow_registry import (
    REGISTERED_WITH_TAG,
    Dataset,
    log_scores,
    register_ensemble,
    registered_name,
    set_alias,
)
from enigma_tasks.adapters.model_cards import ModelCards
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.adapters.retrained_models import retrained
from enigma_tasks.artifacts import DVC_LOCK, ENSEMBLE_ARTIFACT, ENSEMBLE_CARD
from enigma_tasks.documents import EntityType
from enigma_tasks.ensembles.folder import named_rule, read_ensemble, write_ensemble
from enigma_tasks.ensembles.recorded_scores import dev_scores, expected_scores
from enigma_tasks.errors import ModelError, UsageError
from enigma_tasks.formats.corpora import read_corpus
from enigma_tasks.ner.digests import data_digest
from enigma_tasks.ner.model_folder import model_digest, read_any_card, verify_files
from enigma_tasks.pages.card import render_model_card
from enigma_tasks.paper_tables import read_evaluation
from enigma_tasks.workfolder import scratch_folder

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

    from enigma_tasks.adapters.retrained_models import Retrained
    from enigma_tasks.config import Params, Settings
    from enigma_tasks.ensembles.folder import Ensemble
    from enigma_tasks.ner.model_folder import Card
    from enigma_tasks.notes.plans import Pin
    from enigma_tasks.promotion.journal import JournalLine

log = logging.getLogger(__name__)


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """Register the models for each type, or each type's ensemble; nothing is registered if one does not fit.

    The alias `challenger` names the versions. With `--first` they become the champions, each by the first line of a
    journal that has no champion yet; what is champion already, by digest, gets no second line.

    Raises:
        UsageError: no registry configured, no or an unknown language, the same model twice, scores that
            `evaluate` did not write.
        ModelError: a model or ensemble is damaged, lacks a head for a type, or is not for the language or the type; the
            scores are those of another one.
        DataError: `journal_not_empty`, `--first` where there is another champion; or the journal was edited.
        ServiceError: registry, artifact store or journal unreachable.
    """
    if not settings.mlflow_tracking_uri:
        raise UsageError("set MLFLOW_TRACKING_URI")
    cards = ModelCards(settings, render_model_card)
    if arguments.retrained:
        with retrained(arguments.retrained, settings, command_seconds=params.ingest.command_seconds) as found:
            return _retrained(found, cards)
    language = params.require_language(arguments.language or "")
    types = list(EntityType) if arguments.entity == "all" else [EntityType(arguments.entity)]
    with scratch_folder() as scratch:
        if arguments.ensemble:
            folders = {t: _ensemble_folder(Path(arguments.ensemble), language, t) for t in types}
        else:
            folders = _written(arguments, language, types, scratch)
        ensembles = {t: read_ensemble(folder) for t, folder in folders.items()}
        scores = _test_scores(Path(arguments.scores), ensembles) if arguments.scores else {}
        first = _first(settings, language, ensembles) if arguments.first else None
        versions = []
        for entity_type, ensemble in ensembles.items():
            pin = _registered(folders[entity_type], ensemble, _provenance(scratch))
            if arguments.scores:  # before the alias, which never names a half-made version
                log_scores(pin, *scores[entity_type])
            versions.append(_named(pin, ensemble, first, cards))
    return {"language": language, "registered": versions}


def _retrained(found: Retrained, cards: ModelCards) -> dict[str, Any]:
    """Register the ensembles of a retraining, but for types without test documents: those cannot be compared."""
    folders = {t: _ensemble_folder(found.ensembles, found.language, t) for t in _types_under(found.ensembles)}
    test = read_corpus(found.test, found.language)
    _, scored = read_evaluation(found.metrics)
    measured = {t: [d for d in test if t in d.annotated] for t in folders if t in scored}
    ensembles = {t: read_ensemble(folders[t]) for t in measured}
    together = sorted(t.value for t in ensembles)
    common = {**found.tags, REGISTERED_WITH_TAG: json.dumps(together)}
    scores = _test_scores(found.metrics, ensembles)
    rows = []
    for entity_type, ensemble in ensembles.items():
        pin = _registered(folders[entity_type], ensemble, {**common, "test_set": data_digest(measured[entity_type])})
        log_scores(pin, *scores[entity_type])
        rows.append(_named(pin, ensemble, None, cards))
    report = {
        "language": found.language,
        "revision": found.revision,
        "registered": rows,
        "without_test": sorted(t.value for t in folders.keys() - ensembles.keys()),
    }
    if rows:
        numbers = {row["name"]: int(row["version"]) for row in rows}
        return {**report, "announce": {"revision": found.revision, "versions": numbers}}
    return report


def _types_under(ensembles: Path) -> list[EntityType]:
    return [t for t in EntityType if (ensembles / t.value / ENSEMBLE_CARD).is_file()]


def _first(settings: Settings, language: str, ensembles: Mapping[EntityType, Ensemble]) -> Callable[[Pin], JournalLine]:
    """What makes a version the first champion, after a check that no other one is champion."""
    journal, by = JournalStore(ObjectStore(), settings.require("journal")), settings.require_actor()
    for entity_type, ensemble in ensembles.items():
        champions.check_first(journal, registered_name(language, entity_type), ensemble.digest)
    return lambda pin: champions.make_first(journal, pin, by)


def _registered(folder: Path, ensemble: Ensemble, provenance: Mapping[str, str]) -> Pin:
    cards = [read_any_card(member.folder) for member in ensemble.members]
    tags = {
        "members": ",".join(member.digest for member in ensemble.members),
        "recipes": ",".join(card.member for card in cards),
        "rule": json.dumps(ensemble.rule.to_json(), sort_keys=True),
        **provenance,
    }
    metrics = {**dev_scores(cards, ensemble.entity_type), **expected_scores(ensemble)}
    return register_ensemble(folder, ensemble.language, ensemble.entity_type, tags, metrics=metrics)


def _named(
    pin: Pin, ensemble: Ensemble, first: Callable[[Pin], JournalLine] | None, cards: ModelCards
) -> dict[str, Any]:
    """Make a version the challenger, or with `first` the first champion; write its card; returns the report's row."""
    row: dict[str, Any] = {
        "entity": ensemble.entity_type.value,
        "name": pin.name,
        "version": pin.version,
        "members": len(ensemble.members),
        "digest": pin.digest,
        "alias": CHALLENGER,
    }
    if first is None:
        set_alias(pin, CHALLENGER)
    else:
        row |= {"alias": CHAMPION, "line": first(pin).n}
    log.info("%s version %s is %s", pin.name, pin.version, row["alias"])
    return row | {"card": cards.try_write(pin)}


def _test_scores(
    folder: Path, ensembles: Mapping[EntityType, Ensemble]
) -> dict[EntityType, tuple[dict[str, float], Dataset]]:
    """The scores of each ensemble in an `--out` of `enigma evaluate`, and the test set that they were measured on."""
    evaluated, scores = read_evaluation(folder)
    found = {}
    for entity_type, ensemble in ensembles.items():
        alone = not evaluated.ensembles and evaluated.members == tuple(m.digest for m in ensemble.members)
        if evaluated.ensembles.get(entity_type.value) != ensemble.digest and not alone:
            raise ModelError(f"--scores: {folder.name} has the scores of another {entity_type.value} ensemble")
        if entity_type not in scores:
            raise ModelError(f"--scores: {folder.name} has no scores for {entity_type.value}")
        own = scores[entity_type]
        metrics = {
            "strict_f1": own.f1,
            "strict_f1_low": own.f1_low,
            "strict_f1_high": own.f1_high,
            "precision": own.precision,
            "recall": own.recall,
            "documents": float(own.documents),
        }
        found[entity_type] = metrics, Dataset.of(ensemble.language, entity_type, evaluated.gold)
    return found


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


def _provenance(scratch: Path) -> dict[str, str]:
    """Git commit (`-dirty` if files differ from it) and sha256 of dvc.lock, if the working directory has them."""
    tags: dict[str, str] = {}
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
            env=quiet_environment(scratch),
        )
        tags["git_commit"] = described.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        log.info("no git commit to record")
    lock = Path(DVC_LOCK)
    if lock.is_file():
        tags["dvc_lock"] = hashlib.sha256(lock.read_bytes()).hexdigest()
    return tags

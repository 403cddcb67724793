"""`enigma prepare`: for each language of a batch, gold -> checked, split and augmented, with a frozen test set."""

from __future__ import annotations

import json
import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.adapters.training_repository import TrainingRepository
from enigma_tasks.adapters.training_steps import PREPARE, Step, TrainingSteps
from enigma_tasks.artifacts import FOLDS, RETIRED, SPLIT_CARD
from enigma_tasks.errors import EnigmaError, ModelError, ServiceError
from enigma_tasks.formats.corpora import read_corpus
from enigma_tasks.gold.frozen_sets import TEST, check_frozen, check_not_trained_on, differing, digests_of
from enigma_tasks.training_places import (
    FROZEN,
    TRAINING_GOLD,
    TrainingFolders,
    TrainingPlaces,
    frozen_folder,
    training_batch,
)

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from enigma_tasks.config import Params, Settings
    from enigma_tasks.documents import Document
    from enigma_tasks.gold.changes import TrainingWork

log = logging.getLogger(__name__)

_CARRIED = (f"{TRAINING_GOLD}/*.dvc", f"{TRAINING_GOLD}/.gitignore", f"{FROZEN}/*.dvc", f"{FROZEN}/*.json")
"""Small files that the later steps need as they were here."""


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """Prepare every language of the batch; one that cannot be costs no other anything.

    Returns:
        `models`: a URI for each model to be trained; `prepared`: counts by language; `refused`: why, by language.

    Raises:
        ModelError: there were languages, and all were refused.
        ServiceError: a service; what was prepared stays, and is not done again.
    """
    store = ObjectStore()
    listed = json.loads(store.get(training_batch(settings, arguments.batch)))["languages"]
    models: list[str] = []
    prepared: dict[str, Any] = {}
    refused: dict[str, str] = {}
    for uri in listed:
        steps = TrainingSteps(store, TrainingPlaces(uri))
        work = steps.work()
        try:
            step = steps.read(PREPARE) or _prepare(steps, work, params, settings)
        except ServiceError:
            raise
        except EnigmaError as error:
            log.warning("%s is not trained: %s", work.language, error)
            refused[work.language] = str(error)
        else:
            prepared[work.language] = step.report
            models += [steps.places.member(name) for name in work.members]
    if refused and not prepared:
        raise ModelError("; ".join(f"{language}: {why}" for language, why in refused.items()))
    return {"models": models, "prepared": prepared, "refused": refused}


def _prepare(steps: TrainingSteps, work: TrainingWork, params: Params, settings: Settings) -> Step:
    language = work.language
    with TrainingRepository.open(
        settings, command_seconds=params.ingest.command_seconds, commit=work.commit
    ) as project:
        folders, frozen = TrainingFolders(language), project.folder / frozen_folder(language)
        own = project.params()
        if earlier := steps.of_another_run(PREPARE):
            project.lock(earlier.stages)
        project.take_frozen()
        project.import_gold(settings.gold_repository, language, work.revision)
        if not project.is_frozen(language):
            project.reproduce(f"split@{language}", with_upstream=True)
            project.freeze(language, digests_of(_folds(project.folder / folders.split, language)))
        project.reproduce(f"augment@{language}", with_upstream=True)
        held = _folds(frozen, language)
        check_frozen(language, held, project.frozen_history(language))
        training = read_corpus(project.folder / folders.fold(FOLDS[0]), language)
        check_not_trained_on(training, [d for own_fold in held.values() for d in own_fold], own)
        stages = [f"{stage}@{language}" for stage in ("validate", "split", "augment")]
        project.push(*stages)
        locked = project.locked()
        carried = sorted(p for pattern in _CARRIED for p in project.folder.glob(pattern))
        step = Step(
            stages={name: locked[name] for name in stages},
            files=project.texts(p.relative_to(project.folder).as_posix() for p in carried),
            report=_counts(project.folder, folders, training, held),
        )
        return steps.create(PREPARE, step)


def _folds(folder: Path, language: str) -> dict[str, list[Document]]:
    """The frozen folds in a folder, or those that a new split would freeze."""
    names = [name for name in (*FOLDS[1:], RETIRED) if (folder / name).is_dir()]
    return {name: read_corpus(folder / name, language) for name in names}


def _counts(
    project: Path, folders: TrainingFolders, training: list[Document], frozen: dict[str, list[Document]]
) -> dict[str, Any]:
    """How many documents there are, also of each type in test: a type without any cannot be compared.

    `left_out`: versions and copies of frozen documents, which are in no fold; `frozen_changed`, `frozen_gone`: frozen
    documents that gold has otherwise now, or not any more.
    """
    by_type = Counter(t.value for d in frozen.get(TEST, ()) for t in d.annotated)
    gold = read_corpus(project / folders.checked, folders.language)
    changed, gone = differing([d for own in frozen.values() for d in own], gold)
    return {
        "train": len(training),
        **{name: len(own) for name, own in frozen.items()},
        "left_out": len(json.loads((project / folders.split / SPLIT_CARD).read_bytes())["left_out"]),
        "frozen_changed": changed,
        "frozen_gone": gone,
        "test_by_type": dict(sorted(by_type.items())),
    }

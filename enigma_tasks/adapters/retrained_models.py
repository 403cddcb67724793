"""What a retraining has made of one language: its ensembles, its test set, and where both come from."""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from enigma_tasks.adapters.mlflow_registry import GOLD_REVISION_TAG, GOLD_TAG
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.adapters.training_repository import TrainingRepository
from enigma_tasks.adapters.training_steps import ENSEMBLE, EVALUATE, PREPARE, TrainingSteps, train_step, without
from enigma_tasks.artifacts import DVC_LOCK, FOLDS
from enigma_tasks.training_places import TrainingFolders, TrainingPlaces

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from enigma_tasks.config import Settings


@dataclass(frozen=True, slots=True)
class Retrained:
    """Folders in a clone of the training project."""

    language: str
    ensembles: Path
    """A folder with an ensemble for each type."""
    test: Path
    """The frozen test set, a corpus."""
    metrics: Path
    """What `evaluate` wrote."""
    revision: str
    """Of the gold repository."""
    tags: dict[str, str]
    """Where the models come from, for the registry."""


@contextmanager
def retrained(uri: str, settings: Settings, *, command_seconds: float) -> Iterator[Retrained]:
    """A clone with the result of a retraining, which is also committed as the branch `retrain/{language}/{run}`.

    Raises:
        ModelError: a step is not done; ServiceError: git, DVC or object store.
    """
    steps = TrainingSteps(ObjectStore(), TrainingPlaces(uri))
    work = steps.work()
    missing = steps.untrained(work)
    trained = [train_step(m) for m in work.members if m not in missing]
    done = [steps.require(name) for name in (PREPARE, *trained, without(ENSEMBLE, missing), without(EVALUATE, missing))]
    folders = TrainingFolders(work.language)
    with TrainingRepository.open(settings, command_seconds=command_seconds, commit=work.commit) as project:
        for step in done:
            project.lock(step.stages)
            project.write(step.files)
        test = folders.fold(FOLDS[2])
        project.pull(folders.ensemble, test)
        commit = project.publish(
            f"retrain/{work.language}/{work.run}", f"Retrain {work.language} on gold {work.revision[:12]}"
        )
        yield Retrained(
            work.language,
            project.folder / folders.ensemble,
            project.folder / test,
            project.folder / folders.metrics,
            work.revision,
            {
                GOLD_TAG: json.dumps(work.gold, sort_keys=True),
                GOLD_REVISION_TAG: work.revision,
                "training_commit": work.commit,
                "git_commit": commit,
                "dvc_lock": hashlib.sha256((project.folder / DVC_LOCK).read_bytes()).hexdigest(),
                **({"missing_members": ",".join(missing)} if missing else {}),
            },
        )

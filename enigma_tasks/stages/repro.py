"""`enigma repro`: one stage of dvc.yaml for one retraining, in a clone of the training project."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from enigma_tasks.adapters.checkpoint_mirror import discard
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.adapters.training_repository import TrainingRepository
from enigma_tasks.adapters.training_steps import ENSEMBLE, PREPARE, Step, TrainingSteps, train_step, without
from enigma_tasks.artifacts import FOLDS
from enigma_tasks.errors import ModelError, UsageError
from enigma_tasks.training_places import TrainingFolders, TrainingPlaces

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from enigma_tasks.config import Params, Settings
    from enigma_tasks.gold.changes import TrainingWork

log = logging.getLogger(__name__)


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """Reproduce the stage unless that is done; every later step builds on the first attempt that ended.

    Returns:
        step, language, `outputs` (path -> digest), and `missing_members` of an ensemble without some.

    Raises:
        ModelError: data or model did not pass, or a step before this one is not done.
        UsageError: a URI that is none of a retraining, or wrong parameters in the training project.
        ServiceError: git, DVC or object store.
    """
    store, member = ObjectStore(), ""
    if arguments.stage == "train":
        places, member = TrainingPlaces.of_member(arguments.work)
    else:
        places = TrainingPlaces(arguments.work)
    steps = TrainingSteps(store, places)
    work = steps.work()
    if member and member not in work.members:
        raise UsageError(f"{member} is not among the members of this retraining")
    missing = [] if member else steps.untrained(work)
    name = train_step(member) if member else without(arguments.stage, missing)
    step = steps.read(name) or _reproduce(steps, work, _task(steps, work, arguments.stage, member), params, settings)
    if member:
        discard(store, places.checkpoints(member))
    outputs = {out["path"]: out["md5"] for entry in step.stages.values() for out in entry["outs"]}
    return {"step": name, "language": work.language, "outputs": outputs, "missing_members": missing}


@dataclass(frozen=True, slots=True)
class _Task:
    name: str
    """Of the step."""
    target: str
    """The stage of dvc.yaml."""
    before: tuple[Step, ...]
    """The steps whose outputs it reads."""
    inputs: tuple[str, ...]
    """Those outputs, in the project."""
    missing: tuple[str, ...] = ()
    checkpoints: str = ""


def _task(steps: TrainingSteps, work: TrainingWork, stage: str, member: str) -> _Task:
    """What the stage needs. Raises ModelError where a step before it is not done."""
    language, folders = work.language, TrainingFolders(work.language)
    prepared, dev, test = steps.require(PREPARE), folders.fold(FOLDS[1]), folders.fold(FOLDS[2])
    if member:
        inputs = (folders.augmented, dev)
        target, checkpoints = f"train@{language}-{member}", steps.places.checkpoints(member)
        return _Task(train_step(member), target, (prepared,), inputs, checkpoints=checkpoints)
    missing = tuple(steps.untrained(work))
    name, target = without(stage, missing), f"{stage}@{language}"
    if stage == ENSEMBLE:
        there = [m for m in work.members if m not in missing]
        trained = [steps.require(train_step(m)) for m in there]
        return _Task(name, target, (prepared, *trained), (dev, *map(folders.member, there)), missing)
    before = (prepared, steps.require(without(ENSEMBLE, missing)))
    return _Task(name, target, before, (folders.ensemble, test), missing)


def _reproduce(steps: TrainingSteps, work: TrainingWork, task: _Task, params: Params, settings: Settings) -> Step:
    with TrainingRepository.open(
        settings, command_seconds=params.ingest.command_seconds, commit=work.commit, checkpoints=task.checkpoints
    ) as project:
        _check_missing(task.missing, work, project.params())
        earlier = steps.of_another_run(task.name)
        for step in (*task.before, *([earlier] if earlier else [])):
            project.lock(step.stages)
            project.write(step.files)
        project.pull(*task.inputs)
        project.reproduce(task.target)
        project.push(task.target)
        entry = project.locked()[task.target]
        metrics = f"{TrainingFolders(work.language).metrics}/"
        small = [out["path"] for out in entry["outs"] if out["path"].startswith(metrics)]
        return steps.create(task.name, Step(stages={task.target: entry}, files=project.texts(small)))


def _check_missing(missing: Sequence[str], work: TrainingWork, own: Params) -> None:
    """Refuse an ensemble without some of its members, unless params.yaml allows it."""
    if not missing:
        return
    lacking = f"{work.language}: the training of {', '.join(missing)} has failed"
    if len(missing) == len(work.members):
        raise ModelError(f"{lacking}; no member is left")
    if not own.promotion.incomplete:
        raise ModelError(f"{lacking}, and the change plan does not allow an ensemble without a member")
    log.warning("%s; the ensemble is fitted without", lacking)

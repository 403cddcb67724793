"""`enigma train`: corpora + a member's recipe -> a model folder, with strict F1 on dev."""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enigma_tasks import artifacts
from enigma_tasks.adapters.checkpoint_mirror import CheckpointMirror
from enigma_tasks.adapters.mlflow_run import TrainingRun, training_run
from enigma_tasks.adapters.model_store import ready
from enigma_tasks.adapters.object_store import ObjectStore
from enigma_tasks.documents import Document, EntityType
from enigma_tasks.ensembles.teachers import load_teachers
from enigma_tasks.errors import UsageError
from enigma_tasks.gold.cases import cases_under
from enigma_tasks.gold.training_documents import check_cases, read_documents, read_unlabelled
from enigma_tasks.ner.digests import code_digest, data_digest, recipe_digest
from enigma_tasks.ner.model_folder import save_model
from enigma_tasks.ner.training.callbacks import CallbackList, LoggingCallback, ProgressBar
from enigma_tasks.ner.training.checkpoints import discard
from enigma_tasks.ner.training.distillation import DistillationData
from enigma_tasks.ner.training.optimiser import hardware
from enigma_tasks.ner.training.train import Task, train

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from enigma_tasks.config import Params, Settings
    from enigma_tasks.members.gliner import GlinerModel
    from enigma_tasks.members.gliner_training import GlinerTask
    from enigma_tasks.ner.model_folder import Model
    from enigma_tasks.ner.training.callbacks import TrainingCallback
    from enigma_tasks.ner.training.loop import Progress
    from enigma_tasks.params.annotators import LlmMemberParams
    from enigma_tasks.params.members import AnyMember


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """Train a member; returns steps, tokens, seconds, the model's digest, and strict F1 on dev by type.

    Raises:
        UsageError: unknown language or member; DataError: see `ner.training.train`; ModelError: no such base model.
    """
    types = tuple(EntityType) if arguments.entity == "all" else (EntityType(arguments.entity),)
    language = arguments.language if arguments.language == "all" else params.require_language(arguments.language)
    member = params.member(arguments.member)
    lock = Path(arguments.params).with_name(artifacts.MODELS_LOCK)
    _check_distillation(arguments, member)
    store = ready(getattr(member, "base", "scratch"), settings, lock)  # first: a missing base model fails early
    if member.kind == "llm":
        if language != member.language:
            raise UsageError(f"member {arguments.member} is for {member.language}, not for {language}")
        name = member.language_name or params.languages[language].name
        member = member.model_copy(update={"entity_types": types, "language_name": name})
        return _measure_llm(arguments, member, params, settings)
    training = read_documents(arguments.train, language, types, params)
    dev = read_documents(arguments.dev, language, types, params)
    check_cases(training, dev, params)
    distillation_data, distillation_counts = _distillation_data(arguments, dev, params)
    model: Model | GlinerModel
    if member.kind == "gliner":
        from enigma_tasks.members.gliner_training import GlinerTask  # slow to import

        backbone = ready(member.backbone or "scratch", settings, lock)
        gliner_task = GlinerTask(language, types, arguments.member, member, params.seed, store, backbone)
        model, progress = _train_gliner(gliner_task, training, dev, Path(arguments.out), settings)
    else:
        task = Task(language, types, arguments.member, member, params.seed, store)
        out = Path(arguments.out)
        model, progress = _train_encoder(
            task, training, dev, distillation_data=distillation_data, out=out, settings=settings
        )
    return {
        "model": arguments.out,
        "digest": model.digest,
        "member": arguments.member,
        "language": language,
        "entity": arguments.entity,
        "documents": {"train": len(training), "dev": len(dev)},
        **distillation_counts,
        **{k: v for k, v in asdict(progress).items() if k != "epochs"},
        "tokens_per_second": _speed(progress),
        "best_epoch": model.card.best_epoch,
        "dev": [{"entity": t.value, **s.model_dump()} for t, s in model.card.dev.items()],
        "epochs": progress.epochs,
    }


def _measure_llm(
    arguments: argparse.Namespace, member: LlmMemberParams, params: Params, settings: Settings
) -> dict[str, Any]:
    """Score a language model, which is not trained, on dev and write its folder."""
    from enigma_tasks.adapters.llm_endpoint import LlmEndpoint
    from enigma_tasks.members.llm import LlmAnnotator, LlmCard, save_llm, with_dev_scores

    prices = {"prompt_price": member.prompt_price, "completion_price": member.completion_price}
    endpoint = LlmEndpoint(settings, member.model, **prices)
    annotator = LlmAnnotator(member, endpoint.complete, settings.llm.concurrency)
    dev = read_documents(arguments.dev, member.language, annotator.entity_types, params)
    card = LlmCard(
        languages=(member.language,),
        entity_types=annotator.entity_types,
        member=arguments.member,
        recipe=member,
        seed=params.seed,
        steps=0,
        best_epoch=0,
        dev={},
        digests={"dev": data_digest(dev), "recipe": recipe_digest(member), "code": code_digest()},
    )
    card = with_dev_scores(card, annotator, dev)
    return {
        "model": arguments.out,
        "digest": save_llm(card, Path(arguments.out)),
        "member": arguments.member,
        "language": member.language,
        "documents": {"train": 0, "dev": len(dev)},
        "mentions": dict(annotator.counts),
        "usage": asdict(endpoint.usage),
        "dev": [{"entity": t.value, **s.model_dump()} for t, s in card.dev.items()],
    }


def _train_encoder(
    task: Task,
    training: Sequence[Document],
    dev: Sequence[Document],
    *,
    distillation_data: DistillationData | None,
    out: Path,
    settings: Settings,
) -> tuple[Model, Progress]:
    with _callbacks(task, out, settings) as (callback, tracked):
        trained, progress = train(task, training, dev, distillation_data=distillation_data, out=out, callback=callback)
        model = save_model(trained, out)
        _finish(model, progress, out, tracked, {"seqeval_f1": progress.seqeval_f1})
    return model, progress


def _train_gliner(
    task: GlinerTask, training: Sequence[Document], dev: Sequence[Document], out: Path, settings: Settings
) -> tuple[GlinerModel, Progress]:
    from enigma_tasks.members.gliner import save_gliner
    from enigma_tasks.members.gliner_training import train_gliner

    with _callbacks(task, out, settings) as (callback, tracked):
        trained, progress = train_gliner(task, training, dev, callback=callback)
        model = save_gliner(trained, out)
        _finish(model, progress, out, tracked, {})
    return model, progress


def _finish(
    model: Model | GlinerModel, progress: Progress, out: Path, tracked: TrainingRun | None, figures: dict[str, float]
) -> None:
    """Delete the checkpoint of a saved model, and log digests, speed and `figures` to its run."""
    discard(out)
    if tracked is not None:
        digests = {f"digest.{name}": value for name, value in model.card.digests.items()}
        tracked.tag({"digest": model.digest, **digests})
        tracked.log({"tokens_per_second": _speed(progress), **figures}, progress.steps)


def _speed(progress: Progress) -> int:
    """Sub-words a second, without the scoring on dev."""
    return round(progress.tokens / max(progress.training_seconds, 1e-9))


@contextmanager
def _callbacks(
    task: Task | GlinerTask, out: Path, settings: Settings
) -> Iterator[tuple[TrainingCallback, TrainingRun | None]]:
    """A progress bar on a terminal, else log lines; the MLflow run and the stored checkpoint, if configured."""
    with ExitStack() as stack:
        callbacks: list[TrainingCallback] = (
            [stack.enter_context(ProgressBar(sys.stderr))] if sys.stderr.isatty() else [LoggingCallback()]
        )
        tracked = None
        if settings.mlflow_tracking_uri:
            types = ",".join(task.entity_types)
            tags = {"language": task.language, "entity": types, "member": task.member, **hardware()}
            parameters = {"seed": task.seed, **task.recipe.model_dump(mode="json")}
            name = f"{task.language}-{types}-{task.member}"
            id_file = out / artifacts.TRAINING_STATE / artifacts.TRACKED_RUN
            tracked = stack.enter_context(training_run(name, parameters, tags, id_file))
            callbacks.append(tracked)
        if settings.checkpoints:
            mirror = CheckpointMirror(ObjectStore(), settings.checkpoints, out / artifacts.TRAINING_STATE)
            mirror.fetch()
            callbacks.append(mirror)  # last: it uploads what the others write
        yield CallbackList(callbacks), tracked


def _check_distillation(arguments: argparse.Namespace, member: AnyMember) -> None:
    """Refuse distillation that is not possible, before anything is read. Raises UsageError."""
    if not (arguments.teacher or arguments.unlabelled):
        return
    if not (arguments.teacher and arguments.unlabelled):
        raise UsageError("--teacher and --unlabelled need each other")
    if member.kind != "encoder":
        raise UsageError(f"member {arguments.member} cannot be a student: it is no token classifier")


def _distillation_data(
    arguments: argparse.Namespace, dev: Sequence[Document], params: Params
) -> tuple[DistillationData | None, dict[str, Any]]:
    """The teachers and the distinct unlabelled texts of no case in dev; and their counts.

    Raises:
        UsageError: a path has no texts, or texts of an unknown language; ModelError: a teacher is damaged.
    """
    if not arguments.teacher:
        return None, {}
    found, refused = read_unlabelled(arguments.unlabelled, arguments.language, params)
    once = list({d.text: d for d in reversed(found)}.values())[::-1]
    of_dev = {i for group in cases_under([*dev, *once], params) if min(group) < len(dev) for i in group}
    documents = [d for i, d in enumerate(once, len(dev)) if i not in of_dev]
    if not documents:
        raise UsageError("no unlabelled texts are left to distil on")
    teachers, others = load_teachers([Path(folder) for folder in arguments.teacher])
    counts = {
        "documents": len(documents),
        "repeated": len(found) - len(once),
        "of_a_case_in_dev": len(once) - len(documents),
        "refused": refused,
        "teachers": len(teachers),
        "teachers_of_other_kinds": others,
    }
    return DistillationData(documents, teachers, params.annotate.batch_tokens), {"unlabelled": counts}

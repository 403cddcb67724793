"""Corpora + a member's recipe -> a model folder, with strict F1 on dev."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enigma_tasks import artifacts
from enigma_tasks.adapters.model_store import ready
from enigma_tasks.adapters.training_run import TrainingRun, training_run
from enigma_tasks.corpora import read_corpus
from enigma_tasks.documents import Document, EntityType
from enigma_tasks.errors import DataError, UsageError
from enigma_tasks.gold.cases import cases_under
from enigma_tasks.ner.checkpoints import discard
from enigma_tasks.ner.distillation import Lessons, load_teachers
from enigma_tasks.ner.models import code_digest, data_digest, recipe_digest, save_model
from enigma_tasks.ner.optimiser import hardware
from enigma_tasks.ner.training import Task, train
from enigma_tasks.ner.watching import Bar, LogLines, Watches
from enigma_tasks.notes.files import read_records

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from enigma_tasks.annotators.gliner import GlinerModel
    from enigma_tasks.annotators.gliner_training import GlinerTask
    from enigma_tasks.config import Params, Settings
    from enigma_tasks.ner.fitting import Progress
    from enigma_tasks.ner.models import Model
    from enigma_tasks.ner.watching import Watch
    from enigma_tasks.params.annotators import LlmMemberParams
    from enigma_tasks.params.members import AnyMember


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """`enigma train`: returns steps, tokens, seconds, the model's digest, and per type strict F1 with its sample.

    Raises:
        UsageError: unknown language or member; DataError: see `ner.training.train`; ModelError: no such base model.
    """
    types = tuple(EntityType) if arguments.entity == "all" else (EntityType(arguments.entity),)
    language = arguments.language if arguments.language == "all" else _language(arguments.language, params)
    member = params.member(arguments.member)
    lock = Path(arguments.params).with_name(artifacts.MODELS_LOCK)
    _check_lessons(arguments, member)
    store = ready(getattr(member, "base", "scratch"), settings, lock)  # a missing base model is said before all else
    if member.kind == "llm":
        if language != member.language:
            raise UsageError(f"member {arguments.member} is asked in {member.language}, not in {language}")
        member = member.model_copy(update={"entity_types": tuple(t.value for t in types)})
        return _measure_llm(arguments, member, params, settings)
    training = read_documents(arguments.train, language, types, params)
    dev = read_documents(arguments.dev, language, types, params)
    check_cases(training, dev, params)
    lessons, taught = _lessons(arguments, dev, params)
    model: Model | GlinerModel
    if member.kind == "gliner":
        from enigma_tasks.annotators.gliner_training import GlinerTask  # imported here: it takes seconds

        backbone = ready(member.backbone or "scratch", settings, lock)
        asked = GlinerTask(language, types, arguments.member, member, params.seed, store, backbone)
        model, progress = _train_gliner(asked, training, dev, Path(arguments.out), settings)
    else:
        task = Task(language, types, arguments.member, member, params.seed, store)
        out = Path(arguments.out)
        model, progress = _train_encoder(task, training, dev, lessons=lessons, out=out, settings=settings)
    return {
        "model": arguments.out,
        "digest": model.digest,
        "member": arguments.member,
        "language": language,
        "entity": arguments.entity,
        "documents": {"train": len(training), "dev": len(dev)},
        **taught,
        **{k: v for k, v in asdict(progress).items() if k != "epochs"},
        "tokens_per_second": _speed(progress),
        "best_epoch": model.card.best_epoch,
        "dev": [{"entity": t.value, **s.model_dump()} for t, s in model.card.dev.items()],
        "epochs": progress.epochs,
    }


def _measure_llm(
    arguments: argparse.Namespace, member: LlmMemberParams, params: Params, settings: Settings
) -> dict[str, Any]:
    """A language model is not trained: it is asked about dev, and its folder says how well it answered."""
    from enigma_tasks.adapters.llm_endpoint import LlmEndpoint
    from enigma_tasks.annotators.llm import LlmAnnotator, LlmCard, measured, save_llm

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
    card = measured(card, annotator, dev)
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
    lessons: Lessons | None,
    out: Path,
    settings: Settings,
) -> tuple[Model, Progress]:
    with _watching(task, out, settings) as (watch, tracked):
        trained, progress = train(task, training, dev, lessons=lessons, out=out, watch=watch)
        model = save_model(trained, out)
        _finish(model, progress, out, tracked, {"seqeval_f1": progress.seqeval_f1})
    return model, progress


def _train_gliner(
    task: GlinerTask, training: Sequence[Document], dev: Sequence[Document], out: Path, settings: Settings
) -> tuple[GlinerModel, Progress]:
    from enigma_tasks.annotators.gliner import save_gliner
    from enigma_tasks.annotators.gliner_training import train_gliner

    with _watching(task, out, settings) as (watch, tracked):
        trained, progress = train_gliner(task, training, dev, watch=watch)
        model = save_gliner(trained, out)
        _finish(model, progress, out, tracked, {})
    return model, progress


def _finish(
    model: Model | GlinerModel, progress: Progress, out: Path, tracked: TrainingRun | None, figures: dict[str, float]
) -> None:
    """The model is on disk: no checkpoint is needed any more, and its run gets digests, speed and `figures`."""
    discard(out)
    if tracked is not None:
        digests = {f"digest.{name}": value for name, value in model.card.digests.items()}
        tracked.tag({"digest": model.digest, **digests})
        tracked.log({"tokens_per_second": _speed(progress), **figures}, progress.steps)


def _speed(progress: Progress) -> int:
    """Sub-words a second, without the scoring on dev."""
    return round(progress.tokens / max(progress.training_seconds, 1e-9))


@contextmanager
def _watching(task: Task | GlinerTask, out: Path, settings: Settings) -> Iterator[tuple[Watch, TrainingRun | None]]:
    """Who is told how the training goes: a bar on a terminal, else the log; and MLflow where it is configured."""
    with ExitStack() as stack:
        told: list[Watch] = [stack.enter_context(Bar(sys.stderr))] if sys.stderr.isatty() else [LogLines()]
        tracked = None
        if settings.mlflow_tracking_uri:
            types = ",".join(task.entity_types)
            tags = {"language": task.language, "entity": types, "member": task.member, **hardware()}
            parameters = {"seed": task.seed, **task.recipe.model_dump(mode="json")}
            name = f"{task.language}-{types}-{task.member}"
            kept = out / artifacts.TRAINING_STATE / artifacts.TRACKED_RUN
            tracked = stack.enter_context(training_run(name, parameters, tags, kept))
            told.append(tracked)
        yield Watches(told), tracked


def _check_lessons(arguments: argparse.Namespace, member: AnyMember) -> None:
    """Say what cannot be taught before anything is read. Raises UsageError."""
    if not (arguments.teacher or arguments.unlabelled):
        return
    if not (arguments.teacher and arguments.unlabelled):
        raise UsageError("--teacher and --unlabelled go together: who teaches, and on which texts")
    if member.kind != "encoder":
        raise UsageError(f"member {arguments.member} cannot be taught: it is no token classifier")


def _lessons(
    arguments: argparse.Namespace, dev: Sequence[Document], params: Params
) -> tuple[Lessons | None, dict[str, Any]]:
    """The unlabelled texts, none of them twice and none of a case in dev, with the teachers; and their counts.

    Raises:
        UsageError: a path holds no texts, or texts of no known language; ModelError: a teacher is damaged.
    """
    if not arguments.teacher:
        return None, {}
    found, refused = read_unlabelled(arguments.unlabelled, arguments.language, params)
    once = list({d.text: d for d in reversed(found)}.values())[::-1]
    of_dev = {i for group in cases_under([*dev, *once], params) if min(group) < len(dev) for i in group}
    documents = [d for i, d in enumerate(once, len(dev)) if i not in of_dev]
    if not documents:
        raise UsageError("no unlabelled texts are left to learn from")
    teachers, others = load_teachers([Path(folder) for folder in arguments.teacher])
    counts = {
        "documents": len(documents),
        "repeated": len(found) - len(once),
        "of_a_case_in_dev": len(once) - len(documents),
        "refused": refused,
        "teachers": len(teachers),
        "teachers_of_other_kinds": others,
    }
    return Lessons(documents, teachers, params.annotate.batch_tokens), {"unlabelled": counts}


def read_unlabelled(sources: Sequence[str], language: str, params: Params) -> tuple[list[Document], dict[str, int]]:
    """Texts of every `[LANG=]PATH`, a corpus or a file of records, in the order given; and refused records by rule.

    Raises:
        UsageError: a language that is not configured, or texts of no known language; nothing but refused records.
    """
    documents: list[Document] = []
    refused: Counter[str] = Counter()
    for source in sources:
        code, path = _split(source, params)
        only = code or (None if language == "all" else language)
        if Path(path).suffix in artifacts.RECORD_SUFFIXES and Path(path).is_file():
            found, defects = read_records(Path(path), only, params.language, params.notes.max_bytes)
            refused.update(d.rule for d in defects)
            kept = [d for d in found if only in (None, d.language)]
            refused.update({"other_language": len(found) - len(kept)})
            documents += kept
        else:
            documents += read_corpus(Path(path), only)
    _check_languages(documents)
    return documents, {rule: count for rule, count in sorted(refused.items()) if count}


def check_cases(training: Sequence[Document], dev: Sequence[Document], params: Params) -> None:
    """Refuse dev documents that tell of a case in training: by id, by text, or nearly the same text.

    Raises:
        DataError: `dev_in_train`, naming the first and its likeness in training.
    """
    shared = [
        (min(group), max(group))
        for group in cases_under([*training, *dev], params)
        if min(group) < len(training) <= max(group)
    ]
    if shared:
        train_index, dev_index = min(shared)
        hint = f"of one case with {training[train_index].id}; {len(shared)} such cases"
        raise DataError(dev[dev_index - len(training)].id, "dev_in_train", hint=hint)


def read_documents(
    sources: Sequence[str], language: str, types: Sequence[EntityType], params: Params
) -> list[Document]:
    """Documents of every `[LANG=]CORPUS` that are annotated for one of the types, in the order given.

    Raises:
        UsageError: a language that is not configured, or a corpus of no known language.
    """
    documents: list[Document] = []
    for source in sources:
        code, folder = _split(source, params)
        of_corpus = code or (None if language == "all" else language)
        only = types[0] if len(types) == 1 else None
        documents += [d for d in read_corpus(Path(folder), of_corpus, only) if d.annotated.intersection(types)]
    _check_languages(documents)
    return documents


def _check_languages(documents: Sequence[Document]) -> None:
    if unknown := sum(d.language is None for d in documents):
        raise UsageError(f"{unknown} documents of no known language: write LANG=CORPUS")


def _split(source: str, params: Params) -> tuple[str | None, str]:
    """`es=folder` -> (es, folder); a path that happens to hold `=` stays whole."""
    head, equals, tail = source.partition("=")
    if equals and "/" not in head and not Path(source).exists():
        return _language(head, params), tail
    return None, source


def _language(code: str, params: Params) -> str:
    known = params.language(code)
    if known is None:
        raise UsageError(f"no language {code!r} in params.yaml; there are: {', '.join(sorted(params.languages))}")
    return known

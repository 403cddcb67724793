"""Corpora + a member's recipe -> a model folder, with strict F1 on dev."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enigma_tasks.corpora import read_corpus
from enigma_tasks.documents import Document, EntityType
from enigma_tasks.errors import UsageError
from enigma_tasks.ner.models import save_model
from enigma_tasks.ner.training import Task, train

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from enigma_tasks.config import Params, Settings


def run(arguments: argparse.Namespace, params: Params, settings: Settings) -> dict[str, Any]:
    """`enigma train`: returns steps, tokens, seconds, the model's digest, and per type strict F1 with its sample.

    Raises:
        UsageError: unknown language or member; DataError: see `ner.training.train`; ModelError: no such base model.
    """
    types = tuple(EntityType) if arguments.entity == "all" else (EntityType(arguments.entity),)
    language = arguments.language if arguments.language == "all" else _language(arguments.language, params)
    task = Task(language, types, arguments.member, params.member(arguments.member), params.seed, settings.model_store)
    training = read_documents(arguments.train, language, types, params)
    dev = read_documents(arguments.dev, language, types, params)
    model, progress = train(task, training, dev)
    model = save_model(model, Path(arguments.out))
    return {
        "model": arguments.out,
        "digest": model.digest,
        "member": arguments.member,
        "language": language,
        "entity": arguments.entity,
        "documents": {"train": len(training), "dev": len(dev)},
        **{k: v for k, v in asdict(progress).items() if k != "epochs"},
        "tokens_per_second": round(progress.tokens / max(progress.training_seconds, 1e-9)),
        "best_epoch": model.card.best_epoch,
        "dev": [{"entity": t.value, **s.model_dump()} for t, s in model.card.dev.items()],
        "epochs": progress.epochs,
    }


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
    unknown = sum(d.language is None for d in documents)
    if unknown:
        raise UsageError(f"{unknown} documents of no known language: write LANG=CORPUS")
    return documents


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

"""Reads the inputs of `enigma train`, each `[LANG=]PATH`: documents of train and dev, and unlabelled ones."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from enigma_tasks.errors import DataError, UsageError
from enigma_tasks.file_names import FileKind, kind_of
from enigma_tasks.formats.corpora import read_corpus
from enigma_tasks.gold.cases import cases_under
from enigma_tasks.notes.files import read_records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.config import Params
    from enigma_tasks.documents import Document, EntityType


def read_unlabelled(sources: Sequence[str], language: str, params: Params) -> tuple[list[Document], dict[str, int]]:
    """Texts of every `[LANG=]PATH`, a corpus or a file of records, in order; and numbers of refused records by rule.

    Raises:
        UsageError: a language that is not configured, or texts of unknown language.
    """
    documents: list[Document] = []
    refused: Counter[str] = Counter()
    for source in sources:
        code, path = _split(source, params)
        only = code or (None if language == "all" else language)
        if kind_of(Path(path).name)[0] is FileKind.LINES and Path(path).is_file():
            found, defects = read_records(Path(path), only, params.language, params.notes)
            refused.update(d.rule for d in defects)
            kept = [d for d in found if only in (None, d.language)]
            refused.update({"other_language": len(found) - len(kept)})
            documents += kept
        else:
            documents += read_corpus(Path(path), only)
    _check_languages(documents)
    return documents, {rule: count for rule, count in sorted(refused.items()) if count}


def check_cases(training: Sequence[Document], dev: Sequence[Document], params: Params) -> None:
    """Refuse dev documents of a case in training: with its id, its text, or nearly the same text.

    Raises:
        DataError: `dev_in_train`, naming the first and the training document of the same case.
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
        UsageError: a language that is not configured, or a corpus of unknown language.
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
        raise UsageError(f"{unknown} documents of unknown language: write LANG=CORPUS")


def _split(source: str, params: Params) -> tuple[str | None, str]:
    """`es=folder` -> (es, folder); an existing path with `=` -> (None, path)."""
    head, equals, tail = source.partition("=")
    if equals and "/" not in head and not Path(source).exists():
        return params.require_language(head), tail
    return None, source

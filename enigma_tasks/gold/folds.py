"""Reads the folds of a corpus folder, and writes them in the layout of their source."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from enigma_tasks.artifacts import FOLDS
from enigma_tasks.documents import Document, EntityType, Language
from enigma_tasks.errors import DataError
from enigma_tasks.formats.corpora import CorpusReport, read_corpus, write_corpus
from enigma_tasks.formats.packed import PACKED_SUFFIX
from enigma_tasks.gold.augmented import augmented_among
from enigma_tasks.gold.rules import Fold

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from enigma_tasks.formats.corpora import Shape


def is_split(corpus: Path) -> bool:
    """Whether the folder has train/ and dev/."""
    return all((corpus / name).is_dir() for name in ("train", "dev"))


def read_folds(
    corpus: Path, language: Language | None, entity: EntityType | None, report: CorpusReport
) -> dict[str | None, Fold]:
    """The folds by name, or the fold None of a corpus that is not split; defects are collected in each fold.

    Args:
        corpus: any layout that `read_corpus` reads, or a folder with such folders train, dev and optionally test.
        language: see `read_corpus`.
        entity: see `read_corpus`.
        report: gets the counts of what was left out, over all folds.

    Raises:
        UsageError: no such folder, or no known layout.
    """
    names: list[str | None] = [n for n in FOLDS if (corpus / n).is_dir()] if is_split(corpus) else [None]
    folds: dict[str | None, Fold] = {}
    for name in names:
        fold_report = CorpusReport()
        documents = read_corpus(corpus / name if name else corpus, language, entity, fold_report)
        if name in ("dev", "test"):
            fold_report.defects += augmented_among(documents, str(name))
        report.add(fold_report)
        folds[name] = Fold(documents, fold_report.defects)
    return folds


def annotated_only(fold: Fold) -> Fold:
    """A text that was annotated for nothing is a defect where gold is due: its annotations may lie in a file unread."""
    defects = [DataError(d.id, "text_without_annotation") for d in fold.documents if not d.annotated]
    return Fold([d for d in fold.documents if d.annotated], [*fold.defects, *defects])


def shape_of(corpus: Path) -> Shape:
    """`packed`; `by_entity` if texts are in a folder of their type, as in the release; else `side_by_side`."""
    types = tuple(t.value for t in EntityType)
    if corpus.is_file() or any(p.name.removesuffix(PACKED_SUFFIX) in types for p in corpus.rglob(f"*{PACKED_SUFFIX}")):
        return "packed"
    folders = [corpus, *(p for p in corpus.rglob("*") if p.is_dir())]
    return (
        "by_entity" if any(p.name == t or p.name.endswith(f"-{t}") for p in folders for t in types) else "side_by_side"
    )


def write_fold(documents: Sequence[Document], folder: Path, shape: Shape) -> None:
    """Write the documents under `folder`, in a folder for each known language.

    If no document of a language was annotated, only its texts are written, in any layout.

    Raises:
        DataError: `id_unsafe`, `id_duplicate` (within a language), `text_without_annotation` if others have one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    by_language: dict[Language | None, list[Document]] = defaultdict(list)
    for document in documents:
        by_language[document.language].append(document)
    for language, in_language in by_language.items():
        annotated = any(d.annotated for d in in_language)
        for document in in_language:
            if annotated and not document.annotated:
                raise DataError(document.id, "text_without_annotation")
        write_corpus(in_language, folder / language if language else folder, shape if annotated else "side_by_side")

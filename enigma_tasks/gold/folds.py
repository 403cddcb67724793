"""A corpus folder, whole or split -> its documents by fold, and back in the shape of its source."""

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
    """Whether the folder holds train/ and dev/."""
    return all((corpus / name).is_dir() for name in FOLDS[:2])


def read_folds(
    corpus: Path, language: Language | None, entity: EntityType | None, report: CorpusReport
) -> dict[str | None, Fold]:
    """Its folds by name, or all of it as the fold None; defects are collected in each fold.

    Args:
        corpus: any shape that `read_corpus` knows, or a folder of such folders called train, dev and perhaps test.
        language: see `read_corpus`.
        entity: see `read_corpus`.
        report: gets the counts of what was kept out, over all folds.

    Raises:
        UsageError: no such folder, or no known shape.
    """
    names: list[str | None] = [n for n in FOLDS if (corpus / n).is_dir()] if is_split(corpus) else [None]
    folds: dict[str | None, Fold] = {}
    for name in names:
        own = CorpusReport()
        documents = read_corpus(corpus / name if name else corpus, language, entity, own)
        if name in FOLDS[1:]:
            own.defects += augmented_among(documents, str(name))
        report.add(own)
        folds[name] = Fold(documents, own.defects)
    return folds


def annotated_only(fold: Fold) -> Fold:
    """A text that was annotated for nothing is a defect where gold is due: its annotations may lie in a file unread."""
    defects = [DataError(d.id, "text_without_annotation") for d in fold.documents if not d.annotated]
    return Fold([d for d in fold.documents if d.annotated], [*fold.defects, *defects])


def shape_of(corpus: Path) -> Shape:
    """`packed`; `by_entity` where texts lie in a folder of their type, as in the release; else `side_by_side`."""
    types = tuple(t.value for t in EntityType)
    if corpus.is_file() or any(p.name.removesuffix(PACKED_SUFFIX) in types for p in corpus.rglob(f"*{PACKED_SUFFIX}")):
        return "packed"
    folders = [corpus, *(p for p in corpus.rglob("*") if p.is_dir())]
    return (
        "by_entity" if any(p.name == t or p.name.endswith(f"-{t}") for p in folders for t in types) else "side_by_side"
    )


def write_fold(documents: Sequence[Document], folder: Path, shape: Shape) -> None:
    """Write the documents under `folder`, in a folder a language where a language is known.

    Where no document of a language was annotated, its texts are written alone, whatever the shape.

    Raises:
        DataError: `id_unsafe`, `id_duplicate` (within a language), `text_without_annotation` where others have one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    by_language: dict[Language | None, list[Document]] = defaultdict(list)
    for document in documents:
        by_language[document.language].append(document)
    for language, own in by_language.items():
        annotated = any(d.annotated for d in own)
        for document in own:
            if annotated and not document.annotated:
                raise DataError(document.id, "text_without_annotation")
        write_corpus(own, folder / language if language else folder, shape if annotated else "side_by_side")

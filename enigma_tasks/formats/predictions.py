"""Files of predicted spans, one a member, and the texts that they are of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from enigma_tasks.errors import UsageError
from enigma_tasks.formats.corpora import read_corpus, read_text
from enigma_tasks.formats.standoff import parse_tsv

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enigma_tasks.documents import Entity


def distinct_names(files: Sequence[Path]) -> list[str]:
    """What the files are called. Raises UsageError: one is named twice."""
    if len({file.resolve() for file in files}) < len(files):
        raise UsageError("the same prediction file is named twice: it would vote twice")
    return [file.name.removesuffix(".tsv") for file in files]


def read_member(path: Path) -> dict[str, tuple[Entity, ...]]:
    """A TSV of predictions, or of gold. Raises UsageError: no such file; DataError: a rule of the format."""
    if not path.is_file():
        raise UsageError(f"{path} is no file")
    return parse_tsv(read_text(path), path.name)


def read_texts(folder: str) -> dict[str, str]:
    """Id -> text of a folder of texts, with or without annotations. Raises UsageError, DataError."""
    return {d.id: d.text for d in read_corpus(Path(folder))}

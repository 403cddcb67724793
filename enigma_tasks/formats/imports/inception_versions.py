"""INCEpTION's versions of one document as files: which the curated one, or any that was annotated, supersedes.

One rule for drops and for folders on this machine. The tool has a folder for each document, `doc1.txt`, and there the
names decide; in any other folder, files may be of several documents, and what was read of them decides.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from enigma_tasks.formats.imports.inception_zip import CURATED, INITIAL, annotated_folder, is_document_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from enigma_tasks.documents import Document

_XMI = ".xmi"


def superseded_files(paths: Iterable[str]) -> set[str]:
    """Of the exports of a document's folder: other versions than the curated one, and the one not annotated."""
    versions: dict[str, list[PurePosixPath]] = {}
    for path in map(PurePosixPath, paths):
        if is_document_folder(path.parent.name):
            versions.setdefault(annotated_folder(str(path)), []).append(path)
    found: set[str] = set()
    for files in versions.values():
        names = {file.stem for file in files}
        last = {CURATED} if CURATED in names else names - {INITIAL}
        found |= {str(file) for file in files if last and file.stem not in last}
    return found


def superseded_documents(read: Sequence[tuple[str, Document]]) -> set[int]:
    """Places in `read` of annotators' versions beside the curated one of the same document: of one id and text.

    Args:
        read: (path of the file, document in it).
    """

    def key(path: str, d: Document) -> tuple[object, ...]:
        return annotated_folder(path), d.language, d.id, d.text

    curated = {key(path, d) for path, d in read if PurePosixPath(path).stem == CURATED}
    return {
        i
        for i, (path, d) in enumerate(read)
        if PurePosixPath(path).suffix.lower() == _XMI
        and PurePosixPath(path).stem != CURATED
        and key(path, d) in curated
    }

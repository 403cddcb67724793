"""A corpus folder, in any of its shapes (docs/architecture.md, "Corpora"), <-> documents.

The shapes: `txt/` and `ann/` side by side; `.txt`/`.ann` pairs in one folder; `{entity}/{txt,ann}`; the MultiClinNER
release, given at any of its levels; `.txt` files alone; packed files `{entity}.jsonl.gz`; files of notes (`.jsonl`) and
annotation tools' exports. Folders of any name may enclose them; those called `es` or `disease` say what is in them.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Literal

from enigma_tasks.documents import Document, EntityType, Language, check_id, sorted_entities
from enigma_tasks.errors import DataError, UsageError
from enigma_tasks.formats.corpus_files import corpus_files, without_about
from enigma_tasks.formats.corpus_reader import CorpusReader, CorpusReport, read_text
from enigma_tasks.formats.packed import PACKED_SUFFIX, write_packed
from enigma_tasks.formats.standoff import format_ann, format_tsv, note_defect
from enigma_tasks.paths import below

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

__all__ = ["CorpusReport", "Shape", "file_id", "read_corpus", "read_text", "write_corpus"]

Shape = Literal["side_by_side", "by_entity", "packed"]
_TYPES = "|".join(t.value for t in EntityType)


def read_corpus(
    path: Path, language: Language | None = None, entity: EntityType | None = None, report: CorpusReport | None = None
) -> list[Document]:
    """Every document under `path`, sorted by language, then id; an id is unique within its language.

    A document is annotated for the type that its folder names, else for all of them; for none where there are texts
    only. Documents of the same id and text are one, annotated for several types; those of the same id and different
    text stay apart as `id~disease`, `id~procedure+symptom`, ... A document with a defect is not returned: what was not
    understood must not count as absent.

    Args:
        path: a folder in any mixture of the shapes above, or one file that holds documents. From above, only the
            release's `-train` folders are read.
        language: of texts whose folders name none; of the others, only those in this language are read.
        entity: read this type's annotations only.
        report: collects every defect and the sound documents are returned; without it the first defect is raised.

    Raises:
        UsageError: `path` is neither, holds train/ and dev/, or holds no document of this language and entity type.
        DataError: a rule of `notes.references.text_of_bytes`; `id_unsafe`, `id_duplicate`, `place_differs`,
            `text_without_annotation` (where other texts of its language have one), `annotation_without_text`,
            `label_unexpected` (the folder is another type's), or a rule of `standoff.parse_ann`, `read_packed`,
            `notes.files` or `formats.imports`.
    """
    files = corpus_files(path)
    without_about(files)
    collected = CorpusReport() if report is None else report
    collected.ignored.update(files.ignored)
    reader = CorpusReader(language, entity, collected, None if report is None else report.defects)
    for error in files.defects:
        note_defect(error, reader.defects)
    documents = reader.read(files.parts, files.whole)
    if not documents and not collected.defects:
        unknown = ", ".join(f"{n} {suffix}" for suffix, n in sorted(files.ignored.items()))
        seen = f"; files of other kinds: {unknown}" if unknown else ""
        raise UsageError(f"{path} holds no document of this language and entity type{seen}")
    return _united(documents, reader.defects)


def file_id(document_id: str) -> str:
    """The id as the document's file has it: `case-7~disease` -> `case-7`."""
    return re.sub(rf"~(?:{_TYPES})(?:\+(?:{_TYPES}))*$", "", document_id)


def write_corpus(documents: Sequence[Document], folder: Path, shape: Shape = "side_by_side") -> None:
    """Write `txt/` and `ann/`, or for each type that a document is annotated for, `{entity}/` or a packed file.

    `by_entity` is `{entity}/{txt,ann,<entity>.tsv}`, `packed` is `{entity}.jsonl.gz`: these two keep what a document
    was annotated for, and leave out one that was annotated for nothing; `side_by_side` writes `ann/` unless no document
    was annotated at all. Files of other names that are there already stay.

    Raises:
        DataError: `id_unsafe` for an id that is no file name, `id_duplicate`; nothing is written then.
    """
    for document in documents:
        check_id(document.id)
    for document_id, times in Counter(d.id for d in documents).items():
        if times > 1:
            raise DataError(document_id, "id_duplicate")
    if shape == "side_by_side":
        _write(documents, folder, annotated=not documents or any(d.annotated for d in documents))
        return
    for entity_type in EntityType:
        of_type = [
            Document(d.id, d.text, d.of_type(entity_type), d.language, frozenset({entity_type}))
            for d in documents
            if entity_type in d.annotated
        ]
        if of_type and shape == "packed":
            write_packed(of_type, folder / f"{entity_type.value}{PACKED_SUFFIX}")
        elif of_type:
            _write(of_type, folder / entity_type.value, annotated=True)
            rows = format_tsv(sorted(of_type, key=lambda d: d.id))
            (folder / entity_type.value / f"{entity_type.value}.tsv").write_bytes(rows.encode())


def _write(documents: Iterable[Document], folder: Path, *, annotated: bool) -> None:
    (folder / "txt").mkdir(parents=True, exist_ok=True)
    if annotated:
        (folder / "ann").mkdir(exist_ok=True)
    for document in documents:
        below(folder / "txt", f"{document.id}.txt", document.id).write_bytes(document.text.encode())
        if annotated:
            place = below(folder / "ann", f"{document.id}.ann", document.id)
            place.write_bytes(format_ann(document.entities).encode())


def _united(documents: Iterable[Document], defects: list[DataError] | None) -> list[Document]:
    """Documents of the same language, id and text become one; of the same id and other text get ids of their own.

    Where several have one id for one type, none of them is kept: which is meant is unknown.
    """
    by_id: dict[tuple[str, str], dict[str, Document]] = {}
    refused: set[tuple[str, str]] = set()
    for d in documents:
        key = (d.language or "", d.id)
        texts = by_id.setdefault(key, {})
        same = texts.get(d.text)
        if same is None:
            texts[d.text] = d
        elif same.annotated & d.annotated or not (same.annotated and d.annotated):
            note_defect(DataError(d.id, "id_duplicate"), defects)
            refused.add(key)
        else:
            entities = sorted_entities((*same.entities, *d.entities))
            texts[d.text] = Document(d.id, d.text, entities, d.language, same.annotated | d.annotated)
    by_id = {key: texts for key, texts in by_id.items() if key not in refused}
    united: list[Document] = []
    for (_, document_id), texts in sorted(by_id.items()):
        for d in texts.values():
            types = "+".join(sorted(t.value for t in d.annotated))
            own_id = document_id if len(texts) == 1 else f"{document_id}~{types}"
            united.append(Document(own_id, d.text, d.entities, d.language, d.annotated))
    times = Counter((d.language, d.id) for d in united)
    for (_, document_id), count in times.items():
        if count > 1:
            note_defect(DataError(file_id(document_id), "id_duplicate"), defects)
    return [d for d in united if times[d.language, d.id] == 1]

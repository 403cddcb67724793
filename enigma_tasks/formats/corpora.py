"""A corpus folder, in any of its shapes (docs/architecture.md, "Corpora"), <-> documents.

The shapes: `txt/` and `ann/` side by side; `.txt`/`.ann` pairs in one folder; `{entity}/{txt,ann}`; the MultiClinNER
release, given at any of its levels; `.txt` files alone; packed files `{entity}.jsonl.gz`, or one packed file of any
name. Folders called `es` or `disease` may enclose any of them.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from enigma_tasks.documents import Document, EntityType, Language, check_id, sorted_entities
from enigma_tasks.errors import DataError, UsageError
from enigma_tasks.formats.packed import PACKED_SUFFIX, read_packed, write_packed
from enigma_tasks.formats.standoff import format_ann, format_tsv, note_defect, parse_ann

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

Shape = Literal["side_by_side", "by_entity", "packed"]
ALL_TYPES = frozenset(EntityType)
RELEASE_LANGUAGES = {"cz": "cs"}
"""The release's code for a language where it is not ours."""

_TYPES = "|".join(t.value for t in EntityType)
RELEASE_FOLDER = re.compile(rf"MultiClinNER-(?P<language>[a-z]{{2}})(?:-(?P<split>[a-z]+)(?:-(?P<entity>{_TYPES}))?)?")
_LANGUAGE = re.compile(r"[a-z]{2}")


@dataclass
class CorpusReport:
    """Filled by `read_corpus`: what is wrong, and what was kept out. Holds no note text."""

    defects: list[DataError] = field(default_factory=list)
    discontinuous: int = 0
    """Spans written in fragments, read as their outer span."""
    other_lines: Counter[str] = field(default_factory=Counter)
    """BRAT lines kept out, by their first letter."""


@dataclass(frozen=True)
class _Part:
    """One folder of texts or one packed file, with what its place says about it."""

    texts: Path
    """The folder, or the file."""
    annotations: Path | None
    language: Language | None
    types: frozenset[EntityType]


def read_text(path: Path) -> str:
    """The text exactly as stored: strict UTF-8, no newline translation, a BOM stays.

    Raises:
        DataError: `not_utf8`, with the byte offset.
    """
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(path.name, "not_utf8", error.start) from None


def read_corpus(
    path: Path, language: Language | None = None, entity: EntityType | None = None, report: CorpusReport | None = None
) -> list[Document]:
    """Every document under `path`, sorted by language, then id; an id is unique within its language.

    A document is annotated for the type that its folder names, else for all three; for none where there are texts only.
    Documents of the same id and text are one, annotated for several types; documents of the same id and different text
    stay apart as `id~disease`, `id~procedure+symptom`, ...

    Args:
        path: a folder in one of the shapes above, or a packed file. From above, only the release's `-train` folders
            are read.
        language: the language of texts whose place does not tell; where it tells, only this language is read.
        entity: read this type's annotations only.
        report: collects every defect and the sound rest is returned; without it the first defect is raised.

    Raises:
        UsageError: `path` is neither, or none of the shapes.
        DataError: `not_utf8`, `id_unsafe`, `id_duplicate`, `text_without_annotation`, `annotation_without_text`,
            `label_unexpected` (the folder is another type's), or a rule of `standoff.parse_ann` or of `read_packed`.
    """
    if not path.is_dir() and not _is_packed(path):
        raise UsageError(f"{path} is neither a folder nor a packed file (*{PACKED_SUFFIX})")
    own = path.absolute().name
    # the folder that somebody names may bear two letters for another reason than its language
    meaning = (None, None) if _LANGUAGE.fullmatch(own) else _meaning(own)
    parts = [
        part
        for part in _parts(path, *meaning, from_above=False)
        if (language is None or part.language in (None, language)) and (entity is None or entity in part.types)
    ]
    if not parts:
        raise UsageError(f"{path} holds no corpus of this language and entity type in a shape that is known")
    defects = None if report is None else report.defects
    found = [
        document
        for part in parts
        for document in _documents(part, part.language or language, entity, report or CorpusReport(), defects)
    ]
    return _united(found, defects)


def file_id(document_id: str) -> str:
    """The id as the document's file has it: `case-7~disease` -> `case-7`."""
    return re.sub(rf"~(?:{_TYPES})(?:\+(?:{_TYPES}))*$", "", document_id)


def write_corpus(documents: Sequence[Document], folder: Path, shape: Shape = "side_by_side") -> None:
    """Write `txt/` and `ann/`, or for each type that a document is annotated for, `{entity}/` or a packed file.

    `by_entity` is `{entity}/{txt,ann,<entity>.tsv}`, `packed` is `{entity}.jsonl.gz`: these two keep what a document
    was annotated for, and leave out one that was annotated for nothing; `side_by_side` writes `ann/` unless no document
    was annotated at all. Files that are there already and bear other names stay.

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
        (folder / "txt" / f"{document.id}.txt").write_bytes(document.text.encode())
        if annotated:
            (folder / "ann" / f"{document.id}.ann").write_bytes(format_ann(document.entities).encode())


def _meaning(name: str) -> tuple[Language | None, EntityType | None]:
    """What a folder's name says: (language, entity type)."""
    release = RELEASE_FOLDER.fullmatch(name)
    if release:
        code, entity = release["language"], release["entity"]
        return RELEASE_LANGUAGES.get(code, code), EntityType(entity) if entity else None
    if name in set(EntityType):
        return None, EntityType(name)
    return (RELEASE_LANGUAGES.get(name, name), None) if _LANGUAGE.fullmatch(name) else (None, None)


def _parts(
    folder: Path, language: Language | None, entity: EntityType | None, *, from_above: bool = True
) -> Iterator[_Part]:
    """The folders of texts at and under `folder`; descends only into names that mean something."""
    release = RELEASE_FOLDER.fullmatch(folder.name)
    if from_above and release and release["split"] not in (None, "train"):
        return  # texts to be judged must not be taken for training because they lie beside it
    types = ALL_TYPES if entity is None else frozenset({entity})
    if folder.is_file():
        yield _Part(folder, None, language, types)
        return
    if (folder / "txt").is_dir():
        ann = folder / "ann"
        yield _Part(folder / "txt", ann if ann.is_dir() else None, language, types)
        return
    inner = sorted(p for p in folder.iterdir() if p.is_dir() and any(_meaning(p.name)))
    for child in inner:
        child_language, child_entity = _meaning(child.name)
        yield from _parts(child, child_language or language, child_entity or entity)
    packed = [(folder / f"{t.value}{PACKED_SUFFIX}", t) for t in EntityType if t in types]
    packed = [(path, t) for path, t in packed if path.is_file()]
    for path, own in packed:
        yield _Part(path, None, language, frozenset({own}))
    if not inner and not packed:
        suffixes = {p.suffix for p in folder.iterdir() if not p.name.startswith(".")}
        if suffixes & {".txt", ".ann"}:
            yield _Part(folder, folder if ".ann" in suffixes else None, language, types)


def _files(folder: Path, suffix: str) -> dict[str, Path]:
    """Id -> file; hidden files are another program's."""
    return {p.stem: p for p in sorted(folder.iterdir()) if p.suffix == suffix and not p.name.startswith(".")}


def _documents(
    part: _Part,
    language: Language | None,
    entity: EntityType | None,
    report: CorpusReport,
    defects: list[DataError] | None,
) -> Iterator[Document]:
    if part.texts.is_file():
        yield from _unpacked(part, language, entity, defects)
        return
    annotations = _files(part.annotations, ".ann") if part.annotations else {}
    texts = _files(part.texts, ".txt")
    for document_id in sorted(annotations.keys() - texts.keys()):
        note_defect(DataError(document_id, "annotation_without_text"), defects)
    types = part.types if entity is None else frozenset({entity})
    for document_id, path in texts.items():
        try:
            check_id(document_id)
            if not part.annotations:
                yield Document(document_id, read_text(path), (), language, frozenset())
                continue
            if document_id not in annotations:
                raise DataError(document_id, "text_without_annotation")
            text, ann = read_text(path), read_text(annotations[document_id])
        except DataError as error:
            note_defect(error, defects)
            continue
        parsed = parse_ann(document_id, text, ann, defects)
        report.discontinuous += parsed.discontinuous
        report.other_lines.update(parsed.other_lines)
        for e in parsed.entities:
            if e.label not in {t.label for t in part.types}:
                note_defect(DataError(document_id, "label_unexpected", e.char_start), defects)
        wanted = {t.label for t in types}
        entities = tuple(e for e in parsed.entities if e.label in wanted)
        yield Document(document_id, text, entities, language, types)


def _unpacked(
    part: _Part, language: Language | None, entity: EntityType | None, defects: list[DataError] | None
) -> Iterator[Document]:
    """The documents of a packed file, whose lines tell language and types themselves."""
    types = part.types if entity is None else frozenset({entity})
    for d in read_packed(part.texts, defects):
        if unexpected := d.annotated - part.types:
            note_defect(DataError(d.id, "label_unexpected", hint=f"annotated for {min(unexpected)}"), defects)
        code = RELEASE_LANGUAGES.get(d.language, d.language) if d.language else language
        own = d.annotated & types
        if own and (language is None or code == language):
            entities = tuple(e for e in d.entities if e.label in {t.label for t in own})
            yield Document(d.id, d.text, entities, code, own)


def _is_packed(path: Path) -> bool:
    return path.is_file() and path.name.endswith(PACKED_SUFFIX)


def _united(documents: Iterable[Document], defects: list[DataError] | None) -> list[Document]:
    """Documents of the same language, id and text become one; of the same id and other text get ids of their own."""
    by_id: dict[tuple[str, str], dict[str, Document]] = {}
    for d in documents:
        texts = by_id.setdefault((d.language or "", d.id), {})
        same = texts.get(d.text)
        if same is None:
            texts[d.text] = d
        elif same.annotated & d.annotated or not (same.annotated and d.annotated):
            note_defect(DataError(d.id, "id_duplicate"), defects)
        else:
            entities = sorted_entities((*same.entities, *d.entities))
            texts[d.text] = Document(d.id, d.text, entities, d.language, same.annotated | d.annotated)
    united: list[Document] = []
    for (_, document_id), texts in sorted(by_id.items()):
        for d in texts.values():
            types = "+".join(sorted(t.value for t in d.annotated))
            own_id = document_id if len(texts) == 1 else f"{document_id}~{types}"
            united.append(Document(own_id, d.text, d.entities, d.language, d.annotated))
    for (_, document_id), times in Counter((d.language, d.id) for d in united).items():
        if times > 1:
            note_defect(DataError(document_id, "id_duplicate"), defects)
    return united

"""The files of a corpus, opened: texts with their annotations, packed files, notes and exports -> documents."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from enigma_tasks.documents import Document, EntityType, Language, check_id
from enigma_tasks.errors import DataError
from enigma_tasks.file_names import FileKind
from enigma_tasks.formats.imports.inception_versions import superseded_documents
from enigma_tasks.formats.limits import TEXTS
from enigma_tasks.formats.packed import read_packed
from enigma_tasks.formats.standoff import note_defect, parse_ann
from enigma_tasks.languages.rules import canonical_code
from enigma_tasks.notes.files import read_records
from enigma_tasks.notes.gunzip import DamagedError, ExceededError, gunzip
from enigma_tasks.notes.records import LINES_WITHOUT_TEXT, line_limit, lines
from enigma_tasks.notes.references import check_subwords, text_of_bytes
from enigma_tasks.unforeseen import refused_if_unforeseen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from enigma_tasks.formats.corpus_files import Part, Whole

_OF_GOLD = frozenset({"annotated", "entities", "label", "labels", "annotations", "data"})
"""A line with one of these keys is no note alone."""


@dataclass
class CorpusReport:
    """Filled by `read_corpus`: what is wrong, and what was kept out. Holds no note text."""

    defects: list[DataError] = field(default_factory=list)
    discontinuous: int = 0
    """Spans written in fragments, read as their outer span."""
    other_lines: Counter[str] = field(default_factory=Counter)
    """BRAT lines kept out, by their first letter."""
    converted: Counter[str] = field(default_factory=Counter)
    """Documents whose offsets did not count code points, by what they counted."""
    ignored: Counter[str] = field(default_factory=Counter)
    """Files that no reader reads, by suffix."""

    def add(self, other: CorpusReport) -> None:
        """Count in what was found elsewhere."""
        self.defects += other.defects
        self.discontinuous += other.discontinuous
        for own, more in (
            (self.other_lines, other.other_lines),
            (self.converted, other.converted),
            (self.ignored, other.ignored),
        ):
            own.update(more)


def read_text(path: Path) -> str:
    """The text exactly as stored: strict UTF-8, no newline translation, a BOM stays.

    Raises:
        DataError: `not_utf8`, with the byte offset.
    """
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(path.name, "not_utf8", error.start) from None


@dataclass
class CorpusReader:
    """What every file is read with."""

    language: Language | None
    entity: EntityType | None
    report: CorpusReport
    defects: list[DataError] | None
    _about_others: bool = field(default=False, init=False)
    """There are texts or records elsewhere, which a table that is no export may be about."""

    def read(self, parts: Sequence[Part], whole: Sequence[Whole]) -> list[Document]:
        """The sound documents, in the order of their files."""
        parts = [p for p in parts if (p.texts or p.annotations) and self._wanted(p.place.language, p.place.types)]
        whole = [w for w in whole if self._wanted(w.place.language, w.place.types)]
        gold = {p.place.language for p in parts if p.annotated}
        gold |= {w.place.language for w in whole if w.kind is not FileKind.TABLE and not _is_notes(w)}
        self._about_others = bool(parts) or any(w.kind in (FileKind.LINES, FileKind.PACKED) for w in whole)
        documents = [d for part in parts for d in self._pairs(part, gold)]
        found = [(file.path.as_posix(), d) for file in whole for d in self._whole(file, gold)]
        superseded = superseded_documents(found)
        self.report.ignored.update(PurePath(found[i][0]).suffix.lower() for i in superseded)
        return documents + [d for i, (_, d) in enumerate(found) if i not in superseded]

    def _wanted(self, language: Language | None, types: frozenset[EntityType]) -> bool:
        return (self.language is None or language in (None, self.language)) and (
            self.entity is None or self.entity in types
        )

    def _types(self, types: frozenset[EntityType]) -> frozenset[EntityType]:
        return types if self.entity is None else types & {self.entity}

    def _pairs(self, part: Part, gold: set[Language | None]) -> Iterator[Document]:
        for stem in sorted({*part.texts, *part.annotations}):
            texts, annotations = part.texts.get(stem, []), part.annotations.get(stem, [])
            own: list[DataError] = []
            try:
                check_id(stem)
                if len(texts) > 1 or len(annotations) > 1:
                    raise DataError(stem, "id_duplicate")
                if not texts:
                    raise DataError(stem, "annotation_without_text")
                if not annotations and (part.annotated or part.place.language in gold):
                    raise DataError(stem, "text_without_annotation")
                with refused_if_unforeseen(stem):
                    document = self._pair(part, stem, texts[0], annotations[0] if annotations else None, own)
            except DataError as error:
                note_defect(error, self.defects)
                continue
            for defect in own:
                note_defect(defect, self.defects)
            if not own:
                yield document

    def _pair(self, part: Part, stem: str, text_path: Path, ann_path: Path | None, own: list[DataError]) -> Document:
        language = part.place.language or self.language
        text = text_of_bytes(text_path.name, text_path.read_bytes(), TEXTS.max_bytes)
        check_subwords(stem, text, TEXTS.max_subwords)
        if ann_path is None:
            return Document(stem, text, (), language, frozenset())
        parsed = parse_ann(stem, text, read_text(ann_path), own)
        self.report.discontinuous += parsed.discontinuous
        self.report.other_lines.update(parsed.other_lines)
        if parsed.unit:
            self.report.converted[parsed.unit] += 1
        expected = {t.label for t in part.place.types}
        own += [
            DataError(stem, "label_unexpected", e.char_start, f"the folder is for {', '.join(sorted(expected))}")
            for e in parsed.entities
            if e.label not in expected
        ]
        types = self._types(part.place.types)
        wanted = {t.label for t in types}
        return Document(stem, text, tuple(e for e in parsed.entities if e.label in wanted), language, types)

    def _whole(self, file: Whole, gold: set[Language | None]) -> list[Document]:
        found: list[Document] = []
        try:
            with refused_if_unforeseen(file.path.name):
                found.extend(self._documents(file, gold))
        except DataError as error:
            note_defect(error, self.defects)
        return found

    def _documents(self, file: Whole, gold: set[Language | None]) -> Iterator[Document]:
        language = file.place.language or self.language
        if _is_notes(file):
            notes, errors = read_records(file.path, language, _code, TEXTS)
            for error in errors:
                note_defect(error, self.defects)
            for note in notes:
                if note.language in gold:
                    note_defect(DataError(note.id, "text_without_annotation"), self.defects)
                elif self.language in (None, note.language):
                    yield note
        elif file.kind is FileKind.PACKED:
            yield from self._unpacked(file, language)
        else:
            yield from self._exported(file, language)

    def _unpacked(self, file: Whole, language: Language | None) -> Iterator[Document]:
        """The documents of a packed file, whose lines name language and types themselves."""
        for d in read_packed(file.path, self.defects):
            if unexpected := d.annotated - file.place.types:
                hint = f"annotated for {min(unexpected)}"
                note_defect(DataError(d.id, "label_unexpected", hint=hint), self.defects)
                continue
            code = canonical_code(d.language) if d.language else language
            own = self._types(d.annotated)
            if own and self.language in (None, code):
                entities = tuple(e for e in d.entities if e.label in {t.label for t in own})
                yield Document(d.id, d.text, entities, code, own)

    def _exported(self, file: Whole, language: Language | None) -> Iterator[Document]:
        from enigma_tasks.formats.imports import read_export
        from enigma_tasks.formats.imports.inception import export_name

        system = file.type_system.read_bytes() if file.type_system else None
        name = export_name(file.path.parts)
        for found in read_export(name, file.path.read_bytes(), language, file.place.types, system):
            unknown = [error.rule for error in found.defects] == ["export_unknown"]
            if file.kind is FileKind.TABLE and unknown and self._about_others:
                self.report.ignored[file.path.suffix.lower()] += 1
                continue
            for error in found.defects:
                note_defect(error, self.defects)
            if found.document is not None:
                d, types = found.document, self._types(found.document.annotated)
                entities = tuple(e for e in d.entities if e.label in {t.label for t in types})
                yield Document(d.id, d.text, entities, language, types)


def _is_notes(file: Whole) -> bool:
    """A file of notes: the first line that is an object has a text and nothing that annotates it."""
    if file.kind not in (FileKind.LINES, FileKind.PACKED):
        return False
    first: dict[str, Any] = {}
    with file.path.open("rb") as stream:
        source = gunzip(stream, TEXTS.unpacked) if file.kind is FileKind.PACKED else stream
        try:
            for line in lines(source, line_limit(TEXTS.max_bytes), LINES_WITHOUT_TEXT):
                if line.data is not None and isinstance(tree := _json(line.data), dict):
                    first = tree
                    break
        except (DamagedError, ExceededError):
            return False
    return "text" in first and not _OF_GOLD & first.keys()


def _json(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _code(language: str) -> Language:
    """A record's language as folders name it: `es-ES` -> `es`."""
    code = language.lower().replace("_", "-").partition("-")[0]
    return canonical_code(code)

"""Annotated documents <-> one packed file: JSON lines, gzipped, the same bytes for the same documents.

A line holds `id`, `text`, `language` (or null), `annotated` (entity types) and `entities` (objects of `label`, `start`,
`end`, `text`; offsets in code points). Everything outside ASCII is escaped, so that no reader can cut or change it.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from enigma_tasks.documents import (
    LABELS,
    Document,
    Entity,
    EntityType,
    canonical_label,
    check_id,
    check_place,
    entity_at,
    sorted_entities,
)
from enigma_tasks.errors import DataError
from enigma_tasks.formats.limits import UNPACKED, Budget, check_records, check_spans, check_text_size
from enigma_tasks.formats.standoff import note_defect
from enigma_tasks.notes.gunzip import DamagedError, ExceededError, gunzip
from enigma_tasks.notes.references import check_text
from enigma_tasks.unforeseen import refused_if_unforeseen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from enigma_tasks.params.limits import Unpacked

PACKED_SUFFIX = ".jsonl.gz"
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")  # RFC 5646, the parts that Enigma can meet
_FIELDS = {"id", "text", "language", "annotated", "entities"}
_ENTITY_FIELDS = {"label", "start", "end", "text"}


def write_packed(documents: Sequence[Document], path: Path) -> str:
    """Write `path`, whole or not at all; returns the SHA-256 of its bytes.

    Raises:
        DataError: see `pack`; nothing is written then.
    """
    data = pack(documents)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.replace(path)
    return hashlib.sha256(data).hexdigest()


def pack(documents: Sequence[Document]) -> bytes:
    """The file's bytes: sorted by id, then language; without a time, a name or anything else of the machine.

    Raises:
        DataError: `id_unsafe`, `id_duplicate` (within a language), `text_without_annotation`, `label_unexpected` (of a
            type that the document was not annotated for), a rule of `notes.references.check_text`, or a span that does
            not fit its text.
    """
    for (document_id, _), times in Counter((d.id, d.language) for d in documents).items():
        if times > 1:
            raise DataError(document_id, "id_duplicate")
    packed = io.BytesIO()
    # GzipFile and not gzip.compress: that one's header names the operating system
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as stream:
        for document in sorted(documents, key=lambda d: (d.id, d.language or "")):
            _check(document)
            stream.write(json.dumps(_tree(document)).encode("ascii") + b"\n")
    return packed.getvalue()


@dataclass(frozen=True, slots=True)
class PackedRecord:
    """One line of a packed file: its document, or why there is none."""

    document: Document | None
    defects: tuple[DataError, ...] = ()


def read_packed(path: Path, defects: list[DataError] | None = None) -> list[Document]:
    """The documents of a packed file, in its order.

    Args:
        path: a file that `write_packed` wrote, or any file of its format.
        defects: collects everything that is wrong and the sound documents are returned; without it the first is raised.

    Raises:
        DataError: a rule of `packed_records`.
    """
    documents: list[Document] = []
    for record in packed_records(path):
        for error in record.defects:
            note_defect(error, defects)
        if record.document is not None:
            documents.append(record.document)
    return documents


def packed_records(path: Path, *, dropped: bool = False) -> list[PackedRecord]:
    """Every line of a packed file that holds something; a line that is wrong costs no other anything.

    A file that was `dropped` has limits, on the file: `unpacked_too_large`, `unpacked_ratio`, `too_many_records`,
    `too_many_values`, each instead of all its documents; on the document: those of `formats.limits`. What Enigma wrote
    itself, from documents that it took in, has none.

    Where two lines have one id and language, neither is kept. Defects are, on the file, with the line (from 1):
    `packed_damaged` (the compressed stream ends early or is wrong; nothing after it can be read),
    `packed_line_malformed`; on `FILE#LINE`: `not_utf8` (byte of the line, or code point of the text where an escape
    stands for half a character) and the other rules of `notes.references.check_text`; on the document: `id_unsafe`,
    `id_duplicate`, `label_unexpected`, `label_unknown`, `span_outside_text`, `span_inverted`, `surface_differs`.
    """
    damage: list[DataError] = []
    try:
        records, claims = _read(path, damage, Budget() if dropped else None)
    except DataError as error:
        return [PackedRecord(None, (error.detached(),))]
    times = Counter(claims)
    for i, claim in enumerate(claims):
        if claim is not None and times[claim] > 1:
            records[i] = PackedRecord(None, (*records[i].defects, DataError(claim[0], "id_duplicate")))
    return records + [PackedRecord(None, (error,)) for error in damage]


def _read(
    path: Path, damage: list[DataError], budget: Budget | None
) -> tuple[list[PackedRecord], list[tuple[str, str | None] | None]]:
    """The records, and whose they are. Raises DataError of the whole file."""
    records: list[PackedRecord] = []
    claims: list[tuple[str, str | None] | None] = []
    for number, line in _lines(path, damage, UNPACKED if budget else None):
        if budget:
            check_records(path.name, number)
            budget.take_values(path.name, line.count(b",") + line.count(b"[") + line.count(b"{"))
        wrong: list[DataError] = []
        document = None
        try:
            with refused_if_unforeseen(f"{path.name}#{number}"):
                document = _document(path.name, number, line, wrong, limited=budget is not None)
        except DataError as error:
            wrong = [error.detached()]
        claims.append((document.id, document.language) if document else None)
        records.append(PackedRecord(None if wrong else document, tuple(wrong)))
    return records, claims


def _check(document: Document) -> None:
    check_id(document.id)
    check_text(document.id, document.text)
    if not document.annotated:
        raise DataError(document.id, "text_without_annotation")
    for e in document.entities:
        _entity(document.id, document.text, document.annotated, (e.label, e.char_start, e.char_end, e.text))


def _tree(document: Document) -> dict[str, Any]:
    return {
        "id": document.id,
        "language": document.language,
        "annotated": [t.value for t in EntityType if t in document.annotated],
        "text": document.text,
        "entities": [
            {"label": e.label, "start": e.char_start, "end": e.char_end, "text": e.text}
            for e in sorted_entities(document.entities)
        ],
    }


def _lines(path: Path, defects: list[DataError], limits: Unpacked | None) -> Iterator[tuple[int, bytes]]:
    """(number from 1, line) of every line that holds something, up to a damage."""
    number = 0
    try:
        with path.open("rb") as packed:
            for number, line in enumerate(gunzip(packed, limits), start=1):
                if line.strip():
                    yield number, line
    except DamagedError:
        defects.append(DataError(path.name, "packed_damaged", number + 1))
    except ExceededError as error:
        raise DataError(path.name, error.rule, number + 1) from None


def _document(name: str, number: int, line: bytes, defects: list[DataError], *, limited: bool) -> Document:
    """One line -> its document without the entities that are wrong."""
    try:
        tree = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise DataError(f"{name}#{number}", "not_utf8", error.start) from None
    except (ValueError, RecursionError):
        raise DataError(name, "packed_line_malformed", number) from None
    if not _well_formed(tree):
        raise DataError(name, "packed_line_malformed", number)
    check_id(tree["id"])
    check_text(f"{name}#{number}", tree["text"])
    if limited:
        check_text_size(tree["id"], tree["text"])
        check_spans(tree["id"], len(tree["text"]), [((e["start"], e["end"]),) for e in tree["entities"]])
    annotated = frozenset(EntityType(t) for t in tree["annotated"])
    entities = []
    for e in tree["entities"]:
        try:
            row = (e["label"], e["start"], e["end"], e["text"])
            entities.append(_entity(tree["id"], tree["text"], annotated, row))
        except DataError as error:
            note_defect(error, defects)
    return Document(tree["id"], tree["text"], sorted_entities(entities), tree["language"], annotated)


def _well_formed(tree: Any) -> bool:
    """Every field is there, of its type, and nothing else."""
    return (
        isinstance(tree, dict)
        and tree.keys() == _FIELDS
        and isinstance(tree["id"], str)
        and isinstance(tree["text"], str)
        and (tree["language"] is None or _is_language(tree["language"]))
        and isinstance(tree["annotated"], list)
        and bool(tree["annotated"])
        and all(isinstance(t, str) and t in set(EntityType) for t in tree["annotated"])
        and isinstance(tree["entities"], list)
        and all(_well_formed_entity(e) for e in tree["entities"])
    )


def _is_language(value: Any) -> bool:
    """A language becomes a folder's name."""
    return isinstance(value, str) and bool(_LANGUAGE.fullmatch(value))


def _well_formed_entity(tree: Any) -> bool:
    return (
        isinstance(tree, dict)
        and tree.keys() == _ENTITY_FIELDS
        and isinstance(tree["label"], str)
        and isinstance(tree["text"], str)
        and all(isinstance(tree[k], int) and not isinstance(tree[k], bool) for k in ("start", "end"))
    )


def _entity(document_id: str, text: str, annotated: frozenset[EntityType], row: tuple[str, int, int, str]) -> Entity:
    """A span that fits its text and its document's types, or DataError."""
    label, start, end, surface = row
    check_place(document_id, text, start, end)
    if canonical_label(label) in LABELS and end - start != len(surface):
        raise DataError(document_id, "surface_differs", start)
    entity = entity_at(document_id, text, label, start, end)
    if entity.text != surface:
        raise DataError(document_id, "surface_differs", start)
    if entity.label not in {t.label for t in annotated}:
        raise DataError(document_id, "label_unexpected", start)
    return entity

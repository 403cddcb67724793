"""BRAT standoff and the shared task's TSV <-> entities, both ways (docs/architecture.md, "Records").

Every reader takes `defects`: without it the first defect is raised, with it every defect is appended and the sound rest
is returned, so that one pass can name all that is wrong. No defect carries note text.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from enigma_tasks.documents import LABELS, Document, Entity, canonical_label, entity_at, sorted_entities
from enigma_tasks.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

TSV_HEADER = "filename\tlabel\tstart_span\tend_span\ttext"
OTHER_KINDS = "RAMEN#*"
"""First letters of the other BRAT lines: relations, attributes, events, normalisations, notes, equivalences."""

# BRAT manual, "standoff format": T<id> TAB <type> <start> <end>[;<start> <end>...] TAB <surface>
_TEXT_BOUND = re.compile(r"T\S+\t(\S+) (-?[0-9]{1,12} -?[0-9]{1,12}(?:;-?[0-9]{1,12} -?[0-9]{1,12})*)\t(.*)", re.DOTALL)
_TSV_ROW = re.compile(r"([^\t]+)\t([^\t]+)\t(-?[0-9]{1,12})\t(-?[0-9]{1,12})\t(.*)", re.DOTALL)
_FOLD = str.maketrans("\n\r\t", "   ")
_FOLD_NEWLINES = str.maketrans("\n\r", "  ")


@dataclass(frozen=True, slots=True)
class AnnFile:
    """One parsed .ann file."""

    entities: tuple[Entity, ...] = field(repr=False)
    """Sorted by offset; a discontinuous span is its outer span."""
    discontinuous: int
    """How many spans were written in fragments."""
    other_lines: Mapping[str, int]
    """Lines kept out, by their first letter (one of `OTHER_KINDS`)."""


def note_defect(error: DataError, defects: list[DataError] | None) -> None:
    """Append to `defects`, or raise where the caller does not collect."""
    if defects is None:
        raise error from None
    defects.append(error)


def parse_ann(document_id: str, text: str, ann: str, defects: list[DataError] | None = None) -> AnnFile:
    """The entities of one .ann file against the text that it annotates.

    Raises:
        DataError: `ann_line_malformed` (offset: line, from 1), `label_unknown`, `span_outside_text`, `span_inverted`,
            `surface_differs` (offset: the span's start in code points).
    """
    entities: list[Entity] = []
    other: Counter[str] = Counter()
    discontinuous = 0
    for number, line in _lines(ann):
        if line[0] in OTHER_KINDS:
            other[line[0]] += 1
            continue
        match = _TEXT_BOUND.fullmatch(line)
        if match is None:
            note_defect(DataError(document_id, "ann_line_malformed", number), defects)
            continue
        label, offsets, surface = match.groups()
        fragments = [(int(s), int(e)) for s, e in (f.split(" ") for f in offsets.split(";"))]
        discontinuous += len(fragments) > 1
        try:
            entities.append(_located(document_id, text, label, fragments, surface))
        except DataError as error:
            note_defect(error, defects)
    return AnnFile(sorted_entities(entities), discontinuous, dict(sorted(other.items())))


def format_ann(entities: Iterable[Entity]) -> str:
    """BRAT lines T1, T2, ... by offset; a newline character in a surface becomes a space."""
    return "".join(
        f"T{n}\t{e.label} {e.char_start} {e.char_end}\t{e.text.translate(_FOLD_NEWLINES)}\n"
        for n, e in enumerate(sorted_entities(entities), start=1)
    )


def parse_tsv(tsv: str, record: str = "tsv", defects: list[DataError] | None = None) -> dict[str, tuple[Entity, ...]]:
    """File name (without `.txt`) -> its rows by offset; `verified` checks their surfaces against a text.

    Surfaces that a CSV writer has quoted, the corpora's own among them, are unquoted.

    Raises:
        DataError: `tsv_header_unknown`, `tsv_line_malformed` (on `record`; offset: line, from 1); `label_unknown`,
            `span_outside_text`, `span_inverted` (on the row's file name; offset: the span's start).
    """
    rows: dict[str, list[Entity]] = {}
    lines = _lines(tsv)
    if next(lines, (1, ""))[1] != TSV_HEADER:
        note_defect(DataError(record, "tsv_header_unknown", 1), defects)
        return {}
    for number, line in _rejoined(lines):
        match = _TSV_ROW.fullmatch(line)
        if match is None:
            note_defect(DataError(record, "tsv_line_malformed", number), defects)
            continue
        name, label = match[1].removesuffix(".txt"), canonical_label(match[2])
        start, end = int(match[3]), int(match[4])
        if label not in LABELS:
            note_defect(DataError(name, "label_unknown", start), defects)
        elif start < 0:
            note_defect(DataError(name, "span_outside_text", start), defects)
        elif end <= start:
            note_defect(DataError(name, "span_inverted", start), defects)
        else:
            rows.setdefault(name, []).append(Entity(label, start, end, _unquoted(match[5], end - start)))
    return {name: sorted_entities(rows[name]) for name in sorted(rows)}


def verified(
    document_id: str, text: str, rows: Iterable[Entity], defects: list[DataError] | None = None
) -> tuple[Entity, ...]:
    """TSV rows against their text: the same spans with the text's own surface. Raises DataError as `parse_ann` does."""
    entities: list[Entity] = []
    for row in rows:
        try:
            entities.append(_located(document_id, text, row.label, [row.span], row.text))
        except DataError as error:
            note_defect(error, defects)
    return sorted_entities(entities)


def format_tsv(documents: Iterable[Document]) -> str:
    """The shared task's file: one row per entity, documents in the given order; nothing is quoted."""
    return format_rows((d.id, d.entities) for d in documents)


def format_rows(spans: Iterable[tuple[str, Iterable[Entity]]]) -> str:
    """The same from (file name, entities) pairs; newlines and tabs in a surface become spaces.

    Raises:
        DataError: `id_unsafe` for a file name that a row cannot hold.
    """
    lines = [TSV_HEADER]
    for name, entities in spans:
        if not name or name.endswith(".txt") or any(c in name for c in "\t\n\r"):
            raise DataError(ascii(name), "id_unsafe")
        lines += [
            f"{name}\t{e.label}\t{e.char_start}\t{e.char_end}\t{e.text.translate(_FOLD)}"
            for e in sorted_entities(entities)
        ]
    return "\n".join(lines) + "\n"


def _lines(content: str) -> Iterator[tuple[int, str]]:
    """(line number from 1, line) of the lines that hold something.

    Cut at \\n only: str.splitlines would also cut at NEL, VT and U+2028, which surfaces may hold.
    """
    for number, line in enumerate(content.removeprefix("\ufeff").split("\n"), start=1):
        bare = line.removesuffix("\r")
        if bare.strip(" \t"):
            yield number, bare


def _rejoined(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """The same lines; one that is no row and follows a row of an open quotation is the rest of its surface."""
    row: tuple[int, str] | None = None
    for number, line in lines:
        if row and not _TSV_ROW.fullmatch(line):
            surface = row[1].split("\t", 4)[-1]
            if surface.startswith('"') and surface.count('"') % 2:
                row = (row[0], f"{row[1]} {line}")
                continue
        if row:
            yield row
        row = (number, line)
    if row:
        yield row


def _unquoted(surface: str, length: int) -> str:
    """Undo a CSV writer's quotation. The span's length tells it from a surface that has its own quotation marks."""
    if len(surface) != length and len(surface) > 1 and surface[0] == surface[-1] == '"':
        plain = surface[1:-1].replace('""', '"')
        if len(plain) == length:
            return plain
    return surface


def _located(document_id: str, text: str, label: str, fragments: list[tuple[int, int]], surface: str) -> Entity:
    for start, end in fragments:
        entity_at(document_id, text, label, start, end)
    entity = entity_at(document_id, text, label, min(s for s, _ in fragments), max(e for _, e in fragments))
    if not _same_surface(text, entity, fragments, surface):
        raise DataError(document_id, "surface_differs", entity.char_start)
    return entity


def _same_surface(text: str, entity: Entity, fragments: list[tuple[int, int]], surface: str) -> bool:
    written = surface.translate(_FOLD)
    if len(fragments) == 1:
        # other tools write a CRLF as one space
        return written in (entity.text.translate(_FOLD), entity.text.replace("\r\n", " ").translate(_FOLD))
    joined = " ".join(text[s:e] for s, e in fragments)
    return " ".join(written.split()) in (" ".join(joined.split()), " ".join(entity.text.split()))
